//! The committer: takes a batch, brings it to a definite end, answers.
//!
//! After any error the connection is thrown away. A batch whose COMMIT was sent but not answered is *in doubt*: it is
//! decided again on a fresh connection. The locks make that wait for the old transaction's end, and then its outcomes
//! are read like any known outcome. Only if that cannot be done in time is anybody told "unknown".

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use payplane_ledger::{BATCH_ITEMS_MAX, BatchId, Effects, Outcome, PaymentId, Request, apply};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Answer, CommitError, Job, Queue};
use crate::{
    metrics::Metrics,
    store::{Locked, Locks, Session, Store, StoreError},
    telemetry::Causes,
};

/// How often a batch is decided when it meets others. Each meeting means that somebody else committed.
const ATTEMPTS_MAX: u32 = 5;

/// After an account could not be locked in time, for how long held accounts are not waited for: their payments are
/// answered "busy" at once, and nobody else waits with them.
const CAUTION: Duration = Duration::from_secs(5);

/// How long a batch in doubt is looked after. Longer than the database keeps an abandoned transaction's locks.
const DOUBT_MAX: Duration = Duration::from_secs(7);

/// How long to wait before a batch in doubt is tried again.
const DOUBT_PAUSE: Duration = Duration::from_millis(50);

/// Asks for a look at the database now, rather than at the next regular moment.
#[derive(Debug, Default)]
pub struct Pulse(pub Notify);

/// Commits batches over one connection.
#[derive(Debug)]
pub struct Committer {
    store: Arc<Store>,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    pulse: Arc<Pulse>,
    session: Option<Session>,
    /// Until then, accounts that somebody else holds are not waited for.
    cautious_until: Option<Instant>,
}

/// The batches of one group of requests that were sent to be committed without an answer.
type InDoubt = Vec<BatchId>;

impl Committer {
    /// Connects with the first batch.
    pub fn new(store: Arc<Store>, queue: Arc<Queue>, metrics: Arc<Metrics>, pulse: Arc<Pulse>) -> Self {
        Self { store, queue, metrics, pulse, session: None, cautious_until: None }
    }

    /// Commits until the queue is closed and empty. Runs in a task of its own; no caller can cancel it.
    pub async fn run(mut self) {
        loop {
            let jobs = self.queue.take(BATCH_ITEMS_MAX).await;
            if jobs.is_empty() {
                break;
            }
            self.serve(jobs).await;
        }
    }

