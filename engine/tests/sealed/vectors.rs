//! The published test vectors of the format (C2SP's `age` in CCTV), those of keys and chunks. What other programs seal is opened
//! here, and what they must refuse is refused for the same reason.

use std::{fs, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use payplane_engine::age::{Identity, OpenError};

use super::{identity, open};

/// A vector: what is expected, with which keys, and the file.
struct Vector {
    expected: String,
    hash: Option<String>,
    keys: Vec<Identity>,
    file: Vec<u8>,
}

fn read(path: &Path) -> Vector {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let value = |name: &str| {
        let prefix = format!("{name}: ");
        head.lines().filter_map(|line| line.strip_prefix(&*prefix)).map(str::to_owned).collect::<Vec<_>>()
    };
    Vector {
        expected: value("expect").remove(0),
        hash: value("payload").first().cloned(),
        keys: value("identity").iter().map(|text| identity(text)).collect(),
        file: bytes[end + 2..].to_vec(),
    }
}

#[test]
fn published_vectors_are_opened_or_refused_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sealed/vectors");
    let mut counts = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vector = read(&path);
        for piece in [1, 7, 100_000] {
            let opened = open(None, &vector.keys, &vector.file, piece);
            let is_as_expected = match (&*vector.expected, &opened) {
                ("success", Ok(contents)) => {
                    let hash = digest(&SHA256, contents);
                    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                    vector.hash.as_ref() == Some(&hash)
                }
                ("no match", Err(OpenError::NoKey { .. }))
                | ("header failure", Err(OpenError::Malformed))
                | ("HMAC failure" | "payload failure", Err(OpenError::Damaged)) => true,
                _ => false,
            };
            assert!(is_as_expected, "{}: expected {}, {opened:?}", path.display(), vector.expected);
        }
        let is_good = vector.expected == "success";
        counts = (counts.0 + usize::from(is_good), counts.1 + usize::from(!is_good));
    }
    println!("{} vectors opened, {} refused", counts.0, counts.1);
    assert!(5 < counts.0 && 30 < counts.1, "the vectors are not there: {counts:?}");
}
