//! What a batch is decided against: the accounts and the known decisions, read under locks.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Account, AccountId, AccountRef, BatchId, Decision, PaymentId, Sequence, TenantId};

/// How many requests one batch decides at most. Larger batches gain nothing (measured: 500 items reach nine tenths of
/// the throughput of 1,000) and hold locks longer. Less than the sequence numbers that a batch has.
pub const BATCH_ITEMS_MAX: usize = 1000;

type AccountKey = (TenantId, AccountId);
type PaymentKey = (TenantId, PaymentId);

/// Accounts and decisions, and what the batch has changed of them so far.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) batch: BatchId,
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    pub(crate) decisions: BTreeMap<PaymentKey, Arc<Decision>>,
    /// Accounts that the batch changed, with the last transfer that each had before.
    pub(crate) last_before: BTreeMap<AccountKey, Sequence>,
    /// New decisions, in the order in which they were made.
    pub(crate) made: Vec<PaymentKey>,
}

impl Snapshot {
    /// An empty snapshot for the batch with this number.
    pub const fn new(batch: BatchId) -> Self {
        Self {
            batch,
            accounts: BTreeMap::new(),
            decisions: BTreeMap::new(),
            last_before: BTreeMap::new(),
            made: Vec::new(),
        }
    }

    /// Adds an account as the database holds it.
    pub fn insert_account(&mut self, tenant: TenantId, id: AccountId, account: Account) {
        self.accounts.insert((tenant, id), account);
    }

    /// Adds a decision of a former batch.
    pub fn insert_decision(&mut self, tenant: TenantId, payment: PaymentId, decision: Decision) {
        self.decisions.insert((tenant, payment), Arc::new(decision));
    }

    /// The account as it stands now.
    pub fn account(&self, tenant: TenantId, id: AccountId) -> Option<&Account> {
        self.accounts.get(&(tenant, id))
    }

    /// What is known about this key, from former batches or from this one.
    pub fn decision(&self, tenant: TenantId, payment: PaymentId) -> Option<&Decision> {
        self.decisions.get(&(tenant, payment)).map(|decision| &**decision)
    }

    /// Whether the batch has anything to write.
    pub fn is_unchanged(&self) -> bool {
        self.made.is_empty()
    }

    pub(crate) fn resolve(&self, tenant: TenantId, reference: &AccountRef) -> Option<AccountId> {
        reference.candidates().find(|id| self.accounts.contains_key(&(tenant, *id)))
    }

    pub(crate) fn next_sequence(&self) -> Sequence {
        self.batch.sequence(self.made.len())
    }

    /// Records a new decision. From here on the same key is a replay or a conflict, within this batch too.
    pub(crate) fn decide(
        &mut self,
        tenant: TenantId,
        payment: PaymentId,
        decision: Decision,
    ) -> Arc<Decision> {
        let decision = Arc::new(decision);
        self.decisions.insert((tenant, payment), Arc::clone(&decision));
        self.made.push((tenant, payment));
        decision
    }
}
