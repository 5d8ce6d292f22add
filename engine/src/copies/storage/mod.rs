//! The place that keeps copies: a directory, or a bucket at a server that speaks S3. What is written is there as a whole or not
//! at all, and kept before that is said. Nothing here is asynchronous: commands do one thing after the other.

mod bucket;
mod download;
mod fault;
mod folder;
mod upload;

use std::path::{Path, PathBuf};

use super::CopiesError;
use crate::config::StorageConfig;

pub use bucket::Bucket;
pub use fault::Fault;
pub use folder::Folder;

/// By names whose parts are separated by `/`.
#[derive(Clone, Debug)]
pub enum Storage {
    /// A directory.
    Folder(Folder),
    /// A bucket.
    Bucket(Bucket),
}

impl Storage {
    /// The one that is configured.
    ///
    /// # Errors
    /// When there is none, or it is not as configured.
    pub fn open(config: &StorageConfig) -> Result<Self, CopiesError> {
        match (&config.folder, &config.bucket.bucket) {
            (None, Some(name)) => Bucket::open(name, &config.bucket).map(Self::Bucket),
            (Some(folder), None) => Folder::open(folder.clone()).map(Self::Folder),
            _ => Err(CopiesError::Settings("give exactly one of --folder and --bucket".into())),
        }
    }

    /// Where something of this name is as a file, if it is in a directory of this machine.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.path(name)),
            Self::Bucket(_) => None,
        }
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn has(&self, name: &str) -> Result<bool, CopiesError> {
        match self {
            Self::Folder(folder) => folder.has(name),
            Self::Bucket(bucket) => bucket.has(name),
        }
    }

    /// What it holds, if it is there. For what is small.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CopiesError> {
        match self {
            Self::Folder(folder) => folder.read(name),
            Self::Bucket(bucket) => bucket.read(name),
        }
    }

    /// To be read in pieces.
    ///
    /// # Errors
    /// When it is not there.
    pub fn reader(&self, name: &str) -> Result<Reader, CopiesError> {
        match self {
            Self::Folder(folder) => folder.reader(name).map(Reader::Folder),
            Self::Bucket(bucket) => bucket.reader(name).map(Reader::Bucket),
        }
    }

    /// To be written in pieces, of which there will be about so many bytes.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn writer(&self, name: &str, about_bytes: u64) -> Result<Writer, CopiesError> {
        match self {
            Self::Folder(folder) => folder.writer(name).map(Writer::Folder),
            Self::Bucket(bucket) => Ok(Writer::Bucket(bucket.writer(name, about_bytes))),
        }
    }

    /// Writes what is small, in the place of what was there.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), CopiesError> {
        let mut writer = self.writer(name, contents.len() as u64)?;
        writer.write(contents)?;
        writer.keep().map(drop)
    }

    /// Writes what is small, unless something else of this name is there. Whether it is there now.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn write_new(&self, name: &str, contents: &[u8]) -> Result<bool, CopiesError> {
        let is_new = match self {
            Self::Folder(folder) => folder.write_new(name, contents)?,
            Self::Bucket(bucket) => bucket.write_new(name, contents)?,
        };
        // An answer that was lost is asked for again, and then finds what it wrote itself.
        Ok(is_new || self.read(name)?.as_deref() == Some(contents))
    }

    /// Names of what is directly below this one. None if nothing is there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(&self, below: &str) -> Result<Vec<String>, CopiesError> {
        match self {
            Self::Folder(folder) => folder.list(below),
            Self::Bucket(bucket) => bucket.list(below),
        }
    }

    /// Deletes one thing. Done already if it is not there.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self, name: &str) -> Result<(), CopiesError> {
        match self {
            Self::Folder(folder) => folder.remove(name),
            Self::Bucket(bucket) => bucket.remove(name),
        }
    }

    /// Deletes everything below this name. Done already if nothing is there.
    ///
    /// # Errors
    /// When something may still be there.
    pub fn remove_below(&self, name: &str) -> Result<(), CopiesError> {
        match self {
            Self::Folder(folder) => folder.remove_below(name),
            Self::Bucket(bucket) => bucket.remove_below(name),
        }
    }
}

/// Something that is being read.
pub enum Reader {
    /// Of a directory.
    Folder(folder::Reader),
    /// Of a bucket.
    Bucket(download::Download),
}

impl Reader {
    /// The next bytes of it, at most as many as there is room for. None are there at its end alone.
    ///
    /// # Errors
    /// When it cannot be read, or ends before its end.
    pub fn read(&mut self, piece: &mut [u8]) -> Result<usize, CopiesError> {
        match self {
            Self::Folder(reader) => reader.read(piece),
            Self::Bucket(download) => download.read(piece),
        }
    }
}

/// Something that is being written. Unless it is kept it goes.
pub enum Writer {
    /// Into a directory.
    Folder(folder::Writer),
    /// Into a bucket.
    Bucket(upload::Upload),
}

impl Writer {
    /// More of it.
    ///
    /// # Errors
    /// When there is no room, or nobody takes it.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), CopiesError> {
        match self {
            Self::Folder(writer) => writer.write(piece),
            Self::Bucket(upload) => upload.write(piece),
        }
    }

    /// Keeps it under its name, in the place of what was there. How many bytes it has.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep(self) -> Result<u64, CopiesError> {
        match self {
            Self::Folder(writer) => writer.keep(),
            Self::Bucket(upload) => upload.keep(),
        }
    }
}

/// The directory that something is in.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
