//! Files into the place that keeps them, sealed on the way, and back. In pieces; what failed leaves nothing behind.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
};

use super::{CopiesError, Keys, PIECE, local, storage::Storage};
use crate::age::{Broken, Opener, Sealer};

/// Seals a file under this name. How many bytes are kept.
pub fn put(storage: &Storage, keys: &Keys, name: &str, from: &Path) -> Result<u64, CopiesError> {
    let broken = |source: Broken| CopiesError::Seal { name: name.into(), source };
    let mut file = File::open(from).map_err(local("read", from))?;
    let mut sealed = Vec::with_capacity(2 * PIECE);
    let mut sealer = Sealer::begin(name, keys.seal()?, &mut sealed).map_err(broken)?;
    let mut to = storage.writer(name)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(local("read", from))?;
        if read == 0 {
            break;
        }
        sealer.push(&piece[..read], &mut sealed).map_err(broken)?;
        to.write(&sealed)?;
        sealed.clear();
    }
    sealer.finish(&mut sealed).map_err(broken)?;
    to.write(&sealed)?;
    to.keep()
}

/// Opens what is kept under this name, into a file that was not there.
pub fn get(storage: &Storage, keys: &Keys, name: &str, to: &Path) -> Result<(), CopiesError> {
    let mut file = File::create_new(to).map_err(local("write", to))?;
    let done = each(storage, keys, name, |piece| file.write_all(piece).map_err(local("write", to)));
    if done.is_err() {
        // What was authenticated before the error is a part, which could pass for the whole.
        let _ = fs::remove_file(to);
    }
    done
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

/// Whether what is kept under this name is this.
pub fn is_same(storage: &Storage, keys: &Keys, name: &str, other: &[u8]) -> Result<bool, CopiesError> {
    let mut left = Some(other);
    each(storage, keys, name, |piece| {
        left = left.and_then(|left| left.strip_prefix(piece));
        Ok(())
    })?;
    Ok(left.is_some_and(<[u8]>::is_empty))
}

/// Gives what is kept to `take`, each piece after it was authenticated.
fn each(
    storage: &Storage,
    keys: &Keys,
    name: &str,
    mut take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<(), CopiesError> {
    let refused = |source| CopiesError::Open { name: name.into(), source };
    let (mut file, path) = storage.reader(name)?;
    let mut opener = Opener::new(keys.open(), Some(name));
    let (mut piece, mut opened) = (vec![0; PIECE], Vec::with_capacity(2 * PIECE));
    loop {
        let read = file.read(&mut piece).map_err(local("read", &path))?;
        if read == 0 {
            break;
        }
        opener.push(&piece[..read], &mut opened).map_err(refused)?;
        take(&opened)?;
        opened.clear();
    }
    opener.finish(&mut opened).map_err(refused)?;
    take(&opened)
}
