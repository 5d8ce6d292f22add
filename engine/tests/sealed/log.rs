//! The stored log: each segment once, answered when it is stored, and laid out so that damage can be told from its end.

use std::{fs, net::SocketAddr, path::PathBuf};

use payplane_engine::{
    config::{KeysConfig, StorageConfig, StoreLogConfig},
    copies::{CopiesError, Keys, Storage, command, copy, log, spool::Spool},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{NEW, OLD};
use crate::support::{TempDir, eventually, postgres::free_port};

const SYSTEM: &str = "7412345678901234567";

fn segment(number: u32) -> String {
    format!("0000000100000000{number:08X}")
}

struct World {
    files: TempDir,
    spool: Spool,
}

impl World {
    fn new() -> Self {
        let files = TempDir::new();
        files.write("keys/key", OLD);
        for folder in ["copies", "spool"] {
            fs::create_dir_all(files.path().join(folder)).unwrap();
        }
        let path = |name: &str| files.path().join(name);
        let spool = Spool {
            storage: StorageConfig { folder: Some(path("copies")), ..StorageConfig::default() },
            keys: vec![path("keys")],
            platform: "main".into(),
            directory: path("spool"),
        };
        for file in ["backup_manifest", "base.tar.gz", "pg_wal.tar.gz"] {
            files.write(&format!("packed/{file}"), file);
        }
        files.write("packed/system", SYSTEM);
        files.write("packed/begin", "0000000000000003");
        let world = Self { files, spool };
        copy::store(&world.storage(), &world.keys(), ("copy", "u-1"), &world.path("packed")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn storage(&self) -> Storage {
        Storage::open(&self.spool.storage).unwrap()
    }

    fn keys(&self) -> Keys {
        Keys::read(&self.spool.keys).unwrap()
    }

    fn stored(&self, segment: &str) -> PathBuf {
        self.path(&format!("copies/wal/main/{SYSTEM}/{segment}.gz.age"))
    }

    /// As the server's script does: hands a segment over, and takes the answer.
    fn hand_over(&self, segment: &str, contents: &str) -> Result<(), String> {
        let stem = format!("spool/{SYSTEM}.{segment}");
        self.files.write(&format!("{stem}.gz"), contents);
        assert_eq!(self.spool.look().unwrap(), 1);
        assert_eq!(self.spool.look().unwrap(), 0, "what is answered waits for the server");
        fs::remove_file(self.path(&format!("{stem}.gz"))).unwrap();
        let failed = self.path(&format!("{stem}.failed"));
        match fs::read_to_string(&failed) {
            Ok(why) => fs::remove_file(failed).map(|()| Err(why)).unwrap(),
            Err(_) => fs::remove_file(self.path(&format!("{stem}.done"))).map(Ok).unwrap(),
        }
    }

    fn laid(&self) -> Result<(log::Laid, Vec<String>), CopiesError> {
        let to = self.path("opened");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        let about = copy::fetch(&self.storage(), &self.keys(), "copy", &to, true)?;
        let laid = log::fetch(&self.storage(), &self.keys(), ("main", &about), &to)?;
        let there = fs::read_dir(to.join(format!("wal/main/{SYSTEM}"))).into_iter().flatten();
        let mut names: Vec<_> =
            there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Ok((laid, names))
    }

    fn opened(&self, segment: &str) -> String {
        fs::read_to_string(self.path(&format!("opened/wal/main/{SYSTEM}/{segment}.gz"))).unwrap()
    }
}

#[test]
fn a_segment_is_stored_once_and_answered_when_it_is() {
    let world = World::new();
    world.hand_over(&segment(3), "three").unwrap();
    let first = fs::read(world.stored(&segment(3))).unwrap();
    assert!(!first.windows(5).any(|five| five == b"three"));
    // The server died before it noted the answer.
    world.hand_over(&segment(3), "three").unwrap();
    assert_eq!(fs::read(world.stored(&segment(3))).unwrap(), first, "it was written again");
    let refused = world.hand_over(&segment(3), "another").unwrap_err();
    assert!(refused.contains("another segment"), "{refused}");
    assert_eq!(fs::read(world.stored(&segment(3))).unwrap(), first);
}

/// What the container that stores the log answers.
async fn told(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /trouble HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Some(body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_segment_is_not_stored_is_told_until_one_is() {
    let world = World::new();
    fs::remove_dir_all(world.path("keys")).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = StoreLogConfig {
        storage: world.spool.storage.clone(),
        keys: KeysConfig { keys_dirs: world.spool.keys.clone() },
        platform: "main".into(),
        spool: world.spool.directory.clone(),
        http_address: Some(address),
    };
    let watching = tokio::spawn(command::watch(config, std::future::pending()));
    let tells = async |what: &str, wanted: &dyn Fn(&str) -> bool| {
        eventually(what, async || told(address).await.filter(|told| wanted(told))).await
    };
    tells("nothing was tried yet", &str::is_empty).await;
    let stem = format!("spool/{SYSTEM}.{}", segment(3));
    world.files.write(&format!("{stem}.gz"), "three");
    let why = tells("the key is missing", &|told| told.starts_with("3 ")).await;
    assert!(why.contains("no entry \"key\""), "{why}");
    // The server comes again.
    world.files.write("keys/key", NEW);
    fs::remove_file(world.path(&format!("{stem}.failed"))).unwrap();
    tells("it is stored", &str::is_empty).await;
    eventually("it is answered", async || world.path(&format!("{stem}.done")).exists().then_some(())).await;
    watching.abort();
}

#[test]
fn without_a_key_nothing_is_stored_and_with_one_again_it_goes_on() {
    let world = World::new();
    fs::remove_dir_all(world.path("keys")).unwrap();
    let refused = world.hand_over(&segment(3), "three").unwrap_err();
    assert!(refused.contains("no entry \"key\""), "{refused}");
    assert!(!world.stored(&segment(3)).exists());
    // Another key now: what comes is sealed with it, and both are needed.
    world.files.write("keys/key", NEW);
    world.files.write("keys/2025", OLD);
    world.hand_over(&segment(3), "three").unwrap();
    let (laid, _) = world.laid().unwrap();
    assert_eq!((laid.good, laid.damaged.len()), (1, 0));
    fs::remove_file(world.path("keys/key")).unwrap();
    let Err(refused) = world.laid() else { panic!("opened without its key") };
    assert_eq!(refused.code(), 3, "{refused}");
}

#[test]
fn a_log_is_laid_out_from_the_copy_on_and_damage_is_not_its_end() {
    let world = World::new();
    for number in 2..=6 {
        world.hand_over(&segment(number), &format!("segment {number}")).unwrap();
    }
    world.hand_over("00000002.history", "a timeline").unwrap();
    world.hand_over(&format!("{}.00000028.backup", segment(3)), "a label").unwrap();
    let (laid, names) = world.laid().unwrap();
    assert_eq!(laid, log::Laid { good: 5, damaged: Vec::new() });
    let expected: Vec<String> = (3..=6).map(|number| format!("{}.gz", segment(number))).collect();
    assert_eq!(names, [expected.as_slice(), &["00000002.history.gz".to_owned()]].concat());
    assert_eq!(world.opened(&segment(4)), "segment 4");

    // One byte; then one in the place of the other; then one that somebody put there.
    let good = fs::read(world.stored(&segment(4))).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let five = fs::read(world.stored(&segment(5))).unwrap();
    for (what, why) in [(bad, "damaged"), (five, "not what was sealed under this name")] {
        fs::write(world.stored(&segment(4)), what).unwrap();
        let (laid, names) = world.laid().unwrap();
        assert_eq!((laid.good, laid.damaged.len(), names.len()), (4, 1, 5));
        assert!(laid.damaged[0].0 == segment(4) && laid.damaged[0].1.contains(why), "{laid:?}");
        assert_eq!(world.opened(&segment(4)), "", "an empty file is no segment");
    }
    fs::remove_file(world.stored(&segment(4))).unwrap();
    world.files.write(&format!("copies/wal/main/{SYSTEM}/{}.gz", segment(4)), "forged");
    let (laid, _) = world.laid().unwrap();
    assert!(laid.damaged[0].1.contains("not sealed"), "{laid:?}");
    assert_eq!(world.opened(&segment(4)), "");
}

#[test]
fn segments_from_before_sealing_began_are_taken_as_they_are() {
    let world = World::new();
    world.files.write(&format!("copies/wal/main/{SYSTEM}/{}.gz", segment(3)), "plain");
    world.hand_over(&segment(4), "sealed").unwrap();
    let (laid, names) = world.laid().unwrap();
    assert_eq!((laid.good, laid.damaged.len(), names.len()), (2, 0, 2));
    assert_eq!((world.opened(&segment(3)), world.opened(&segment(4))), ("plain".into(), "sealed".into()));
}
