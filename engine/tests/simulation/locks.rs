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
    /// An advisory lock: the next batch of a session.
    Ticket(i64),
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

    pub(crate) fn is_held(&self, resource: Resource) -> bool {
        self.held.contains_key(&resource)
    }

    /// From one owner to another, if the first has it.
    pub(crate) fn hand_over(&mut self, from: TransactionId, to: TransactionId, resource: Resource) {
        if let Some(owner) = self.held.get_mut(&resource).filter(|owner| **owner == from) {
            *owner = to;
        }
    }

    pub(crate) fn release(&mut self, owner: TransactionId) {
        self.held.retain(|_, holder| *holder != owner);
    }

    /// Whoever is connected holds a ticket; everything else ends with a transaction.
    pub(crate) fn len(&self) -> usize {
        self.held.keys().filter(|resource| !matches!(resource, Resource::Ticket(_))).count()
    }
}
