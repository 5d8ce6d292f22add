//! Deletes copies, and the log that no copy needs any more. Only a copy that carries the UID it is told with is deleted, never one
//! that was there before under the same name; nothing else below the prefix, and nothing beside it. Can be repeated after any
//! interruption: what says whose a copy is goes last.

use super::{
    CopiesError,
    about::{About, is_hexadecimal},
    copy::{self, about_name, by_name},
    log, objects,
    storage::Storage,
};

/// A copy that goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doomed {
    /// Its name.
    pub name: String,
    /// The UID of its Backup.
    pub uid: String,
}

impl Doomed {
    /// Reads `NAME:UID`.
    ///
    /// # Errors
    /// When the name could be anything but a part of a path.
    pub fn parse(text: &str) -> Result<Self, CopiesError> {
        let wrong = || CopiesError::Doomed(text.into());
        let (name, uid) = text.split_once(':').ok_or_else(wrong)?;
        let is_part =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let is_name =
            !name.is_empty() && !name.starts_with('.') && name != log::FOLDER && name.bytes().all(is_part);
        let doomed = || Self { name: name.into(), uid: uid.into() };
        (is_name && !uid.is_empty()).then(doomed).ok_or_else(wrong)
    }
}

/// What went.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Copies.
    pub copies: usize,
    /// Segments of the log.
    pub segments: usize,
}

/// Deletes these copies, then the log.
///
/// # Errors
/// When something may be there still.
pub fn prune(storage: &Storage, doomed: &[Doomed]) -> Result<Pruned, CopiesError> {
    let mut pruned = Pruned::default();
    for one in doomed {
        // They are there before anything else is.
        objects::remove(storage, &one.name, &one.uid)?;
        if storage.read(&by_name(&one.name))?.is_none_or(|by| by != one.uid.as_bytes()) {
            continue;
        }
        // Without it the rest is no copy any more.
        storage.remove(&about_name(&one.name))?;
        storage.remove_below(&one.name)?;
        // What a copy was while it was being made, in a directory.
        storage.remove_below(&format!("{}.partial", one.name))?;
        storage.remove(&by_name(&one.name))?;
        pruned.copies += 1;
    }
    // One that does not say where its log begins may need all of it.
    let Some(copies) = kept(storage)? else { return Ok(pruned) };
    for platform in storage.list(log::FOLDER)? {
        for system in storage.list(&format!("{}/{platform}", log::FOLDER))? {
            let begins = copies.iter().filter(|about| about.system == system).map(|about| &about.begin);
            // Without any copy the log is no use, but it is not for this to say so.
            let Some(needed) = begins.min() else { continue };
            pruned.segments += before(storage, &log::folder(&platform, &system), needed)?;
        }
    }
    Ok(pruned)
}

/// All copies that are there. None if one of them cannot be read.
fn kept(storage: &Storage) -> Result<Option<Vec<About>>, CopiesError> {
    let mut found = Vec::new();
    for name in storage.list("")? {
        if name.starts_with('.') || name.ends_with(".partial") || name == log::FOLDER {
            continue;
        }
        match copy::about(storage, &name) {
            Ok(about) => found.extend(about),
            Err(CopiesError::About(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

/// Deletes the segments before this place. How many.
fn before(storage: &Storage, folder: &str, needed: &str) -> Result<usize, CopiesError> {
    let mut count = 0;
    for name in storage.list(folder)? {
        if place(&name).is_some_and(|place| place < needed) {
            storage.remove(&format!("{folder}/{name}"))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Where in the log a segment is, or what is told of one. Nothing for the history of a timeline, which is always needed.
fn place(name: &str) -> Option<&str> {
    let (segment, _) = name.strip_suffix(".age").unwrap_or(name).strip_suffix(".gz")?.split_at_checked(24)?;
    segment.bytes().all(is_hexadecimal).then(|| &segment[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_of_the_log_have_a_place() {
        for (name, expected) in [
            ("000000010000000000000003.gz", Some("0000000000000003")),
            ("000000010000000000000003.gz.age", Some("0000000000000003")),
            ("000000010000000000000003.00000028.backup.gz", Some("0000000000000003")),
            ("00000002.history.gz", None),
            ("000000010000000000000003", None),
            (".000000010000000000000003.partial", None),
            ("holiday-pictures.gz", None),
        ] {
            assert_eq!(place(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_deleted_is_named_with_its_uid() {
        let named = Doomed { name: "hourly-20270101t0100z".into(), uid: "u-1".into() };
        assert_eq!(Doomed::parse("hourly-20270101t0100z:u-1").unwrap(), named);
        for text in ["hourly", "hourly:", ":u-1", "../x:u-1", ".by:u-1", "a/b:u-1", "wal:u-1"] {
            assert!(Doomed::parse(text).is_err(), "{text}");
        }
    }
}
