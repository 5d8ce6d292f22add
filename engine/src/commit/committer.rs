//! The committer: takes a batch, brings it to a definite end, answers.
//!
//! A batch is decided from memory first, if memory holds all that it needs, and written in one round trip; the database
//! refuses it if anything has changed. Meanwhile the next one may be decided on top of it and sent after it. Otherwise,
//! and after any refusal, a batch is decided under locks, once nothing else is in the air.
//!
//! After any error the connection is thrown away. A batch whose commit was sent but not answered is *in doubt*: it is
//! decided again on a fresh connection, under locks. The locks make that wait for the old transaction's end, and then its
//! outcomes are read like any known outcome. Only if that cannot be done in time is anybody told "unknown".
//!
//! If the database refuses what is in a batch, which takes a defect, the batch is halved until the culprit stands alone:
//! the others are not made to pay for it, and it fails by itself however often it is sent again.

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
use tokio::time::Instant;

use super::{
    Answer, Batch, CommitError, Database, Lane, Locked, Locks, Pulse, Queue, Session,
    flight::{COMPANY_MIN, Flight, Flights, Landed, Party},
    memory::{Accounts, Memory, all_moved},
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

/// How many culprits are looked for in one batch. When everything is refused, finding out about each would only hold up
/// those who wait.
const CULPRITS_MAX: u32 = 4;

/// Commits the batches of a lane, one after the other.
#[derive(Debug)]
pub struct Committer<D: Database> {
    database: Arc<D>,
    queue: Arc<Queue>,
    lane: Lane,
    metrics: Arc<Metrics>,
    pulse: Arc<Pulse>,
    /// Connections that no batch uses now.
    idle: Vec<D::Session>,
    flights: Flights<D::Session>,
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

/// Why a batch has no end yet.
struct Failure {
    error: StoreError,
    /// Whether the connection was made for it.
    is_fresh: bool,
}

/// How a batch ended.
enum End {
    /// With something that can be told.
    Told(Result<Answers, CommitError>),
    /// The database refuses something in it, now and always.
    Refused,
}

/// A batch that has to be decided again.
struct Again {
    party: Party,
    in_doubt: InDoubt,
    failure: Option<Failure>,
}

impl<D: Database> Committer<D> {
    /// Connects with the first batch.
    pub fn new(
        database: Arc<D>,
        queue: Arc<Queue>,
        lane: Lane,
        accounts: Arc<Accounts>,
        metrics: Arc<Metrics>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let (memory, chance) = (Memory::new(accounts), RandomState::new().hash_one(0));
        let (idle, flights) = (Vec::new(), Flights::new(COMPANY_MIN));
        Self { database, queue, lane, metrics, pulse, idle, flights, memory, cautious_until: None, chance }
    }

    /// Takes chance from a seed and sends the next batch as soon as there is one: for a simulation that can be repeated,
    /// with few clients.
    pub fn seeded(mut self, seed: u64) -> Self {
        (self.chance, self.flights) = (seed, Flights::new(1));
        self
    }

    /// Commits until the queue is closed and empty. Runs in a task of its own; no caller can cancel it.
    pub async fn run(mut self) {
        self.queue.begin(self.lane);
        // Another one may have ended in the middle of a batch, with accounts as they never were.
        self.memory.forget();
        loop {
            let (may_leave, company) = (self.flights.may_leave(), self.flights.company());
            let jobs = tokio::select! {
                biased;
                Some(landed) = self.flights.land() => {
                    self.end(landed).await;
                    continue;
                }
                jobs = self.queue.take(self.lane, company, BATCH_ITEMS_MAX), if may_leave => jobs,
            };
            if jobs.is_empty() {
                break;
            }
            self.serve(Party::new(jobs)).await;
        }
        self.land_all().await;
    }

    async fn serve(&mut self, party: Party) {
        let decided = self.memory.snapshot(&party.requests()).map(|(mut snapshot, now)| {
            let outcomes = decide_all(&mut snapshot, &party.groups, now);
            (snapshot, now, outcomes)
        });
        match decided {
            Some((snapshot, now, outcomes)) if outcomes.iter().all(|outcomes| all_moved(outcomes)) => {
                let (effects, settings_version) = (Effects::of(&snapshot), self.memory.settings_version());
                self.memory.left(&snapshot, effects.batch);
                let flight = Flight { party, outcomes, effects, now, settings_version };
                self.flights.leave(&self.database, self.idle.pop(), flight);
            }
            _ => {
                self.land_all().await;
                self.decide(Again { party, in_doubt: InDoubt::new(), failure: None }).await;
            }
        }
    }

    async fn land_all(&mut self) {
        while let Some(landed) = self.flights.land().await {
            self.end(landed).await;
        }
    }

    /// Answers a batch that has landed. If it was not committed it is decided again, and so are those that were decided on
    /// top of it.
    async fn end(&mut self, landed: Landed<D::Session>) {
        let Some(first) = self.try_end(landed) else { return };
        let mut again = vec![first];
        while let Some(landed) = self.flights.land().await {
            again.extend(self.try_end(landed));
        }
        for batch in again {
            self.decide(batch).await;
        }
    }

    fn try_end(&mut self, landed: Landed<D::Session>) -> Option<Again> {
        let Landed { flight: Flight { party, outcomes, effects, .. }, session, is_fresh, was_sent, result } =
            landed;
        self.idle.extend(session);
        let (in_doubt, failure) = match result {
            Ok(written) => {
                self.pulse.has_written();
                self.memory.was_right(written);
                self.answer(party, Ok(outcomes.into_iter().map(Ok).collect()));
                self.queue.ended(self.lane);
                return None;
            }
            // The server says no, so nothing was committed, and the connection is as good as new.
            Err(error) if error.is_refusal() => {
                self.memory.was_wrong(&effects);
                self.metrics.count_memory_miss();
                (InDoubt::new(), None)
            }
            Err(error) => {
                self.memory.forget();
                let in_doubt = if was_sent { vec![effects.batch] } else { InDoubt::new() };
                (in_doubt, Some(Failure { error, is_fresh }))
            }
        };
        Some(Again { party, in_doubt, failure })
    }

    fn answer(&self, party: Party, decided: Result<Answers, CommitError>) {
        self.metrics.observe_batch(party.items(), party.since.elapsed());
        match decided {
            Ok(outcomes) => {
                self.pulse.has_answered();
                for (caller, outcome) in party.callers.into_iter().zip(outcomes) {
                    if let Ok(outcomes) = &outcome {
                        outcomes.iter().for_each(|outcome| self.metrics.count_outcome(outcome));
                    }
                    // A caller that has gone meanwhile finds the outcome under its key.
                    let _ = caller.send(outcome);
                }
            }
            Err(error) => {
                match error {
                    CommitError::Unknown | CommitError::Unavailable => self.pulse.has_failed(party.since),
                    _ => self.pulse.trouble.notify_one(),
                }
                for caller in party.callers {
                    let _ = caller.send(Err(error));
                }
            }
        }
    }

    /// Decides a batch under locks, in halves if it must be, until all of it has an end that can be told. Nothing is in the
    /// air.
    async fn decide(&mut self, again: Again) {
        let (mut rest, mut culprits) = (vec![again], 0);
        while let Some(Again { party, in_doubt, failure }) = rest.pop() {
            match self.decide_at_once(&party, in_doubt, failure).await {
                End::Told(answers) => self.answer(party, answers),
                End::Refused if 1 < party.groups.len() && culprits < CULPRITS_MAX => {
                    let whole = |party| Again { party, in_doubt: InDoubt::new(), failure: None };
                    rest.extend(party.halves().map(whole).into_iter().rev());
                }
                End::Refused => {
                    culprits += 1;
                    tell_of(&party);
                    self.answer(party, Err(CommitError::Internal));
                }
            }
        }
        self.queue.ended(self.lane);
    }

    async fn decide_at_once(
        &mut self,
        party: &Party,
        mut in_doubt: InDoubt,
        mut failure: Option<Failure>,
    ) -> End {
        let mut doubt_ends = None;
        let mut attempt = 1;
        loop {
            if let Some(Failure { error, is_fresh }) = failure.take() {
                if matches!(error, StoreError::Busy(_)) {
                    self.cautious_until = Some(Instant::now() + CAUTION);
                }
                let pause = if in_doubt.is_empty() {
                    self.pause_before_retry(&error, attempt, is_fresh)
                } else {
                    let ends = *doubt_ends.get_or_insert_with(|| Instant::now() + DOUBT_MAX);
                    self.pause_in_doubt(&error, ends)
                };
                match pause {
                    Ok(pause) => tokio::time::sleep(pause).await,
                    Err(CommitError::Internal) => return End::Refused,
                    Err(error) => return End::Told(Err(error)),
                }
                attempt += 1;
            }
            match self.attempt(party, &mut in_doubt).await {
                Ok(answers) => return End::Told(Ok(own(&party.groups, answers, &in_doubt))),
                Err(failed) => failure = Some(failed),
            }
        }
    }

    async fn attempt(&mut self, party: &Party, in_doubt: &mut InDoubt) -> Result<Answers, Failure> {
        let (session, is_fresh) = match self.idle.pop() {
            Some(session) => (Ok(session), false),
            None => (self.database.session().await, true),
        };
        let failed = |error| Failure { error, is_fresh };
        let mut session = session.map_err(failed)?;
        let answers = self.attempt_under_locks(&mut session, party, in_doubt).await.map_err(failed)?;
        self.idle.push(session);
        Ok(answers)
    }

    /// One transaction: lock and read, decide, write, commit.
    async fn attempt_under_locks(
        &mut self,
        session: &mut D::Session,
        party: &Party,
        in_doubt: &mut InDoubt,
    ) -> Result<Answers, StoreError> {
        let (groups, requests) = (&party.groups, &party.requests());
        // A transaction in doubt may still hold its locks; only waiting for them tells how it ended.
        let is_cautious =
            in_doubt.is_empty() && self.cautious_until.is_some_and(|until| Instant::now() < until);
        let locks = if is_cautious { Locks::Skip } else { Locks::Wait };
        let with_usages = self.memory.may_need_usages(requests);
        let Locked { mut snapshot, now, settings_version, busy } =
            session.lock_and_read(requests, locks, with_usages).await?;
        let tenants: BTreeSet<TenantId> = requests.iter().map(|request| request.tenant).collect();
        self.read_unknown_settings(session, settings_version, &tenants).await?;
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
        let batch = Batch { effects: &effects, now, settings_version, after: None };
        let written = session.write(&batch).await?;
        in_doubt.push(effects.batch);
        session.commit().await?;
        self.pulse.has_written();
        if busy.is_empty() {
            self.memory.learn(&snapshot, written);
        }
        Ok(answers)
    }

    async fn read_unknown_settings(
        &mut self,
        session: &mut D::Session,
        version: i64,
        tenants: &BTreeSet<TenantId>,
    ) -> Result<(), StoreError> {
        let is_unknown = |tenant: &&TenantId| self.memory.parameters(version, **tenant).is_none();
        let unknown: Vec<TenantId> = tenants.iter().filter(is_unknown).copied().collect();
        if !unknown.is_empty() {
            let (version, found) = session.read_settings(&unknown).await?;
            self.memory.learn_settings(version, found);
        }
        Ok(())
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
            StoreError::Unavailable(_)
            | StoreError::ReadOnly
            | StoreError::OldSchema { .. }
            | StoreError::OtherEpoch { .. } => {
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

/// Names what was refused, so that it can be found.
fn tell_of(party: &Party) {
    for request in party.groups.iter().flatten() {
        let (operation, correlation_id) = (request.operation.uuid(), &*request.provenance.correlation_id);
        tracing::error!(%operation, kind = ?request.kind, correlation_id, "the database refuses an operation");
    }
}

fn decide_all(snapshot: &mut Snapshot, groups: &[Vec<Request>], now: Timestamp) -> Vec<Vec<Outcome>> {
    groups.iter().map(|group| decide(snapshot, group, now)).collect()
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
