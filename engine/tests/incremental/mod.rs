//! Copies that build on others, of a ledger that goes on paying, by the operator's own scripts: each comes back sound, with the head
//! that the ledger had; whatever is damaged or missing in what it builds on is found, when it is made as well as when it is wanted
//! back; and what is needed is not deleted. In a directory and in a bucket, sealed or not.

use crate::support;

mod faults;
mod round;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use payplane_engine::{
    config::StorageConfig,
    copies::{
        CopiesError, Keys, Parent, Storage, copy,
        prune::{self, Doomed, Pruned},
    },
    store::Store,
    verify::{ExpectedHead, VerifyOptions, verify},
};
use sqlx::postgres::PgConnectOptions;
use support::{
    TempDir,
    client::payment,
    eventually, insist,
    postgres::{Postgres, hand_to_server},
    s3::S3,
    world::World,
};

const BACKUP: &str = include_str!("../../../operator/src/backup/build/backup.sh");
const PACK: &str = include_str!("../../../operator/src/backup/build/pack.sh");
const RESTORE: &str = include_str!("../../../operator/src/backup/build/restore.sh");
const UNPACK: &str = include_str!("../../../operator/src/sealed/unpack.sh");
/// Made by age-keygen for these tests alone.
const KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const OTHER: &str = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
const UID: &str = "u-1";

/// A ledger, and a place for its copies.
struct Past {
    files: TempDir,
    postgres: Postgres,
    world: World,
    /// Where copies are; a directory if there is none.
    s3: Option<S3>,
    is_sealed: bool,
    payments: usize,
}

