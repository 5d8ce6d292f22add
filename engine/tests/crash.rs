//! Processes that die: the database without a goodbye, and the engine as Kubernetes ends it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use payplane_proto::v1::{self as proto, payment_outcome::Result as Is};
use sqlx::{Connection as _, Executor as _};
use support::{
    client::{Client, name, paid, payment},
    eventually,
    postgres::Postgres,
    world::World,
};
use tonic::Code;

const WORKERS: usize = 8;
const KILLS: usize = 2;

/// What a worker knows about its keys.
#[derive(Default)]
struct History {
    acknowledged: Vec<(String, proto::Payment)>,
    /// Neither yes nor no: to be asked again.
    unknown: Vec<String>,
    /// Asked before the database died and acknowledged after it.
    outlived: usize,
}

/// What the test and its workers tell each other.
#[derive(Default)]
struct Traffic {
    history: Mutex<History>,
    kills: AtomicUsize,
    stop: AtomicBool,
}

const HOLD_ALICE: &str = "select 1 from payplane.accounts a join payplane.wallets w using (tenant_id, account_id) \
                          where w.name = 'alice' for update of a";

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_payments_survive_a_killed_database_exactly_once() {
    let postgres = Postgres::start(&[]);
    let world = World::with_engines(&postgres, 1).await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "500000.00").await;
    let traffic = Arc::new(Traffic::default());
    let workers: Vec<_> =
        (0..WORKERS).map(|worker| tokio::spawn(work(operator.clone(), worker, traffic.clone()))).collect();
    let acknowledged = || traffic.history.lock().unwrap().acknowledged.len();
    for _ in 0..KILLS {
        let before = acknowledged();
        eventually("payments to flow", async || (before + 50 < acknowledged()).then_some(())).await;
        postgres.kill();
        traffic.kills.fetch_add(1, Ordering::SeqCst);
        let mut database = world.engines[0].engine.database();
        database.wait_for(|up| !up).await.unwrap();
        let started = Instant::now();
        let error = operator.pay(payment("while it is away", "alice", "bob", "1.00")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(started.elapsed() < Duration::from_secs(2), "refused only after {:?}", started.elapsed());
        postgres.launch();
        let back = Instant::now();
        database.wait_for(|up| *up).await.unwrap();
        assert!(back.elapsed() < Duration::from_secs(2), "noticed only after {:?}", back.elapsed());
    }
    let before = acknowledged();
    eventually("payments to flow again", async || (before + 50 < acknowledged()).then_some(())).await;
    traffic.stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }
    let History { acknowledged, unknown, outlived } = std::mem::take(&mut *traffic.history.lock().unwrap());
    // A batch that was sent is looked after until it is known how it ended, so a call may outlive an outage.
    assert!(0 < unknown.len() + outlived, "no call met the kill");
    let again = |key: &str| operator.pay(payment(key, "alice", "bob", "1.00"));
    let ask =
        async |keys: Vec<String>| join_all(keys.iter().map(|key| async { again(key).await.unwrap() })).await;
    let known: Vec<String> = acknowledged.iter().map(|(key, _)| key.clone()).collect();
    for (again, (key, first)) in ask(known).await.iter().zip(&acknowledged) {
        assert!(again.replayed, "{key} was acknowledged and is gone");
        assert_eq!(paid(again), first);
    }
    ask(unknown.clone()).await.iter().for_each(|outcome| assert_eq!(paid(outcome).to_wallet_id.len(), 36));
    let expected = 1 + acknowledged.len() + unknown.len();
    assert_eq!(world.assert_balanced().await, expected as i64);
    assert_eq!(operator.available(name("bob")).await, format!("{}.00", expected - 1));
    println!(
        "{} acknowledged, {outlived} of them over a kill, {} in doubt, {KILLS} kills",
        acknowledged.len(),
        unknown.len()
    );
}

async fn work(client: Client, worker: usize, traffic: Arc<Traffic>) {
    let mut number = 0;
    while !traffic.stop.load(Ordering::SeqCst) {
        let key = format!("{worker} {number}");
        number += 1;
        let before = traffic.kills.load(Ordering::SeqCst);
        match client.pay(payment(&key, "alice", "bob", "1.00")).await {
            Ok(proto::PaymentOutcome { result: Some(Is::Payment(payment)), .. }) => {
                let mut history = traffic.history.lock().unwrap();
                history.outlived += usize::from(before < traffic.kills.load(Ordering::SeqCst));
                history.acknowledged.push((key, payment));
            }
            Ok(other) => panic!("refused: {other:?}"),
            Err(error) => {
                assert_eq!(error.code(), Code::Unavailable, "{error:?}");
                traffic.history.lock().unwrap().unknown.push(key);
                // As a client would, so that the outage does not become a busy loop.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The real binary, ended as the kubelet ends it.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_what_is_under_way_and_refuses_the_rest() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "10.00").await;
    let (mut engine, port) = world.spawn_engine();
    let token = format!("Bearer {}", world.issuer.token("system:serviceaccount:acme:operator"));
    let client = Client::new(format!("127.0.0.1:{port}").parse().unwrap(), &[("authorization", &token)]);
    eventually("the engine to serve", async || {
        client.pay(payment("first", "alice", "bob", "1.00")).await.ok()
    })
    .await;
    // A call that is under way for sure: it waits for a row that we hold.
    let mut holder = world.database.superuser().await;
    let mut held = holder.begin().await.unwrap();
    held.execute(HOLD_ALICE).await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.pay(payment("under way", "alice", "bob", "1.00")).await }
    });
    let mut watcher = world.database.superuser().await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("the call to wait for the row", async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watcher).await.unwrap();
        (0 < count).then_some(())
    })
    .await;
    Command::new("kill").args(["-TERM", &engine.id().to_string()]).status().unwrap();
    eventually("new connections to be refused", async || {
        let fresh = Client::new(format!("127.0.0.1:{port}").parse().unwrap(), &[("authorization", &token)]);
        fresh.pay(payment("late", "alice", "bob", "1.00")).await.is_err().then_some(())
    })
    .await;
    held.rollback().await.unwrap();
    // On a slow machine the row was held for longer than the engine waits. That is an answer too.
    let expected = match call.await.unwrap() {
        Ok(outcome) => {
            paid(&outcome);
            "2.00"
        }
        Err(error) => {
            assert_eq!(error.code(), Code::Aborted, "{error:?}");
            "1.00"
        }
    };
    let status = eventually("the engine to end", async || engine.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    assert_eq!(operator.available(name("bob")).await, expected);
}
