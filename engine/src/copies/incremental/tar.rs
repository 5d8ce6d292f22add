//! Archives as `pg_basebackup` packs them (POSIX `ustar`), as they go by: whoever looks is given each entry, what it contains in
//! pieces, and its end. Nothing is held but one header. What is no such archive is an error, and so is an end before the end.

use std::io;

/// Everything in an archive is a multiple of this.
pub const BLOCK: usize = 512;

/// What an entry is called, how large it is, and the block that says so.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its path.
    pub path: Vec<u8>,
    /// Size of what follows.
    pub bytes: u64,
    /// Whether it is a file, and neither a directory nor a link.
    pub is_file: bool,
    /// As it is written.
    pub block: [u8; BLOCK],
}

/// Whoever looks.
pub trait Look {
    /// An entry begins.
    ///
    /// # Errors
    /// When there is no use in going on.
    fn begin(&mut self, header: Header) -> io::Result<()>;
    /// More of what it contains.
    ///
    /// # Errors
    /// When there is no use in going on.
    fn piece(&mut self, piece: &[u8]) -> io::Result<()>;
    /// It has ended.
    ///
    /// # Errors
    /// When there is no use in going on.
    fn end(&mut self) -> io::Result<()>;
}

/// What is in the archive at this place.
enum Place {
    /// A header, of which so much is there.
    Header(Vec<u8>),
    /// Contents, of which so much is to come, and what fills up their last block.
    Contents { left: u64, padding: u64 },
    /// Nothing more.
    Done,
}

/// An archive that is written here goes by.
pub struct Archive<L> {
    /// Whoever looks at it.
    pub look: L,
    place: Place,
}

impl<L: Look> Archive<L> {
    /// Nothing has come yet.
    pub const fn new(look: L) -> Self {
        Self { look, place: Place::Header(Vec::new()) }
    }

    /// Whether all of it has come.
    pub const fn is_whole(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    fn headed(&mut self, block: [u8; BLOCK]) -> io::Result<()> {
        if block.iter().all(|byte| *byte == 0) {
            self.place = Place::Done;
            return Ok(());
        }
        let header = Header::parse(block).ok_or_else(|| io::Error::other("it is no archive"))?;
        let left = header.bytes;
        self.look.begin(header)?;
        self.place = Place::Contents { left, padding: left.next_multiple_of(BLOCK as u64) - left };
        self.ended()
    }

    fn ended(&mut self) -> io::Result<()> {
        match self.place {
            Place::Contents { left: 0, padding: 0 } => {
                self.place = Place::Header(Vec::with_capacity(BLOCK));
                self.look.end()
            }
            _ => Ok(()),
        }
    }
}

impl<L: Look> io::Write for Archive<L> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match &mut self.place {
            Place::Done => Ok(piece.len()),
            Place::Header(block) => {
                let count = piece.len().min(BLOCK - block.len());
                block.extend_from_slice(&piece[..count]);
                if let Some(whole) = block.first_chunk::<BLOCK>().copied() {
                    self.headed(whole)?;
                }
                Ok(count)
            }
            Place::Contents { left, padding } => {
                let is_padding = *left == 0;
                let more = if is_padding { padding } else { left };
                let count = usize::try_from(*more).unwrap_or(usize::MAX).min(piece.len());
                *more -= count as u64;
                if !is_padding {
                    self.look.piece(&piece[..count])?;
                }
                self.ended()?;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Header {
    /// Reads a block. None if it is no header, or of a kind that PostgreSQL never writes.
    fn parse(block: [u8; BLOCK]) -> Option<Self> {
        let sum = number(&block[148..156])?;
        if &block[257..262] != b"ustar" || sum != checksum(&block) {
            return None;
        }
        let is_file = match block[156] {
            b'0' | 0 => true,
            b'2' | b'5' => false,
            _ => return None,
        };
        let bytes = if is_file { number(&block[124..136])? } else { 0 };
        let (prefix, name) = (text(&block[345..500]), text(&block[..100]));
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        let path = path.strip_prefix(b"./").map(<[u8]>::to_vec).unwrap_or(path);
        Some(Self { path, bytes, is_file, block })
    }

    /// That of a file, which only its owner can read. None if no header can have such a path.
    pub fn of_file(path: &[u8], bytes: u64) -> Option<Self> {
        let mut block = [0; BLOCK];
        block.get_mut(..100)?.get_mut(..path.len())?.copy_from_slice(path);
        // Eleven octal digits, which a file of a database never exceeds.
        let size = format!("{bytes:011o}").into_bytes();
        for (at, field) in [
            (100, &b"0000600"[..]),
            (108, b"0000000"),
            (116, b"0000000"),
            (124, &size),
            (136, b"00000000000"),
            (156, b"0"),
            (257, b"ustar\x0000"),
        ] {
            block.get_mut(at..)?.get_mut(..field.len())?.copy_from_slice(field);
        }
        let sum = format!("{:06o}\0 ", checksum(&block)).into_bytes();
        block[148..156].copy_from_slice(&sum);
        (size.len() == 11).then(|| Self { path: path.to_vec(), bytes, is_file: true, block })
    }

    /// Zeros after its contents, up to a whole block.
    pub const fn padding(&self) -> usize {
        let over = (self.bytes % BLOCK as u64) as usize;
        (BLOCK - over) % BLOCK
    }
}

/// Up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits; or, where these would not do, a binary number with the highest bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (low, high) = (field.last_chunk::<8>()?, field.get(1..field.len() - 8)?);
        return high.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(*low));
    }
    let digits = str::from_utf8(text(field)).ok()?.trim();
    u64::from_str_radix(digits, 8).ok()
}

/// The sum of a header's bytes, with its own as blanks.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let own = 148..156;
    block.iter().enumerate().map(|(at, byte)| u64::from(if own.contains(&at) { b' ' } else { *byte })).sum()
}

#[cfg(test)]
mod tests;
