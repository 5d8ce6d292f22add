//! The place that keeps copies: a directory. What is written is there as a whole or not at all, and on the disk before that is
//! said.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{CopiesError, local};
use crate::config::StorageConfig;

/// A directory, by names whose parts are separated by `/`.
#[derive(Clone, Debug)]
pub struct Storage {
    folder: PathBuf,
}

impl Storage {
    /// The one that is configured.
    ///
    /// # Errors
    /// When there is no such directory: one that is made here could be one that nobody mounted.
    pub fn open(config: &StorageConfig) -> Result<Self, CopiesError> {
        let folder = config.folder.clone();
        fs::read_dir(&folder).map_err(local("open", &folder))?;
        Ok(Self { folder })
    }

    /// Where something of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn has(&self, name: &str) -> Result<bool, CopiesError> {
        let path = self.path(name);
        path.try_exists().map_err(local("look for", &path))
    }

    /// What it holds, if it is there. For what is small.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CopiesError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(local("read", &path)(error)),
        }
    }

    /// To be read in pieces.
    ///
    /// # Errors
    /// When it is not there.
    pub fn reader(&self, name: &str) -> Result<(File, PathBuf), CopiesError> {
        let path = self.path(name);
        File::open(&path).map(|file| (file, path.clone())).map_err(local("read", &path))
    }

    /// To be written in pieces.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn writer(&self, name: &str) -> Result<Writer, CopiesError> {
        Writer::begin(self.path(name))
    }

    /// Names of what is directly below this one. None if nothing is there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(&self, below: &str) -> Result<Vec<String>, CopiesError> {
        let path = self.path(below);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(local("list", &path))?,
        };
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<io::Result<_>>().map_err(local("list", &path))
    }
}

/// Something that is being written. Unless it is kept it goes.
#[derive(Debug)]
pub struct Writer {
    file: File,
    beside: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl Writer {
    fn begin(path: PathBuf) -> Result<Self, CopiesError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(local("make", folder))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What a crash has left of an earlier try is written anew.
        let beside = folder.join(format!(".{name}.partial"));
        let file = File::create(&beside).map_err(local("write", &beside))?;
        Ok(Self { file, beside, path, bytes: 0 })
    }

    /// More of it.
    ///
    /// # Errors
    /// When there is no room.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), CopiesError> {
        self.bytes += piece.len() as u64;
        self.file.write_all(piece).map_err(local("write", &self.beside))
    }

    /// Keeps it under its name, in the place of what was there. How many bytes it has.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep(self) -> Result<u64, CopiesError> {
        self.synced()?;
        fs::rename(&self.beside, &self.path).map_err(local("write", &self.path))?;
        self.noted()
    }

    /// Keeps it if nothing of this name is there. None if something is.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_new(self) -> Result<Option<u64>, CopiesError> {
        self.synced()?;
        match fs::hard_link(&self.beside, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            linked => {
                linked.map_err(local("write", &self.path))?;
                self.noted().map(Some)
            }
        }
    }

    fn synced(&self) -> Result<(), CopiesError> {
        self.file.sync_all().map_err(local("write", &self.beside))
    }

    /// A name is on the disk when its directory is.
    fn noted(&self) -> Result<u64, CopiesError> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(local("write", folder))?;
        Ok(self.bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a rename it is not there any more.
        let _ = fs::remove_file(&self.beside);
    }
}