impl Past {
    async fn new(s3: Option<S3>, is_sealed: bool) -> Self {
        let files = TempDir::new();
        for folder in ["copies", "scratch", "opened", "socket"] {
            open_folder(&files.path().join(folder));
        }
        open_folder(files.path());
        files.write("keys/key", KEY);
        files.write("other/key", OTHER);
        let postgres = Postgres::start(&[]);
        let world = World::with_engines(&postgres, 1).await;
        for (name, value) in [
            ("host", &*postgres.socket().to_string_lossy()),
            ("port", &*postgres.port.to_string()),
            ("username", "postgres"),
            ("password", "x"),
            ("dbname", &*world.database.name),
        ] {
            files.write(&format!("login/{name}"), value);
        }
        let operator = world.as_role("acme", "operator");
        operator.wallet("alice", "USD").await;
        operator.wallet("bob", "USD").await;
        world.fund("acme", "alice", "1000.00").await;
        Self { files, postgres, world, s3, is_sealed, payments: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn config(&self) -> StorageConfig {
        let folder = || StorageConfig { folder: Some(self.path("copies")), ..StorageConfig::default() };
        self.s3.as_ref().map_or_else(folder, |s3| s3.config("pay/main"))
    }

    /// Something that is kept, as a file that can be damaged.
    fn kept(&self, name: &str) -> PathBuf {
        let in_folder = || self.path("copies").join(name);
        self.s3.as_ref().map_or_else(in_folder, |s3| s3.path(&format!("pay/main/{name}")))
    }

    fn keys(&self, folder: &str) -> Keys {
        Keys::read(&Vec::from_iter(self.is_sealed.then(|| self.path(folder)))).unwrap()
    }

    /// Commands block their thread, which is a test's own.
    fn with_storage<T>(&self, command: impl FnOnce(&Storage) -> T) -> T {
        tokio::task::block_in_place(|| command(&Storage::open(&self.config()).unwrap()))
    }

    /// Some payments, and the head that the ledger has then.
    async fn pay(&mut self, count: usize) -> ExpectedHead {
        let client = self.world.as_role("acme", "operator");
        for number in self.payments..self.payments + count {
            insist(async || client.pay(payment(&format!("p-{number}"), "alice", "bob", "0.01")).await).await;
        }
        self.payments += count;
        let mut superuser = self.world.database.superuser().await;
        eventually("everything to be sealed", async || {
            let waiting = sqlx::query_scalar("select count(*) from payplane.unsealed");
            let waiting: i64 = waiting.fetch_one(&mut superuser).await.unwrap();
            (waiting == 0).then_some(())
        })
        .await;
        let head = sqlx::query_as("select seal, link from payplane.seal_head");
        let (seal, link): (i64, Vec<u8>) = head.fetch_one(&mut superuser).await.unwrap();
        ExpectedHead { seal, link: link[..].try_into().unwrap() }
    }

    /// Runs a script of a Job with a test's directories in place of a pod's.
    fn run(&self, script: &str, (name, backups): (&str, &str)) {
        let mut script = script.replace("PGSSLMODE=verify-full", "PGSSLMODE=disable");
        for (place, here) in [
            ("/dev/termination-log", "said"),
            ("/etc/payplane/database-owner", "login"),
            ("/backups", backups),
            ("/scratch", "scratch"),
        ] {
            script = script.replace(place, &self.path(here).display().to_string());
        }
        hand_to_server(self.files.path());
        let mut shell = self.postgres.shell(&script);
        let output = shell.envs([("BACKUP", name), ("BACKUP_UID", UID)]).output().unwrap();
        assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
    }

    /// A copy as a Backup takes it, building on this one.
    fn copy(&self, name: &str, parent: Option<&str>) -> copy::Stored {
        self.copy_with("keys", name, parent)
    }

    fn copy_with(&self, keys: &str, name: &str, parent: Option<&str>) -> copy::Stored {
        let _ = fs::remove_dir_all(self.path("scratch/copy"));
        self.run(PACK, (name, "nowhere"));
        let parent = parent.map(|name| Parent { name: name.into(), uid: UID.into() });
        let (keys, from) = (self.keys(keys), self.path("scratch/copy"));
        self.with_storage(|storage| copy::store_onto(storage, &keys, (name, UID), &from, parent.as_ref()))
            .unwrap()
    }

    /// Into an empty directory.
    fn fetch(&self, name: &str) -> Result<(), CopiesError> {
        let to = self.path("opened");
        let _ = fs::remove_dir_all(&to);
        open_folder(&to);
        let keys = self.keys("keys");
        self.with_storage(|storage| copy::fetch(storage, &keys, name, &to, self.is_sealed)).map(drop)
    }

    /// The exit code of a fetch that has to fail, and to leave nothing that could pass for a database.
    fn refused(&self, name: &str) -> (u8, String) {
        let error = self.fetch(name).unwrap_err();
        assert!(!self.path(&format!("opened/{name}/base.tar.gz")).exists(), "a part was left: {error}");
        (error.code(), error.to_string())
    }

    fn prune(&self, names: &[&str]) -> Pruned {
        let doomed: Vec<_> =
            names.iter().map(|name| Doomed::parse(&format!("{name}:{UID}")).unwrap()).collect();
        self.with_storage(|storage| prune::prune(storage, &doomed)).unwrap()
    }

    /// Restores a copy as its Backup does, and proves it: the ledger is sound and has exactly this head.
    async fn comes_back(&self, name: &str, head: ExpectedHead) {
        self.fetch(name).unwrap();
        for folder in ["data", "login"] {
            let _ = fs::remove_dir_all(self.path("scratch").join(folder));
        }
        self.run(UNPACK, (name, "opened"));
        self.run(RESTORE, (name, "opened"));
        let (data, socket) = (self.path("scratch/data"), self.path("socket"));
        let control = |verb: &str| {
            let script = format!(
                "pg_ctl {verb} -w -s -D {} -l {}/log -o '-c listen_addresses= -c unix_socket_directories={}'",
                data.display(),
                socket.display(),
                socket.display()
            );
            let output = self.postgres.shell(&script).stdout(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        control("start");
        let options = PgConnectOptions::new_without_pgpass().socket(&socket).port(self.postgres.port);
        let store = Store::new(options.username("postgres").database(&self.world.database.name), 1);
        let options = VerifyOptions { expect_head: Some(head), ..Default::default() };
        let report = verify(&store, &options).await.unwrap();
        assert!(report.sound, "{name}: {report:#?}");
        assert_eq!((report.head.seal, report.head.link), (head.seal, head.link), "{name}");
        store.close().await;
        control("stop -m fast");
    }
}

fn open_folder(path: &Path) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}
