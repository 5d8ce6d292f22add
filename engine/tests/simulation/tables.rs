//! The stand-in's committed rows, and what one transaction will change of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use payplane_ledger::{
    Account, AccountId, Currency, Decision, OperationId, Parameters, PaymentState, RefundState, Root,
    Setting, TenantId, Usage, chain_link,
};
use uuid::Uuid;

pub(crate) type AccountKey = (TenantId, AccountId);
pub(crate) type OperationKey = (TenantId, OperationId);
pub(crate) type UsageKey = (TenantId, Uuid, Currency);

#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    pub(crate) journal: BTreeMap<OperationKey, Arc<Decision>>,
    pub(crate) sequences: BTreeSet<(TenantId, i64)>,
    pub(crate) payments: BTreeMap<OperationKey, PaymentState>,
    pub(crate) refunds: BTreeMap<OperationKey, RefundState>,
    pub(crate) usages: BTreeMap<UsageKey, Usage>,
    pub(crate) settings: BTreeMap<TenantId, Vec<Setting>>,
    pub(crate) settings_version: i64,
    pub(crate) batches: BTreeMap<i64, Root>,
    pub(crate) unsealed: BTreeSet<i64>,
    pub(crate) seals: Vec<(i64, Root)>,
}

/// What a transaction writes: whole rows, because it holds their locks.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    pub(crate) journal: Vec<(OperationKey, Arc<Decision>)>,
    pub(crate) payments: BTreeMap<OperationKey, PaymentState>,
    pub(crate) refunds: BTreeMap<OperationKey, RefundState>,
    pub(crate) usages: BTreeMap<UsageKey, Usage>,
    pub(crate) batch: i64,
    pub(crate) root: Root,
    pub(crate) settings_version: i64,
    /// Whether it was decided from memory.
    pub(crate) is_alone: bool,
}

impl Tables {
    pub(crate) fn apply(&mut self, writes: Writes) {
        self.accounts.extend(writes.accounts);
        for (key, decision) in writes.journal {
            self.sequences.insert((key.0, decision.sequence.0));
            self.journal.insert(key, decision);
        }
        self.payments.extend(writes.payments);
        self.refunds.extend(writes.refunds);
        self.usages.extend(writes.usages);
        self.batches.insert(writes.batch, writes.root);
        self.unsealed.insert(writes.batch);
    }

    /// What is set for one tenant, the platform's settings included.
    pub(crate) fn parameters(&self, tenant: TenantId) -> Arc<Parameters> {
        let platform = self.settings.get(&TenantId::from_uuid(Uuid::nil()));
        let own = self.settings.get(&tenant);
        Arc::new(Parameters::new(platform.into_iter().chain(own).flatten().cloned().collect()))
    }

    /// Like `seal_batches`: what is committed by now, in the order of the numbers, after all that was sealed before.
    pub(crate) fn seal(&mut self, max: usize) -> usize {
        let batches: Vec<i64> = self.unsealed.iter().take(max).copied().collect();
        for batch in &batches {
            let before = self.seals.last().map_or([0; 32], |(_, link)| *link);
            let number = i64::try_from(self.seals.len() + 1).unwrap();
            let link = chain_link(&before, number, payplane_ledger::BatchId(*batch), &self.batches[batch]);
            self.seals.push((*batch, link));
            self.unsealed.remove(batch);
        }
        batches.len()
    }
}
