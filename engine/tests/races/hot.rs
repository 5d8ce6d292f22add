//! One account that everybody pays to: more callers are no slower together than a few.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{
    at_both,
    support::{
        client::{Client, name, paid, payment},
        insist, sized,
        world::World,
    },
    world,
};

const FEW: usize = 8;
const MANY: usize = 64;

/// What a caller who sets no deadline of its own waits at most.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_account_serves_many_as_well_as_few() {
    let (world, payments) = (world(&[("merchant", "")]).await, sized(640, 19_200));
    for number in 0..MANY {
        world.as_role("acme", "operator").wallet(&format!("payer-{number}"), "USD").await;
        world.fund("acme", &format!("payer-{number}"), "100.00").await;
    }
    let [few, many] = [measure(&world, FEW, payments).await, measure(&world, MANY, payments).await];
    let clients = at_both(&world, "viewer");
    assert_eq!(
        clients[0].available(name("merchant")).await,
        format!("{}.{:02}", payments / 50, payments % 50 * 2)
    );
    assert!(few.slowest < DEADLINE && many.slowest < DEADLINE, "{few:?} {many:?}");
    let percent = few.took.as_millis() * 100 / many.took.as_millis().max(1);
    // A short run measures who else is on the machine.
    assert!(70 <= percent || sized(0, 1) == 0, "{percent} %: {few:?} {many:?}");
    let operations = world.assert_sound().await;
    println!(
        "hot account: {payments} payments by {FEW} and by {MANY} callers, these at {percent} % of the rate of those, \
         {operations} operations proved"
    );
}

#[derive(Debug)]
struct Measured {
    took: Duration,
    /// The slowest but one percent.
    slowest: Duration,
}

async fn measure(world: &World, callers: usize, payments: usize) -> Measured {
    let clients = at_both(world, "operator");
    let started = Instant::now();
    let calls = join_all((0..callers).map(|caller| pay(&clients, callers, caller, payments / callers)));
    let mut took: Vec<Duration> = calls.await.concat();
    let all = started.elapsed();
    took.sort_unstable();
    Measured { took: all, slowest: took[took.len() * 99 / 100] }
}

async fn pay(clients: &[Client; 2], callers: usize, caller: usize, payments: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(payments);
    for number in 0..payments {
        let key = format!("{callers} {caller} {number}");
        let request = payment(&key, &format!("payer-{caller}"), "merchant", "0.01");
        let started = Instant::now();
        paid(&insist(async || clients[caller % 2].pay(request.clone()).await).await);
        took.push(started.elapsed());
    }
    took
}
