//! Where requests wait: one line per tenant, served in turn. Bounded per tenant and in total; what does not fit is refused
//! at once. Requests that succeed or fail together are a group and stay together.
//!
//! Two lanes, each with a committer of its own: tenants have no account in common, so their batches never wait for each
//! other in the database. A tenant whose line gets long moves to the lane of long lines, and a tenant with a thousand
//! requests delays one with a single request by nothing but the processors that it needs. It moves when its last batch in
//! the other lane has ended, so its requests are decided in their order.

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

/// A line with as many is nearly full: calls of which the line has a part already get what is left, so that they end.
const TENANT_NEARLY_FULL: usize = 9_000;

/// Bounds the memory of all lines together: a waiting request is about one kilobyte.
const TOTAL_WAITING_MAX: usize = 30_000;

/// A line with more requests is long. Also the most that the lane of short lines puts into a batch: a large batch is the
/// cheapest, but everybody waits for its end.
const SHORT_MAX: usize = 320;

/// For how long a tenant's line must have been short before it may return. More often would cost more than it saves: what
/// either committer remembers of the tenant's accounts is out of date then.
const CALM_AFTER: Duration = Duration::from_secs(2);

/// A group of requests and where its answer goes.
#[derive(Debug)]
pub struct Job {
    /// What is asked for: one request, or several that succeed or fail together. Never empty, all of one tenant.
    pub group: Vec<Request>,
    /// Closed when the caller has gone.
    pub answer: oneshot::Sender<Answer>,
}

/// Which committer serves a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everybody's, unless its line is long.
    Short,
    /// Those with long lines: batches as large as they may be.
    Long,
}

impl Lane {
    /// What its committer's thread is called.
    pub const fn thread(self) -> &'static str {
        match self {
            Self::Short => "commit-short",
            Self::Long => "commit-long",
        }
    }
}

/// The lines of all tenants.
#[derive(Debug, Default)]
pub struct Queue {
    // Held for a few pushes or pops, never across an await: a plain mutex is enough.
    lines: Mutex<Lines>,
    /// Wakes the committer of either lane.
    arrivals: Both<Notify>,
}

#[derive(Debug, Default)]
struct Lines {
    by_tenant: HashMap<TenantId, Line>,
    lanes: Both<Turns>,
    /// Tenants whose lines were long lately.
    long: HashMap<TenantId, Long>,
    /// Tenants on their way from short to long, each with its last batch in the lane that it leaves.
    moving: Vec<(TenantId, u64)>,
    /// Requests in all lines.
    total: usize,
    closed: bool,
}

/// One of something for each lane.
#[derive(Debug, Default)]
struct Both<T> {
    short: T,
    long: T,
}

/// A lane.
#[derive(Debug, Default)]
struct Turns {
    /// Tenants with waiting requests; the first is served next.
    tenants: VecDeque<TenantId>,
    /// Requests in their lines.
    waiting: usize,
    /// With how many of them its committer wants to be woken.
    wanted: usize,
    /// Batches that its committer took, and how many of them have ended; they end in the order in which they were taken.
    taken: u64,
    ended: u64,
}

#[derive(Debug)]
struct Line {
    jobs: VecDeque<Job>,
    /// Requests in all groups.
    items: usize,
    /// None on its way from one lane to the other.
    lane: Option<Lane>,
}

/// A tenant whose line was long.
#[derive(Debug)]
struct Long {
    /// When it was, for the last time.
    at: Instant,
    /// Its last batch in the lane of long lines.
    last: u64,
}

impl Queue {
    /// Puts a request at the end of its tenant's line.
    pub fn push(&self, job: Job) -> Result<(), CommitError> {
        let woken = self.lock().push(job)?;
        if let Some(lane) = woken {
            self.arrivals.of(lane).notify_one();
        }
        Ok(())
    }

    /// Waits until at least so many requests wait in a lane and takes up to `max` of them, one per tenant in turn: a batch,
    /// of which [`Queue::ended`] has to be told. Empty once the queue is closed and everything was taken. May be dropped
    /// while it waits. Whoever waits in the same lane waits for as many.
    pub async fn take(&self, lane: Lane, least: usize, max: usize) -> Vec<Job> {
        let arrivals = self.arrivals.of(lane);
        loop {
            let arrival = arrivals.notified();
            {
                let mut lines = self.lock();
                let turns = lines.lanes.of_mut(lane);
                turns.wanted = least;
                let is_time = turns.are_enough() || lines.closed;
                let jobs = if is_time { lines.take(lane, max) } else { Vec::new() };
                if !jobs.is_empty() || lines.has_closed(lane) {
                    // Another committer may sleep although requests are left, or has to see the end.
                    arrivals.notify_one();
                    return jobs;
                }
            }
            arrival.await;
        }
    }

    /// The oldest batch in the air of this lane has ended.
    pub fn ended(&self, lane: Lane) {
        let mut lines = self.lock();
        lines.lanes.of_mut(lane).ended += 1;
        let has_moved = lines.let_move();
        drop(lines);
        if has_moved {
            self.arrivals.long.notify_one();
        }
    }

    /// A committer begins: nothing of its lane is in the air.
    pub fn begin(&self, lane: Lane) {
        let mut lines = self.lock();
        let turns = lines.lanes.of_mut(lane);
        turns.ended = turns.taken;
        lines.let_move();
        drop(lines);
        self.arrivals.long.notify_one();
    }

