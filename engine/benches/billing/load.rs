//! Payers at work: each pays again as soon as it has its answer.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinHandle;

use super::{
    Bench, statistics,
    support::client::{Client, paid, payment},
};

/// Payments of some seconds: how many in a second, and how long the answers took, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paid {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Payers; each answer's time is kept.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    times: Arc<Mutex<Vec<f64>>>,
    started: Instant,
    payers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(bench: &Bench, payers: i64) -> Self {
        let (stop, times) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<f64>>>::default());
        let payers = (0..payers).map(|payer| {
            let client = bench.world.as_role("acme", "operator");
            tokio::spawn(pay(client, payer, (stop.clone(), times.clone(), bench.payments.clone())))
        });
        Self { payers: payers.collect(), stop, times, started: Instant::now() }
    }

    /// What was paid until now.
    pub(crate) async fn stop(self) -> Paid {
        let took = self.started.elapsed();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.stop.store(true, Ordering::Relaxed);
        futures::future::join_all(self.payers).await.into_iter().for_each(Result::unwrap);
        times.sort_by(f64::total_cmp);
        let quantile = |thousandths| statistics::quantile(&times, thousandths);
        Paid { per_second: times.len() as f64 / took.as_secs_f64(), p50: quantile(500), p99: quantile(990) }
    }
}

/// Stops when told, notes times, and counts.
type Notes = (Arc<AtomicBool>, Arc<Mutex<Vec<f64>>>, Arc<AtomicI64>);

async fn pay(client: Client, payer: i64, (stop, times, made): Notes) {
    let run = uuid::Uuid::new_v4();
    for number in 0_i64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (from, to) = ((payer + number) % 64, (payer + number + 7) % 64);
        let request = payment(&format!("{run}-{number}"), &format!("w{from}"), &format!("w{to}"), "0.01");
        let asked = Instant::now();
        paid(&client.pay(request).await.unwrap());
        times.lock().unwrap_or_else(PoisonError::into_inner).push(asked.elapsed().as_secs_f64() * 1_000.0);
        made.fetch_add(1, Ordering::Relaxed);
    }
}
