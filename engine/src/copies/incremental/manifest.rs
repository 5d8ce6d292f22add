//! The list of a copy's files that PostgreSQL writes (`backup_manifest`): each with its size and SHA-256. What an incremental copy
//! stores, and whether it came back whole, is decided by nothing else. It is held in memory: some hundred bytes for each file
//! of the database, of which a gigabyte of a table is one.

use std::{collections::BTreeMap, fmt, fs::File, io::BufReader, path::Path};

use serde::Deserialize;

use super::super::{CopiesError, local};

/// By which files are compared. Nothing is known of what has another.
const ALGORITHM: &str = "SHA256";

/// Files by their paths below the database's directory. A path may be no text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest(pub BTreeMap<Vec<u8>, Entry>);

/// By what a file is known again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal digits. None if the manifest has another sum or none.
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenFile {
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    checksum_algorithm: Option<String>,
    checksum: Option<String>,
}

impl Manifest {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no manifest.
    pub fn read(path: &Path) -> Result<Self, CopiesError> {
        let file = File::open(path).map_err(local("read", path))?;
        Self::of(serde_json::from_reader(BufReader::new(file)).ok())
            .ok_or_else(|| CopiesError::About(path.display().to_string()))
    }

    /// Reads what was read already.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::of(serde_json::from_slice(bytes).ok())
    }

    fn of(written: Option<Written>) -> Option<Self> {
        let mut files = BTreeMap::new();
        for file in written?.files {
            let path = match (&file.path, &file.encoded_path) {
                (Some(path), None) => path.clone().into_bytes(),
                (None, Some(encoded)) => decoded(encoded)?,
                _ => return None,
            };
            let is_known = file.checksum_algorithm.as_deref() == Some(ALGORITHM);
            let sha256 = file.checksum.filter(|_| is_known).map(|sum| sum.to_ascii_lowercase());
            // The same file twice would be two answers to one question.
            let before = is_inside(&path).then(|| files.insert(path, Entry { bytes: file.size, sha256 }))?;
            if before.is_some() {
                return None;
            }
        }
        Some(Self(files))
    }

    /// Those of its files that `parent` has not as they are: with the same path, size and SHA-256.
    pub fn changed_since(&self, parent: &Self) -> impl Iterator<Item = &[u8]> {
        let is_held = |path: &Vec<u8>, file: &Entry| {
            file.sha256.is_some() && parent.0.get(path).is_some_and(|before| before == file)
        };
        self.0.iter().filter(move |(path, file)| !is_held(path, file)).map(|(path, _)| path.as_slice())
    }
}

/// Whether a path stays below the directory.
fn is_inside(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

fn decoded(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes().chunks(2).map(|two| {
        let two = str::from_utf8(two).ok().filter(|two| two.len() == 2)?;
        u8::from_str_radix(two, 16).ok()
    });
    digits.collect()
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = self.sha256.as_deref().unwrap_or("unknown");
        write!(f, "{} bytes with SHA-256 {sum}", self.bytes)
    }
}

#[cfg(test)]
mod tests;
