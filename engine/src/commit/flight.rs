//! Batches on their way: decided from memory, sent, not answered yet. A second one may leave while the first is in the air,
//! decided on top of it: it waits in the database for the one before, so they land in the order in which they left.

use std::{collections::VecDeque, sync::Arc};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use payplane_ledger::{Effects, Outcome, Request, Timestamp};
use tokio::{sync::oneshot, time::Instant};

use super::{Answer, Batch, Database, Job, Session, Ticket, Written};
use crate::store::StoreError;

/// One is committed while the next one is decided and sent. A third would wait longer and win nothing.
const FLIGHTS_MAX: usize = 2;

/// A batch costs the database about as much as twenty payments, so as long as another one is in the air the next one
/// waits until it has a half of that one's items, and at least so many. It waits for nothing that would not hold it up in
/// the database too.
pub(super) const COMPANY_MIN: usize = 64;

/// Groups of requests that are decided together, and who waits for them.
#[derive(Debug)]
pub(super) struct Party {
    /// Requests of a group succeed or fail together.
    pub(super) groups: Vec<Vec<Request>>,
    /// Where the answers go, in the order of the groups.
    pub(super) callers: Vec<oneshot::Sender<Answer>>,
    /// When they were taken from the queue.
    pub(super) since: Instant,
}

impl Party {
    pub(super) fn new(jobs: Vec<Job>) -> Self {
        let (groups, callers) = jobs.into_iter().map(|job| (job.group, job.answer)).unzip();
        Self { groups, callers, since: Instant::now() }
    }

    /// Two of about the same number of groups, in their order. Of two groups at least.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let middle = self.groups.len() / 2;
        let (groups, callers) = (self.groups.split_off(middle), self.callers.split_off(middle));
        let second = Self { groups, callers, since: self.since };
        [self, second]
    }

    pub(super) fn items(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    pub(super) fn requests(&self) -> Vec<&Request> {
        self.groups.iter().flatten().collect()
    }
}

/// A batch that was decided from memory.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) party: Party,
    pub(super) outcomes: Vec<Vec<Outcome>>,
    pub(super) effects: Effects,
    pub(super) now: Timestamp,
    pub(super) settings_version: i64,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Landed<S> {
    pub(super) flight: Flight,
    /// Unless it cannot be used any more.
    pub(super) session: Option<S>,
    /// Whether the connection was made for this batch.
    pub(super) is_fresh: bool,
    /// Whether anything was sent.
    pub(super) was_sent: bool,
    pub(super) result: Result<Written, StoreError>,
}

/// The batches in the air, in the order in which they left.
#[derive(Debug)]
pub(super) struct Flights<S> {
    air: FuturesOrdered<BoxFuture<'static, Landed<S>>>,
    /// How many items each of them has.
    items: VecDeque<usize>,
    /// By what the next batch can wait for the last that left.
    last: Option<Ticket>,
    company_min: usize,
}

impl<S: Session + 'static> Flights<S> {
    pub(super) fn new(company_min: usize) -> Self {
        Self { air: FuturesOrdered::new(), items: VecDeque::new(), last: None, company_min }
    }

    /// Whether another batch may leave now.
    pub(super) fn may_leave(&self) -> bool {
        self.items.is_empty() || self.items.len() < FLIGHTS_MAX && self.last.is_some()
    }

    /// How many items a next batch should have to leave now.
    pub(super) fn company(&self) -> usize {
        self.items.back().map_or(1, |items| self.company_min.max(items / 2))
    }

    /// Sends a batch, over a connection of its own.
    pub(super) fn leave<D: Database<Session = S>>(
        &mut self,
        database: &Arc<D>,
        session: Option<S>,
        flight: Flight,
    ) {
        let after = if self.items.is_empty() { None } else { self.last };
        self.items.push_back(flight.party.items());
        self.last = session.as_ref().and_then(Session::ticket);
        self.air.push_back(Box::pin(fly(database.clone(), session, flight, after)));
    }

    /// Waits for the first that left; nothing if none is in the air. May be dropped while it waits.
    pub(super) async fn land(&mut self) -> Option<Landed<S>> {
        let landed = self.air.next().await?;
        self.items.pop_front();
        Some(landed)
    }
}

async fn fly<D: Database>(
    database: Arc<D>,
    session: Option<D::Session>,
    flight: Flight,
    after: Option<Ticket>,
) -> Landed<D::Session> {
    let is_fresh = session.is_none();
    let mut session = match session {
        Some(session) => session,
        None => match database.session().await {
            Ok(session) => session,
            Err(error) => {
                return Landed { flight, session: None, is_fresh, was_sent: false, result: Err(error) };
            }
        },
    };
    let Flight { effects, now, settings_version, .. } = &flight;
    let batch = Batch { effects, now: *now, settings_version: *settings_version, after };
    let result = session.write(&batch).await;
    let is_usable = result.as_ref().map_or_else(StoreError::is_refusal, |_| true);
    Landed { flight, session: is_usable.then_some(session), is_fresh, was_sent: true, result }
}
