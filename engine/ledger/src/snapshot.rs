//! What a batch is decided against: accounts, payments, refunds, usages, parameters and known decisions, as they were
//! read, and what the batch has changed of them so far.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    Account, AccountId, AccountRef, BatchId, Currency, Decision, Level, OperationId, ParameterName,
    Parameters, PaymentState, RefundState, Sequence, TenantId, Usage,
    table::{Slot, Table},
};

/// How many requests one batch decides at most. Larger batches gain nothing (measured: 500 items reach nine tenths of
/// the throughput of 1,000) and hold locks longer. Less than the sequence numbers that a batch has.
pub const BATCH_ITEMS_MAX: usize = 1000;

pub(crate) type AccountKey = (TenantId, AccountId);
pub(crate) type OperationKey = (TenantId, OperationId);
/// The subject is an account's id or, for the tenant as a whole, the tenant's.
pub(crate) type UsageKey = (TenantId, Uuid, Currency);

/// See the module.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) batch: BatchId,
    pub(crate) accounts: Table<AccountKey, Account>,
    pub(crate) payments: Table<OperationKey, PaymentState>,
    pub(crate) refunds: Table<OperationKey, RefundState>,
    pub(crate) usages: Table<UsageKey, Usage>,
    pub(crate) parameters: BTreeMap<TenantId, Arc<Parameters>>,
    pub(crate) decisions: HashMap<OperationKey, Arc<Decision>>,
    /// New decisions, in the order in which they were made.
    pub(crate) made: Vec<(OperationKey, Arc<Decision>)>,
    /// How many decisions had been made when the linked request began that is being decided.
    checkpoint: usize,
}

impl Snapshot {
    /// An empty snapshot for the batch with this number.
    pub fn new(batch: BatchId) -> Self {
        Self {
            batch,
            accounts: Table::new(),
            payments: Table::new(),
            refunds: Table::new(),
            usages: Table::new(),
            parameters: BTreeMap::new(),
            decisions: HashMap::new(),
            made: Vec::new(),
            checkpoint: 0,
        }
    }

    /// Adds an account as it is stored.
    pub fn insert_account(&mut self, tenant: TenantId, id: AccountId, account: Account) {
        self.accounts.insert((tenant, id), account.balance.version, account);
    }

    /// Adds a payment that an operation may act on, as it stands. One that was made at once and never refunded has no
    /// row: the caller makes its state with [`PaymentState::of_immediate`].
    pub fn insert_payment(&mut self, tenant: TenantId, id: OperationId, payment: PaymentState) {
        self.payments.insert((tenant, id), payment.version, payment);
    }

    /// Adds a refund that an operation may act on, as it stands.
    pub fn insert_refund(&mut self, tenant: TenantId, id: OperationId, refund: RefundState) {
        self.refunds.insert((tenant, id), refund.version, refund);
    }

    /// Adds what a wallet (or, with its id as subject, the tenant) has paid. Without this call it is nothing.
    pub fn insert_usage(&mut self, tenant: TenantId, subject: Uuid, currency: Currency, usage: Usage) {
        self.usages.insert((tenant, subject, currency), usage.version, usage);
    }

    /// Adds what is set for a tenant. Without this call nothing is.
    pub fn insert_parameters(&mut self, tenant: TenantId, parameters: Arc<Parameters>) {
        self.parameters.insert(tenant, parameters);
    }

    /// Adds a decision of a former batch.
    pub fn insert_decision(&mut self, tenant: TenantId, operation: OperationId, decision: Arc<Decision>) {
        self.decisions.insert((tenant, operation), decision);
    }

    /// The number of the first decision of this batch.
    pub const fn first_sequence(&self) -> Sequence {
        self.batch.sequence(0)
    }

    /// The account as it stands now.
    pub fn account(&self, tenant: TenantId, id: AccountId) -> Option<&Account> {
        self.accounts.find(&(tenant, id))
    }

