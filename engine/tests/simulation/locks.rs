//! Row locks: who holds what until the end of the transaction.

use std::collections::BTreeMap;

use super::tables::{AccountKey, OperationKey, UsageKey};
use payplane_ledger::TenantId;

pub(crate) type TransactionId = u64;

/// A row, or a key that somebody is about to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Account(AccountKey),
    Key(OperationKey),
    Sequence(TenantId, i64),
    Payment(OperationKey),
    Refund(OperationKey),
    Usage(UsageKey),
    Batch(i64),
}

#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: BTreeMap<Resource, TransactionId>,
}

impl Locks {
    /// Whether the transaction has it now.
    pub(crate) fn acquire(&mut self, owner: TransactionId, resource: Resource) -> bool {
        *self.held.entry(resource).or_insert(owner) == owner
    }

    pub(crate) fn release(&mut self, owner: TransactionId) {
        self.held.retain(|_, holder| *holder != owner);
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}
