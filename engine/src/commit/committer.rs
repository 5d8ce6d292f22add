//! The committer: takes a batch, brings it to a definite end, answers.
//!
//! A batch is decided from memory first, if memory holds all that it needs, and written in one round trip; the database
//! refuses it if anything has changed. Otherwise, and after any refusal, it is decided under locks.
//!
//! After any error the connection is thrown away. A batch whose commit was sent but not answered is *in doubt*: it is
//! decided again on a fresh connection, under locks. The locks make that wait for the old transaction's end, and then its
//! outcomes are read like any known outcome. Only if that cannot be done in time is anybody told "unknown".

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use payplane_ledger::{
    BATCH_ITEMS_MAX, BatchId, Effects, OperationId, Outcome, Request, Snapshot, TenantId, Timestamp, apply,
    apply_linked,
};
use tokio::{sync::Notify, time::Instant};

use super::{
    Answer, Batch, CommitError, Database, Job, Locked, Locks, Queue, Session,
    memory::{Memory, all_moved},
};
use crate::{metrics::Metrics, store::StoreError, telemetry::Causes};

/// How often a batch is decided when it meets others. Each meeting means that somebody else committed.
const ATTEMPTS_MAX: u32 = 5;

/// After an account could not be locked in time, for how long held accounts are not waited for: their payments are
/// answered "busy" at once, and nobody else waits with them.
const CAUTION: Duration = Duration::from_secs(5);

/// How long a batch in doubt is looked after. Longer than the database keeps an abandoned transaction's locks.
const DOUBT_MAX: Duration = Duration::from_secs(7);

/// How long to wait before a batch in doubt is tried again.
const DOUBT_PAUSE: Duration = Duration::from_millis(50);

/// Signals between the parts of an engine.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Asks for a look at the database now, rather than at the next regular moment.
    pub trouble: Notify,
    /// A batch was committed: there is something to seal.
    pub committed: Notify,
}

/// Commits batches over one connection.
#[derive(Debug)]
pub struct Committer<D: Database> {
    database: Arc<D>,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    pulse: Arc<Pulse>,
    session: Option<D::Session>,
    memory: Memory,
    /// Until then, accounts that somebody else holds are not waited for.
    cautious_until: Option<Instant>,
    /// Spreads pauses, so that two engines that met do not meet again.
    chance: u64,
}

/// The batches of one group of requests that were sent to be committed without an answer.
type InDoubt = Vec<BatchId>;

/// The answers to the groups of a batch, in their order.
type Answers = Vec<Answer>;

impl<D: Database> Committer<D> {
    /// Connects with the first batch.
    pub fn new(database: Arc<D>, queue: Arc<Queue>, metrics: Arc<Metrics>, pulse: Arc<Pulse>) -> Self {
        let (memory, chance) = (Memory::default(), RandomState::new().hash_one(0));
        Self { database, queue, metrics, pulse, session: None, memory, cautious_until: None, chance }
    }

