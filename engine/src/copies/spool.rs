//! Segments that a server puts into a directory, stored one after the other, and answered.
//!
//! The server's `archive_command` puts `SYSTEM.SEGMENT.gz` there and waits for `SYSTEM.SEGMENT.done` or `….failed`, which says
//! why. So a segment counts as stored when it is, not when it was handed over; what failed the server brings again. Keys are
//! read for each segment, so a changed Secret is followed without a restart, and none ends this: a server whose log cannot be
//! stored goes on with its payments. Why the last segment was not stored stands in the file [`TROUBLE`] until one is, as the exit
//! code of a command that ends so and the words: whoever looks after the log is told that over HTTP ([`super::told`]).

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{CopiesError, Keys, Storage, log};
use crate::{config::StorageConfig, telemetry::Causes};

/// How often the directory is looked at. A segment lasts for seconds at full speed, so this is no delay that counts.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The file that says why the last segment was not stored.
const TROUBLE: &str = ".trouble";

/// What to do with what is put there.
#[derive(Clone, Debug)]
pub struct Spool {
    /// Where to keep segments.
    pub storage: StorageConfig,
    /// Directories with keys.
    pub keys: Vec<PathBuf>,
    /// Whose log it is.
    pub platform: String,
    /// The directory.
    pub directory: PathBuf,
}

impl Spool {
    /// Until it is dropped.
    pub async fn watch(&self) {
        loop {
            let spool = self.clone();
            // Whoever keeps them may take its time.
            match tokio::task::spawn_blocking(move || spool.look()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(reason = %error, "could not look for segments"),
                Err(error) => tracing::warn!(reason = %error, "storing segments broke off"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stores and answers what is there now. How many that were.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub fn look(&self) -> io::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some((system, segment)) = parts(&name) else { continue };
            let stem = format!("{system}.{segment}");
            if self.is_answered(&stem) {
                continue;
            }
            let stored = self.store(system, segment, &path);
            self.note(stored.as_ref().err())?;
            match stored {
                Ok(()) => self.answer(&stem, "done", "")?,
                Err(error) => {
                    let why = Causes(&error).to_string();
                    tracing::warn!(segment, reason = why, "could not store a segment");
                    self.answer(&stem, "failed", &why)?;
                }
            }
            count += 1;
        }
        Ok(count)
    }

    fn store(&self, system: &str, segment: &str, from: &Path) -> Result<(), CopiesError> {
        let keys = Keys::read(&self.keys)?;
        let storage = Storage::open(&self.storage)?;
        log::store(&storage, &keys, (&self.platform, system, segment), from)
    }

    /// The server takes the segment away when it has read the answer.
    fn is_answered(&self, stem: &str) -> bool {
        ["done", "failed"].iter().any(|answer| self.directory.join(format!("{stem}.{answer}")).exists())
    }

    fn answer(&self, stem: &str, answer: &str, why: &str) -> io::Result<()> {
        self.write(&format!("{stem}.{answer}"), why)
    }

    /// Before the server is answered, so that who hears of a failure finds its reason.
    fn note(&self, error: Option<&CopiesError>) -> io::Result<()> {
        match error {
            Some(error) => self.write(TROUBLE, &format!("{} {}", error.code(), Causes(error))),
            None => match fs::remove_file(self.directory.join(TROUBLE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Whole or not at all: a reader must not take a part of a reason for the reason.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let beside = self.directory.join(format!(".{name}.part"));
        fs::write(&beside, text)?;
        fs::rename(beside, self.directory.join(name))
    }
}

/// Why the last segment was not stored: `CODE WORDS`. Nothing if it was, or none was tried yet.
pub fn trouble(directory: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(directory.join(TROUBLE)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `SYSTEM.SEGMENT.gz`. Both become parts of paths.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (system, segment) = name.strip_suffix(".gz")?.split_once('.')?;
    let is_number = !system.is_empty() && system.bytes().all(|one| one.is_ascii_digit());
    let is_name =
        !segment.starts_with('.') && segment.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'.');
    (is_number && is_name && !segment.is_empty()).then_some((system, segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_hands_over_is_taken() {
        for (name, expected) in [
            ("74123.000000010000000000000003.gz", Some(("74123", "000000010000000000000003"))),
            ("74123.00000002.history.gz", Some(("74123", "00000002.history"))),
            (".74123.000000010000000000000003.partial", None),
            ("74123.000000010000000000000003.done", None),
            ("x.000000010000000000000003.gz", None),
            ("74123...gz", None),
            ("74123.gz", None),
        ] {
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