    /// The payment as it stands now, if it was inserted or made by this batch.
    pub fn payment(&self, tenant: TenantId, id: OperationId) -> Option<&PaymentState> {
        self.payments.find(&(tenant, id))
    }

    /// The refund as it stands now, if it was inserted or made by this batch.
    pub fn refund(&self, tenant: TenantId, id: OperationId) -> Option<&RefundState> {
        self.refunds.find(&(tenant, id))
    }

    /// The accounts that an operation on this payment or refund changes.
    pub fn accounts_of(&self, tenant: TenantId, target: OperationId) -> Vec<AccountId> {
        let payment = self.refund(tenant, target).map_or(target, |refund| refund.payment);
        self.payment(tenant, payment).map(|state| vec![state.debit, state.credit]).unwrap_or_default()
    }

    /// What is known about this key, from former batches or from this one.
    pub fn decision(&self, tenant: TenantId, operation: OperationId) -> Option<&Arc<Decision>> {
        self.decisions.get(&(tenant, operation))
    }

    /// Every account as it stands now, in no particular order.
    pub fn accounts(&self) -> impl Iterator<Item = (TenantId, AccountId, &Account)> {
        self.accounts.rows().map(|((tenant, id), entry)| (*tenant, *id, &entry.now))
    }

    /// Whether the batch has anything to write.
    pub fn is_unchanged(&self) -> bool {
        self.made.is_empty()
    }

    pub(crate) fn resolve(&self, tenant: TenantId, reference: &AccountRef) -> Option<Slot<Account>> {
        reference.candidates().find_map(|id| self.accounts.slot(&(tenant, id)))
    }

    /// What is set for an account.
    pub(crate) fn parameter(&self, name: ParameterName, account: Slot<Account>) -> Option<(i64, Level)> {
        let (tenant, id) = self.accounts.key(account);
        self.parameters.get(&tenant)?.find(name, id, self.accounts.get(account))
    }

    /// Whether the tenant of an account is suspended.
    pub(crate) fn is_suspended(&self, account: Slot<Account>) -> bool {
        let (tenant, _) = self.accounts.key(account);
        self.parameters.get(&tenant).is_some_and(|parameters| parameters.is_suspended())
    }

    /// The payment, also one that this batch made at once: that has a row only from here on.
    pub(crate) fn find_payment(&mut self, key: OperationKey) -> Option<Slot<PaymentState>> {
        if let Some(slot) = self.payments.slot(&key) {
            return Some(slot);
        }
        // A decision of a former batch could be older than the payment's row, which the caller then has not read.
        let made = self.decisions.get(&key).filter(|decision| decision.sequence.batch() == self.batch)?;
        let payment = PaymentState::of_immediate(made)?;
        Some(self.payments.insert(key, payment.version, payment))
    }

    pub(crate) fn next_sequence(&self) -> Sequence {
        self.batch.sequence(self.made.len())
    }

    /// Records a new decision. From here on the same key is a replay or a conflict, within this batch too.
    pub(crate) fn decide(&mut self, key: OperationKey, decision: Decision) -> Arc<Decision> {
        let decision = Arc::new(decision);
        self.decisions.insert(key, Arc::clone(&decision));
        self.made.push((key, Arc::clone(&decision)));
        decision
    }

    /// From here on everything can be taken back.
    pub(crate) fn begin(&mut self) {
        self.checkpoint = self.made.len();
        self.accounts.begin();
        self.payments.begin();
        self.refunds.begin();
        self.usages.begin();
    }

    /// Keeps what was decided since [`Self::begin`].
    pub(crate) fn commit(&mut self) {
        self.accounts.commit();
        self.payments.commit();
        self.refunds.commit();
        self.usages.commit();
    }

    /// Takes back what was decided since [`Self::begin`].
    pub(crate) fn rollback(&mut self) {
        self.accounts.rollback();
        self.payments.rollback();
        self.refunds.rollback();
        self.usages.rollback();
        for (key, _) in self.made.drain(self.checkpoint..) {
            self.decisions.remove(&key);
        }
    }
}
