//! A Restore to a sequence: the operator's own scripts on a real server, with a copy and the log after it. The oracle is the
//! ledger that was copied: which payments it had under which seal, and in which order they were committed.
//!
//! Seals are not in the order of the commits: an engine that was idle has an old number for its next batch, so what it
//! commits last is sealed first if everything is sealed at once. The test makes that happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use payplane_engine::{
    store::Store,
    verify::{ExpectedHead, VerifyOptions, verify},
};
use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

use super::support::{TempDir, client::payment, eventually, insist, postgres::Postgres, world::World};

const PREPARE: &str = include_str!("../../../operator/src/restore/build/prepare.sh");
const RECOVER: &str = include_str!("../../../operator/src/restore/build/recover.sh");

/// Where the scripts find what they work with, and what takes its place here. The sockets first: the other places are
/// below a folder of the same name.
const PLACES: [(&str, &str); 5] = [
    ("/tmp", "@/socket"),
    ("/dev/termination-log", "@/said"),
    ("/backups", "@/backups"),
    ("/target", "@/target"),
    ("/scratch", "@/scratch"),
];

/// One payment with its batch: key, seal, link.
type Sealed = (String, i64, Vec<u8>);

/// A server that stores its log, a copy of it, and what happened afterwards.
struct Past {
    postgres: Postgres,
    world: World,
    folder: TempDir,
}

/// What a restore came to.
struct Restored {
    folder: TempDir,
    said: Option<String>,
    failure: String,
}

impl Past {
    async fn new() -> Self {
        let folder = TempDir::new();
        let root = folder.path().display().to_string();
        for name in ["backups", "stored"] {
            open_folder(&folder.path().join(name));
        }
        let store = format!(
            "archive_command = 'gzip -1 -n -c %p >{root}/stored/.%f && mv {root}/stored/.%f {root}/stored/%f.gz'"
        );
        let postgres = Postgres::start(&["archive_mode = on", &store, "wal_level = replica"]);
        let world = World::with_engines(&postgres, 2).await;
        Self { postgres, world, folder }
    }

