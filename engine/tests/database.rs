//! Which databases are taken, whose they are, and that the engine's login changes under load without an error.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use payplane_engine::store::{DatabaseConfig, MigrateError, MigrateOptions, Schema, migrate, retire};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};
use support::{
    client::{paid, payment},
    eventually, insist,
    postgres::{Database, Postgres},
    world::World,
};

async fn attempt(database: &Database, platform: Option<&str>) -> Result<Schema, MigrateError> {
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    let app = DatabaseConfig::read(&database.app_dir()).unwrap();
    let options = MigrateOptions {
        wait: Duration::from_secs(20),
        platform: platform.map(str::to_owned),
        any_server: false,
    };
    migrate(&owner, &app, &options).await
}

/// What a refused database is told, and that it was left alone.
async fn complaints(database: &Database) -> Vec<String> {
    let refused = attempt(database, None).await.unwrap_err();
    let MigrateError::Unsuitable(unsuitable) = refused else { panic!("{refused:?}") };
    let mut superuser = database.superuser().await;
    let is_untouched: bool = sqlx::query_scalar("select to_regnamespace('payplane') is null")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert!(is_untouched, "a database that is refused is not changed");
    unsuitable.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_what_was_committed_is_refused() {
    let server = Postgres::start(&["fsync = off", "full_page_writes = off", "synchronous_commit = off"]);
    let database = server.empty_database().await;
    let found = complaints(&database).await;
    println!("{found:?}");
    assert_eq!(found.len(), 3);
    for (complaint, way_out) in
        found.iter().zip(["set fsync = on", "set synchronous_commit = on", "set full_page_writes = on"])
    {
        assert!(complaint.contains(way_out), "{complaint}");
    }
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    let app = DatabaseConfig::read(&database.app_dir()).unwrap();
    let any = MigrateOptions { any_server: true, ..MigrateOptions::default() };
    migrate(&owner, &app, &any).await.expect("whoever says so gets a throwaway ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_not_is_told_what_to_grant() {
    let database = Postgres::shared().empty_database().await;
    let (name, mut superuser) = (&database.name, database.superuser().await);
    for command in [
        format!("alter role {name}_owner nocreaterole"),
        format!("alter database {name} owner to postgres"),
        format!("alter database {name} set default_transaction_read_only = on"),
    ] {
        superuser.execute(AssertSqlSafe(command)).await.unwrap();
    }
    let found = complaints(&database).await;
    println!("{found:?}");
    assert_eq!(found.len(), 3);
    // Doing what it says is enough.
    for command in [
        format!("alter database {name} set default_transaction_read_only = off"),
        format!("grant create on database {name} to {name}_owner"),
        format!("alter role {name}_owner createrole"),
    ] {
        assert!(found.iter().any(|complaint| complaint.contains(&command)), "{command}");
        let command = format!("set default_transaction_read_only = off; {command}");
        superuser.execute(AssertSqlSafe(command)).await.unwrap();
    }
    attempt(&database, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_belongs_to_the_platform_that_came_first() {
    let database = Postgres::shared().empty_database().await;
    // Both at once: one has it.
    let (one, two) = tokio::join!(attempt(&database, Some("a/main")), attempt(&database, Some("b/main")));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let (owner, other) = if one.is_ok() { ("a/main", "b/main") } else { ("b/main", "a/main") };
    attempt(&database, Some(owner)).await.expect("the same one again");
    attempt(&database, None).await.expect("an engine that names none");
    let refused = attempt(&database, Some(other)).await.unwrap_err();
    assert!(matches!(&refused, MigrateError::Claimed { owner: found, .. } if found == owner), "{refused:?}");
    // The message's own way out.
    let text = refused.to_string();
    let command = text.split_once("run as the owner of the database: ").unwrap().1;
    let mut connection =
        DatabaseConfig::read(&database.owner_dir()).unwrap().options().connect().await.unwrap();
    connection.execute(AssertSqlSafe(command.to_owned())).await.unwrap();
    attempt(&database, Some(other)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_engine_leaves_a_schema_alone_that_took_away_what_it_uses() {
    let database = Postgres::shared().database().await;
    let now = attempt(&database, None).await.unwrap();
    assert_eq!(now.oldest, 0, "no migration of this release takes anything away");
    let mut superuser = database.superuser().await;
    let mut raise = async |oldest: i64| {
        let raised = sqlx::query("update payplane.schema_floor set oldest = $1").bind(oldest);
        raised.execute(&mut superuser).await.unwrap();
    };
    raise(now.schema + 1).await;
    // It would give the engine's login this password.
    database.files.write("app/password", "another");
    let refused = attempt(&database, None).await.unwrap_err();
    println!("{refused}");
    let MigrateError::TooNew { oldest, known } = refused else { panic!("{refused:?}") };
    assert_eq!((oldest, known), (now.schema + 1, now.schema));
    assert!(refused.to_string().contains("keep the newer image"));
    login(&database.app_dir()).options().connect().await.unwrap_err();

    raise(now.schema).await;
    let again = attempt(&database, None).await.unwrap();
    assert_eq!(again, Schema { oldest: now.schema, ..now }, "it never sinks");
    login(&database.app_dir()).options().connect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_password_changes_and_both_work_until_the_secret_says_so() {
    let database = Postgres::shared().database().await;
    let patience = Duration::from_secs(5);
    let nobody = "payplane_nobody";
    let old = login(&database.owner_dir());
    retire(&old, nobody, patience).await.expect("without a next password nothing changes");
    database.files.write("owner/next-password", "quite another");
    let both = login(&database.owner_dir());
    attempt(&database, None).await.expect("a migration does not change it");
    old.options().connect().await.expect("the database has the old one still");

    retire(&both, nobody, patience).await.unwrap();
    old.options().connect().await.expect_err("nobody logs in with the old password");
    // A crash before the Secret says so: everything can be done again.
    attempt(&database, None).await.unwrap();
    retire(&both, nobody, patience).await.unwrap();

    database.files.write("owner/password", "quite another");
    database.files.write("owner/next-password", "");
    let new = login(&database.owner_dir());
    assert!(new.next_password.is_none());
    new.options().connect().await.unwrap();
    database.files.write("owner/password", "a wrong one");
    let refused = retire(&login(&database.owner_dir()), nobody, Duration::ZERO).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Unreachable { .. }), "{refused:?}");
}

fn login(directory: &Path) -> DatabaseConfig {
    DatabaseConfig::read(directory).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_changes_under_load_without_an_error() {
    let mut world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100000.00").await;
    let second = world.database.second_app_dir();
    let (stop, done, switched) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicBool::new(false));

    // The next pods migrate with the second login, and are there before the old ones go.
    let owner = login(&world.database.owner_dir());
    let first = login(&world.database.app_dir());
    migrate(&owner, &login(&second), &MigrateOptions::default()).await.unwrap();
    first.options().connect().await.expect("both logins work meanwhile");
    world.add_engine(second.clone()).await;
    let clients = [world.as_role_at(0, "acme", "operator"), world.as_role_at(1, "acme", "operator")];
    let old = world.engines.remove(0);
    let pay = async |caller: usize| {
        let mut number = 0_usize;
        while !stop.load(Ordering::SeqCst) {
            // Read before the call, so that a call at the old engine began before it was told to go.
            let at = usize::from(switched.load(Ordering::SeqCst));
            let request = payment(&format!("{caller} {number}"), "alice", "bob", "0.01");
            let client = &clients[at];
            paid(&insist(async || client.pay(request.clone()).await).await);
            number += 1;
            done.fetch_add(1, Ordering::SeqCst);
        }
        number
    };
    let more = async |what: &'static str| {
        let before = done.load(Ordering::SeqCst);
        eventually(what, async || (before + 50 <= done.load(Ordering::SeqCst)).then_some(())).await;
    };
    let rotate = async {
        more("payments at the old engine").await;
        switched.store(true, Ordering::SeqCst);
        more("payments at the new engine").await;
        old.drain().await.unwrap();
        retire(&owner, &first.username, Duration::from_secs(5)).await.unwrap();
        retire(&owner, &first.username, Duration::from_secs(5)).await.expect("again");
        more("payments after the old login is gone").await;
        stop.store(true, Ordering::SeqCst);
    };
    let ((), one, two, three) = tokio::join!(rotate, pay(1), pay(2), pay(3));
    assert!(first.options().connect().await.is_err(), "nobody logs in with the old password");
    login(&second).options().connect().await.expect("the new one works");
    let operations = world.assert_sound().await;
    println!("{} payments, none failed, {operations} operations sound", one + two + three);
    assert!(usize::try_from(operations).unwrap() > one + two + three);
    // And back: the first login's turn comes again, with another password.
    world.database.files.write("app/password", "another");
    migrate(&owner, &login(&world.database.app_dir()), &MigrateOptions::default()).await.unwrap();
    login(&world.database.app_dir()).options().connect().await.unwrap();
}
