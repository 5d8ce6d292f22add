//! The keys, as a mounted Secret has them: one file per entry.
//!
//! Entry `key` seals and opens; `recipients`, if it is there, has public keys that everything is sealed for as well, such as
//! that of a key in a safe; every other entry opens what was sealed before. To rotate, the old key gets another entry and
//! `key` the new one. Where no Secret is named nothing is sealed.

use std::{fs, io, path::Path, path::PathBuf};

use super::CopiesError;
use crate::age::{Identity, Recipient};

/// The entry that seals.
const CURRENT: &str = "key";
/// The entry with public keys.
const RECIPIENTS: &str = "recipients";

/// What seals and opens.
#[derive(Debug, Default)]
pub struct Keys {
    seal: Vec<Recipient>,
    open: Vec<Identity>,
    has_current: bool,
    are_named: bool,
}

impl Keys {
    /// Reads all of these directories; the first one's say for whom to seal. Keys in one that is not there are none: a Secret
    /// that is gone must not keep a database from starting.
    ///
    /// # Errors
    /// When a file cannot be read, or is no key.
    pub fn read(directories: &[PathBuf]) -> Result<Self, CopiesError> {
        let mut keys = Self { are_named: !directories.is_empty(), ..Self::default() };
        for (at, directory) in directories.iter().enumerate() {
            let found =
                one(directory).map_err(|source| CopiesError::Keys { path: directory.clone(), source })?;
            for (entry, text) in found {
                let wrong = |source| CopiesError::Key { entry: entry.clone(), source };
                if entry == RECIPIENTS {
                    let more =
                        lines(&text).map(Recipient::parse).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
                    keys.seal.extend(more.into_iter().filter(|_| at == 0));
                    continue;
                }
                let more = lines(&text).map(Identity::parse).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
                if at == 0 && entry == CURRENT {
                    keys.seal.extend(more.iter().map(Identity::recipient));
                    keys.has_current = !more.is_empty();
                }
                keys.open.extend(more);
            }
        }
        Ok(keys)
    }

    /// For whom to seal. None if nothing is to be sealed.
    ///
    /// # Errors
    /// When there is no entry `key`: what is sealed for others alone could not be verified.
    pub fn seal(&self) -> Result<Option<&[Recipient]>, CopiesError> {
        match (self.are_named, self.has_current) {
            (false, _) => Ok(None),
            (true, true) => Ok(Some(&self.seal)),
            (true, false) => Err(CopiesError::NoKey),
        }
    }

    /// What to open with.
    pub fn open(&self) -> &[Identity] {
        &self.open
    }
}

/// Its files by name. A mounted Secret also has links and a directory whose names begin with a point.
fn one(directory: &Path) -> io::Result<Vec<(String, String)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, fs::read_to_string(entry.path())?));
        }
    }
    // So that a file is sealed for the same keys in the same order each time.
    found.sort();
    Ok(found)
}

/// What is neither empty nor a comment, as age-keygen writes some.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
