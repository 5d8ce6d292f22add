//! A copy: three files as `pg_basebackup` packs them, sealed or not, and what it says of itself. Or a directory as it was never packed,
//! which is found and read here, and made elsewhere.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use super::{
    CopiesError, Keys,
    about::{self, About, Parent, Sum},
    incremental::{self, Base},
    local, log,
    storage::Storage,
    transfer,
};
use crate::{age::Recipient, telemetry::Causes};

/// The list of its files.
pub(super) const MANIFEST: &str = "backup_manifest";
/// The database's files; of an incremental copy those that its parent has not.
pub(super) const BASE: &str = "base.tar.gz";
/// The log that it needs to be whole.
pub(super) const WAL: &str = "pg_wal.tar.gz";
/// What a copy consists of. Nothing else is taken, whatever else there is.
pub(super) const FILES: [&str; 3] = [MANIFEST, BASE, WAL];

/// A copy that is kept.
#[derive(Debug)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Size of all that a restore of it reads: its own, and that of the copies that it builds on.
    pub total: u64,
    /// Ids of the keys that open it.
    pub keys: Vec<String>,
    /// The copy that it builds on. None of a full one.
    pub parent: Option<Parent>,
    /// Why it is full though it was to build on another one.
    pub full_because: Option<String>,
}

/// Keeps the files of this directory as a full copy.
///
/// # Errors
/// When it is not kept.
pub fn store(
    storage: &Storage,
    keys: &Keys,
    whose: (&str, &str),
    from: &Path,
) -> Result<Stored, CopiesError> {
    store_onto(storage, keys, whose, from, None)
}

/// Keeps the files of this directory as a copy that builds on `parent`, or as a full one if nothing can build on that. The last thing
/// to be written is what makes it one. The files go.
///
/// # Errors
/// When it is not kept.
pub fn store_onto(
    storage: &Storage,
    keys: &Keys,
    (name, uid): (&str, &str),
    from: &Path,
    parent: Option<&Parent>,
) -> Result<Stored, CopiesError> {
    let about_name = about_name(name);
    if name == log::FOLDER || storage.has(&about_name)? || storage.has(&format!("{name}/PG_VERSION"))? {
        return Err(CopiesError::Taken(name.into()));
    }
    let seals_for = keys.seal()?.unwrap_or_default();
    let ids: Vec<String> = seals_for.iter().map(Recipient::id).collect();
    let mut about = described(from, uid, ids)?;
    let (base, full_because) = match parent.map(|parent| Base::find(storage, keys, parent, &about.system)) {
        None => (None, None),
        Some(Ok(base)) => (Some(base), None),
        Some(Err(why)) => (None, Some(Causes(&why).to_string())),
    };
    if let Some(base) = &base {
        base.reduce(from)?;
    }
    about.parent = base.as_ref().map(|base| base.parent.clone());
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
    if !storage.write_new(&about_name, &text)? {
        return Err(CopiesError::Taken(name.into()));
    }
    let total = bytes + base.map_or(0, |base| base.bytes);
    Ok(Stored { bytes, total, keys: about.keys, parent: about.parent, full_because })
}

/// What it will say of itself, from what was found out beside the packed files.
fn described(from: &Path, uid: &str, keys: Vec<String>) -> Result<About, CopiesError> {
    let word = |file: &str| {
        let path = from.join(file);
        fs::read_to_string(&path).map(|word| word.trim().to_owned()).map_err(local("read", &path))
    };
    let (system, begin) = (word("system")?, word("begin")?);
    let about = About { uid: uid.into(), system, begin, keys, sums: BTreeMap::new(), parent: None };
    about.makes_sense().then_some(about).ok_or_else(|| CopiesError::About(from.display().to_string()))
}

