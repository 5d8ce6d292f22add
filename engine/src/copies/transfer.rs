//! Files into the place that keeps them, sealed on the way where there are keys, and back. In pieces; what failed leaves nothing
//! behind.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{
    CopiesError, Keys, PIECE,
    about::Sum,
    local,
    storage::{Storage, Writer},
};
use crate::age::{Broken, Opener, Sealer};

/// Keeps a file under this name. What is kept then.
pub fn put(storage: &Storage, keys: &Keys, name: &str, from: &Path) -> Result<Sum, CopiesError> {
    let broken = |source: Broken| CopiesError::Seal { name: name.into(), source };
    let mut file = File::open(from).map_err(local("read", from))?;
    let size = file.metadata().map_err(local("read", from))?.len();
    let mut ready = Vec::with_capacity(2 * PIECE);
    let seals_for = keys.seal()?;
    let mut sealer =
        seals_for.map(|keys| Sealer::begin(name, keys, &mut ready)).transpose().map_err(broken)?;
    let mut to = Summed { writer: storage.writer(name, size)?, digest: Sha256::new() };
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(local("read", from))?;
        if read == 0 {
            break;
        }
        match &mut sealer {
            Some(sealer) => sealer.push(&piece[..read], &mut ready).map_err(broken)?,
            None => ready.extend_from_slice(&piece[..read]),
        }
        to.write(&ready)?;
        ready.clear();
    }
    if let Some(sealer) = sealer {
        sealer.finish(&mut ready).map_err(broken)?;
    }
    to.write(&ready)?;
    to.keep()
}

/// Adds up what is written.
struct Summed {
    writer: Writer,
    digest: Sha256,
}

impl Summed {
    fn write(&mut self, bytes: &[u8]) -> Result<(), CopiesError> {
        self.digest.update(bytes);
        self.writer.write(bytes)
    }

    fn keep(self) -> Result<Sum, CopiesError> {
        Ok(Sum { bytes: self.writer.keep()?, sha256: hex(&self.digest.finalize()) })
    }
}

/// In lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Copies what is kept under this name and was never sealed, into a file that was not there.
pub fn get_plain(storage: &Storage, name: &str, to: &Path, sum: Option<&Sum>) -> Result<(), CopiesError> {
    let mut file = File::create_new(to).map_err(local("write", to))?;
    let done = each_plain(storage, name, sum, |piece| file.write_all(piece).map_err(local("write", to)));
    if done.is_err() {
        let _ = fs::remove_file(to);
    }
    done.map(drop)
}

/// Gives what is kept under this name and was never sealed to `take`, and holds it to its sum at its end. How large it is.
pub fn each_plain(
    storage: &Storage,
    name: &str,
    sum: Option<&Sum>,
    take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<u64, CopiesError> {
    let found = summed(storage, name, take)?;
    match sum {
        Some(sum) if *sum != found => Err(altered(name, &found, sum)),
        _ => Ok(found.bytes),
    }
}

/// The sum of what is kept under this name, as it is.
pub fn weigh(storage: &Storage, name: &str) -> Result<Sum, CopiesError> {
    summed(storage, name, |_| Ok(()))
}

fn summed(
    storage: &Storage,
    name: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<Sum, CopiesError> {
    let mut digest = Sha256::new();
    let bytes = raw(storage, name, |piece| {
        digest.update(piece);
        take(piece)
    })?;
    Ok(Sum { bytes, sha256: hex(&digest.finalize()) })
}

fn altered(name: &str, found: &Sum, expected: &Sum) -> CopiesError {
    let told = |sum: &Sum| format!("{} bytes with SHA-256 {}", sum.bytes, sum.sha256);
    CopiesError::Altered { name: name.into(), found: told(found), expected: told(expected) }
}

/// Opens what is kept under this name, into a file that was not there.
pub fn get(storage: &Storage, keys: &Keys, name: &str, to: &Path) -> Result<(), CopiesError> {
    let mut file = File::create_new(to).map_err(local("write", to))?;
    let done = each(storage, keys, name, |piece| file.write_all(piece).map_err(local("write", to)));
    if done.is_err() {
        // What was authenticated before the error is a part, which could pass for the whole.
        let _ = fs::remove_file(to);
    }
    done.map(drop)
}

/// What is kept under this name, opened. For what is small.
pub fn read(storage: &Storage, keys: &Keys, name: &str) -> Result<Vec<u8>, CopiesError> {
    let mut whole = Vec::new();
    each(storage, keys, name, |piece| {
        whole.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(whole)
}

/// Whether what is kept under this name is this. `is_sealed` says how it is kept.
pub fn is_same(
    storage: &Storage,
    keys: &Keys,
    (name, is_sealed): (&str, bool),
    other: &[u8],
) -> Result<bool, CopiesError> {
    let mut left = Some(other);
    let compare = |piece: &[u8]| {
        left = left.and_then(|left| left.strip_prefix(piece));
        Ok(())
    };
    match is_sealed {
        true => each(storage, keys, name, compare)?,
        false => raw(storage, name, compare)?,
    };
    Ok(left.is_some_and(<[u8]>::is_empty))
}

/// Gives what is kept to `take`, each piece after it was authenticated. How large it is, as it is kept.
pub fn each(
    storage: &Storage,
    keys: &Keys,
    name: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<u64, CopiesError> {
    let refused = |source| CopiesError::Open { name: name.into(), source };
    let mut opener = Opener::new(keys.open(), Some(name));
    let mut opened = Vec::with_capacity(2 * PIECE);
    let bytes = raw(storage, name, |piece| {
        opener.push(piece, &mut opened).map_err(refused)?;
        take(&opened)?;
        opened.clear();
        Ok(())
    })?;
    opener.finish(&mut opened).map_err(refused)?;
    take(&opened).map(|()| bytes)
}

/// Gives what is kept to `take`, as it is. How large it is.
fn raw(
    storage: &Storage,
    name: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<u64, CopiesError> {
    let mut reader = storage.reader(name)?;
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(bytes),
            read => {
                take(&piece[..read])?;
                bytes += read as u64;
            }
        }
    }
}
