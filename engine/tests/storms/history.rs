//! Callers who pay a dollar from alice to bob again and again, each payment under a key of its own that is asked for until
//! there is an answer; and the history of what they were told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use payplane_proto::v1::{self as proto, payment_outcome::Result as Is};
use tokio::task::JoinHandle;

use super::support::{
    PATIENCE,
    client::{Client, name, paid, payment},
    eventually, insist, may_ask_again,
    world::World,
};

const WORKERS: usize = 8;

/// How many keys are asked for again at the same time.
const AGAIN: usize = 32;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct History {
    acknowledged: Vec<(String, proto::Payment)>,
    /// How many calls ended without an answer to their payment.
    doubts: usize,
    /// The longest that a worker waited for the answer to one payment.
    gap: Duration,
}

/// Workers under way.
#[derive(Debug)]
pub(crate) struct Storm {
    clients: Vec<Client>,
    history: Arc<Mutex<History>>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

/// What a storm was.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) payments: usize,
    pub(crate) doubts: usize,
    pub(crate) gap: Duration,
}

impl Storm {
    /// Each worker begins at one of these engines and goes on to the next one when it gets no answer.
    pub(crate) fn start(clients: Vec<Client>) -> Self {
        let (history, stop): (Arc<Mutex<History>>, Arc<AtomicBool>) = Default::default();
        let worker = |number| work(clients.clone(), number, history.clone(), stop.clone());
        let workers = (0..WORKERS).map(|number| tokio::spawn(worker(number))).collect();
        Self { clients, history, stop, workers }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.history.lock().unwrap().acknowledged.len()
    }

    /// Waits for so many more payments.
    pub(crate) async fn flows(&self, more: usize) {
        let before = self.acknowledged();
        eventually("payments to flow", async || (before + more <= self.acknowledged()).then_some(())).await;
    }

    /// Ends the storm and holds the ledger against what was told: every payment is there once, the same for ever, at
    /// every engine.
    pub(crate) async fn end(self, world: &World) -> Told {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.unwrap();
        }
        let History { acknowledged, doubts, gap } = std::mem::take(&mut *self.history.lock().unwrap());
        let clients = &self.clients;
        let again = |(place, (key, first)): (usize, &(String, proto::Payment))| {
            let (client, request, first) = (&clients[place % clients.len()], dollar(key), first.clone());
            async move {
                let outcome = insist(async || client.pay(request.clone()).await).await;
                assert!(outcome.replayed, "{} was acknowledged and is gone", request.idempotency_key);
                assert_eq!(paid(&outcome), &first);
            }
        };
        stream::iter(acknowledged.iter().enumerate().map(again))
            .buffer_unordered(AGAIN)
            .collect::<Vec<()>>()
            .await;
        let payments = acknowledged.len();
        assert_eq!(clients[0].available(name("bob")).await, format!("{payments}.00"));
        // Nothing but these and what alice was given at the start.
        assert_eq!(world.assert_sound().await, payments as i64 + 1);
        assert!(
            doubts * 4 < payments,
            "hardly anything worked: {doubts} calls without an answer, {payments} with"
        );
        Told { payments, doubts, gap }
    }
}

async fn work(clients: Vec<Client>, worker: usize, history: Arc<Mutex<History>>, stop: Arc<AtomicBool>) {
    let (mut engine, mut number) = (worker, 0);
    while !stop.load(Ordering::SeqCst) {
        let (key, started) = (format!("{worker} {number}"), Instant::now());
        number += 1;
        let payment = loop {
            match clients[engine % clients.len()].pay(dollar(&key)).await {
                Ok(proto::PaymentOutcome { result: Some(Is::Payment(payment)), .. }) => break payment,
                Ok(other) => panic!("refused: {other:?}"),
                Err(status) => assert!(may_ask_again(&status), "{status:?}"),
            }
            assert!(started.elapsed() < PATIENCE, "no answer to {key} after {PATIENCE:?}");
            history.lock().unwrap().doubts += 1;
            engine += 1;
            // As a client would, so that an outage does not become a busy loop.
            tokio::time::sleep(PAUSE).await;
        };
        let mut history = history.lock().unwrap();
        history.gap = history.gap.max(started.elapsed());
        history.acknowledged.push((key, payment));
    }
}

fn dollar(key: &str) -> proto::CreatePaymentRequest {
    payment(key, "alice", "bob", "1.00")
}
