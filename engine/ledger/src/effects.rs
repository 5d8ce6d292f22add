//! What a decided batch has to write: a row per decision, a row per transfer, a change per touched account.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Account, AccountId, Balance, BatchId, BatchSeal, Body, Decision, PaymentId, Sequence, Snapshot, TenantId,
    Verdict,
};

/// Everything one batch writes, in the order of its decisions.
#[derive(Debug)]
pub struct Effects {
    /// The batch.
    pub batch: BatchId,
    /// One row per decided key, refusals included.
    pub payments: Vec<PaymentRow>,
    /// One row per transfer.
    pub transfers: Vec<TransferRow>,
    /// One entry per touched account, sorted by tenant and id.
    pub accounts: Vec<AccountChange>,
    /// What a verifier computes again from the rows.
    pub seal: BatchSeal,
}

/// A decided key.
#[derive(Clone, Debug)]
pub struct PaymentRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// The key in compact form.
    pub payment: PaymentId,
    /// What was decided.
    pub decision: Arc<Decision>,
}

/// Money that moved.
#[derive(Clone, Debug)]
pub struct TransferRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its number.
    pub sequence: Sequence,
    /// The payment that moved it.
    pub payment: PaymentId,
    /// From, to, how much.
    pub body: Body,
    /// The payer's side.
    pub debit: Posting,
    /// The payee's side.
    pub credit: Posting,
}

/// The effect of a transfer on one of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The balance right after.
    pub after: Balance,
    /// The account's transfer before this one.
    pub previous: Sequence,
}

/// An account after the batch.
#[derive(Clone, Debug)]
pub struct AccountChange {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which it is.
    pub id: AccountId,
    /// How it stands now.
    pub account: Account,
}

impl Effects {
    /// Collects what `snapshot` changed.
    pub fn of(snapshot: &Snapshot) -> Self {
        let payments: Vec<PaymentRow> = snapshot.made.iter().map(|key| payment_row(snapshot, *key)).collect();
        let transfers = transfer_rows(snapshot, &payments);
        let accounts = snapshot.last_before.keys().map(|key| account_change(snapshot, *key)).collect();
        let seal = BatchSeal::of(&payments);
        Self { batch: snapshot.batch, payments, transfers, accounts, seal }
    }
}

fn payment_row(snapshot: &Snapshot, (tenant, payment): (TenantId, PaymentId)) -> PaymentRow {
    PaymentRow { tenant, payment, decision: snapshot.decisions[&(tenant, payment)].clone() }
}

fn account_change(snapshot: &Snapshot, (tenant, id): (TenantId, AccountId)) -> AccountChange {
    AccountChange { tenant, id, account: snapshot.accounts[&(tenant, id)].clone() }
}

fn transfer_rows(snapshot: &Snapshot, payments: &[PaymentRow]) -> Vec<TransferRow> {
    let mut last: BTreeMap<(TenantId, AccountId), Sequence> = snapshot.last_before.clone();
    let mut rows = Vec::with_capacity(payments.len());
    for PaymentRow { tenant, payment, decision } in payments {
        let Verdict::Completed { debit_after, credit_after } = decision.verdict else { continue };
        let mut posting = |id, after| {
            let previous = last.insert((*tenant, id), decision.sequence).unwrap_or_default();
            Posting { after, previous }
        };
        let debit = posting(decision.body.debit, debit_after);
        let credit = posting(decision.body.credit, credit_after);
        let (sequence, body) = (decision.sequence, decision.body.clone());
        rows.push(TransferRow { tenant: *tenant, sequence, payment: *payment, body, debit, credit });
    }
    rows
}
