//! What a committer remembers of the database, so that a batch of payments needs one round trip: the accounts that were
//! touched, the settings, the time and a number for the next batch.
//!
//! The accounts are remembered for both lanes together ([`Accounts`]): a tenant is in one lane at a time, and what it leaves
//! is neither learned again nor out of date where it goes.
//!
//! Nothing here decides money: what is decided from memory is applied only to the versions that it was decided on, and
//! is decided again under locks when the database refuses it. Refusals are never told from memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use payplane_ledger::{
    AccountRef, BatchId, Effects, Kind, Outcome, Parameters, Request, Snapshot, TenantId, Timestamp, Verdict,
};
use tokio::time::Instant;

use self::accounts::{ById, lock};
use super::{NUMBERS_PER_DRAW, TenantParameters, Written};

mod accounts;

pub use accounts::Accounts;

/// How long the database's time is extrapolated. Within it, two clocks drift apart by less than a microsecond per
/// million.
const CLOCK_MAX: Duration = Duration::from_secs(10);

/// After a decision from memory met somebody else's, for how long nothing is decided from memory; doubled each time up
/// to the second value.
const CONTENDED: Duration = Duration::from_millis(20);
const CONTENDED_MAX: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Memory {
    accounts: Arc<Accounts>,
    settings_version: i64,
    parameters: HashMap<TenantId, Arc<Parameters>>,
    /// The last number that was drawn, and the last that was used.
    drawn: Option<BatchId>,
    used: Option<BatchId>,
    clock: Option<(Instant, Timestamp)>,
    contended_until: Option<Instant>,
    contended_for: Duration,
}

impl Memory {
    /// Knows nothing but the accounts.
    pub fn new(accounts: Arc<Accounts>) -> Self {
        Self { accounts, ..Self::default() }
    }

    /// What the requests can be decided against, if everything that they need is remembered.
    pub fn snapshot(&self, requests: &[&Request]) -> Option<(Snapshot, Timestamp)> {
        if self.contended_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let mut snapshot = Snapshot::new(self.next_batch()?);
        for requests in requests.chunk_by(|a, b| a.tenant == b.tenant) {
            self.insert(&mut snapshot, requests)?;
        }
        Some((snapshot, self.now()?))
    }

    /// What requests of one tenant need.
    fn insert(&self, snapshot: &mut Snapshot, requests: &[&Request]) -> Option<()> {
        let tenant = requests.first()?.tenant;
        let parameters = self.parameters.get(&tenant).filter(|parameters| !parameters.has_limits())?;
        snapshot.insert_parameters(tenant, Arc::clone(parameters));
        let accounts = self.accounts.of(tenant)?;
        let accounts = lock(&accounts);
        for request in requests {
            // A settlement account's floor follows the tenant's cap without a new version of the account. Too much is
            // refused when it is written; too little, of a payment that takes what there is, nobody would notice.
            if !matches!(request.kind, Kind::Pay | Kind::Authorize) || request.terms.up_to {
                return None;
            }
            for reference in [&request.from, &request.to] {
                insert_account(&accounts, snapshot, tenant, reference.as_ref()?)?;
            }
        }
        Some(())
    }

    /// The settings' version that this memory goes by.
    pub const fn settings_version(&self) -> i64 {
        self.settings_version
    }

    /// Whether usages may be needed: unless it is known that no tenant has limits.
    pub fn may_need_usages(&self, requests: &[&Request]) -> bool {
        let has_limits =
            |tenant| self.parameters.get(tenant).is_none_or(|parameters| parameters.has_limits());
        requests.iter().any(|request| has_limits(&request.tenant))
    }

    /// The remembered parameters of a tenant, if they are of this version.
    pub fn parameters(&self, version: i64, tenant: TenantId) -> Option<&Arc<Parameters>> {
        self.parameters.get(&tenant).filter(|_| version == self.settings_version)
    }

    /// Learns settings; what is remembered of another version is forgotten.
    pub fn learn_settings(&mut self, version: i64, found: TenantParameters) {
        if version != self.settings_version {
            self.parameters.clear();
            self.settings_version = version;
        }
        self.parameters.extend(found);
    }

    /// Learns how accounts stand after a commit, and what the database said.
    pub fn learn(&mut self, snapshot: &Snapshot, written: Written) {
        self.accounts.learn(snapshot);
        self.learn_written(written);
    }

    /// A batch that was decided from memory was sent: the next one is decided on top of it.
    pub fn left(&mut self, snapshot: &Snapshot, batch: BatchId) {
        self.accounts.learn(snapshot);
        self.used = Some(batch);
    }

    /// A decision from memory was applied: nobody else works on the same accounts.
    pub fn was_right(&mut self, written: Written) {
        self.contended_for = Duration::ZERO;
        self.learn_written(written);
    }

    fn learn_written(&mut self, written: Written) {
        self.drawn = self.drawn.max(Some(written.next_batch));
        self.clock = Some((Instant::now(), written.now));
    }

    /// The first number that was drawn and not used yet.
    fn next_batch(&self) -> Option<BatchId> {
        let drawn = self.drawn?;
        let next = self.used.map_or(drawn, |used| drawn.max(BatchId(used.0 + 1)));
        (next.0 < drawn.0 + NUMBERS_PER_DRAW).then_some(next)
    }

    /// A decision from memory was refused. Nothing of it is believed any more, and for a while nothing is tried. What was
    /// decided on top of it is refused too.
    pub fn was_wrong(&mut self, effects: &Effects) {
        for change in &effects.accounts {
            self.accounts.forget_one(change.tenant, change.id);
        }
        self.drawn = None;
        self.clock = None;
        self.contended_for = (self.contended_for * 2).clamp(CONTENDED, CONTENDED_MAX);
        self.contended_until = Some(Instant::now() + self.contended_for);
    }

    /// Forgets accounts, batch and time: what became of a batch is not known.
    pub fn forget(&mut self) {
        self.accounts.forget();
        self.drawn = None;
        self.clock = None;
    }

    fn now(&self) -> Option<Timestamp> {
        let (at, time) = self.clock?;
        let elapsed = at.elapsed();
        let micros = i64::try_from(elapsed.as_micros()).ok().filter(|_| elapsed < CLOCK_MAX)?;
        Some(Timestamp(time.0 + micros))
    }
}

/// Of two ids at most one exists, so the one that is remembered is the one that is meant.
fn insert_account(
    accounts: &ById,
    snapshot: &mut Snapshot,
    tenant: TenantId,
    reference: &AccountRef,
) -> Option<()> {
    let (id, account) = reference.candidates().find_map(|id| Some((id, accounts.get(&id)?)))?;
    if snapshot.account(tenant, id).is_none() {
        // A batch of the other lane or of another engine was numbered later than ours: ours may not come after it.
        if snapshot.first_sequence() <= account.last {
            return None;
        }
        snapshot.insert_account(tenant, id, account.clone());
    }
    Some(())
}

/// Whether every outcome moved money, so that each is held against the accounts that it was decided on when it is
/// written. A refusal would not be.
pub fn all_moved(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| {
        matches!(outcome, Outcome::Decided { decision, replayed: false } if matches!(decision.verdict, Verdict::Done { .. }))
    })
}

#[cfg(test)]
mod tests;
