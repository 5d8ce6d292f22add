//! Callers that ask again as soon as they are answered, and what becomes of their questions.

use std::time::{Duration, Instant};

use futures::future::join_all;

/// What one run did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Payments (or calls, where no money moves) that were done and acknowledged.
    pub(crate) done: u64,
    /// Payments that were refused for want of room. They were not done, and are not counted as work.
    pub(crate) turned_away: u64,
    /// From the first question to the last answer.
    pub(crate) took: Duration,
    /// Of calls, in milliseconds, sorted. Of a stream: from sending an item to its outcome.
    pub(crate) latencies: Vec<f64>,
}

/// What became of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) done: u64,
    pub(crate) turned_away: u64,
}

/// Somebody who calls, waits, and calls again.
pub(crate) trait Caller: Send + 'static {
    fn call(&mut self) -> impl Future<Output = Answered> + Send;
}

/// Lets all callers call until `length` is over, and waits for what is under way then.
pub(crate) async fn closed_loop(callers: Vec<impl Caller>, length: Duration) -> Load {
    let ends = Instant::now() + length;
    closed_loop_while(callers, move || Instant::now() < ends).await
}

/// The same for as long as something else takes.
pub(crate) async fn closed_loop_while(
    callers: Vec<impl Caller>,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Load {
    let started = Instant::now();
    let workers = callers.into_iter().map(|mut caller| {
        let goes_on = goes_on.clone();
        tokio::spawn(async move {
            let mut load = Load::default();
            while goes_on() {
                let asked = Instant::now();
                let Answered { done, turned_away } = caller.call().await;
                load.latencies.push(milliseconds(asked.elapsed()));
                load.done += done;
                load.turned_away += turned_away;
            }
            load
        })
    });
    let workers: Vec<_> = workers.collect();
    let loads = join_all(workers).await.into_iter().map(|worker| worker.unwrap()).collect();
    Load::sum(loads, started.elapsed())
}

impl Load {
    /// Of several workers that ran at the same time.
    pub(crate) fn sum(loads: Vec<Self>, took: Duration) -> Self {
        let mut sum = Self { took, ..Self::default() };
        for load in loads {
            sum.done += load.done;
            sum.turned_away += load.turned_away;
            sum.latencies.extend(load.latencies);
        }
        sum.latencies.sort_by(f64::total_cmp);
        sum
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
