//! A copy: three files as `pg_basebackup` packs them, sealed or not, and what it says of itself. Or a directory as it was never packed,
//! which is found and read here, and made elsewhere.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use super::{
    CopiesError, Keys,
    about::{self, About},
    local, log,
    storage::Storage,
    transfer,
};
use crate::age::Recipient;

/// What a copy consists of. Nothing else is taken, whatever else there is.
const FILES: [&str; 3] = ["backup_manifest", "base.tar.gz", "pg_wal.tar.gz"];

/// A copy that is kept.
#[derive(Debug)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Ids of the keys that open it.
    pub keys: Vec<String>,
}

/// Keeps the files of this directory as a copy. The last thing to be written is what makes it one. The files go.
pub fn store(
    storage: &Storage,
    keys: &Keys,
    (name, uid): (&str, &str),
    from: &Path,
) -> Result<Stored, CopiesError> {
    let about_name = about_name(name);
    if name == log::FOLDER || storage.has(&about_name)? || storage.has(&format!("{name}/PG_VERSION"))? {
        return Err(CopiesError::Taken(name.into()));
    }
    let seals_for = keys.seal()?.unwrap_or_default();
    let ids: Vec<String> = seals_for.iter().map(Recipient::id).collect();
    let mut about = described(from, uid, ids)?;
    // Whose copy it is, for whoever deletes it: before there is anything to delete.
    storage.write(&by_name(name), uid.as_bytes())?;
    let mut bytes = 0;
    for file in FILES {
        let path = from.join(file);
        let kept = transfer::put(storage, keys, &file_name(name, file, &about), &path)?;
        bytes += kept.bytes;
        if about.keys.is_empty() {
            about.sums.insert(file.into(), kept);
        }
        fs::remove_file(&path).map_err(local("remove", &path))?;
    }
    let text = serde_json::to_vec(&about).map_err(|_| CopiesError::About(about_name.clone()))?;
    match storage.write_new(&about_name, &text)? {
        true => Ok(Stored { bytes, keys: about.keys }),
        false => Err(CopiesError::Taken(name.into())),
    }
}

/// What it will say of itself, from what was found out beside the packed files.
fn described(from: &Path, uid: &str, keys: Vec<String>) -> Result<About, CopiesError> {
    let word = |file: &str| {
        let path = from.join(file);
        fs::read_to_string(&path).map(|word| word.trim().to_owned()).map_err(local("read", &path))
    };
    let (system, begin) = (word("system")?, word("begin")?);
    let about = About { uid: uid.into(), system, begin, keys, sums: BTreeMap::new() };
    about.makes_sense().then_some(about).ok_or_else(|| CopiesError::About(from.display().to_string()))
}

/// Opens a copy into `to/NAME`. One that was never sealed is linked there, unless `must_be_sealed`.
pub fn fetch(
    storage: &Storage,
    keys: &Keys,
    name: &str,
    to: &Path,
    must_be_sealed: bool,
) -> Result<About, CopiesError> {
    let about_name = about_name(name);
    let folder = to.join(name);
    let Some(text) = storage.read(&about_name)? else {
        return plain(storage, name, &folder, must_be_sealed);
    };
    let about = About::parse(&text).ok_or_else(|| CopiesError::About(about_name.clone()))?;
    if about.keys.is_empty() && must_be_sealed {
        return Err(CopiesError::Plain(name.into()));
    }
    fs::create_dir_all(&folder).map_err(local("make", &folder))?;
    for file in FILES {
        let (kept, to) = (file_name(name, file, &about), folder.join(file));
        if about.keys.is_empty() {
            let sum = about.sums.get(file).ok_or_else(|| CopiesError::About(about_name.clone()))?;
            transfer::get_plain(storage, &kept, &to, Some(sum))?;
        } else {
            transfer::get(storage, keys, &kept, &to)?;
        }
    }
    Ok(about)
}

fn plain(storage: &Storage, name: &str, folder: &Path, must_be_sealed: bool) -> Result<About, CopiesError> {
    let there = storage.path(name).filter(|there| there.join("PG_VERSION").exists());
    let there = there.ok_or_else(|| CopiesError::Missing(name.into()))?;
    if must_be_sealed {
        return Err(CopiesError::Plain(name.into()));
    }
    let about = of_plain(storage, name)?.ok_or_else(|| CopiesError::Missing(name.into()))?;
    symlink(there, folder).map_err(local("link", folder))?;
    Ok(about)
}

/// What a directory that was never packed says of itself, if there is one.
fn of_plain(storage: &Storage, name: &str) -> Result<Option<About>, CopiesError> {
    if storage.path(name).is_none() || !storage.has(&format!("{name}/PG_VERSION"))? {
        return Ok(None);
    }
    let label_name = format!("{name}/backup_label");
    let damaged = || CopiesError::About(label_name.clone());
    let label = storage.read(&label_name)?.ok_or_else(damaged)?;
    let control = storage.read(&format!("{name}/global/pg_control"))?.ok_or_else(damaged)?;
    about::of_plain(&String::from_utf8_lossy(&label), &control).ok_or_else(damaged).map(Some)
}

/// What a copy says of itself, if there is a whole one of this name.
pub(super) fn about(storage: &Storage, name: &str) -> Result<Option<About>, CopiesError> {
    let about_name = about_name(name);
    match storage.read(&about_name)? {
        Some(text) => About::parse(&text).map(Some).ok_or(CopiesError::About(about_name)),
        None => of_plain(storage, name),
    }
}

pub(super) fn about_name(name: &str) -> String {
    format!("{name}/about.json")
}

/// Where the UID is of the Backup that a copy belongs to.
pub(super) fn by_name(name: &str) -> String {
    format!(".by/{name}")
}

fn file_name(name: &str, file: &str, about: &About) -> String {
    let ending = if about.keys.is_empty() { "" } else { ".age" };
    format!("{name}/{file}{ending}")
}