    /// Takes chance from a seed, for a simulation that can be repeated.
    pub const fn seeded(mut self, seed: u64) -> Self {
        self.chance = seed;
        self
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
        let (groups, answers): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.group, job.answer)).unzip();
        let started = Instant::now();
        let decided = self.decide(&groups).await;
        let items = groups.iter().map(Vec::len).sum();
        self.metrics.observe_batch(items, started.elapsed());
        match decided {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    if let Ok(outcomes) = &outcome {
                        outcomes.iter().for_each(|outcome| self.metrics.count_outcome(outcome));
                    }
                    // A caller that has gone meanwhile finds the outcome under its key.
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                self.pulse.trouble.notify_one();
                for answer in answers {
                    let _ = answer.send(Err(error));
                }
            }
        }
    }

    /// Repeats a batch until it has an end that can be told.
    async fn decide(&mut self, groups: &[Vec<Request>]) -> Result<Answers, CommitError> {
        let requests: Vec<&Request> = groups.iter().flatten().collect();
        let mut in_doubt = InDoubt::new();
        let mut doubt_ends = None;
        let mut attempt = 1;
        loop {
            let fresh = self.session.is_none();
            let error = match self.attempt(groups, &requests, attempt, &mut in_doubt).await {
                Ok(answers) => {
                    self.pulse.committed.notify_one();
                    return Ok(if attempt == 1 { answers } else { own(groups, answers, &in_doubt) });
                }
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

    async fn attempt(
        &mut self,
        groups: &[Vec<Request>],
        requests: &[&Request],
        attempt: u32,
        in_doubt: &mut InDoubt,
    ) -> Result<Answers, StoreError> {
        if attempt == 1
            && let Some((snapshot, now)) = self.memory.snapshot(requests)
            && let Some(answers) = self.attempt_from_memory(groups, snapshot, now, in_doubt).await?
        {
            return Ok(answers);
        }
        self.attempt_under_locks(groups, requests, in_doubt).await
    }

    /// One round trip. Nothing if it has to be done under locks, and then nothing was written.
    async fn attempt_from_memory(
        &mut self,
        groups: &[Vec<Request>],
        mut snapshot: Snapshot,
        now: Timestamp,
        in_doubt: &mut InDoubt,
    ) -> Result<Option<Answers>, StoreError> {
        let outcomes: Vec<Vec<Outcome>> =
            groups.iter().map(|group| decide(&mut snapshot, group, now)).collect();
        if !outcomes.iter().all(|outcomes| all_moved(outcomes)) {
            return Ok(None);
        }
        let effects = Effects::of(&snapshot);
        let settings_version = self.memory.settings_version();
        let session = match &mut self.session {
            Some(session) => session,
            empty => empty.insert(self.database.session().await?),
        };
        in_doubt.push(effects.batch);
        match session.write(&Batch { effects: &effects, now, settings_version }).await {
            Ok(written) => {
                self.memory.was_right();
                self.memory.learn(&snapshot, written);
                Ok(Some(outcomes.into_iter().map(Ok).collect()))
            }
            // The server says no, so nothing was committed, and the connection is as good as new.
            Err(error) if error.is_refusal() => {
                in_doubt.pop();
                self.memory.was_wrong(&effects);
                self.metrics.count_memory_miss();
                Ok(None)
            }
            Err(error) => {
                self.memory.forget();
                Err(error)
            }
        }
    }

    /// One transaction: lock and read, decide, write, commit.
    async fn attempt_under_locks(
        &mut self,
        groups: &[Vec<Request>],
        requests: &[&Request],
        in_doubt: &mut InDoubt,
    ) -> Result<Answers, StoreError> {
        // A transaction in doubt may still hold its locks; only waiting for them tells how it ended.
        let is_cautious =
            in_doubt.is_empty() && self.cautious_until.is_some_and(|until| Instant::now() < until);
        let locks = if is_cautious { Locks::Skip } else { Locks::Wait };
        let with_usages = self.memory.may_need_usages(requests);
        let session = match &mut self.session {
            Some(session) => session,
            empty => empty.insert(self.database.session().await?),
        };
        let Locked { mut snapshot, now, settings_version, busy } =
            session.lock_and_read(requests, locks, with_usages).await?;
        let tenants: BTreeSet<TenantId> = requests.iter().map(|request| request.tenant).collect();
        let unknown: Vec<TenantId> = tenants
            .iter()
            .filter(|tenant| self.memory.parameters(settings_version, **tenant).is_none())
            .copied()
            .collect();
        if !unknown.is_empty() {
            let (version, found) = session.read_settings(&unknown).await?;
            self.memory.learn_settings(version, found);
        }
        for tenant in tenants {
            let known = self.memory.parameters(settings_version, tenant);
            let Some(parameters) = known.filter(|parameters| with_usages || !parameters.has_limits()) else {
                // Settings changed between two statements.
                return Err(StoreError::Outdated);
            };
            snapshot.insert_parameters(tenant, Arc::clone(parameters));
        }
        let is_busy = |request: &Request| {
            let accounts = [request.from, request.to].into_iter().flatten();
            let targets = request.target.into_iter().flat_map(|id| snapshot.accounts_of(request.tenant, id));
            let mut all =
                accounts.flat_map(|reference| reference.candidates().collect::<Vec<_>>()).chain(targets);
            all.any(|id| busy.contains(&(request.tenant, id)))
        };
        let busy_groups: Vec<bool> = groups.iter().map(|group| group.iter().any(is_busy)).collect();
        let answers: Answers = groups
            .iter()
            .zip(busy_groups)
            .map(
                |(group, busy)| {
                    if busy { Err(CommitError::Busy) } else { Ok(decide(&mut snapshot, group, now)) }
                },
            )
            .collect();
        if snapshot.is_unchanged() {
            session.rollback().await?;
            return Ok(answers);
        }
        let effects = Effects::of(&snapshot);
        let written = session.write(&Batch { effects: &effects, now, settings_version }).await?;
        in_doubt.push(effects.batch);
        session.commit().await?;
        if busy.is_empty() {
            self.memory.learn(&snapshot, written);
        }
        Ok(answers)
    }

    /// How long to wait before a batch, of which nothing was committed, is tried again; or why not.
    fn pause_before_retry(
        &mut self,
        error: &StoreError,
        attempt: u32,
        fresh: bool,
    ) -> Result<Duration, CommitError> {
        match error {
            StoreError::Conflict(_) | StoreError::Stale(_) | StoreError::Outdated
                if attempt < ATTEMPTS_MAX =>
            {
                Ok(self.pause_after(attempt))
            }
            // The connection lay idle and died, for instance because the database was restarted.
            error if error.is_broken_connection() && !fresh => Ok(Duration::ZERO),
            // Once more without waiting for whoever holds an account.
            StoreError::Busy(_) if attempt < ATTEMPTS_MAX => Ok(Duration::ZERO),
            StoreError::Conflict(_) | StoreError::Busy(_) | StoreError::Stale(_) | StoreError::Outdated => {
                Err(CommitError::Busy)
            }
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

    /// 0 to 2, 4, 8 and 16 milliseconds.
    const fn pause_after(&mut self, attempt: u32) -> Duration {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The lower bits of such a generator repeat soon.
        Duration::from_micros((self.chance >> 33) % (1_000 << attempt))
    }

    fn pause_in_doubt(&self, error: &StoreError, ends: Instant) -> Result<Duration, CommitError> {
        tracing::warn!(reason = %Causes(error), "a commit was not answered; finding out");
        self.metrics.count_doubt();
        if Instant::now() < ends { Ok(DOUBT_PAUSE) } else { Err(CommitError::Unknown) }
    }
}

fn decide(snapshot: &mut Snapshot, group: &[Request], now: Timestamp) -> Vec<Outcome> {
    match group {
        [request] => vec![apply(snapshot, request, now)],
        linked => apply_linked(snapshot, linked, now),
    }
}

/// Outcomes that were found stored by one of our own unanswered commits are ours: they are no replays for the first
/// request that asked.
fn own(groups: &[Vec<Request>], mut answers: Answers, in_doubt: &[BatchId]) -> Answers {
    let mut seen: HashSet<OperationId> = HashSet::new();
    for (group, answer) in groups.iter().zip(&mut answers) {
        let Ok(outcomes) = answer else { continue };
        for (request, outcome) in group.iter().zip(outcomes) {
            let first = seen.insert(request.operation);
            if let Outcome::Decided { decision, replayed } = outcome
                && first
                && in_doubt.contains(&decision.sequence.batch())
            {
                *replayed = false;
            }
        }
    }
    answers
}
