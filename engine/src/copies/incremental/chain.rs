//! A copy and those that it builds on, the newest first. Each names the one before it by name and UID, so another copy under the
//! same name is no part of it. It has at most [`CHAIN_MAX`] copies.

use std::path::Path;

use super::{
    super::{
        CopiesError, Keys,
        about::{About, Parent},
        copy::{self, FILES, MANIFEST},
        storage::Storage,
        transfer,
    },
    manifest::{Entry, Manifest},
    packer::Packer,
};

/// As many copies as one may need, itself among them: what a restore has to read grows with it, and so does what can be damaged.
pub const CHAIN_MAX: usize = 32;

/// A copy of a chain.
#[derive(Debug)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub about: About,
}

/// Finds a copy, and all that it builds on.
pub fn walk(storage: &Storage, name: &str, must_be_sealed: bool) -> Result<Vec<Link>, CopiesError> {
    let about = copy::about(storage, name)?.ok_or_else(|| CopiesError::Missing(name.into()))?;
    let mut chain = vec![Link { name: name.into(), about }];
    loop {
        let Some(last) = chain.last() else { return Ok(chain) };
        if must_be_sealed && last.about.keys.is_empty() {
            return Err(CopiesError::Plain(last.name.clone()));
        }
        let Some(parent) = last.about.parent.clone() else { return Ok(chain) };
        let missing = || CopiesError::NoParent { name: last.name.clone(), parent: parent.name.clone() };
        let about = copy::about(storage, &parent.name)?.filter(|about| about.uid == parent.uid);
        let about = about.ok_or_else(missing)?;
        if CHAIN_MAX <= chain.len() {
            return Err(CopiesError::TooLong(name.into()));
        }
        chain.push(Link { name: parent.name, about });
    }
}

impl Link {
    /// As others name it.
    pub fn named(&self) -> Parent {
        Parent { name: self.name.clone(), uid: self.about.uid.clone() }
    }

    /// Its manifest.
    pub fn manifest(&self, storage: &Storage, keys: &Keys) -> Result<Manifest, CopiesError> {
        let mut bytes = Vec::new();
        let mut take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        match self.about.is_packed() {
            true => copy::each(storage, keys, (&self.name, &self.about), MANIFEST, &mut take)?,
            false => transfer::each_plain(storage, &format!("{}/{MANIFEST}", self.name), None, &mut take)?,
        };
        Manifest::parse(&bytes).ok_or_else(|| CopiesError::About(format!("{}/{MANIFEST}", self.name)))
    }

    /// Reads all of it, so that whatever is damaged in it is an error. How large it is.
    pub fn prove(&self, storage: &Storage, keys: &Keys) -> Result<u64, CopiesError> {
        let mut bytes = 0;
        if self.about.is_packed() {
            for file in FILES {
                bytes += copy::each(storage, keys, (&self.name, &self.about), file, |_| Ok(()))?;
            }
            return Ok(bytes);
        }
        for (path, file) in &self.manifest(storage, keys)?.0 {
            let name = format!("{}/{}", self.name, String::from_utf8_lossy(path));
            let found = transfer::weigh(storage, &name)?;
            bytes += found.bytes;
            let is_same = file.sha256.as_ref().is_none_or(|sum| *sum == found.sha256);
            if file.bytes != found.bytes || !is_same {
                let found = Entry { bytes: found.bytes, sha256: Some(found.sha256) };
                return Err(CopiesError::Altered {
                    name,
                    found: found.to_string(),
                    expected: file.to_string(),
                });
            }
        }
        Ok(bytes)
    }

    /// Gives what it stores to whoever packs. Directories only if this is the newest.
    pub fn give(
        &self,
        storage: &Storage,
        keys: &Keys,
        packer: &mut Packer<'_>,
        is_newest: bool,
    ) -> Result<(), CopiesError> {
        if self.about.is_packed() {
            let from = format!("{}/{}", self.name, copy::BASE);
            return packer.take((&from, is_newest), |take| {
                copy::each(storage, keys, (&self.name, &self.about), copy::BASE, take).map(drop)
            });
        }
        // One that was never packed is in a directory of this machine.
        let folder = storage.path(&self.name).ok_or_else(|| CopiesError::Missing(self.name.clone()))?;
        let wanted: Vec<&[u8]> = packer.wanted().collect();
        for path in wanted {
            let file = folder.join(as_path(path));
            if file.is_file() {
                packer.take_file(path, &file)?;
            }
        }
        Ok(())
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    Path::new(OsStr::from_bytes(bytes))
}
