//! The step of a major upgrade that copies a ledger into another server, with the operator's own script, on real servers. Both
//! are of the version that is installed; `tests/e2e/tests/upgrades.rs` has two.

use crate::support;

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _};
use support::{
    TempDir,
    ledger::Ledger,
    postgres::{Postgres, hand_to_server},
};

const COPY: &str = concat!(
    include_str!("../../operator/src/platform/upgrade/build/servers.sh"),
    include_str!("../../operator/src/platform/upgrade/build/copy.sh")
);
const COMPARE: &str = concat!(
    include_str!("../../operator/src/platform/upgrade/build/servers.sh"),
    include_str!("../../operator/src/platform/upgrade/build/compare.sh")
);

/// Two servers, and a ledger with every kind of operation on the first.
struct Move {
    old: Postgres,
    new: Postgres,
    ledger: Ledger,
    scratch: TempDir,
}

impl Move {
    async fn new() -> Self {
        let (old, new) = (Postgres::start(&[]), Postgres::start(&[]));
        let ledger = Ledger::on(&old).await;
        ledger.exercise().await;
        ledger.close().await;
        let scratch = TempDir::new();
        hand_to_server(scratch.path());
        Self { old, new, ledger, scratch }
    }

    /// A step of the Job.
    fn step(&self, script: &str) -> Output {
        let at = |server: &Postgres| {
            format!("host={} port={} user=postgres", server.socket().display(), server.port)
        };
        let script = script.replace("/scratch", &self.scratch.path().display().to_string());
        let version = self.new.shell("postgres --version | sed 's/^[^0-9]*\\([0-9]*\\).*/\\1/'");
        let version = { version }.output().unwrap().stdout;
        let mut shell = self.new.shell(&script);
        shell.env("OLD", at(&self.old)).env("NEW", at(&self.new)).env("DATABASE", &self.ledger.database.name);
        shell.env("TO", String::from_utf8(version).unwrap().trim()).output().unwrap()
    }

    /// The copy, into a server that was made just now.
    fn copy(&self) -> Output {
        assert!(self.new.tool("createdb").arg(&self.ledger.database.name).status().unwrap().success());
        self.step(COPY)
    }

    /// The command that proves the ledger of this server.
    fn verify(&self, server: &Postgres, arguments: &[&Path]) -> (Option<i32>, Value) {
        let files = TempDir::new();
        for file in ["host", "dbname", "username", "password"] {
            let value = std::fs::read_to_string(self.ledger.database.app_dir().join(file)).unwrap();
            files.write(file, &value);
        }
        files.write("port", &server.port.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_payplane-engine"));
        command.arg("verify").args(arguments).arg("--database-dir").arg(files.path());
        let output = command.output().unwrap();
        let printed = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), printed)
    }

    async fn on_new(&self, statement: String) {
        let options = self.ledger.database.superuser_options().socket(self.new.socket()).port(self.new.port);
        let mut superuser = sqlx::ConnectOptions::connect(&options).await.unwrap();
        superuser.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

/// The check that compares two servers, and how many differences it found.
fn compared(report: &Value) -> i64 {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "same_as_before").unwrap();
    check["violations"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_another_server_is_the_same_ledger_with_the_same_logins() {
    let both = Move::new().await;
    let summary = both.scratch.path().join("before.json");
    let (code, before) = both.verify(&both.old, &[Path::new("--summary-file"), &summary]);
    assert_eq!(code, Some(0), "{before:#}");
    for done in [both.copy(), both.step(COMPARE)] {
        assert!(done.status.success(), "{done:?}");
    }
    // With the engine's own login and password.
    let (code, after) = both.verify(&both.new, &[Path::new("--same-as"), &summary]);
    assert_eq!((code, compared(&after)), (Some(0), 0), "{after:#}");
    assert_eq!(after["head"], before["head"]);
    assert!(after["checks"].as_array().unwrap().iter().all(|check| check["examined"] != 0), "{after:#}");

    // A ledger that is sound, but another one: one link less.
    both.on_new(
        "set session_replication_role = replica; \
         insert into payplane.unsealed (batch_id) select batch_id from payplane.seals order by seal desc limit 1; \
         delete from payplane.seals where seal = (select max(seal) from payplane.seals); \
         update payplane.seal_head set (seal, link) = (select seal, link from payplane.seals order by seal desc limit 1)"
            .into(),
    )
    .await;
    let (code, _) = both.verify(&both.new, &[]);
    assert_eq!(code, Some(0), "nothing in it tells");
    let (code, after) = both.verify(&both.new, &[Path::new("--same-as"), &summary]);
    assert_eq!(code, Some(1), "{after:#}");
    assert!(0 < compared(&after), "{after:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_differs_between_the_two_is_found_and_no_value_is_told() {
    let both = Move::new().await;
    assert!(both.copy().status.success());
    let name = both.ledger.database.name.clone();
    // Each is undone before the next.
    for (change, undo, expected) in [
        ("select", "select", ""),
        (
            "create table kept as table payplane.batches; update payplane.batches set decided_us = decided_us + 1",
            "update payplane.batches b set decided_us = k.decided_us from kept k where k.batch_id = b.batch_id; drop table kept",
            "rows|payplane.batches",
        ),
        (
            "alter index payplane.batches_time rename to other",
            "alter index payplane.other rename to batches_time",
            "index|payplane.batches_time",
        ),
        (
            "grant select on payplane.journal to public",
            "revoke select on payplane.journal from public",
            "right|relation payplane.journal",
        ),
        ("alter role NAME_app password 'another'", "select", "role|NAME_app"),
    ] {
        both.on_new(format!("set session_replication_role = replica; {change}").replace("NAME", &name)).await;
        let compared = both.step(COMPARE);
        let said = String::from_utf8(compared.stderr.clone()).unwrap();
        let expected = expected.replace("NAME", &name);
        assert_eq!(compared.status.success(), expected.is_empty(), "{change}: {said}");
        assert!(said.contains(&expected) && !said.contains("SCRAM"), "{change}: {said}");
        both.on_new(format!("set session_replication_role = replica; {undo}")).await;
    }
    // The image was named as one of another version than it is.
    let other = both.step(&COPY.replace("$TO", "99"));
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(!other.status.success() && said.contains("upgrade.to is 99"), "{said}");
}
