//! A ledger that was restored: engines from before are refused, and a copy becomes a ledger of its own once.

use crate::support;

mod loaded;
mod point;

use std::process::Command;

use payplane_engine::store::{DatabaseConfig, adopt};
use payplane_proto::v1::{self as proto, RefusalReason};
use sqlx::{AssertSqlSafe, Executor as _};
use support::{
    client::{capture, hold, paid, payment, refund, refused},
    eventually,
    postgres::Postgres,
    world::World,
};
use tonic::Code;

/// Moves the epoch on as a restore does, and ends every connection, as the end of the server does.
async fn restore(world: &World, id: &str) -> i64 {
    let owner = DatabaseConfig::read(&world.database.owner_dir()).unwrap();
    let epoch = adopt(&owner, &owner.password, id, None).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    world.database.superuser().await.execute(AssertSqlSafe(end)).await.unwrap();
    epoch
}

async fn rows(world: &World) -> i64 {
    let mut superuser = world.database.superuser().await;
    sqlx::query_scalar("select count(*) from payplane.journal").fetch_one(&mut superuser).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_from_before_a_restore_commits_and_reads_nothing_and_a_new_one_does() {
    let mut world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    operator.pay(payment("before", "alice", "bob", "1.00")).await.unwrap();
    let before = rows(&world).await;

    assert_eq!(restore(&world, "r-1").await, 2);
    let old = world.engines[0].engine.clone();
    eventually("the engine sees another epoch", async || old.is_of_another_epoch().then_some(())).await;
    let mut refused = 0;
    for n in 0..20 {
        let error = operator.pay(payment(&format!("after-{n}"), "alice", "bob", "1.00")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error:?}");
        refused += 1;
    }
    let read = operator.ledger.clone().get_trial_balance(proto::GetTrialBalanceRequest {}).await;
    assert_eq!(read.unwrap_err().code(), Code::Unavailable);
    assert_eq!(rows(&world).await, before, "the old engine wrote");
    println!(
        "epoch: {refused} payments and one read refused by an engine from before, {before} rows before and after"
    );

    // Started again, the same engine works, and tells its epoch.
    world.add_engine(world.database.app_dir()).await;
    let operator = world.as_role_at(1, "acme", "operator");
    operator.pay(payment("later", "alice", "bob", "1.00")).await.unwrap();
    let head = operator.ledger.clone().get_head(proto::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!(head.epoch, 2);
    assert!(!world.engines[1].engine.is_of_another_epoch());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_a_restore_is_answered_if_it_is_known_and_done_again_only_with_consent() {
    let mut world = World::new().await;
    let before = world.as_role("acme", "operator");
    for wallet in ["alice", "bob"] {
        before.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "100.00").await;
    let known = before.pay(payment("known", "alice", "bob", "1.00")).await.unwrap();
    let held = before.hold(hold("held", "alice", "bob", "5.00")).await;
    restore(&world, "r-1").await;
    world.add_engine(world.database.app_dir()).await;

    let token = world.issuer.token("system:serviceaccount:acme:operator");
    let asking = |headers: &[(&str, &str)]| world.with_token_at(1, &token, headers);
    let (old, now) = (("payplane-asked-at", "1000000000"), world.as_role_at(1, "acme", "operator"));
    let head = now.ledger.clone().get_head(proto::GetHeadRequest {}).await.unwrap().into_inner();
    assert!(head.epoch_name.starts_with("2-20") && head.epoch_begin_time.is_some(), "{head:?}");
    let rows_before = rows(&world).await;

    let lost = asking(&[old]);
    let again = lost.pay(payment("known", "alice", "bob", "1.00")).await.unwrap();
    assert!(again.replayed && again.payment_id == known.payment_id);
    for key in 0..20 {
        let answer = lost.pay(payment(&format!("lost-{key}"), "alice", "bob", "1.00")).await.unwrap();
        assert_eq!(refused(&answer), (RefusalReason::LostByRestore, "idempotency_key"));
    }
    let capture = capture("c", &held.payment_id, "2.00");
    let taken = lost.payments.clone().capture_payment(capture.clone()).await.unwrap().into_inner();
    assert_eq!(refused(&taken.outcome.unwrap()).0, RefusalReason::LostByRestore);
    let back = lost.payments.clone().refund_payment(refund("r", &known.payment_id, "1.00")).await.unwrap();
    let Some(proto::refund_outcome::Result::Refusal(refusal)) = back.into_inner().outcome.unwrap().result
    else {
        panic!("a refund was done again")
    };
    assert_eq!(refusal.reason(), RefusalReason::LostByRestore);
    for consent in ["1", "2", "1-20200101t000000z", "x"] {
        let other = asking(&[old, ("payplane-replay-epoch", consent)]);
        let answer = other.pay(payment("lost-0", "alice", "bob", "1.00")).await.unwrap();
        assert_eq!(refused(&answer).0, RefusalReason::LostByRestore, "{consent}");
    }
    assert_eq!(rows(&world).await, rows_before, "what was refused left a trace");

    let consenting = asking(&[old, ("payplane-replay-epoch", &head.epoch_name)]);
    let answer = consenting.pay(payment("lost-0", "alice", "bob", "1.00")).await.unwrap();
    assert!(!answer.replayed);
    paid(&answer);
    assert!(consenting.pay(payment("lost-0", "alice", "bob", "1.00")).await.unwrap().replayed);
    assert!(lost.pay(payment("lost-0", "alice", "bob", "1.00")).await.unwrap().replayed, "it is known now");
    paid(&consenting.payments.clone().capture_payment(capture).await.unwrap().into_inner().outcome.unwrap());
    // Whoever asks now asks for something new; so does whoever says nothing.
    let ahead = asking(&[("payplane-asked-at", "4000000000")]);
    paid(&ahead.pay(payment("new", "alice", "bob", "1.00")).await.unwrap());
    paid(&now.pay(payment("silent", "alice", "bob", "1.00")).await.unwrap());
    let bad = asking(&[("payplane-asked-at", "soon")]).pay(payment("bad", "alice", "bob", "1.00")).await;
    assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
    println!("restored: 22 steps declined, 4 consents for other epochs, 2 done again once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_moves_once_for_each_restore_and_the_owner_has_the_new_password() {
    let database = Postgres::shared().database().await;
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    assert_eq!(adopt(&owner, "it's new", "r-1", None).await.unwrap(), 2);
    let mut as_new = owner.clone();
    as_new.password = "it's new".into();
    assert!(adopt(&owner, "x", "r-1", None).await.is_err(), "the old password still works");
    assert_eq!(adopt(&as_new, "it's new", "r-1", None).await.unwrap(), 2, "the same restore again");
    assert_eq!(adopt(&as_new, &owner.password, "r-2", None).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_becomes_another_platforms_is_no_longer_the_ones_that_it_was() {
    let database = Postgres::shared().database().await;
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    adopt(&owner, &owner.password, "r-1", None).await.unwrap();
    let mut superuser = database.superuser().await;
    superuser.execute("insert into payplane.claim (platform) values ('pay/main')").await.unwrap();
    for (platform, expected) in [(None, "pay/main"), (Some("pay/beside"), "pay/beside")] {
        adopt(&owner, &owner.password, "r-1", platform).await.unwrap();
        let whose: String = sqlx::query_scalar("select platform from payplane.claim")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        assert_eq!(whose, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_newer_release_is_refused_with_a_way_out() {
    let world = World::new().await;
    let newer = "insert into payplane.schema_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'newer', true, '', 0)";
    world.database.superuser().await.execute(newer).await.unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_payplane-engine"))
        .args(["adopt", "--restore-id", "r-1", "--database-dir"])
        .arg(world.database.owner_dir())
        .arg("--owner-database-dir")
        .arg(world.database.owner_dir())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("with a newer release"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_log_is_stored_is_told_to_the_platform_only() {
    let postgres = Postgres::start(&["archive_mode=on", "archive_command=false"]);
    let world = World::with_engines(&postgres, 1).await;
    let denied = world.as_role("acme", "admin").ledger.clone().get_archive(proto::GetArchiveRequest {}).await;
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
    world.database.superuser().await.execute("select pg_switch_wal()").await.unwrap();
    let platform = world.as_platform(None);
    let told = eventually("a failure of storing the log", async || {
        let told =
            platform.ledger.clone().get_archive(proto::GetArchiveRequest {}).await.unwrap().into_inner();
        told.failing.then_some(told)
    })
    .await;
    assert!(told.enabled && 0 < told.failures && told.store_time.is_none(), "{told:?}");
    world.assert_balanced().await;
}
