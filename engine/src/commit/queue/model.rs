//! Every schedule of producers and committers around the queue, up to a bound: nothing is lost, taken twice or slept over.
//!
//! loom runs the threads one at a time and tries every order in which they can meet at the queue's lock. The lock alone is
//! modelled; `Notify` is taken as its authors prove it. A wake-up that is lost leaves all threads asleep, which loom
//! reports as a deadlock.

#![cfg(feature = "model")]

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
};

use loom::{future::block_on, model::Builder, sync::Arc, thread};

use super::{
    sample::{group, job},
    *,
};

/// How often a thread is stopped against its will within one schedule. Known bugs of this kind need two; three takes
/// minutes.
fn preemptions() -> usize {
    if std::env::var_os("PAYPLANE_PROVE").is_some() { 3 } else { 2 }
}

/// Tries all schedules of `run` and says how many there were.
fn every_schedule(name: &str, run: impl Fn() + Sync + Send + 'static) {
    let schedules = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = schedules.clone();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions());
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        run();
    });
    let schedules = schedules.load(Ordering::Relaxed);
    println!("{name}: {schedules} schedules");
    assert!(10 < schedules, "the threads did not meet");
}

fn produce(queue: &Arc<Queue>, tenant: u128, items: usize) -> thread::JoinHandle<oneshot::Receiver<Answer>> {
    let queue = queue.clone();
    thread::spawn(move || {
        let (job, caller) = group(tenant, items);
        queue.push(job).unwrap();
        caller
    })
}

/// Takes until the queue is closed and says how much it took.
fn commit(queue: &Arc<Queue>, lane: Lane) -> thread::JoinHandle<usize> {
    let queue = queue.clone();
    thread::spawn(move || {
        block_on(async {
            let mut taken = 0;
            loop {
                match queue.take(lane, 1, 1_000).await.len() {
                    0 => return taken,
                    jobs => taken += jobs,
                }
                queue.ended(lane);
            }
        })
    })
}

#[test]
fn a_committer_sees_every_arrival_and_the_end() {
    every_schedule("one committer", || {
        let queue = Arc::new(Queue::default());
        let committer = commit(&queue, Lane::Short);
        let callers = [1, 2].map(|tenant| produce(&queue, tenant, 1)).map(|caller| caller.join().unwrap());
        queue.close();
        assert_eq!(committer.join().unwrap(), callers.len());
        assert!(queue.push(job(3).0).is_err(), "closed");
    });
}

#[test]
fn a_committer_that_waits_for_company_sees_it_come() {
    every_schedule("a committer that waits for company", || {
        let queue = Arc::new(Queue::default());
        let callers = [1, 2].map(|tenant| produce(&queue, tenant, 1));
        assert_eq!(block_on(queue.take(Lane::Short, 2, 8)).len(), 2);
        drop(callers.map(|caller| caller.join().unwrap()));
    });
}

#[test]
fn two_committers_take_each_job_once_and_both_see_the_end() {
    every_schedule("two committers", || {
        let queue = Arc::new(Queue::default());
        let committers = [commit(&queue, Lane::Short), commit(&queue, Lane::Short)];
        let caller = produce(&queue, 1, 1).join().unwrap();
        queue.close();
        let taken: usize = committers.map(|committer| committer.join().unwrap()).iter().sum();
        assert_eq!(taken, 1);
        drop(caller);
    });
}

#[test]
fn what_arrives_while_a_look_is_given_up_is_found_by_the_next() {
    every_schedule("a committer that looks away", || {
        let queue = Arc::new(Queue::default());
        let caller = produce(&queue, 1, 1);
        let mut jobs = block_on(async {
            let mut take = pin!(queue.take(Lane::Short, 1, 8));
            poll_fn(|context| match take.as_mut().poll(context) {
                Poll::Ready(jobs) => Poll::Ready(jobs),
                Poll::Pending => Poll::Ready(Vec::new()),
            })
            .await
        });
        if jobs.is_empty() {
            jobs = block_on(queue.take(Lane::Short, 1, 8));
        }
        assert_eq!(jobs.len(), 1);
        drop(caller.join().unwrap());
    });
}

#[test]
fn a_line_that_gets_long_is_served_by_the_other_committer() {
    every_schedule("a line that moves", || {
        let queue = Arc::new(Queue::default());
        let committers = [Lane::Short, Lane::Long].map(|lane| commit(&queue, lane));
        let (before, _before) = job(1);
        queue.push(before).unwrap();
        let (long, _long) = group(1, SHORT_MAX + 1);
        queue.push(long).unwrap();
        queue.close();
        let [short, long] = committers.map(|committer| committer.join().unwrap());
        // The first may have left before the line was long.
        assert!(matches!((short, long), (1, 1) | (0, 2)), "{short} and {long}");
    });
}
