//! Copies of the ledger and its stored log in a place that keeps them: a directory or a bucket.
//!
//! What is kept, by name:
//!
//! | name | what |
//! |---|---|
//! | `NAME/base.tar.gz.age`, `NAME/pg_wal.tar.gz.age`, `NAME/backup_manifest.age` | a copy, as `pg_basebackup` writes it |
//! | `NAME/about.json` | whose it is, where its log begins, which keys open it, what it builds on; written last, so a copy that has it is whole |
//! | `.by/NAME` | the Backup's UID, for whoever deletes it |
//! | `.objects/NAME/…` | the custom resources of its Platform (`objects`) |
//! | `wal/PLATFORM/SYSTEM/SEGMENT.gz.age` | a segment of the log |
//!
//! With keys everything that says anything about payments is sealed (`crate::age`) under its own name, so it can be neither read
//! nor changed nor exchanged by whoever keeps it. Without, names end before `.age`, and `about.json` has the size and SHA-256 of
//! each file, so that damage is found, though not malice. Contents go through in pieces of [`PIECE`] bytes; memory does not grow with
//! them, but for the parts of an upload ([`storage`]). Nothing that is there is overwritten.

mod about;
pub mod command;
pub mod copy;
pub mod incremental;
mod keys;
pub mod log;
pub mod objects;
pub mod prune;
pub mod spool;
pub mod storage;
mod told;
mod transfer;

use std::path::{Path, PathBuf};

use crate::{
    age::{Broken, KeyError, OpenError},
    mounted::MountedError,
};

pub use about::Parent;
pub use keys::Keys;
pub use storage::{Fault, Storage};

/// What is read at a time.
pub const PIECE: usize = 256 * 1024;

/// A copy or a segment could not be kept, or not be had again.
#[derive(Debug, thiserror::Error)]
pub enum CopiesError {
    /// A directory of keys could not be read.
    #[error("read the keys in {}", path.display())]
    Keys {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file among the keys is none. Its contents are never told.
    #[error("entry {entry:?} of the Secret with the keys")]
    Key {
        /// Its name.
        entry: String,
        /// What it is not.
        source: KeyError,
    },
    /// Nothing says with which key to seal.
    #[error(
        "the Secret with the keys has no entry \"key\", with which to seal: put what age-keygen prints there"
    )]
    NoKey,
    /// A file could not be read or written.
    #[error("{operation} {}", path.display())]
    Local {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The place is not described as it has to be.
    #[error("{0}")]
    Settings(String),
    /// The credentials of a bucket could not be read.
    #[error("the Secret with the bucket's credentials")]
    Credentials(#[from] MountedError),
    /// The server of a bucket did not do what it was asked for.
    #[error("{operation} {name:?} in bucket {bucket:?}: {fault}")]
    Bucket {
        /// What was tried.
        operation: &'static str,
        /// With what.
        name: String,
        /// Where.
        bucket: String,
        /// Why it failed, and the way out.
        fault: Fault,
    },
    /// The cryptographic library failed.
    #[error("seal {name}")]
    Seal {
        /// What.
        name: String,
        /// No reason is given.
        source: Broken,
    },
    /// What is kept cannot be opened.
    #[error("{name} cannot be opened")]
    Open {
        /// What.
        name: String,
        /// Why not.
        source: OpenError,
    },
    /// What is kept is not what was kept.
    #[error("{name} is damaged: it has {found}, and had {expected} when it was stored")]
    Altered {
        /// What.
        name: String,
        /// What it has.
        found: String,
        /// What it had.
        expected: String,
    },
    /// What to delete is not named as it has to be.
    #[error("{0:?} names no copy: give NAME:UID")]
    Doomed(String),
    /// A copy of this name is there.
    #[error("there is a copy {0} already; it is left alone: create a Backup of another name")]
    Taken(String),
    /// No copy of this name is there, or only a part of one.
    #[error(
        "there is no copy {0}: its Backup was made with another volume or bucket, or somebody deleted it"
    )]
    Missing(String),
    /// A copy that another one builds on is not there.
    #[error(
        "copy {name} builds on copy {parent}, which is not there: somebody deleted it; take a copy that does not build on it"
    )]
    NoParent {
        /// Which copy.
        name: String,
        /// What it builds on.
        parent: String,
    },
    /// A file of a copy is in none of the copies that should have it.
    #[error("{file} is in none of the copies {copies}: the copy is damaged; take another one")]
    Lost {
        /// Which file.
        file: String,
        /// Where it should be.
        copies: String,
    },
    /// Too many copies build on each other.
    #[error("copy {0} builds on as many others as a copy may: the next one has to be full")]
    TooLong(String),
    /// A copy is of another server.
    #[error("copy {0} is of another server: the next one has to be full")]
    OtherServer(String),
    /// A copy that has to be sealed is not.
    #[error("copy {0} is not sealed, though its Backup asks for it: somebody put another copy in its place")]
    Plain(String),
    /// A copy does not say what it is.
    #[error("{0} makes no sense: the copy is damaged; take another one")]
    About(String),
    /// A copy without custom resources.
    #[error("copy {0} has no objects: condition ObjectsCopied of its Backup says why")]
    NoObjects(String),
    /// The custom resources of a copy are not those that were kept.
    #[error("the objects of copy {0} are not what was stored: the copy is damaged; take another one")]
    Objects(String),
    /// What is to be kept as custom resources is something else.
    #[error("{} is not one whole list of objects", path.display())]
    NoList {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another segment of this name is there.
    #[error("another segment {0} is stored already; it is left alone")]
    Another(String),
}

impl CopiesError {
    /// The exit code of a command that ends with this: 3 where a key is missing, 4 where what is kept is not what was kept, 5 to
    /// 7 where a bucket is the matter ([`Fault::code`]), 1 otherwise.
    pub const fn code(&self) -> u8 {
        match self {
            Self::NoKey | Self::Key { .. } | Self::Open { source: OpenError::NoKey { .. }, .. } => 3,
            Self::Open { .. }
            | Self::Altered { .. }
            | Self::About(_)
            | Self::NoParent { .. }
            | Self::Lost { .. }
            | Self::Plain(_)
            | Self::Objects(_) => 4,
            Self::Bucket { fault, .. } => fault.code(),
            // Credentials that are not there are as good as wrong ones.
            Self::Credentials(_) => 6,
            Self::Keys { .. }
            | Self::Settings(_)
            | Self::Doomed(_)
            | Self::Local { .. }
            | Self::Seal { .. }
            | Self::Taken(_)
            | Self::Missing(_)
            | Self::NoObjects(_)
            | Self::TooLong(_)
            | Self::OtherServer(_)
            | Self::NoList { .. }
            | Self::Another(_) => 1,
        }
    }
}

/// An error of a file.
fn local(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CopiesError {
    let path = path.to_owned();
    move |source| CopiesError::Local { operation, path, source }
}
