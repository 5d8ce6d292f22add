//! A copy: three files as `pg_basebackup` packs them, and what it says of itself.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{
    CopiesError, Keys,
    about::{self, About},
    local,
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
    if storage.has(&about_name)? || storage.has(&format!("{name}/PG_VERSION"))? {
        return Err(CopiesError::Taken(name.into()));
    }
    let ids: Vec<String> = keys.seal()?.iter().map(Recipient::id).collect();
    let word = |file: &str| {
        let path = from.join(file);
        fs::read_to_string(&path).map(|word| word.trim().to_owned()).map_err(local("read", &path))
    };
    let about = About { uid: uid.into(), system: word("system")?, begin: word("begin")?, keys: ids.clone() };
    if !about.makes_sense() {
        return Err(CopiesError::About(from.display().to_string()));
    }
    // Whose copy it is, for whoever deletes it: before there is anything to delete.
    let mut by = storage.writer(&format!(".by/{name}"))?;
    by.write(uid.as_bytes())?;
    by.keep()?;
    let mut bytes = 0;
    for file in FILES {
        let path = from.join(file);
        bytes += transfer::put(storage, keys, &sealed_name(name, file), &path)?;
        fs::remove_file(&path).map_err(local("remove", &path))?;
    }
    // One line, as the script that deletes copies reads it.
    let text = serde_json::to_vec(&about).map_err(|_| CopiesError::About(about_name.clone()))?;
    let mut last = storage.writer(&about_name)?;
    last.write(&text)?;
    match last.keep_new()? {
        Some(_) => Ok(Stored { bytes, keys: ids }),
        None => Err(CopiesError::Taken(name.into())),
    }
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
    let about = About::parse(&text).ok_or(CopiesError::About(about_name))?;
    fs::create_dir_all(&folder).map_err(local("make", &folder))?;
    for file in FILES {
        transfer::get(storage, keys, &sealed_name(name, file), &folder.join(file))?;
    }
    Ok(about)
}

fn plain(storage: &Storage, name: &str, folder: &Path, must_be_sealed: bool) -> Result<About, CopiesError> {
    if !storage.has(&format!("{name}/PG_VERSION"))? {
        return Err(CopiesError::Missing(name.into()));
    }
    if must_be_sealed {
        return Err(CopiesError::Plain(name.into()));
    }
    let there = storage.path(name);
    let (label, control) = (there.join("backup_label"), there.join("global/pg_control"));
    let text = fs::read_to_string(&label).map_err(local("read", &label))?;
    let bytes = fs::read(&control).map_err(local("read", &control))?;
    let about = about::of_plain(&text, &bytes).ok_or(CopiesError::About(label.display().to_string()))?;
    symlink(there, folder).map_err(local("link", folder))?;
    Ok(about)
}

fn about_name(name: &str) -> String {
    format!("{name}/about.json")
}

fn sealed_name(name: &str, file: &str) -> String {
    format!("{name}/{file}.age")
}
