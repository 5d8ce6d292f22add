//! A directory with one file per value, the shape of a mounted Secret.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file is missing or makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum MountedError {
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The port is no number.
    #[error("{} holds no port number", path.display())]
    Port {
        /// Which file.
        path: PathBuf,
    },
}

/// The value without the end of its line.
pub fn required(directory: &Path, name: &str) -> Result<String, MountedError> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(MountedError::Read { path, source }),
    }
}

/// The value, if there is such a file and it is not empty.
pub fn optional(directory: &Path, name: &str) -> Result<Option<String>, MountedError> {
    match required(directory, name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(MountedError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in `port`.
pub fn port(directory: &Path) -> Result<u16, MountedError> {
    let text = required(directory, "port")?;
    text.parse().map_err(|_| MountedError::Port { path: directory.join("port") })
}

/// The file of the authority that signed the server's certificate, if there is one.
pub fn authority(directory: &Path) -> Option<PathBuf> {
    let path = directory.join("ca.crt");
    path.exists().then_some(path)
}
