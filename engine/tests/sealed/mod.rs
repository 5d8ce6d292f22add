//! Copies and the log, sealed: nothing that was changed is opened, no key but the right one opens, and what comes back is what
//! was stored.

mod copies;
mod cycle;
mod files;
mod keys;
mod log;
mod objects;
mod vectors;

use payplane_engine::age::{Identity, OpenError, Opener, Sealer};

/// Made by age-keygen for these tests alone.
const OLD: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// The key that belongs to it.
const OLD_PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
/// Another one.
const NEW: &str = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";

fn identity(text: &str) -> Identity {
    Identity::parse(text).unwrap()
}

/// Sealed in pieces of this size.
fn seal(name: &str, keys: &[Identity], contents: &[u8], piece: usize) -> Vec<u8> {
    let recipients: Vec<_> = keys.iter().map(Identity::recipient).collect();
    let mut sealed = Vec::new();
    let mut sealer = Sealer::begin(name, &recipients, &mut sealed).unwrap();
    for piece in contents.chunks(piece.max(1)) {
        sealer.push(piece, &mut sealed).unwrap();
    }
    sealer.finish(&mut sealed).unwrap();
    sealed
}

/// Opened in pieces of this size.
fn open(name: Option<&str>, keys: &[Identity], sealed: &[u8], piece: usize) -> Result<Vec<u8>, OpenError> {
    let mut opened = Vec::new();
    let mut opener = Opener::new(keys, name);
    for piece in sealed.chunks(piece.max(1)) {
        opener.push(piece, &mut opened)?;
    }
    opener.finish(&mut opened)?;
    Ok(opened)
}
