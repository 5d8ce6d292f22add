//! Where requests wait: one line per tenant, served in turn, so a tenant with a thousand requests delays a tenant with
//! one by at most one batch. Bounded per tenant and in total; what does not fit is refused at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use payplane_ledger::{Request, TenantId};
use tokio::sync::{Notify, oneshot};

use super::{Answer, CommitError};

/// At 10,000 payments per second this is a fifth of a second of waiting.
const TENANT_WAITING_MAX: usize = 2_000;

/// Bounds the memory of all lines together: a waiting request is about one kilobyte.
const TOTAL_WAITING_MAX: usize = 8_000;

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Job {
    /// What is asked for.
    pub request: Request,
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
    by_tenant: HashMap<TenantId, VecDeque<Job>>,
    /// Tenants with waiting requests; the first is served next.
    turns: VecDeque<TenantId>,
    total: usize,
    closed: bool,
}

impl Queue {
    /// Puts a request at the end of its tenant's line.
    pub fn push(&self, job: Job) -> Result<(), CommitError> {
        self.lock().push(job)?;
        self.arrival.notify_one();
        Ok(())
    }

    /// Waits for requests and takes up to `max` of them, one per tenant in turn. Empty once the queue is closed and
    /// everything was taken.
    pub async fn take(&self, max: usize) -> Vec<Job> {
        loop {
            let arrival = self.arrival.notified();
            {
                let mut lines = self.lock();
                let jobs = lines.take(max);
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
        let tenant = job.request.tenant;
        let line = self.by_tenant.entry(tenant).or_default();
        if TENANT_WAITING_MAX <= line.len() || TOTAL_WAITING_MAX <= self.total {
            return Err(CommitError::QueueFull);
        }
        if line.is_empty() {
            self.turns.push_back(tenant);
        }
        line.push_back(job);
        self.total += 1;
        Ok(())
    }

    fn take(&mut self, max: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < max {
            let Some(tenant) = self.turns.pop_front() else { break };
            let Some(line) = self.by_tenant.get_mut(&tenant) else { continue };
            let next = line.pop_front();
            if line.is_empty() {
                self.by_tenant.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
            self.total -= usize::from(next.is_some());
            // A caller that has gone wants no payment any more; its key stays free.
            jobs.extend(next.filter(|job| !job.answer.is_closed()));
        }
        jobs
    }
}

#[cfg(test)]
mod tests;
