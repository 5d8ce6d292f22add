//! A whole cycle on a real server with the very scripts that Jobs and the server's pod run: the log handed over and sealed, a copy
//! packed and sealed, both opened, recovered and read; damage found on the way; old log deleted. In a directory and in a bucket.
//!
//! The operator's scripts name directories of a pod. Here those are replaced by a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use payplane_engine::{
    config::StorageConfig,
    copies::{
        Keys, Storage, copy, log,
        prune::{self, Doomed},
        spool::Spool,
    },
};

use super::OLD;
use crate::support::{
    TempDir, eventually,
    postgres::{Postgres, hand_to_server, unprivileged},
    s3::S3,
};

const PACK: &str = include_str!("../../../operator/src/backup/build/pack.sh");
const UNPACK: &str = include_str!("../../../operator/src/sealed/unpack.sh");
const SPOOL: &str = include_str!("../../../operator/src/platform/build/spool.sh");
const PREPARE: &str = include_str!("../../../operator/src/restore/build/prepare.sh");
const RECOVER: &str = include_str!("../../../operator/src/restore/build/recover.sh");

struct World {
    files: TempDir,
    postgres: Postgres,
    /// Where copies are; a directory if there is none.
    s3: Option<S3>,
    is_sealed: bool,
}

impl World {
    /// A server that hands its log over, and a database with one row.
    fn new(s3: Option<S3>, is_sealed: bool) -> Self {
        let files = TempDir::new();
        for folder in ["copies", "spool", "tmp", "scratch"] {
            fs::create_dir_all(files.path().join(folder)).unwrap();
        }
        files.write("keys/key", OLD);
        let command = format!("archive_command = 'sh {}/spool.sh \"%p\" \"%f\"'", files.path().display());
        let postgres = Postgres::start(&["archive_mode = on", &command]);
        for (name, value) in [
            ("host", &*postgres.socket().to_string_lossy()),
            ("port", &*postgres.port.to_string()),
            ("username", "postgres"),
            ("password", "x"),
        ] {
            files.write(&format!("login/{name}"), value);
        }
        let world = Self { files, postgres, s3, is_sealed };
        world.files.write("spool.sh", &world.adapted(SPOOL, "copies").replace("\"$PGDATA\"", "."));
        hand_to_server(world.files.path());
        world.ask("postgres", "create role payplane_owner superuser login");
        world.ask("postgres", "create database payplane owner payplane_owner");
        world.ask("payplane", "create table paid (what text); insert into paid values ('in the copy')");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn config(&self) -> StorageConfig {
        let folder = || StorageConfig { folder: Some(self.path("copies")), ..StorageConfig::default() };
        self.s3.as_ref().map_or_else(folder, |s3| s3.config(""))
    }

    /// Something that is kept, as a file that can be damaged.
    fn kept(&self, name: &str) -> PathBuf {
        let in_folder = || self.path("copies").join(name);
        self.s3.as_ref().map_or_else(in_folder, |s3| s3.path(name))
    }

    fn keys_dirs(&self) -> Vec<PathBuf> {
        self.is_sealed.then(|| self.path("keys")).into_iter().collect()
    }

    fn spool(&self) -> Spool {
        Spool {
            storage: self.config(),
            keys: self.keys_dirs(),
            platform: "main".into(),
            directory: self.path("spool"),
        }
    }

    /// Commands block their thread, which is a test's own.
    fn with_storage<T>(&self, command: impl FnOnce(&Storage, &Keys) -> T) -> T {
        tokio::task::block_in_place(|| {
            command(&Storage::open(&self.config()).unwrap(), &Keys::read(&self.keys_dirs()).unwrap())
        })
    }

    /// The script with a test's directories in place of a pod's.
    fn adapted(&self, script: &str, backups: &str) -> String {
        let here = |name: &str| self.path(name).display().to_string();
        let script = script
            .replace("/tmp", &here("tmp"))
            .replace("/etc/payplane/database-owner", &here("login"))
            .replace("/backups", &here(backups))
            .replace("/scratch", &here("scratch"))
            .replace("/target", &here("target"))
            .replace("/spool", &here("spool"))
            .replace("PGSSLMODE=verify-full", "PGSSLMODE=disable")
            .replace("@opened@", &here("opened"));
        format!("PATH={}:$PATH\nexport PATH\n{script}", self.postgres.bin().display())
    }

    fn run(&self, script: &str, backups: &str) -> Output {
        let mut command = unprivileged(Path::new("sh"));
        command.args(["-c", &self.adapted(script, backups)]);
        command.envs([
            ("BACKUP", "nightly"),
            ("PLATFORM", "main"),
            ("POINT", ""),
            ("SEQUENCE", ""),
            ("LOG", "replay"),
            ("DEADLINE", "60"),
        ]);
        command.env("LEDGER", self.path("target/ledger"));
        command.env("PGPORT", self.postgres.port.to_string()).output().unwrap()
    }

    /// What the script said, which has to have ended well.
    fn well(&self, script: &str, backups: &str) -> String {
        let output = self.run(script, backups);
        assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn ask(&self, database: &str, statement: &str) -> String {
        answer(self.postgres.tool("psql").args(["-d", database, "-Atqc", statement]))
    }

    /// The number of the segment that is written now, and all before it stored.
    async fn stored(&self) {
        let segment = self.ask("payplane", "select pg_walfile_name(pg_switch_wal())");
        let is_stored = format!("select last_archived_wal >= '{segment}' from pg_stat_archiver");
        eventually("the log is stored", async || (self.ask("payplane", &is_stored) == "t").then_some(()))
            .await;
    }

    /// Copy and log as a Restore's first steps lay them out.
    fn opened(&self) -> log::Laid {
        for folder in ["opened", "target", "scratch"] {
            let _ = fs::remove_dir_all(self.path(folder));
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        let to = self.path("opened");
        let laid = self.with_storage(|storage, keys| {
            let about = copy::fetch(storage, keys, "nightly", &to, self.is_sealed).unwrap();
            log::fetch(storage, keys, ("main", &about), &to).unwrap()
        });
        hand_to_server(self.files.path());
        self.well(UNPACK, "opened");
        laid
    }

    /// What a server finds that is started on the recovered directory.
    fn recovered(&self) -> String {
        let here = |name: &str| self.path(name).display().to_string();
        let settings = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c hba_file={}/pg_hba.conf -c archive_mode=off",
            here("tmp"),
            here("scratch")
        );
        let control = |arguments: &[&str]| {
            let mut command = unprivileged(&self.postgres.bin().join("pg_ctl"));
            command.args(["-D", &here("target/ledger"), "-w", "-s", "-l", &here("tmp/log")]).args(arguments);
            assert!(
                command.status().unwrap().success(),
                "{}",
                fs::read_to_string(self.path("tmp/log")).unwrap()
            );
        };
        control(&["-o", &settings, "start"]);
        let mut psql = self.postgres.tool("psql");
        psql.env("PGHOST", self.path("tmp")).args(["-d", "payplane", "-Atqc"]);
        let found = answer(psql.arg("select string_agg(what, ', ' order by what) from paid"));
        control(&["-m", "fast", "stop"]);
        found
    }
}

fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_comes_back_from_a_sealed_copy_and_a_sealed_log() {
    comes_back(&World::new(None, true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_comes_back_from_a_bucket_sealed() {
    comes_back(&World::new(Some(S3::start()), true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_comes_back_from_a_bucket_as_it_is() {
    comes_back(&World::new(Some(S3::start()), false)).await;
}

async fn comes_back(world: &World) {
    let spool = world.spool();
    let watching = tokio::spawn(async move { spool.watch().await });

    world.well(PACK, "nowhere");
    let packed = world.path("scratch/copy");
    let stored =
        world.with_storage(|storage, keys| copy::store(storage, keys, ("nightly", "u-1"), &packed)).unwrap();
    for what in ["in the log", "later in the log", "last in the log"] {
        world.ask("payplane", &format!("insert into paid values ('{what}')"));
        world.stored().await;
    }
    let laid = world.opened();
    assert!(4 <= laid.good && laid.damaged.is_empty(), "{laid:?}");
    world.well(PREPARE, "opened");
    world.well(RECOVER, "opened");
    assert_eq!(world.recovered(), "in the copy, in the log, last in the log, later in the log");
    println!("a copy of {} bytes and {} segments came back", stored.bytes, laid.good);

    // One byte of a segment between two others.
    let folder = fs::read_dir(world.kept("wal/main")).unwrap().next().unwrap().unwrap().path();
    let mut segments: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let ending = if world.is_sealed { ".gz.age" } else { ".gz" };
    segments.retain(|path| path.file_name().unwrap().len() == 24 + ending.len());
    segments.sort();
    let middle = &segments[segments.len() - 2];
    let good = fs::read(middle).unwrap();
    let mut bad = good.clone();
    // Where it means something: most of a segment is zeros, which a changed byte of a compressed file may say in another way.
    let at = if world.is_sealed { bad.len() / 2 } else { 40 };
    bad[at] ^= 1;
    fs::write(middle, bad).unwrap();
    // What is not sealed is told by the checksum of its compression, where it is looked at.
    assert_eq!(world.opened().damaged.len(), usize::from(world.is_sealed));
    let refused = world.run(PREPARE, "opened");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("damaged"), "{said}");
    fs::write(middle, good).unwrap();
    if world.s3.is_none() {
        // Without its key the log would pass for one that has ended.
        let only_the_copy = PREPARE.replace("copy=\"/backups/$BACKUP\"", "copy=\"@opened@/$BACKUP\"");
        let refused = world.run(&only_the_copy, "copies");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("the stored log is sealed"), "{said}");
    }
    deletes_what_is_old(world, &folder, (&segments, laid.good, ending));
    watching.abort();
}

fn deletes_what_is_old(world: &World, folder: &Path, (segments, good, ending): (&[PathBuf], usize, &str)) {
    // What a copy says of itself keeps the log that it needs, and no other UID deletes it.
    let old = folder.join(format!("000000010000000000000000{ending}"));
    fs::write(&old, "from before any copy").unwrap();
    let count = || fs::read_dir(folder).unwrap().count();
    let before = count();
    let prune = |doomed: &str| {
        let doomed = [Doomed::parse(doomed).unwrap()];
        world.with_storage(|storage, _| prune::prune(storage, &doomed)).unwrap()
    };
    prune("nightly:another");
    assert!(!old.exists() && world.kept("nightly/about.json").exists());
    let left: Vec<bool> = segments.iter().map(|path| path.exists()).collect();
    assert!(left.iter().rev().take(good).all(|is_there| *is_there), "{left:?}");
    assert!(count() < before);
    prune("nightly:u-1");
    assert!(!world.kept("nightly/about.json").exists() && !world.kept(".by/nightly").exists());
}
