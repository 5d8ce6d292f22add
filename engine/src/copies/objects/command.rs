//! The subcommands: keep the objects of a copy, and have them back.

use super::{
    super::{CopiesError, Keys, Storage, command::summarise},
    fetch as fetch_document, store as store_document,
};
use crate::config::{FetchObjectsConfig, StoreObjectsConfig};

/// Keeps a document, if it is there.
///
/// # Errors
/// When it is not kept.
pub fn store(config: &StoreObjectsConfig) -> Result<(), CopiesError> {
    let keys = Keys::read(&config.copy.keys.keys_dirs)?;
    let storage = Storage::open(&config.copy.storage)?;
    let stored = store_document(&storage, &keys, (&config.copy.name, &config.uid), &config.from)?;
    let Some(document) = stored else { return Ok(()) };
    summarise(config.summary_file.as_deref(), &document.text())
}

/// Lays out the document of a copy, and says what it is.
///
/// # Errors
/// When it cannot be had.
pub fn fetch(config: &FetchObjectsConfig) -> Result<(), CopiesError> {
    let keys = Keys::read(&config.copy.keys.keys_dirs)?;
    let storage = Storage::open(&config.copy.storage)?;
    let document = fetch_document(&storage, &keys, &config.copy.name, config.must_be_sealed, &config.to)?;
    println!("{}", document.text());
    Ok(())
}
