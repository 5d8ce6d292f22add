//! Callers of two tenants go away at every moment of a call, on a pool of four connections. What they leave is clean:
//! no open transaction, nothing of the other tenant in anybody's answer, one end for each key.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use payplane_proto::v1::{self as proto, payment_outcome::Result as Is};

use super::{
    snapshots::Snapshots,
    support::{
        client::{Client, name, payment},
        eventually, insist, sized,
        world::World,
    },
};

const CALLERS: usize = 32;

const TENANTS: [&str; 2] = ["acme", "globex"];

/// The rounds in which nobody goes away.
const USUAL: usize = 3;

/// A caller and the ids of its tenant's wallets, which have the same names in both.
struct Side {
    client: Client,
    alice: String,
    bob: String,
}

/// What happened to calls.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicUsize,
    cancelled: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_cancelled_calls_leaves_nothing_behind() {
    let (world, rounds) = (World::new().await, sized(20, 400));
    let (snapshots, counts) = (Snapshots::start(&world), Counts::default());
    let sides = [side(&world, TENANTS[0]).await, side(&world, TENANTS[1]).await];
    // Each with a connection of its own: who breaks off too often loses it, and would take others along.
    let callers =
        (0..CALLERS).map(|caller| sides[caller % 2].at(world.as_role(TENANTS[caller % 2], "operator")));
    let callers: Vec<Side> = callers.collect();
    let usual = usual(&callers).await;
    let storms = callers.iter().enumerate();
    join_all(storms.map(|(caller, side)| storm(side, caller, rounds, usual, &counts))).await;
    let cancelled = counts.cancelled.load(Ordering::SeqCst);
    let calls = counts.calls.load(Ordering::SeqCst);
    let tenth = calls / 10;
    assert!(tenth < cancelled && tenth < calls - cancelled, "{cancelled} of {calls} calls were cancelled");
    let [of_acme, of_globex] = [0, 1].map(|side| (side..CALLERS).step_by(2).collect::<Vec<_>>());
    let payments = settle(&sides[0], &of_acme, rounds).await + settle(&sides[1], &of_globex, rounds).await;
    let sessions = eventually("no open transaction", async || clean_sessions(&world).await).await;
    let looks = snapshots.end().await;
    let operations = world.assert_sound().await;
    println!(
        "callers: {cancelled} of {calls} calls cancelled, {payments} payments, each once, {sessions} sessions and none in \
         a transaction, {looks} snapshots in balance, {operations} operations proved"
    );
}

impl Side {
    fn at(&self, client: Client) -> Self {
        Self { client, alice: self.alice.clone(), bob: self.bob.clone() }
    }
}

async fn side(world: &World, tenant: &str) -> Side {
    let client = world.as_role(tenant, "operator");
    let (alice, bob) = (client.wallet("alice", "USD").await, client.wallet("bob", "USD").await);
    world.fund(tenant, "alice", "50000.00").await;
    Side { client, alice, bob }
}

/// How long a call takes that nobody cancels, while everybody else calls too.
async fn usual(callers: &[Side]) -> Duration {
    let started = Instant::now();
    for round in 0..USUAL {
        let calls = callers.iter().enumerate();
        join_all(calls.map(|(caller, side)| call(side, caller, round))).await;
    }
    started.elapsed() / USUAL as u32
}

/// Calls that are given up after something between nothing and twice what they usually take.
async fn storm(side: &Side, caller: usize, rounds: usize, usual: Duration, counts: &Counts) {
    for round in USUAL..rounds {
        let patience = usual * ((caller * 7 + round * 13) % 97) as u32 / 48;
        counts.calls.fetch_add(1, Ordering::SeqCst);
        // Nobody waits for those who have gone: the next call meets what they left.
        if tokio::time::timeout(patience, call(side, caller, round)).await.is_err() {
            counts.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn call(side: &Side, caller: usize, round: usize) {
    match (caller + round) % 3 {
        _ if pays(caller, round) => pay(side, caller, round).await,
        1 => read(side).await,
        _ => list(side).await,
    }
}

const fn pays(caller: usize, round: usize) -> bool {
    (caller + round).is_multiple_of(3)
}

async fn pay(side: &Side, caller: usize, round: usize) {
    let request = payment(&format!("{caller} {round}"), "alice", "bob", "1.00");
    let outcome = insist(async || side.client.pay(request.clone()).await).await;
    match outcome.result {
        Some(Is::Payment(payment)) => {
            assert_eq!((&payment.from_wallet_id, &payment.to_wallet_id), (&side.alice, &side.bob));
        }
        other => panic!("not paid: {other:?}"),
    }
}

async fn read(side: &Side) {
    assert_eq!(side.client.read_wallet(name("alice")).await.id, side.alice, "somebody else's wallet");
}

async fn list(side: &Side) {
    let request =
        proto::ListPaymentsRequest { wallet_id: side.bob.clone(), page_size: 20, ..Default::default() };
    let page = insist(async || side.client.payments.clone().list_payments(request.clone()).await).await;
    let is_ours = |payment: &proto::Payment| payment.to_wallet_id == side.bob;
    assert!(page.into_inner().payments.iter().all(is_ours), "somebody else's payment");
}

/// Every payment of the storm is asked for again; afterwards each is there once.
async fn settle(side: &Side, own: &[usize], rounds: usize) -> usize {
    let keys: Vec<(usize, usize)> = own
        .iter()
        .flat_map(|caller| (0..rounds).map(|round| (*caller, round)))
        .filter(|(caller, round)| pays(*caller, *round))
        .collect();
    for keys in keys.chunks(64) {
        join_all(keys.iter().map(|(caller, round)| pay(side, *caller, *round))).await;
    }
    let bob = side.client.available(name("bob")).await;
    assert_eq!(bob, format!("{}.00", keys.len()));
    keys.len()
}

/// How many connections the engine has, once none of them is in a transaction.
async fn clean_sessions(world: &World) -> Option<i64> {
    let mut superuser = world.database.superuser().await;
    let (sessions, open): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where state like 'idle in%') from pg_stat_activity \
         where datname = current_database() and usename like '%_app'",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    (open == 0).then_some(sessions)
}
