//! The custom resources of a Platform, kept beside the copy of its ledger: one document that can be applied again.
//!
//! What is kept, by name, with `.age` at the end where it is sealed:
//!
//! | name | what |
//! |---|---|
//! | `.objects/NAME/UID.json` | the document, as the operator wrote it |
//! | `.objects/NAME/UID.about.json` | how many objects it has, its size and its digest; written last |
//!
//! The UID is that of the Backup, so no other Backup of the same name ever meets them; `.by/NAME` tells it. What comes back has
//! the number, the size and the digest of what was kept, or nothing comes back. Memory does not grow with the document.

pub mod command;
mod document;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
};

use super::{CopiesError, Keys, PIECE, local, storage::Storage, transfer};

pub use document::Document;

const SEALED: &str = ".age";

/// Keeps a document, sealed if there are keys for it. None if there is no such file: whoever should have written it says why.
///
/// # Errors
/// When it is no list of objects, or cannot be kept.
pub fn store(
    storage: &Storage,
    keys: Option<&Keys>,
    (name, uid): (&str, &str),
    from: &Path,
) -> Result<Option<Document>, CopiesError> {
    if !from.try_exists().map_err(local("look for", from))? {
        return Ok(None);
    }
    let document = Document::weigh(from)?;
    let stem = stem(name, uid).ok_or(CopiesError::About(format!("UID {uid:?}")))?;
    if is_kept(storage, &stem, "")? || is_kept(storage, &stem, SEALED)? {
        return Err(CopiesError::Taken(name.into()));
    }
    put(storage, keys, &format!("{stem}.json"), from)?;
    let about = from.with_extension("about.json");
    fs::write(&about, document.text()).map_err(local("write", &about))?;
    put(storage, keys, &format!("{stem}.about.json"), &about)?;
    for file in [from, &about] {
        fs::remove_file(file).map_err(local("remove", file))?;
    }
    Ok(Some(document))
}

/// Brings the document of a copy back, into a file that was not there.
///
/// # Errors
/// When the copy has none, the key is missing, or it is not what was kept.
pub fn fetch(
    storage: &Storage,
    keys: &Keys,
    name: &str,
    must_be_sealed: bool,
    to: &Path,
) -> Result<Document, CopiesError> {
    let damaged = || CopiesError::Objects(name.into());
    let by = storage.read(&format!(".by/{name}"))?.ok_or(CopiesError::Missing(name.into()))?;
    let stem = stem(name, String::from_utf8_lossy(&by).trim()).ok_or_else(damaged)?;
    let is_sealed = is_kept(storage, &stem, SEALED)?;
    if !is_sealed && !is_kept(storage, &stem, "")? {
        return Err(CopiesError::NoObjects(name.into()));
    }
    if must_be_sealed && !is_sealed {
        return Err(CopiesError::Plain(name.into()));
    }
    let (about, document) = (format!("{stem}.about.json"), format!("{stem}.json"));
    let about = if is_sealed {
        transfer::read(storage, keys, &format!("{about}{SEALED}"))?
    } else {
        storage.read(&about)?.unwrap_or_default()
    };
    let told = Document::parse(&about).ok_or_else(damaged)?;
    if is_sealed {
        transfer::get(storage, keys, &format!("{document}{SEALED}"), to)?;
    } else {
        get(storage, &document, to)?;
    }
    match Document::weigh(to) {
        Ok(found) if found == told => Ok(told),
        _ => {
            // A part of it, applied, could pass for the whole.
            fs::remove_file(to).map_err(local("remove", to))?;
            Err(damaged())
        }
    }
}

/// Where both files are, without their endings. Both parts become parts of a path.
fn stem(name: &str, uid: &str) -> Option<String> {
    let is_part = |text: &str| {
        !text.is_empty()
            && !text.starts_with('.')
            && text.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'.'))
    };
    (is_part(name) && is_part(uid)).then(|| format!(".objects/{name}/{uid}"))
}

fn is_kept(storage: &Storage, stem: &str, ending: &str) -> Result<bool, CopiesError> {
    storage.has(&format!("{stem}.about.json{ending}"))
}

fn put(storage: &Storage, keys: Option<&Keys>, name: &str, from: &Path) -> Result<(), CopiesError> {
    if let Some(keys) = keys {
        return transfer::put(storage, keys, &format!("{name}{SEALED}"), from).map(drop);
    }
    let mut file = File::open(from).map_err(local("read", from))?;
    let mut to = storage.writer(name)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(local("read", from))? {
            0 => return to.keep().map(drop),
            read => to.write(&piece[..read])?,
        }
    }
}

fn get(storage: &Storage, name: &str, to: &Path) -> Result<(), CopiesError> {
    let (mut from, path) = storage.reader(name)?;
    let mut file = File::create_new(to).map_err(local("write", to))?;
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).map_err(local("read", &path))? {
            0 => return Ok(()),
            read => file.write_all(&piece[..read]).map_err(local("write", to))?,
        }
    }
}
