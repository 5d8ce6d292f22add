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

use std::{fs, path::Path};

use super::{CopiesError, Keys, copy::by_name, local, storage::Storage, transfer};

pub use document::Document;

const SEALED: &str = ".age";

/// Keeps a document, sealed if there are keys for it. None if there is no such file: whoever should have written it says why.
///
/// # Errors
/// When it is no list of objects, or cannot be kept.
pub fn store(
    storage: &Storage,
    keys: &Keys,
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
    let ending = keys.seal()?.map_or("", |_| SEALED);
    transfer::put(storage, keys, &format!("{stem}.json{ending}"), from)?;
    let about = from.with_extension("about.json");
    fs::write(&about, document.text()).map_err(local("write", &about))?;
    transfer::put(storage, keys, &format!("{stem}.about.json{ending}"), &about)?;
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
    let by = storage.read(&by_name(name))?.ok_or(CopiesError::Missing(name.into()))?;
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
        transfer::get_plain(storage, &document, to, None)?;
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

/// Deletes what belongs to one Backup. Done already if nothing is there.
///
/// # Errors
/// When something may be there still.
pub fn remove(storage: &Storage, name: &str, uid: &str) -> Result<(), CopiesError> {
    let folder = folder(name);
    let is_ours = |file: &String| file.strip_prefix(uid).is_some_and(|rest| rest.starts_with('.'));
    let (ours, others): (Vec<_>, Vec<_>) = storage.list(&folder)?.into_iter().partition(is_ours);
    for file in &ours {
        storage.remove(&format!("{folder}/{file}"))?;
    }
    match others.is_empty() {
        true => storage.remove_below(&folder),
        false => Ok(()),
    }
}

fn folder(name: &str) -> String {
    format!(".objects/{name}")
}

/// Where both files are, without their endings. Both parts become parts of a path.
fn stem(name: &str, uid: &str) -> Option<String> {
    let is_part = |text: &str| {
        !text.is_empty()
            && !text.starts_with('.')
            && text.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'.'))
    };
    (is_part(name) && is_part(uid)).then(|| format!("{}/{uid}", folder(name)))
}

fn is_kept(storage: &Storage, stem: &str, ending: &str) -> Result<bool, CopiesError> {
    storage.has(&format!("{stem}.about.json{ending}"))
}