    /// A copy, as a Backup takes it, with the log where a Restore looks for it.
    fn copy(&self) {
        let root = self.folder.path().display();
        let script = format!(
            "pg_basebackup --pgdata={root}/backups/copy --checkpoint=fast --wal-method=stream --manifest-checksums=SHA256; \
             system=$(pg_controldata {root}/backups/copy | sed -n 's/^Database system identifier: *//p'); \
             mkdir -p {root}/backups/wal/main; ln -s {root}/stored {root}/backups/wal/main/$system"
        );
        let output = self.postgres.shell(&script).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until everything that was committed up to now is stored.
    async fn stored(&self) {
        let mut superuser = self.world.database.superuser().await;
        let segment: String = sqlx::query_scalar("select pg_walfile_name(pg_switch_wal())")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        eventually("the segment to be stored", async || {
            self.folder.path().join(format!("stored/{segment}.gz")).exists().then_some(())
        })
        .await;
    }

    /// Each engine has a tenant of its own: what it remembers stays true, so it keeps the number that it has.
    async fn pay(&self, engine: usize, key: &str) {
        let (tenant, from, to) = [("globex", "carol", "dave"), ("acme", "alice", "bob")][engine];
        let client = self.world.as_role_at(engine, tenant, "operator");
        insist(async || client.pay(payment(key, from, to, "0.01")).await).await;
    }

    async fn sealed(&self) -> Vec<Sealed> {
        let mut superuser = self.world.database.superuser().await;
        eventually("everything to be sealed", async || {
            let waiting: i64 = sqlx::query_scalar("select count(*) from payplane.unsealed")
                .fetch_one(&mut superuser)
                .await
                .unwrap();
            (waiting == 0).then_some(())
        })
        .await;
        sealed(&mut superuser).await
    }

    /// Runs the operator's scripts as its Job does.
    fn restore(&self, sequence: i64) -> Restored {
        let folder = TempDir::new();
        for name in ["target", "scratch", "socket"] {
            open_folder(&folder.path().join(name));
        }
        open_folder(folder.path());
        let mut failure = String::new();
        for script in [PREPARE, RECOVER] {
            let script = self.here(script, folder.path());
            let mut shell = self.postgres.shell(&script);
            shell.envs([
                ("BACKUP", "copy"),
                ("PLATFORM", "main"),
                ("POINT", ""),
                ("LOG", "replay"),
                ("DEADLINE", "60"),
            ]);
            shell.env("LEDGER", folder.path().join("target/ledger"));
            let output = shell.env("SEQUENCE", sequence.to_string()).output().unwrap();
            if !output.status.success() {
                failure = String::from_utf8_lossy(&output.stderr).into_owned();
                break;
            }
        }
        let said = std::fs::read_to_string(folder.path().join("said")).ok();
        Restored { folder, said, failure }
    }

    /// The script with folders of this test in place of a pod's.
    fn here(&self, script: &str, folder: &Path) -> String {
        let mut script = script.replace(
            "-U payplane_owner -d payplane",
            &format!("-U postgres -d {}", self.world.database.name),
        );
        for (place, here) in PLACES {
            script = script.replace(place, here);
        }
        script = script.replace("@/backups", &self.folder.path().join("backups").display().to_string());
        script.replace("@/", &format!("{}/", folder.display()))
    }

    /// What the restored ledger has, if it is sound and its chain goes on to this head.
    async fn look(
        &self,
        restored: &Restored,
        head: ExpectedHead,
    ) -> Vec<(String, Option<i64>, Option<Vec<u8>>)> {
        let (data, socket) =
            (restored.folder.path().join("target/ledger"), restored.folder.path().join("socket"));
        let settings = format!(
            "-c archive_mode=off -c listen_addresses= -c unix_socket_directories={}",
            socket.display()
        );
        let control = |verb: &str| {
            let script = format!(
                "pg_ctl {verb} -w -s -D {} -l {}/log -o '{settings}'",
                data.display(),
                socket.display()
            );
            let output = self.postgres.shell(&script).stdout(std::process::Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        control("start");
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&socket)
            .port(self.postgres.port)
            .username("postgres");
        let options = options.database(&self.world.database.name);
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let payments = sqlx::query_as(
            "select j.key, s.seal, s.link from payplane.journal j left join payplane.seals s on s.batch_id = j.sequence / 1024 \
             order by s.seal, j.sequence",
        );
        let payments = payments.fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let store = Store::new(options, 1);
        let report =
            verify(&store, &VerifyOptions { expect_head: Some(head), ..Default::default() }).await.unwrap();
        assert!(report.sound, "{report:#?}");
        store.close().await;
        control("stop -m fast");
        payments
    }
}

fn open_folder(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

async fn sealed(connection: &mut PgConnection) -> Vec<Sealed> {
    let query = "select j.key, s.seal, s.link from payplane.journal j join payplane.seals s on s.batch_id = j.sequence / 1024 \
                 order by s.seal";
    sqlx::query_as(query).fetch_all(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_a_sequence_has_all_up_to_it_and_nothing_that_was_committed_afterwards() {
    let past = Past::new().await;
    for (tenant, from, to) in [("acme", "alice", "bob"), ("globex", "carol", "dave")] {
        let operator = past.world.as_role(tenant, "operator");
        operator.wallet(from, "USD").await;
        operator.wallet(to, "USD").await;
        past.world.fund(tenant, from, "100.00").await;
    }
    past.pay(0, "before").await;
    let before = past.sealed().await.last().unwrap().1;
    past.copy();

    // Each engine has a number for its next batch. Nothing is sealed until all is committed, and the engine that was idle
    // commits last.
    past.pay(1, "in-the-log").await;
    past.sealed().await;
    past.pay(0, "idle-since").await;
    past.sealed().await;
    let mut sealer = past.world.database.superuser().await;
    sealer.execute("begin; select from payplane.seal_head for update").await.unwrap();
    let committed = ["early-0", "early-1", "early-2", "early-3", "early-4", "early-5", "late"];
    for key in committed {
        past.pay(if key == "late" { 0 } else { 1 }, key).await;
    }
    sealer.execute("rollback").await.unwrap();
    past.sealed().await;
    past.pay(1, "afterwards").await;
    let known = past.sealed().await;
    past.stored().await;

    let order: Vec<&str> = known.iter().map(|(key, ..)| key.as_str()).collect();
    let place = |key: &str| order.iter().position(|other| *other == key).unwrap();
    let behind: Vec<&str> = committed.into_iter().filter(|key| place("late") < place(key)).collect();
    println!("committed in the order {committed:?}, sealed in the order {order:?}");
    assert!(!behind.is_empty(), "nothing was sealed in another order than it was committed");

    let mut restored = 0;
    // The first of them is sealed before others that were committed before it; the second before which it was not
    // committed yet; the third is the last but one of the log.
    for key in ["late", behind[behind.len() - 1], "idle-since"] {
        let (_, seal, link) = &known[place(key)];
        let up_to: BTreeMap<&str, (i64, &Vec<u8>)> = known
            .iter()
            .filter(|(_, other, _)| other <= seal)
            .map(|(key, seal, link)| (&**key, (*seal, link)))
            .collect();
        // The order of these commits is the test's own.
        let times: Vec<&str> = order
            .iter()
            .copied()
            .filter(|key| !committed.contains(key) && *key != "afterwards")
            .chain(committed)
            .chain(["afterwards"])
            .collect();
        let last = times.iter().rposition(|key| up_to.contains_key(key)).unwrap();
        let expected: BTreeSet<&str> = times[..=last].iter().copied().collect();

        let result = past.restore(*seal);
        assert_eq!(result.failure, "", "to {key}, seal {seal}");
        let head = ExpectedHead { seal: *seal, link: link[..].try_into().unwrap() };
        let found = past.look(&result, head).await;
        let keys: BTreeSet<&str> = found.iter().map(|(key, ..)| &**key).collect();
        assert_eq!(keys, expected, "to {key}, seal {seal}");
        for (key, seal, link) in &found {
            // As they were, or not sealed: those that came along get numbers of their own.
            let known = up_to.get(&**key);
            assert_eq!(
                (*seal, link.as_ref()),
                (known.map(|known| known.0), known.map(|known| known.1)),
                "{key}"
            );
        }
        let later = expected.len() - up_to.len();
        assert_eq!(result.said.as_deref().map(str::trim), Some(&*format!("{{\"later\" : {later}}}")));
        println!("to seal {seal} ({key}): {} payments, {later} of them sealed later", found.len());
        restored += 1;
    }
    assert_eq!(restored, 3);

    let end = known.last().unwrap().1;
    for (sequence, told) in
        [(end + 1, format!("end with seal {end}")), (before, "name an older Backup".to_owned())]
    {
        let result = past.restore(sequence);
        assert!(result.failure.contains(&told), "{sequence}: {}", result.failure);
    }
    // What comes after the sequence need not be there.
    let mut segments: Vec<_> = std::fs::read_dir(past.folder.path().join("stored"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    segments.sort();
    std::fs::write(segments.last().unwrap(), "damaged").unwrap();
    let result = past.restore(end);
    println!("with a damaged end of the log, to its last seal: {:?}", result.failure.trim());
    assert!(result.failure.contains("name a point.sequence of at most"), "{}", result.failure);
}
