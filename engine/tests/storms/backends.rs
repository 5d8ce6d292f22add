//! One process of the server is killed, which makes the server end all of them and recover.

use std::time::{Duration, Instant};

use sqlx::Connection as _;

use super::{
    history::Storm,
    ready,
    snapshots::Snapshots,
    support::{eventually, postgres::Postgres, sized, world::World},
};

/// What the engine may take to be of use again, without a restart of its own.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

const BACKENDS: &str = "select pid from pg_stat_activity where usename like '%_app' and datname = current_database() \
                        order by random() limit 1";

#[tokio::test(flavor = "multi_thread")]
async fn killed_server_processes_lose_nothing_and_double_nothing() {
    let (postgres, kills) = (Postgres::start(&[]), sized(3, 20));
    let world = World::with_engines(&postgres, 1).await;
    ready(&world).await;
    let snapshots = Snapshots::start(&world);
    let storm = Storm::start(vec![world.as_role("acme", "operator")]);
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        storm.flows(150).await;
        let mut witness = world.database.superuser().await;
        postgres.kill_backend(sqlx::query_scalar(BACKENDS).fetch_one(&mut witness).await.unwrap());
        let killed = Instant::now();
        eventually("everybody else to be cut off", async || witness.ping().await.is_err().then_some(()))
            .await;
        storm.flows(50).await;
        slowest = slowest.max(killed.elapsed());
    }
    let told = storm.end(&world).await;
    let looks = snapshots.end().await;
    let doubts = world.doubts(0);
    assert!(0 < doubts, "no commit met a kill");
    assert!(slowest < RECOVERY_MAX, "back after {slowest:?}");
    println!(
        "server processes: {kills} kills, {doubts} commits in doubt, {} calls told to ask again, {} payments, each once, \
         {looks} snapshots in balance",
        told.doubts, told.payments
    );
}
