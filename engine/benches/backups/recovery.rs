//! The server and its data directory are gone while payers pay: how much comes back, and how soon.

use std::{
    collections::HashSet,
    fs,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use payplane_proto::v1::{self as proto, payment_outcome};
use tokio::task::JoinHandle;

use super::{
    cost::{self, PAYERS},
    grpc,
    place::Place,
    requests::{Pattern, Payments, new_run},
    restore,
    settings::Settings,
    world::World,
};
use crate::support::{client::Client, postgres::Postgres};

/// A payment that was acknowledged: its key, and when by the machine's clock, in microseconds since 1970.
type Acknowledged = (String, i64);

/// What became of the ledger.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Payments that were acknowledged between the start of the payers and the loss.
    pub(crate) acknowledged: usize,
    /// Those of them that are gone.
    pub(crate) lost: usize,
    /// How long before the loss the first of those was acknowledged, in seconds.
    pub(crate) lost_seconds: f64,
    /// Payments that came back.
    pub(crate) payments: i64,
    /// Those of them that the copy had not, but the log.
    pub(crate) from_log: i64,
    /// What was done one after the other, and how long each took, in seconds.
    pub(crate) steps: Vec<(&'static str, f64)>,
}

pub(crate) async fn measure(
    postgres: &Postgres,
    place: &Arc<Place>,
    world: &mut World,
    settings: &Settings,
) -> Recovered {
    let name = cost::name(settings.pairs);
    let copied_until = place.changed_at(&name);
    let run = new_run();
    let payers: Vec<_> = (0..PAYERS).map(|worker| pay(world, &run, worker)).collect();
    tokio::time::sleep(settings.length).await;
    let killed_at = now();
    postgres.kill();
    fs::remove_dir_all(postgres.socket().join("data")).unwrap();
    let mut steps = restore::run(postgres, place, world, &name).await;
    let acknowledged = acknowledged(payers).await;
    let started = Instant::now();
    pay_once(world).await;
    steps.push(("a payment, answered", started.elapsed().as_secs_f64()));
    judge(world, (&run, acknowledged, killed_at), copied_until, steps).await
}

fn pay(world: &World, run: &str, worker: usize) -> JoinHandle<Vec<Acknowledged>> {
    let client = world.client(worker);
    let payments = Payments::new(world.wallets.clone(), Pattern::Uniform, &run.into(), worker);
    tokio::spawn(pay_until_it_fails(client, payments))
}

/// Until the first call that fails: nobody knows what became of that payment.
async fn pay_until_it_fails(client: Client, mut payments: Payments) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    loop {
        let request = payments.next();
        let key = request.idempotency_key.clone();
        match client.pay(request).await {
            Ok(proto::PaymentOutcome { result: Some(payment_outcome::Result::Payment(_)), .. }) => {
                acknowledged.push((key, now()));
            }
            Ok(other) => panic!("not paid: {other:?}"),
            Err(_) => return acknowledged,
        }
    }
}

async fn acknowledged(payers: Vec<JoinHandle<Vec<Acknowledged>>>) -> Vec<Acknowledged> {
    /// Much longer than an engine looks after what it does not know.
    const PATIENCE: Duration = Duration::from_secs(60);
    let all = tokio::time::timeout(PATIENCE, futures::future::join_all(payers)).await;
    all.expect("payers end with the server").into_iter().flat_map(Result::unwrap).collect()
}

async fn pay_once(world: &World) {
    let mut payments = Payments::new(world.wallets.clone(), Pattern::Uniform, &new_run().into(), 0);
    grpc::assert_paid(&world.client(0).pay(payments.next()).await.unwrap());
}

/// Compares what was acknowledged with what is there. What was acknowledged before the last batch that came back was decided is
/// there: a log that ends early is a loss, one with a hole would be a wrong ledger.
async fn judge(
    world: &World,
    (run, acknowledged, killed_at): (&str, Vec<Acknowledged>, i64),
    copied_until: i64,
    steps: Vec<(&'static str, f64)>,
) -> Recovered {
    let mut admin = world.database.superuser().await;
    let query = sqlx::query_scalar("select key from payplane.journal where starts_with(key, $1)");
    let keys = query.bind(format!("{run}-")).fetch_all(&mut admin).await.unwrap();
    let keys: HashSet<String> = keys.into_iter().collect();
    let lost: Vec<i64> =
        acknowledged.iter().filter(|(key, _)| !keys.contains(key)).map(|(_, at)| *at).collect();
    let first_lost = lost.iter().min().copied().unwrap_or(killed_at);
    // The payment after the restore was decided later than all that came back.
    let counts = "select count(*) - 1, count(*) filter (where $1 < b.decided_us) - 1, \
                  max(b.decided_us) filter (where b.decided_us < $2) from payplane.journal j \
                  join payplane.batches b on b.batch_id = j.sequence / 1024 where j.posted is not null";
    let counts = sqlx::query_as(counts).bind(copied_until).bind(killed_at);
    let (payments, from_log, last): (i64, i64, i64) = counts.fetch_one(&mut admin).await.unwrap();
    assert!(last <= first_lost, "a payment is gone that was acknowledged before others that are there");
    let lost_seconds = (killed_at - first_lost) as f64 / 1e6;
    Recovered { acknowledged: acknowledged.len(), lost: lost.len(), lost_seconds, payments, from_log, steps }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}
