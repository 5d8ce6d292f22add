//! Copies in a directory. What is written is there as a whole or not at all, and on the disk before that is said. Nobody but its
//! owner reads it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use super::{super::local, CopiesError, parent};

/// A directory, by names whose parts are separated by `/`.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
}

impl Folder {
    /// This one.
    ///
    /// # Errors
    /// When there is no such directory: one that is made here could be one that nobody mounted.
    pub fn open(folder: PathBuf) -> Result<Self, CopiesError> {
        fs::read_dir(&folder).map_err(local("open", &folder))?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn has(&self, name: &str) -> Result<bool, CopiesError> {
        let path = self.path(name);
        path.try_exists().map_err(local("look for", &path))
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CopiesError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(local("read", &path)(error)),
        }
    }

    pub(super) fn reader(&self, name: &str) -> Result<Reader, CopiesError> {
        let path = self.path(name);
        File::open(&path).map_err(local("read", &path)).map(|file| Reader { file, path })
    }

    pub(super) fn writer(&self, name: &str) -> Result<Writer, CopiesError> {
        Writer::begin(self.path(name))
    }

    pub(super) fn write_new(&self, name: &str, contents: &[u8]) -> Result<bool, CopiesError> {
        let mut writer = self.writer(name)?;
        writer.write(contents)?;
        writer.keep_new()
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, CopiesError> {
        let path = self.path(below);
        let entries = match fs::read_dir(&path) {
            Err(error) if is_nothing(&error) => return Ok(Vec::new()),
            entries => entries.map_err(local("list", &path))?,
        };
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<io::Result<_>>().map_err(local("list", &path))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), CopiesError> {
        let path = self.path(name);
        gone(fs::remove_file(&path)).map_err(local("remove", &path))
    }

    pub(super) fn remove_below(&self, name: &str) -> Result<(), CopiesError> {
        let path = self.path(name);
        gone(fs::remove_dir_all(&path)).map_err(local("remove", &path))
    }
}

/// Neither a directory nor anything else.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// A file that is being read.
pub struct Reader {
    file: File,
    path: PathBuf,
}

impl Reader {
    pub(super) fn read(&mut self, piece: &mut [u8]) -> Result<usize, CopiesError> {
        self.file.read(piece).map_err(local("read", &self.path))
    }
}

/// A file that is being written.
pub struct Writer {
    file: File,
    beside: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl Writer {
    fn begin(path: PathBuf) -> Result<Self, CopiesError> {
        let folder = parent(&path);
        fs::create_dir_all(folder).map_err(local("make", folder))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder.join(format!(".{name}.partial"));
        // What a crash has left of an earlier try is written anew.
        gone(fs::remove_file(&beside)).map_err(local("remove", &beside))?;
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(local("write", &beside))?;
        Ok(Self { file, beside, path, bytes: 0 })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), CopiesError> {
        self.bytes += piece.len() as u64;
        self.file.write_all(piece).map_err(local("write", &self.beside))
    }

    pub(super) fn keep(self) -> Result<u64, CopiesError> {
        self.synced()?;
        fs::rename(&self.beside, &self.path).map_err(local("write", &self.path))?;
        self.noted()
    }

    /// Keeps it if nothing of this name is there. Whether nothing was.
    fn keep_new(self) -> Result<bool, CopiesError> {
        self.synced()?;
        match fs::hard_link(&self.beside, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => {
                linked.map_err(local("write", &self.path))?;
                self.noted().map(|_| true)
            }
        }
    }

    fn synced(&self) -> Result<(), CopiesError> {
        self.file.sync_all().map_err(local("write", &self.beside))
    }

    /// A name is on the disk when its directory is.
    fn noted(&self) -> Result<u64, CopiesError> {
        let folder = parent(&self.path);
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
