//! The stored log: one file per segment, by Platform and server, sealed where there are keys.
//!
//! What cannot be opened is laid out as an empty file, which is no segment: whoever looks at the log sees which one is damaged,
//! and a restore to a moment before it is still possible. Only a key that is missing ends it at once, because then none opens.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use super::{
    CopiesError, Keys,
    about::{About, is_hexadecimal},
    local,
    storage::Storage,
    transfer,
};
use crate::age::OpenError;

/// Where all of it is. No copy can have this name.
pub(super) const FOLDER: &str = "wal";
const PLAIN: &str = ".gz";
const SEALED: &str = ".gz.age";

/// Keeps a segment. Done already if the same one is there, as after a crash of the server that did not note it.
pub fn store(
    storage: &Storage,
    keys: &Keys,
    (platform, system, segment): (&str, &str, &str),
    from: &Path,
) -> Result<(), CopiesError> {
    let is_sealed = keys.seal()?.is_some();
    let name = format!("{}/{segment}{}", folder(platform, system), if is_sealed { SEALED } else { PLAIN });
    if storage.has(&name)? {
        // At most one segment, which has 16 MB.
        let new = fs::read(from).map_err(local("read", from))?;
        return match transfer::is_same(storage, keys, (&name, is_sealed), &new)? {
            true => Ok(()),
            false => Err(CopiesError::Another(segment.into())),
        };
    }
    transfer::put(storage, keys, &name, from).map(drop)
}

/// What came of laying out a log.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Laid {
    /// Segments that are there.
    pub good: usize,
    /// Those that are not what was stored, each with the reason.
    pub damaged: Vec<(String, String)>,
}

/// Lays out below `to` the log that a copy needs, as a server finds it: compressed segments by their names.
///
/// Once segments are sealed all that follow are: one that is not was put there by somebody else, and counts as damaged.
pub fn fetch(
    storage: &Storage,
    keys: &Keys,
    (platform, about): (&str, &About),
    to: &Path,
) -> Result<Laid, CopiesError> {
    let folder = folder(platform, &about.system);
    let here = to.join(&folder);
    let found = listed(storage, &folder, about)?;
    if !found.is_empty() {
        fs::create_dir_all(&here).map_err(local("make", &here))?;
    }
    let (mut laid, mut is_after_sealed) = (Laid::default(), false);
    for ((place, segment), is_sealed) in found {
        let file = here.join(format!("{segment}{PLAIN}"));
        let damage = match is_sealed {
            true => open(storage, keys, &format!("{folder}/{segment}{SEALED}"), &file)?,
            false if is_after_sealed => Some("it is not sealed, and segments before it are".into()),
            false => {
                plain(storage, &format!("{folder}/{segment}{PLAIN}"), &file)?;
                None
            }
        };
        // Histories come first, and have no place.
        is_after_sealed |= is_sealed && !place.is_empty();
        match damage {
            None => laid.good += 1,
            Some(why) => {
                fs::write(&file, []).map_err(local("write", &file))?;
                laid.damaged.push((segment, why));
            }
        }
    }
    Ok(laid)
}

/// As it is kept: its compression has a checksum, which is looked at before anything is done with it.
fn plain(storage: &Storage, name: &str, to: &Path) -> Result<(), CopiesError> {
    match storage.path(name) {
        Some(there) => symlink(there, to).map_err(local("link", to)),
        None => transfer::get_plain(storage, name, to, None),
    }
}

/// Why it cannot be opened, if that is its own fault.
fn open(storage: &Storage, keys: &Keys, name: &str, to: &Path) -> Result<Option<String>, CopiesError> {
    match transfer::get(storage, keys, name, to) {
        Ok(()) => Ok(None),
        Err(CopiesError::Open { source, .. }) if !matches!(source, OpenError::NoKey { .. }) => {
            Ok(Some(source.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Segments from the copy's first one on, and what tells of timelines, in the order of the log; whether each is sealed. Of one
/// that is there in both ways the sealed one counts.
fn listed(
    storage: &Storage,
    folder: &str,
    about: &About,
) -> Result<BTreeMap<(String, String), bool>, CopiesError> {
    let mut found = BTreeMap::new();
    for name in storage.list(folder)? {
        let (segment, is_sealed) = match (name.strip_suffix(SEALED), name.strip_suffix(PLAIN)) {
            (Some(segment), _) => (segment, true),
            (None, Some(segment)) => (segment, false),
            (None, None) => continue,
        };
        let Some(place) = place(segment).filter(|place| place.is_empty() || *place >= about.begin.as_str())
        else {
            continue;
        };
        *found.entry((place.to_owned(), segment.to_owned())).or_insert(is_sealed) |= is_sealed;
    }
    Ok(found)
}

/// Where in the log a segment is: sixteen digits after its timeline's eight. Nothing for the history of a timeline.
fn place(segment: &str) -> Option<&str> {
    let is_history = segment
        .strip_suffix(".history")
        .is_some_and(|line| line.len() == 8 && line.bytes().all(is_hexadecimal));
    if is_history {
        return Some("");
    }
    (segment.len() == 24 && segment.bytes().all(is_hexadecimal)).then(|| &segment[8..])
}

/// Where the log of a server is.
pub(super) fn folder(platform: &str, system: &str) -> String {
    format!("{FOLDER}/{platform}/{system}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_and_histories_are_of_the_log() {
        for (name, expected) in [
            ("000000010000000000000003", Some("0000000000000003")),
            ("00000002.history", Some("")),
            ("000000010000000000000003.00000028.backup", None),
            ("000000010000000000000003.partial", None),
            ("../000000010000000000003", None),
            ("00000001000000000000000é", None),
        ] {
            assert_eq!(place(name), expected, "{name}");
        }
    }
}
