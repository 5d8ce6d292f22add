//! What a decided batch has to write: a row of the journal per decision, and a change per touched account, payment,
//! refund and usage. Each change names the version that it was decided on: the database applies it only to that version.

use std::{cmp::Ordering, hash::Hash, sync::Arc};

use uuid::Uuid;

use crate::{
    Account, AccountId, BatchId, BatchSeal, Currency, Decision, OperationId, PaymentState, RefundState,
    Snapshot, TenantId, Usage,
    table::{Entry, Table},
};

/// Everything one batch writes.
#[derive(Clone, Debug)]
pub struct Effects {
    /// The batch.
    pub batch: BatchId,
    /// One row per decided key, refusals included, in the order of the decisions.
    pub operations: Vec<OperationRow>,
    /// The accounts that changed, sorted by tenant and id.
    pub accounts: Vec<Change<AccountId, Account>>,
    /// The payments that changed, sorted by tenant and id.
    pub payments: Vec<Change<OperationId, PaymentState>>,
    /// The refunds that changed, sorted by tenant and id.
    pub refunds: Vec<Change<OperationId, RefundState>>,
    /// The usages that changed, sorted by tenant, subject and currency.
    pub usages: Vec<Change<(Uuid, Currency), Usage>>,
    /// What a verifier computes again from the rows.
    pub seal: BatchSeal,
}

/// A decided key.
#[derive(Clone, Debug)]
pub struct OperationRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// The key in compact form.
    pub operation: OperationId,
    /// What was decided.
    pub decision: Arc<Decision>,
}

/// A value after the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<Id, T> {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which it is.
    pub id: Id,
    /// The version that the batch was decided on; zero if it is not stored yet.
    pub base: i64,
    /// How it stands now.
    pub now: T,
}

impl Effects {
    /// Collects what `snapshot` changed.
    pub fn of(snapshot: &Snapshot) -> Self {
        let operations: Vec<OperationRow> = snapshot.made.iter().map(operation_row).collect();
        let seal = BatchSeal::of(&operations);
        Self {
            batch: snapshot.batch,
            operations,
            accounts: changes(&snapshot.accounts, |(tenant, id)| (tenant, id)),
            payments: changes(&snapshot.payments, |(tenant, id)| (tenant, id)),
            refunds: changes(&snapshot.refunds, |(tenant, id)| (tenant, id)),
            usages: changes(&snapshot.usages, |(tenant, subject, currency)| (tenant, (subject, currency))),
            seal,
        }
    }
}

fn operation_row(((tenant, operation), decision): &((TenantId, OperationId), Arc<Decision>)) -> OperationRow {
    OperationRow { tenant: *tenant, operation: *operation, decision: Arc::clone(decision) }
}

fn changes<Key: Copy + Eq + Hash, Id: Ord, T: Clone>(
    table: &Table<Key, T>,
    split: impl Fn(Key) -> (TenantId, Id),
) -> Vec<Change<Id, T>> {
    let change = |(key, entry): &(Key, Entry<T>)| {
        let (tenant, id) = split(*key);
        Change { tenant, id, base: entry.base, now: entry.now.clone() }
    };
    let mut changes: Vec<_> = table.rows().filter(|(_, entry)| entry.changed).map(change).collect();
    changes.sort_unstable_by(|a, b| compare((a.tenant, &a.id), (b.tenant, &b.id)));
    changes
}

fn compare<Id: Ord>(a: (TenantId, &Id), b: (TenantId, &Id)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1))
}
