//! Deletes copies, and the log that no copy needs any more. Only a copy that carries the UID it is told with is deleted, never one
//! that was there before under the same name; nothing else below the prefix, and nothing beside it. A copy stays that another one
//! builds on which stays, whoever says that it should go: the copies themselves tell. Can be repeated after any interruption:
//! what says whose a copy is goes last, and what builds on another copy goes before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CopiesError,
    about::{About, Parent, is_hexadecimal, is_name},
    copy::{self, about_name, by_name},
    incremental::CHAIN_MAX,
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
        let doomed = || Self { name: name.into(), uid: uid.into() };
        (is_name(name) && !uid.is_empty()).then(doomed).ok_or_else(wrong)
    }
}

impl From<Doomed> for Parent {
    fn from(named: Doomed) -> Self {
        Self { name: named.name, uid: named.uid }
    }
}

/// What went.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pruned {
    /// Copies.
    pub copies: usize,
    /// Segments of the log.
    pub segments: usize,
    /// Copies that did not go, because one that stays builds on them. As NAME:UID.
    pub needed: Vec<String>,
    /// Those that build on them, or on which those do.
    pub needed_by: Vec<String>,
}

/// Deletes these copies, then the log.
///
/// # Errors
/// When something may be there still.
pub fn prune(storage: &Storage, doomed: &[Doomed]) -> Result<Pruned, CopiesError> {
    let mut pruned = Pruned::default();
    let (doomed, needed) = choose(storage, doomed)?;
    pruned.needed = needed.iter().map(|(one, _)| format!("{}:{}", one.name, one.uid)).collect();
    pruned.needed_by = needed.into_iter().map(|(_, by)| by).collect::<BTreeSet<_>>().into_iter().collect();
    for one in doomed {
        // They are there before anything else is.
        objects::remove(storage, &one.name, &one.uid)?;
        if !is_of(storage, one)? {
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
    let Some(copies) = kept(storage)?.into_values().collect::<Option<Vec<_>>>() else { return Ok(pruned) };
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

/// Whether the copy of this name is that Backup's.
fn is_of(storage: &Storage, one: &Doomed) -> Result<bool, CopiesError> {
    Ok(storage.read(&by_name(&one.name))?.is_some_and(|by| by == one.uid.as_bytes()))
}

/// Those that can go, what builds on another one before it; and those that cannot, each with a copy that needs it, as NAME:UID.
fn choose<'a>(storage: &Storage, doomed: &'a [Doomed]) -> Result<Chosen<'a>, CopiesError> {
    // One that does not say what it is cannot be restored, and needs nothing therefore.
    let copies: BTreeMap<_, _> =
        kept(storage)?.into_iter().filter_map(|(name, about)| Some((name, about?))).collect();
    let mut going = BTreeSet::new();
    for one in doomed {
        if is_of(storage, one)? {
            going.insert(one.name.as_str());
        }
    }
    let mut needed = BTreeMap::new();
    for (name, about) in copies.iter().filter(|(name, _)| !going.contains(name.as_str())) {
        needed.extend(ancestors(&copies, name).map(|ancestor| (ancestor, format!("{name}:{}", about.uid))));
    }
    let (mut go, mut stay) = (Vec::new(), Vec::new());
    for one in doomed {
        match needed.get(one.name.as_str()).filter(|_| going.contains(one.name.as_str())) {
            Some(by) => stay.push((one, by.clone())),
            None => go.push(one),
        }
    }
    go.sort_by_key(|one| std::cmp::Reverse(ancestors(&copies, &one.name).count()));
    Ok((go, stay))
}

/// Those that go, and those that stay with what needs them.
type Chosen<'a> = (Vec<&'a Doomed>, Vec<(&'a Doomed, String)>);

/// All that a copy builds on, as the copies tell.
fn ancestors<'a>(copies: &'a BTreeMap<String, About>, name: &str) -> impl Iterator<Item = &'a str> {
    let parent = |name: &str| {
        let parent = copies.get(name)?.parent.as_ref()?;
        copies.get(&parent.name).filter(|about| about.uid == parent.uid).map(|_| parent.name.as_str())
    };
    // Nobody but a forger makes a ring of them.
    std::iter::successors(parent(name), move |name| parent(name)).take(CHAIN_MAX)
}

/// All copies that are there, by name. None for one that does not say what it is.
fn kept(storage: &Storage) -> Result<BTreeMap<String, Option<About>>, CopiesError> {
    let mut found = BTreeMap::new();
    for name in storage.list("")? {
        if name.starts_with('.') || name.ends_with(".partial") || name == log::FOLDER {
            continue;
        }
        match copy::about(storage, &name) {
            Ok(None) => continue,
            Ok(about) => found.insert(name, about),
            Err(CopiesError::About(_)) => found.insert(name, None),
            Err(error) => return Err(error),
        };
    }
    Ok(found)
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
