//! Copies and the log in a bucket of a real server that speaks S3, by TLS: what comes back is what was stored, sealed or not, and
//! whatever goes wrong ends in an error that says what to do, never in a copy.

mod faults;
mod proxy;
mod prune;
mod round;

use std::{
    fs,
    path::{Path, PathBuf},
};

use payplane_engine::{
    config::StorageConfig,
    copies::{CopiesError, Keys, Storage, copy},
};

use crate::support::{TempDir, s3::S3};

/// Made by age-keygen for these tests alone.
const KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PREFIX: &str = "pay/main";
const SYSTEM: &str = "7412345678901234567";
const FILES: [&str; 3] = ["backup_manifest", "base.tar.gz", "pg_wal.tar.gz"];

/// A server, and what is to be copied there.
struct World {
    s3: S3,
    files: TempDir,
}

impl World {
    fn new() -> Self {
        let files = TempDir::new();
        files.write("keys/key", KEY);
        let world = Self { s3: S3::start(), files };
        world.pack("first", "0000000000000003");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn storage(&self) -> Storage {
        Storage::open(&self.s3.config(PREFIX)).unwrap()
    }

    /// None are named for what is not sealed.
    fn keys(&self, are_named: bool) -> Keys {
        let directories = are_named.then(|| self.path("keys"));
        Keys::read(&Vec::from_iter(directories)).unwrap()
    }

    /// What pg_basebackup and the script around it leave.
    fn pack(&self, contents: &str, begin: &str) {
        for file in FILES {
            self.files.write(&format!("packed/{file}"), &format!("{file} of the {contents} copy"));
        }
        self.files.write("packed/system", SYSTEM);
        self.files.write("packed/begin", begin);
    }

    /// Keeps it by this way, sealed or not.
    fn store_by(
        &self,
        config: &StorageConfig,
        name: &str,
        sealed: bool,
    ) -> Result<copy::Stored, CopiesError> {
        let storage = Storage::open(config)?;
        copy::store(&storage, &self.keys(sealed), (name, "u-1"), &self.path("packed"))
    }

    fn store(&self, name: &str, sealed: bool) -> Result<copy::Stored, CopiesError> {
        self.store_by(&self.s3.config(PREFIX), name, sealed)
    }

    /// Opens it into an empty directory.
    fn fetch_by(
        &self,
        config: &StorageConfig,
        name: &str,
        must_be_sealed: bool,
    ) -> Result<PathBuf, CopiesError> {
        let to = self.path("opened");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        copy::fetch(&Storage::open(config)?, &self.keys(true), name, &to, must_be_sealed)?;
        Ok(to.join(name))
    }

    fn fetch(&self, name: &str) -> Result<PathBuf, CopiesError> {
        self.fetch_by(&self.s3.config(PREFIX), name, false)
    }

    /// Everything that is in the bucket, by name.
    fn kept(&self) -> Vec<String> {
        let root = self.s3.path("");
        let mut found = Vec::new();
        walk(&root, &mut found);
        let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
        let mut names: Vec<_> = found.iter().map(name).collect();
        names.sort();
        names
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Where the server keeps uploads that are not complete.
        if path.file_name().unwrap() == ".sgwtmp" {
            continue;
        }
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}
