//! A primary whose standbys are all cut off: it answers, and commits nothing that is acknowledged.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use support::{
    client::{name, payment},
    eventually, insist, may_ask_again,
    postgres::Postgres,
    world::World,
};

/// Whose copy commits wait for.
async fn wait_for(superuser: &mut PgConnection, standbys: &str) {
    let command = format!("alter system set synchronous_standby_names = '{standbys}'");
    superuser.execute(AssertSqlSafe(command)).await.unwrap();
    superuser.execute("select pg_reload_conf()").await.unwrap();
}

/// What the engine says about it, in seconds.
fn failing(world: &World) -> f64 {
    let text = world.engines[0].engine.exposition();
    let line = text.lines().find_map(|line| line.strip_prefix("payplane_engine_commits_failing_seconds "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_without_standbys_is_told_by_a_metric_and_pays_once() {
    let postgres = Postgres::start(&[]);
    let world = World::with_engines(&postgres, 1).await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "1000.00").await;
    assert!(failing(&world) == 0.0, "all was committed");

    let mut superuser = world.database.superuser().await;
    wait_for(&mut superuser, "somebody").await;
    let mut count = 0;
    // The server takes note of it a moment later.
    let told = loop {
        count += 1;
        if let Err(told) = operator.pay(payment(&format!("pay {count}"), "alice", "bob", "1.00")).await {
            break told;
        }
    };
    assert!(may_ask_again(&told), "{told:?}");
    // The caller's deadline is shorter than the engine looks for the outcome.
    let seconds =
        eventually("the metric", async || Some(failing(&world)).filter(|seconds| 1.0 < *seconds)).await;
    println!("payment {count}: {}; failing for {seconds:.1} s", told.message());
    assert!(*world.engines[0].engine.database().borrow(), "what is committed can be read");
    let left = format!("{}.00", 1_000 - (count - 1));
    assert_eq!(operator.available(name("alice")).await, left, "nobody sees what may be lost");

    wait_for(&mut superuser, "").await;
    // All of before once more, and one that is new.
    count += 1;
    for number in 1..=count {
        let again = payment(&format!("pay {number}"), "alice", "bob", "1.00");
        insist(async || operator.pay(again.clone()).await).await;
    }
    assert!(failing(&world) == 0.0, "it commits again");
    assert_eq!(operator.available(name("bob")).await, format!("{count}.00"));
    world.assert_sound().await;
}
