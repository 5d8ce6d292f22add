//! Copies in a folder: whole or not there, and never over another one.

use std::{fs, path::PathBuf};

use payplane_engine::{
    age::OpenError,
    config::StorageConfig,
    copies::{
        CopiesError, Keys, Storage, copy,
        prune::{self, Doomed, Pruned},
    },
};

use super::{NEW, OLD};
use crate::support::TempDir;

/// A folder for copies, one with what is to be copied, and keys.
struct World {
    files: TempDir,
    storage: Storage,
}

impl World {
    fn new() -> Self {
        let files = TempDir::new();
        files.write("keys/key", OLD);
        files.write("other/key", NEW);
        let folder = files.path().join("copies");
        fs::create_dir_all(&folder).unwrap();
        let storage =
            Storage::open(&StorageConfig { folder: Some(folder), ..StorageConfig::default() }).unwrap();
        let world = Self { files, storage };
        world.pack("first");
        world
    }

    /// What pg_basebackup and the script around it leave.
    fn pack(&self, contents: &str) {
        for file in ["backup_manifest", "base.tar.gz", "pg_wal.tar.gz"] {
            self.files.write(&format!("packed/{file}"), &format!("{file} of the {contents} copy"));
        }
        self.files.write("packed/system", "7412345678901234567\n");
        self.files.write("packed/begin", "0000000000000003\n");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn keys(&self, folder: &str) -> Keys {
        Keys::read(&[self.path(folder)]).unwrap()
    }

    fn store(&self, name: &str) -> Result<copy::Stored, CopiesError> {
        copy::store(&self.storage, &self.keys("keys"), (name, "u-1"), &self.path("packed"))
    }

    fn fetch(&self, name: &str, keys: &str) -> Result<(), CopiesError> {
        let to = self.path("opened");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        copy::fetch(&self.storage, &self.keys(keys), name, &to, true).map(drop)
    }
}

#[test]
fn a_copy_comes_back_as_it_was_and_nobody_reads_it_meanwhile() {
    let world = World::new();
    let stored = world.store("nightly").unwrap();
    assert_eq!(stored.keys, [super::identity(OLD).recipient().id()]);
    let mut size = 0;
    for entry in fs::read_dir(world.path("copies/nightly")).unwrap() {
        let entry = entry.unwrap();
        let contents = fs::read(entry.path()).unwrap();
        assert!(!contents.windows(5).any(|five| five == b"first"), "{:?} can be read", entry.path());
        size += if entry.file_name() == "about.json" { 0 } else { contents.len() as u64 };
    }
    assert_eq!(stored.bytes, size);
    assert!(!world.path("packed/base.tar.gz").exists(), "it takes room twice");
    assert_eq!(fs::read_to_string(world.path("copies/.by/nightly")).unwrap(), "u-1");
    world.fetch("nightly", "keys").unwrap();
    let opened = fs::read_to_string(world.path("opened/nightly/base.tar.gz")).unwrap();
    assert_eq!(opened, "base.tar.gz of the first copy");
}

#[test]
fn another_copy_of_the_name_is_left_alone() {
    let world = World::new();
    world.store("nightly").unwrap();
    world.pack("second");
    let refused = world.store("nightly").unwrap_err();
    assert!(matches!(refused, CopiesError::Taken(_)) && refused.code() == 1, "{refused}");
    world.fetch("nightly", "keys").unwrap();
    let opened = fs::read_to_string(world.path("opened/nightly/base.tar.gz")).unwrap();
    assert_eq!(opened, "base.tar.gz of the first copy");
    // One that was never sealed has another shape, and is as safe.
    world.files.write("copies/plain/PG_VERSION", "15");
    assert!(matches!(world.store("plain"), Err(CopiesError::Taken(_))));
}

#[test]
fn a_wrong_key_a_changed_byte_and_a_lost_file_are_told_apart_and_none_is_a_copy() {
    let world = World::new();
    let key = world.store("nightly").unwrap().keys.remove(0);
    let wrong = world.fetch("nightly", "other").unwrap_err();
    assert!(
        matches!(&wrong, CopiesError::Open { source: OpenError::NoKey { wanted }, .. } if *wanted == [key.clone()])
    );
    assert_eq!(wrong.code(), 3);
    let mut damaged = 0;
    for file in ["backup_manifest", "base.tar.gz", "pg_wal.tar.gz"] {
        let path = world.path(&format!("copies/nightly/{file}.age"));
        let good = fs::read(&path).unwrap();
        for at in [0, 30, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let refused = world.fetch("nightly", "keys").unwrap_err();
            assert_eq!(refused.code(), 4, "{file} at {at}: {refused}");
            assert!(!world.path(&format!("opened/nightly/{file}")).exists(), "a part of {file} was left");
            damaged += 1;
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(world.fetch("nightly", "keys").unwrap_err().code(), 4, "{file} cut");
        fs::remove_file(&path).unwrap();
        assert_eq!(world.fetch("nightly", "keys").unwrap_err().code(), 1, "{file} gone");
        fs::write(&path, &good).unwrap();
    }
    println!("{damaged} changed bytes refused");
    world.fetch("nightly", "keys").unwrap();
    // Two files exchanged: each is whole, and neither is where it belongs.
    let path = |file: &str| world.path(&format!("copies/nightly/{file}.age"));
    fs::rename(path("base.tar.gz"), path("away")).unwrap();
    fs::rename(path("pg_wal.tar.gz"), path("base.tar.gz")).unwrap();
    fs::rename(path("away"), path("pg_wal.tar.gz")).unwrap();
    let refused = world.fetch("nightly", "keys").unwrap_err();
    assert!(matches!(&refused, CopiesError::Open { source: OpenError::Misplaced { .. }, .. }), "{refused}");
}

#[test]
fn what_was_not_finished_is_no_copy_and_a_sealed_one_is_not_replaced_by_a_plain_one() {
    let world = World::new();
    fs::remove_file(world.path("packed/pg_wal.tar.gz")).unwrap();
    assert!(matches!(world.store("nightly"), Err(CopiesError::Local { .. })));
    assert!(matches!(world.fetch("nightly", "keys"), Err(CopiesError::Missing(_))));
    // The next try of the same name finds nothing in its way.
    world.pack("second");
    world.store("nightly").unwrap();
    world.fetch("nightly", "keys").unwrap();
    fs::remove_dir_all(world.path("copies/nightly")).unwrap();
    world.files.write("copies/nightly/PG_VERSION", "15");
    let refused = world.fetch("nightly", "keys").unwrap_err();
    assert!(matches!(refused, CopiesError::Plain(_)) && refused.code() == 4, "{refused}");
}

/// As pg_basebackup lays a copy out that is not packed, and its Job says whose it is.
#[test]
fn a_copy_that_was_never_packed_is_deleted_by_its_uid_and_keeps_the_log_that_it_needs() {
    let world = World::new();
    let system = 7_412_345_678_901_234_567_u64;
    for (name, segment) in [("old", 3), ("new", 5)] {
        world.files.write(&format!("copies/{name}/PG_VERSION"), "15");
        let label = format!("START WAL LOCATION: 0/0 (file 0000000100000000{segment:08X})\n");
        world.files.write(&format!("copies/{name}/backup_label"), &label);
        fs::create_dir_all(world.path(&format!("copies/{name}/global"))).unwrap();
        fs::write(world.path(&format!("copies/{name}/global/pg_control")), system.to_ne_bytes()).unwrap();
        world.files.write(&format!("copies/.by/{name}"), "u-1");
    }
    world.files.write("copies/old.partial/PG_VERSION", "15");
    for segment in 2..=6 {
        world.files.write(&format!("copies/wal/main/{system}/0000000100000000{segment:08X}.gz"), "a segment");
    }
    let prune = |doomed: &str| prune::prune(&world.storage, &[Doomed::parse(doomed).unwrap()]).unwrap();
    assert_eq!(prune("old:another"), Pruned { copies: 0, segments: 1, ..Pruned::default() });
    assert_eq!(prune("old:u-1"), Pruned { copies: 1, segments: 2, ..Pruned::default() });
    assert!(!world.path("copies/old").exists() && !world.path("copies/old.partial").exists());
    assert!(world.path("copies/new/global/pg_control").exists());
    assert_eq!(world.storage.list(&format!("wal/main/{system}")).unwrap().len(), 2);
}
