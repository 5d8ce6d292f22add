//! Copies that store only what changed since another one, its parent, which may have a parent itself.
//!
//! Making one: its parent and all that this builds on are read to their ends; files that the parent's manifest lists with the same path,
//! size and SHA-256 are left out of the packed copy, and `about.json` names the parent. Whatever is the matter with the parent
//! ends in a full copy that says why. Having one back: the newest copy's manifest is the list of what belongs to it; each file comes
//! from the newest copy of the chain that stores it, is held to the manifest, and all together are packed as if nothing had been
//! left out. So whoever unpacks it sees a full copy. Contents go through in pieces; memory holds two manifests.

mod chain;
mod manifest;
mod packer;
mod tar;

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use super::{
    CopiesError, Keys, PIECE,
    about::Parent,
    copy::{self, BASE, MANIFEST, WAL},
    local,
    storage::Storage,
};

use manifest::Manifest;
use packer::Packer;

pub use chain::{CHAIN_MAX, Link, walk};

/// What is packed anew in the directory of what was packed.
const CHANGED: &str = "changed.tar.gz";

/// What a copy can build on.
pub struct Base {
    /// Its name and UID.
    pub parent: Parent,
    /// How large it and all that it builds on are.
    pub bytes: u64,
    manifest: Manifest,
}

impl Base {
    /// Looks at a parent for a copy of this server, and reads it and all that it builds on to their ends.
    ///
    /// # Errors
    /// When nothing should build on it.
    pub fn find(storage: &Storage, keys: &Keys, parent: &Parent, system: &str) -> Result<Self, CopiesError> {
        let chain = walk(storage, &parent.name, keys.seal()?.is_some())?;
        let newest = chain.first().filter(|newest| newest.named() == *parent);
        let newest = newest.ok_or_else(|| CopiesError::Missing(parent.name.clone()))?;
        if newest.about.system != system {
            return Err(CopiesError::OtherServer(parent.name.clone()));
        }
        if CHAIN_MAX <= chain.len() {
            return Err(CopiesError::TooLong(parent.name.clone()));
        }
        let bytes = chain.iter().map(|link| link.prove(storage, keys)).sum::<Result<u64, _>>()?;
        Ok(Self { parent: parent.clone(), bytes, manifest: newest.manifest(storage, keys)? })
    }

    /// Takes out of a packed copy what is kept already.
    ///
    /// # Errors
    /// When there is no room, or what was packed is not what its manifest lists.
    pub fn reduce(&self, from: &Path) -> Result<(), CopiesError> {
        let manifest = Manifest::read(&from.join(MANIFEST))?;
        let (base, changed) = (from.join(BASE), from.join(CHANGED));
        let mut packer = Packer::begin(&changed, &manifest, manifest.changed_since(&self.manifest))?;
        packer.take((&base.display().to_string(), true), |take| in_pieces(&base, take))?;
        whole(&packer, &base.display().to_string())?;
        packer.finish()?;
        fs::rename(&changed, &base).map_err(local("write", &base))
    }
}

/// Lays out a copy of a chain in this directory, packed as a full one.
///
/// # Errors
/// When anything of it is missing, or not what was kept. Then there is no part of the database.
pub fn fetch(storage: &Storage, keys: &Keys, chain: &[Link], folder: &Path) -> Result<(), CopiesError> {
    let Some(newest) = chain.first() else { return Ok(()) };
    for file in [MANIFEST, WAL] {
        copy::lay_out(storage, keys, (&newest.name, &newest.about), file, &folder.join(file))?;
    }
    let manifest = Manifest::read(&folder.join(MANIFEST))?;
    let base = folder.join(BASE);
    let merged = merge(storage, keys, chain, (&manifest, &base));
    if merged.is_err() {
        let _ = fs::remove_file(&base);
    }
    merged
}

fn merge(
    storage: &Storage,
    keys: &Keys,
    chain: &[Link],
    (manifest, base): (&Manifest, &Path),
) -> Result<(), CopiesError> {
    let mut packer = Packer::begin(base, manifest, manifest.0.keys().map(Vec::as_slice))?;
    for (at, link) in chain.iter().enumerate() {
        link.give(storage, keys, &mut packer, at == 0)?;
    }
    let names: Vec<&str> = chain.iter().map(|link| link.name.as_str()).collect();
    whole(&packer, &names.join(", "))?;
    packer.finish()
}

/// Whether everything that was wanted was found there.
fn whole(packer: &Packer<'_>, there: &str) -> Result<(), CopiesError> {
    let lost = |path: &[u8]| CopiesError::Lost {
        file: String::from_utf8_lossy(path).into_owned(),
        copies: there.to_owned(),
    };
    packer.wanted().next().map_or(Ok(()), |path| Err(lost(path)))
}

fn in_pieces(path: &Path, take: &mut dyn FnMut(&[u8]) -> Result<(), CopiesError>) -> Result<(), CopiesError> {
    let mut file = File::open(path).map_err(local("read", path))?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(local("read", path))? {
            0 => return Ok(()),
            read => take(&piece[..read])?,
        }
    }
}