    async fn serve(&mut self, jobs: Vec<Job>) {
        let (requests, answers): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.request, job.answer)).unzip();
        let started = Instant::now();
        let decided = self.decide(&requests).await;
        self.metrics.observe_batch(requests.len(), started.elapsed());
        match decided {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    if let Ok(outcome) = &outcome {
                        self.metrics.count_outcome(outcome);
                    }
                    // A caller that has gone meanwhile finds the outcome under its key.
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                self.pulse.0.notify_one();
                for answer in answers {
                    let _ = answer.send(Err(error));
                }
            }
        }
    }

    /// Repeats a batch until it has an end that can be told.
    async fn decide(&mut self, requests: &[Request]) -> Result<Vec<Answer>, CommitError> {
        let mut in_doubt = InDoubt::new();
        let mut doubt_ends = None;
        let mut attempt = 1;
        loop {
            let fresh = self.session.is_none();
            let error = match self.attempt(requests, &mut in_doubt).await {
                Ok(outcomes) => return Ok(own(requests, outcomes, &in_doubt)),
                Err(error) => error,
            };
            self.session = None;
            if matches!(error, StoreError::Busy(_)) {
                self.cautious_until = Some(Instant::now() + CAUTION);
            }
            let pause = if in_doubt.is_empty() {
                self.pause_before_retry(&error, attempt, fresh)?
            } else {
                let ends = *doubt_ends.get_or_insert_with(|| Instant::now() + DOUBT_MAX);
                self.pause_in_doubt(&error, ends)?
            };
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// One database transaction.
    async fn attempt(
        &mut self,
        requests: &[Request],
        in_doubt: &mut InDoubt,
    ) -> Result<Vec<Answer>, StoreError> {
        // A transaction in doubt may still hold its locks; only waiting for them tells how it ended.
        let is_cautious =
            in_doubt.is_empty() && self.cautious_until.is_some_and(|until| Instant::now() < until);
        let locks = if is_cautious { Locks::Skip } else { Locks::Wait };
        let session = match &mut self.session {
            Some(session) => session,
            empty => empty.insert(self.store.session().await?),
        };
        session.begin().await?;
        let Locked { mut snapshot, now, busy } = session.lock_and_read(requests, locks).await?;
        let is_busy = |request: &Request| {
            let mut accounts = request.from.candidates().chain(request.to.candidates());
            accounts.any(|id| busy.contains(&(request.tenant, id)))
        };
        let decide = |request: &Request| match is_busy(request) {
            true => Err(CommitError::Busy),
            false => Ok(apply(&mut snapshot, request, now)),
        };
        let outcomes = requests.iter().map(decide).collect();
        if snapshot.is_unchanged() {
            session.rollback().await?;
            return Ok(outcomes);
        }
        let effects = Effects::of(&snapshot);
        session.write(&effects, now).await?;
        in_doubt.push(effects.batch);
        session.commit().await?;
        Ok(outcomes)
    }

    /// How long to wait before a batch, of which nothing was committed, is tried again; or why not.
    fn pause_before_retry(
        &self,
        error: &StoreError,
        attempt: u32,
        fresh: bool,
    ) -> Result<Duration, CommitError> {
        match error {
            StoreError::Conflict(_) if attempt < ATTEMPTS_MAX => Ok(jitter(attempt)),
            // The connection lay idle and died, for instance because the database was restarted.
            error if error.is_broken_connection() && !fresh => Ok(Duration::ZERO),
            // Once more without waiting for whoever holds an account.
            StoreError::Busy(_) if attempt < ATTEMPTS_MAX => Ok(Duration::ZERO),
            StoreError::Conflict(_) | StoreError::Busy(_) => Err(CommitError::Busy),
            StoreError::Unavailable(_) | StoreError::ReadOnly | StoreError::OldSchema { .. } => {
                tracing::warn!(reason = %Causes(error), "batch not committed");
                Err(CommitError::Unavailable)
            }
            _ => {
                tracing::error!(reason = %Causes(error), "batch refused");
                Err(CommitError::Internal)
            }
        }
    }

    fn pause_in_doubt(&self, error: &StoreError, ends: Instant) -> Result<Duration, CommitError> {
        tracing::warn!(reason = %Causes(error), "a commit was not answered; finding out");
        self.metrics.count_doubt();
        if Instant::now() < ends { Ok(DOUBT_PAUSE) } else { Err(CommitError::Unknown) }
    }
}

/// Outcomes that were found stored by one of our own unanswered commits are ours: they are no replays for the first
/// request that asked.
fn own(requests: &[Request], mut outcomes: Vec<Answer>, in_doubt: &[BatchId]) -> Vec<Answer> {
    let mut seen: HashSet<PaymentId> = HashSet::new();
    for (request, outcome) in requests.iter().zip(&mut outcomes) {
        let first = seen.insert(request.payment);
        if let Ok(Outcome::Decided { decision, replayed }) = outcome
            && first
            && in_doubt.contains(&decision.sequence.batch())
        {
            *replayed = false;
        }
    }
    outcomes
}

/// Full jitter: 0 to 2, 4, 8 and 16 milliseconds.
fn jitter(attempt: u32) -> Duration {
    let most_us = 1_000_u64 << attempt;
    let random = Uuid::new_v4().as_u64_pair().1;
    Duration::from_micros(random % most_us)
}