    /// Refuses new requests; those that wait are still served.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrivals.short.notify_one();
        self.arrivals.long.notify_one();
    }

    /// Whether a tenant's new calls would only wait for room. Asked before a call is read: under an overload most of them are
    /// turned away, and reading those would take the processors from the others.
    pub fn is_nearly_full(&self, tenant: TenantId) -> bool {
        self.lock().by_tenant.get(&tenant).is_some_and(|line| TENANT_NEARLY_FULL <= line.items)
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
    /// Says whose committer wants to be woken for it.
    fn push(&mut self, job: Job) -> Result<Option<Lane>, CommitError> {
        if self.closed {
            return Err(CommitError::Draining);
        }
        let Some(first) = job.group.first() else { return Err(CommitError::Internal) };
        let (tenant, items) = (first.tenant, job.group.len());
        let waiting = self.by_tenant.get(&tenant).map_or(0, |line| line.items) + items;
        if TENANT_WAITING_MAX < waiting || TOTAL_WAITING_MAX < self.total + items {
            return Err(CommitError::QueueFull);
        }
        self.place(tenant, SHORT_MAX < waiting);
        let Some(line) = self.by_tenant.get_mut(&tenant) else { return Err(CommitError::Internal) };
        if let Some(lane) = line.lane {
            let turns = self.lanes.of_mut(lane);
            turns.waiting += items;
            if line.jobs.is_empty() {
                turns.tenants.push_back(tenant);
            }
        }
        line.jobs.push_back(job);
        line.items += items;
        self.total += items;
        Ok(line.lane.filter(|lane| self.lanes.of(*lane).are_enough()))
    }

    /// Sees to it that a tenant has a line, in the lane where it belongs: a line that gets long leaves the lane of the short
    /// ones, and one that begins anew returns if it has been short for a while.
    fn place(&mut self, tenant: TenantId, is_long: bool) {
        let is_new = !self.by_tenant.contains_key(&tenant);
        let ended = self.lanes.long.ended;
        let is_calm = |long: &Long| CALM_AFTER <= long.at.elapsed() && long.last <= ended;
        if is_new && !is_long && self.long.get(&tenant).is_some_and(is_calm) {
            self.long.remove(&tenant);
        }
        let was_long = self.long.contains_key(&tenant);
        if is_new {
            let lane = if was_long { Lane::Long } else { Lane::Short };
            self.by_tenant.insert(tenant, Line { jobs: VecDeque::new(), items: 0, lane: Some(lane) });
        }
        if is_long {
            self.long.entry(tenant).or_insert(Long { at: Instant::now(), last: 0 }).at = Instant::now();
        }
        if is_long && !was_long {
            self.leave_short(tenant);
        }
    }

    /// Takes a line out of the lane of short ones. It waits for whatever has left of it.
    fn leave_short(&mut self, tenant: TenantId) {
        let Some(line) = self.by_tenant.get_mut(&tenant) else { return };
        let short = &mut self.lanes.short;
        line.lane = None;
        short.tenants.retain(|other| *other != tenant);
        short.waiting -= line.items;
        self.moving.push((tenant, short.taken));
        self.let_move();
    }

    /// Lets those into the lane of long lines whose last batch elsewhere has ended; says whether there were any.
    fn let_move(&mut self) -> bool {
        let ended = self.lanes.short.ended;
        let before = self.moving.len();
        for (tenant, _) in self.moving.extract_if(.., |(_, last)| *last <= ended) {
            let Some(line) = self.by_tenant.get_mut(&tenant) else { continue };
            line.lane = Some(Lane::Long);
            self.lanes.long.waiting += line.items;
            if !line.jobs.is_empty() {
                self.lanes.long.tenants.push_back(tenant);
            }
        }
        self.moving.len() < before
    }

    /// Takes one group per tenant in turn; stops before the group that would make the batch too large.
    fn take(&mut self, lane: Lane, max: usize) -> Vec<Job> {
        let max = if lane == Lane::Short { max.min(SHORT_MAX) } else { max };
        let turns = self.lanes.of_mut(lane);
        let (mut jobs, mut taken) = (Vec::new(), 0);
        while let Some(tenant) = turns.tenants.pop_front() {
            let Some(line) = self.by_tenant.get_mut(&tenant) else { continue };
            let next = line.jobs.front().map_or(0, |job| job.group.len());
            if max < taken + next {
                turns.tenants.push_front(tenant);
                break;
            }
            let job = line.jobs.pop_front();
            line.items -= next;
            turns.waiting -= next;
            self.total -= next;
            if line.jobs.is_empty() {
                self.by_tenant.remove(&tenant);
            } else {
                turns.tenants.push_back(tenant);
            }
            // A caller that has gone wants no payment any more; its key stays free.
            if let Some(job) = job.filter(|job| !job.answer.is_closed()) {
                taken += next;
                jobs.push(job);
            }
        }
        turns.taken += u64::from(!jobs.is_empty());
        if lane == Lane::Long {
            self.remember(&jobs);
        }
        jobs
    }

    /// Notes which batch of the lane of long lines is the last of each tenant.
    fn remember(&mut self, jobs: &[Job]) {
        let tenant = |job: &Job| job.group.first().map(|request| request.tenant);
        for jobs in jobs.chunk_by(|a, b| tenant(a) == tenant(b)) {
            if let Some(long) = jobs.first().and_then(tenant).and_then(|tenant| self.long.get_mut(&tenant)) {
                long.last = self.lanes.long.taken;
            }
        }
    }

    /// Whether nothing will come to this lane any more.
    fn has_closed(&self, lane: Lane) -> bool {
        self.closed && (lane == Lane::Short || self.moving.is_empty())
    }
}

impl Turns {
    /// Whether as many requests wait as its committer wants.
    const fn are_enough(&self) -> bool {
        self.wanted <= self.waiting
    }
}

impl<T> Both<T> {
    const fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Short => &self.short,
            Lane::Long => &self.long,
        }
    }

    const fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Short => &mut self.short,
            Lane::Long => &mut self.long,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;
