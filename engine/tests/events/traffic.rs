//! Payments that go on while something breaks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::task::JoinHandle;

use crate::support::{
    client::{Client, paid, payment},
    eventually, may_ask_again,
    world::World,
};

const WORKERS: usize = 4;

/// Wallets that pay each other in turn; the first is funded.
pub(crate) const WALLETS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Callers at work.
pub(crate) struct Traffic {
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

/// Wallets with money.
pub(crate) async fn wallets(world: &World) -> Client {
    let operator = world.as_role("acme", "operator");
    for wallet in WALLETS {
        operator.wallet(wallet, "USD").await;
        world.fund("acme", wallet, "10000.00").await;
    }
    operator
}

impl Traffic {
    pub(crate) fn start(client: &Client) -> Self {
        let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let workers = (0..WORKERS)
            .map(|worker| tokio::spawn(pay(client.clone(), worker, acknowledged.clone(), stop.clone())))
            .collect();
        Self { acknowledged, stop, workers }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// So many more.
    pub(crate) async fn flows(&self, more: usize) {
        let before = self.acknowledged();
        eventually("payments to flow", async || (before + more <= self.acknowledged()).then_some(())).await;
    }

    pub(crate) async fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.unwrap();
        }
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// Every payment is made: no refusal is taken for an answer.
async fn pay(client: Client, worker: usize, acknowledged: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let (from, to) = (WALLETS[(worker + number) % 4], WALLETS[(worker + number + 1 + number % 3) % 4]);
        let request = payment(&format!("traffic {worker} {number}"), from, to, "0.01");
        // A busy machine may answer "busy"; the same key is asked again.
        match client.pay(request).await {
            Err(status) if may_ask_again(&status) => continue,
            made => assert!(!paid(&made.unwrap()).id.is_empty()),
        }
        acknowledged.fetch_add(1, Ordering::SeqCst);
        number += 1;
    }
}