/// Opens a copy into `to/NAME`, with what it builds on. One that was never packed is linked there, unless `must_be_sealed`.
///
/// # Errors
/// When it cannot be had, or is not what was kept.
pub fn fetch(
    storage: &Storage,
    keys: &Keys,
    name: &str,
    to: &Path,
    must_be_sealed: bool,
) -> Result<About, CopiesError> {
    let folder = to.join(name);
    // What it says of itself does not matter then.
    if must_be_sealed && !storage.has(&about_name(name))? && is_directory(storage, name)? {
        return Err(CopiesError::Plain(name.into()));
    }
    let mut chain = incremental::walk(storage, name, must_be_sealed)?;
    match chain.as_slice() {
        [only] if !only.about.is_packed() => plain(storage, name, &folder)?,
        chain => {
            fs::create_dir_all(&folder).map_err(local("make", &folder))?;
            match chain {
                [only] => {
                    for file in FILES {
                        lay_out(storage, keys, (name, &only.about), file, &folder.join(file))?;
                    }
                }
                chain => incremental::fetch(storage, keys, chain, &folder)?,
            }
        }
    }
    Ok(chain.swap_remove(0).about)
}

/// Opens a file of a copy that is packed, into one that was not there.
pub(super) fn lay_out(
    storage: &Storage,
    keys: &Keys,
    copy: (&str, &About),
    file: &str,
    to: &Path,
) -> Result<(), CopiesError> {
    match sum(copy, file)? {
        Some(sum) => transfer::get_plain(storage, &file_name(copy.0, file, copy.1), to, Some(sum)),
        None => transfer::get(storage, keys, &file_name(copy.0, file, copy.1), to),
    }
}

/// Gives a file of a copy that is packed to `take`, opened, piece by piece. Only at its end is it known to be whole. How large it
/// is, as it is kept.
pub(super) fn each(
    storage: &Storage,
    keys: &Keys,
    copy: (&str, &About),
    file: &str,
    take: impl FnMut(&[u8]) -> Result<(), CopiesError>,
) -> Result<u64, CopiesError> {
    match sum(copy, file)? {
        Some(sum) => transfer::each_plain(storage, &file_name(copy.0, file, copy.1), Some(sum), take),
        None => transfer::each(storage, keys, &file_name(copy.0, file, copy.1), take),
    }
}

/// What a file has of a copy that is not sealed. None if it is.
fn sum<'a>((name, about): (&str, &'a About), file: &str) -> Result<Option<&'a Sum>, CopiesError> {
    if !about.keys.is_empty() {
        return Ok(None);
    }
    about.sums.get(file).map(Some).ok_or_else(|| CopiesError::About(about_name(name)))
}

fn plain(storage: &Storage, name: &str, folder: &Path) -> Result<(), CopiesError> {
    let there = storage.path(name).filter(|there| there.join("PG_VERSION").exists());
    let there = there.ok_or_else(|| CopiesError::About(about_name(name)))?;
    symlink(there, folder).map_err(local("link", folder))
}

fn is_directory(storage: &Storage, name: &str) -> Result<bool, CopiesError> {
    Ok(storage.path(name).is_some() && storage.has(&format!("{name}/PG_VERSION"))?)
}

/// What a directory that was never packed says of itself, if there is one.
fn of_plain(storage: &Storage, name: &str) -> Result<Option<About>, CopiesError> {
    if !is_directory(storage, name)? {
        return Ok(None);
    }
    let label_name = format!("{name}/backup_label");
    let damaged = || CopiesError::About(label_name.clone());
    let label = storage.read(&label_name)?.ok_or_else(damaged)?;
    let control = storage.read(&format!("{name}/global/pg_control"))?.ok_or_else(damaged)?;
    let about = about::of_plain(&String::from_utf8_lossy(&label), &control).ok_or_else(damaged)?;
    let uid = storage.read(&by_name(name))?.unwrap_or_default();
    Ok(Some(About { uid: String::from_utf8_lossy(&uid).trim().to_owned(), ..about }))
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
