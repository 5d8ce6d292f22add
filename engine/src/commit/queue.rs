//! Where requests wait: one line per tenant, served in turn, so a tenant with a thousand requests delays a tenant with
//! one by at most the batches that have left, and those are small while tenants share the engine. Bounded per tenant and
//! in total; what does not fit is refused at once. Requests that succeed or fail together are a group and stay together.

use std::{
    collections::{HashMap, VecDeque},
    sync::PoisonError,
};

#[cfg(feature = "model")]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(feature = "model"))]
use std::sync::{Mutex, MutexGuard};

use payplane_ledger::{Request, TenantId};
use tokio::{
    sync::{Notify, oneshot},
    time::{Duration, Instant},
};

use super::{Answer, CommitError};

/// Room for one bulk call of the greatest size and then some; at 20,000 payments per second half a second of waiting.
const TENANT_WAITING_MAX: usize = 10_000;

/// Bounds the memory of all lines together: a waiting request is about one kilobyte.
const TOTAL_WAITING_MAX: usize = 30_000;

/// How many requests are taken at once while more than one tenant asks, and for how long after that: a large batch is the
/// cheapest for the one whose it is, but everybody else waits for it to end.
const SHARED_MAX: usize = 320;
const SHARED_FOR: Duration = Duration::from_secs(1);

/// A group of requests and where its answer goes.
#[derive(Debug)]
pub struct Job {
    /// What is asked for: one request, or several that succeed or fail together. Never empty, all of one tenant.
    pub group: Vec<Request>,
    /// Closed when the caller has gone.
    pub answer: oneshot::Sender<Answer>,
}

/// The lines of all tenants.
#[derive(Debug, Default)]
pub struct Queue {
    // Held for a few pushes or pops, never across an await: a plain mutex is enough.
    lines: Mutex<Lines>,
    arrival: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    by_tenant: HashMap<TenantId, Line>,
    /// Tenants with waiting requests; the first is served next.
    turns: VecDeque<TenantId>,
    /// Requests in all lines.
    total: usize,
    /// When more than one tenant waited, for the last time.
    shared: Option<Instant>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// Requests in all groups.
    items: usize,
}

impl Queue {
    /// Puts a request at the end of its tenant's line.
    pub fn push(&self, job: Job) -> Result<(), CommitError> {
        self.lock().push(job)?;
        self.arrival.notify_one();
        Ok(())
    }

    /// Waits until at least so many requests wait and takes up to `max` of them, one per tenant in turn. Empty once the
    /// queue is closed and everything was taken. May be dropped while it waits.
    pub async fn take(&self, least: usize, max: usize) -> Vec<Job> {
        loop {
            let arrival = self.arrival.notified();
            {
                let mut lines = self.lock();
                let is_time = lines.closed || least <= lines.total;
                let jobs = if is_time { lines.take(max) } else { Vec::new() };
                if !jobs.is_empty() || lines.closed {
                    // Another committer may sleep although requests are left, or has to see the end.
                    self.arrival.notify_one();
                    return jobs;
                }
            }
            arrival.await;
        }
    }

    /// Refuses new requests; those that wait are still served.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_one();
    }

    /// How many requests wait.
    pub fn depth(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, job: Job) -> Result<(), CommitError> {
        if self.closed {
            return Err(CommitError::Draining);
        }
        let Some(first) = job.group.first() else { return Err(CommitError::Internal) };
        let (tenant, items) = (first.tenant, job.group.len());
        let line = self.by_tenant.entry(tenant).or_default();
        if TENANT_WAITING_MAX < line.items + items || TOTAL_WAITING_MAX < self.total + items {
            return Err(CommitError::QueueFull);
        }
        if line.jobs.is_empty() {
            self.turns.push_back(tenant);
        }
        line.jobs.push_back(job);
        line.items += items;
        self.total += items;
        Ok(())
    }

    /// Takes one group per tenant in turn; stops before the group that would make the batch too large.
    fn take(&mut self, max: usize) -> Vec<Job> {
        if 1 < self.turns.len() {
            self.shared = Some(Instant::now());
        }
        let is_shared = self.shared.is_some_and(|at| at.elapsed() < SHARED_FOR);
        let max = if is_shared { max.min(SHARED_MAX) } else { max };
        let mut jobs = Vec::new();
        let mut taken = 0;
        while let Some(tenant) = self.turns.pop_front() {
            let Some(line) = self.by_tenant.get_mut(&tenant) else { continue };
            let next = line.jobs.front().map_or(0, |job| job.group.len());
            if max < taken + next {
                self.turns.push_front(tenant);
                break;
            }
            let job = line.jobs.pop_front();
            line.items -= next;
            self.total -= next;
            if line.jobs.is_empty() {
                self.by_tenant.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
            // A caller that has gone wants no payment any more; its key stays free.
            if let Some(job) = job.filter(|job| !job.answer.is_closed()) {
                taken += next;
                jobs.push(job);
            }
        }
        jobs
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
