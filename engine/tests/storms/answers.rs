//! The network eats the answers of commits, or the commits themselves.

use super::{
    history::Storm,
    ready,
    snapshots::Snapshots,
    support::{
        eventually,
        postgres::Postgres,
        proxy::{Fault, Proxy},
        sized,
        world::World,
    },
};

/// One in so many faults is an answer that never comes: to find that out takes four seconds.
const HELD_EVERY: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_commits_lose_nothing_and_double_nothing() {
    let (postgres, faults) = (Postgres::shared(), sized(HELD_EVERY, 20 * HELD_EVERY));
    let mut world = World::new().await;
    ready(&world).await;
    let proxy = Proxy::to(postgres.port).await;
    world.add_engine(world.database.app_dir_at(proxy.port)).await;
    let snapshots = Snapshots::start(&world);
    let storm = Storm::start(vec![world.as_role_at(1, "acme", "operator")]);
    let mut struck = [0; 3];
    for number in 0..faults {
        storm.flows(10).await;
        let (place, fault) = match number % HELD_EVERY {
            0 => (0, Fault::HoldAnswer),
            odd if odd % 2 == 1 => (1, Fault::LoseAnswer),
            _ => (2, Fault::LoseCommit),
        };
        proxy.arm(fault);
        eventually("the fault", async || proxy.struck().then_some(())).await;
        struck[place] += 1;
    }
    storm.flows(50).await;
    let told = storm.end(&world).await;
    let looks = snapshots.end().await;
    let [held, lost, never_sent] = struck;
    let doubts = world.doubts(1);
    assert!(0 < held && 0 < lost && 0 < never_sent && faults <= doubts, "{struck:?}, {doubts} in doubt");
    println!(
        "commits: {lost} answers lost, {held} held back, {never_sent} commits lost; {doubts} times in doubt, {} payments, \
         each once, {} calls told to ask again, {looks} snapshots in balance",
        told.payments, told.doubts
    );
}
