use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// Keeps all that goes by.
#[derive(Default)]
struct Kept {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    ended: usize,
}

impl Look for Kept {
    fn begin(&mut self, header: Header) -> io::Result<()> {
        self.entries.push((header.path, Vec::new()));
        Ok(())
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.entries.last_mut().unwrap().1.extend_from_slice(piece);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.ended += 1;
        Ok(())
    }
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut packed = Vec::new();
    for (path, contents) in files {
        let header = Header::of_file(path.as_bytes(), contents.len() as u64).unwrap();
        packed.extend_from_slice(&header.block);
        packed.extend_from_slice(contents);
        packed.extend(std::iter::repeat_n(0, header.padding()));
    }
    packed.extend([0; 2 * BLOCK]);
    packed
}

fn read(packed: &[u8], piece: usize) -> io::Result<(Kept, bool)> {
    let mut archive = Archive::new(Kept::default());
    for piece in packed.chunks(piece) {
        archive.write_all(piece)?;
    }
    let is_whole = archive.is_whole();
    Ok((archive.look, is_whole))
}

proptest! {
    #[test]
    fn what_was_packed_goes_by_in_whatever_pieces_it_comes(
        sizes in prop::collection::vec(prop_oneof![Just(0_usize), Just(512), 1..1500_usize], 0..6),
        piece in 1..2000_usize,
    ) {
        let files: Vec<_> = sizes.iter().enumerate()
            .map(|(at, size)| (format!("base/5/{at}"), vec![at as u8 + 1; *size])).collect();
        let packed = archive(&files);
        let (kept, is_whole) = read(&packed, piece).unwrap();
        prop_assert!(is_whole && kept.ended == files.len());
        let found: Vec<_> = kept.entries.into_iter().map(|(path, contents)| (String::from_utf8(path).unwrap(), contents)).collect();
        prop_assert_eq!(found, files);
        // Cut anywhere before its end it is not whole.
        let (_, is_whole) = read(&packed[..packed.len() - 2 * BLOCK], piece).unwrap();
        prop_assert!(!is_whole);
    }
}

#[test]
fn what_is_no_header_ends_it() {
    let good = archive(&[("base/5/1".into(), vec![7; 700])]);
    assert!(read(&good, 100).is_ok());
    for at in [0, 100, 124, 148, 156, 257] {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        assert!(read(&bad, 100).is_err(), "byte {at}");
    }
    assert!(read(&[1; BLOCK], 100).is_err());
    assert!(Header::of_file(&[b'x'; 101], 1).is_none() && Header::of_file(b"x", 1 << 33).is_none());
}
