//! The subcommands: keep a copy, have it back with the log after it, store a log as it is written, and delete what is old.

use std::{fs, future::pending, path::Path};

use serde::Serialize;

use super::{
    CopiesError, Keys, Parent, Storage, copy, local, log,
    prune::{self, Doomed},
    spool::Spool,
    told,
};
use crate::{
    age::{Identity, KeyError},
    config::{FetchCopyConfig, PruneCopiesConfig, StoreCopyConfig, StoreLogConfig},
};

/// What whoever asked for a copy is told.
#[derive(Serialize)]
struct Summary<'a> {
    bytes: u64,
    total: u64,
    keys: &'a [String],
    parent: Option<&'a str>,
    full_because: Option<String>,
}

/// As many copies that need others as are told: they fit beside twenty others into what a container can say at its end.
const NEEDED_BY_MAX: usize = 5;

/// As much of a reason as fits beside the rest into what a container can say at its end.
const REASON_MAX: usize = 600;

/// Keeps a copy.
///
/// # Errors
/// When it is not kept.
pub fn store(config: &StoreCopyConfig) -> Result<(), CopiesError> {
    let keys = Keys::read(&config.copy.keys.keys_dirs)?;
    let storage = Storage::open(&config.copy.storage)?;
    let parent = config.parent.as_deref().map(Doomed::parse).transpose()?.map(Parent::from);
    let whose = (config.copy.name.as_str(), config.uid.as_str());
    let stored = copy::store_onto(&storage, &keys, whose, &config.from, parent.as_ref())?;
    let summary = Summary {
        bytes: stored.bytes,
        total: stored.total,
        keys: &stored.keys,
        parent: stored.parent.as_ref().map(|parent| parent.name.as_str()),
        full_because: stored.full_because.map(|why| why.chars().take(REASON_MAX).collect()),
    };
    let text = serde_json::to_string(&summary).unwrap_or_default();
    summarise(config.summary_file.as_deref(), &text)
}

/// Lays out a copy, and the log after it if it is asked for.
///
/// # Errors
/// When the copy cannot be had, or the key of either is missing.
pub fn fetch(config: &FetchCopyConfig) -> Result<(), CopiesError> {
    let keys = Keys::read(&config.copy.keys.keys_dirs)?;
    let storage = Storage::open(&config.copy.storage)?;
    let about = copy::fetch(&storage, &keys, &config.copy.name, &config.to, config.must_be_sealed)?;
    if let Some(platform) = &config.log_of {
        let laid = log::fetch(&storage, &keys, (platform, &about), &config.to)?;
        for (segment, why) in &laid.damaged {
            eprintln!("segment {segment} of the log is damaged: {why}");
        }
    }
    Ok(())
}

/// Deletes copies, and the log that no other copy needs.
///
/// # Errors
/// When something may be there still.
pub fn prune(config: &PruneCopiesConfig) -> Result<(), CopiesError> {
    let doomed = config.doomed.iter().map(|one| Doomed::parse(one)).collect::<Result<Vec<_>, _>>()?;
    let pruned = prune::prune(&Storage::open(&config.storage)?, &doomed)?;
    println!("deleted {} copies and {} segments of the log", pruned.copies, pruned.segments);
    let by: Vec<_> = pruned.needed_by.iter().take(NEEDED_BY_MAX).collect();
    if !pruned.needed.is_empty() {
        println!("not deleted, because {by:?} need them: {:?}", pruned.needed);
    }
    let summary = serde_json::json!({"needed": pruned.needed, "needed_by": by});
    summarise(config.summary_file.as_deref(), &summary.to_string())
}

/// Stores segments as they come, and tells why one was not stored, until it is told to stop.
pub async fn watch(config: StoreLogConfig, stop: impl Future<Output = ()>) {
    let spool = Spool {
        storage: config.storage,
        keys: config.keys.keys_dirs,
        platform: config.platform,
        directory: config.spool,
    };
    let directory = spool.directory.clone();
    let telling = async move {
        match config.http_address {
            Some(address) => told::tell(address, directory).await,
            None => pending().await,
        }
    };
    tokio::select! { () = spool.watch() => {} () = telling => {} () = stop => {} }
}

/// A new key, as `age-keygen` writes one: the entry `key` of a Secret.
///
/// # Errors
/// When the cryptographic library fails.
pub fn new_key() -> Result<String, KeyError> {
    let secret = Identity::generate()?;
    let public = Identity::parse(&secret)?.recipient();
    Ok(format!("# public key: {}\n# id in copies: {}\n{secret}\n", public.text()?, public.id()))
}

pub(super) fn summarise(file: Option<&Path>, text: &str) -> Result<(), CopiesError> {
    file.map_or(Ok(()), |file| fs::write(file, text).map_err(local("write", file)))
}
