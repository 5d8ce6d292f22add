//! Ways in which a batch may be wrong when it comes to be written: old, decided with other settings, or forged by an
//! engine with a defect. Each has to be refused alike by PostgreSQL and by the stand-in.

use std::sync::Arc;

use payplane_ledger::{
    AccountId, BatchId, Decision, Effects, Movement, OperationRow, Snapshot, Status, TenantId, Timestamp,
    Verdict,
};

use super::{fixture::currency, rng::Rng};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tamper {
    Nothing,
    /// The clock of whoever decided is wrong.
    Time,
    /// Settings changed.
    Settings,
    /// Decided as if every account had another floor.
    Floor,
    /// Decided as if nothing was frozen or closed.
    Thaw,
    /// A payer gets more out than the row says.
    Totals,
    /// A row in another currency.
    Currency,
    /// The same key twice.
    Twice,
    /// The number of a batch that is committed.
    Number,
    /// A payment's, refund's or usage's version is another one.
    Base,
    /// Whoever asked for the refund approves it.
    Approver,
    /// More is refunded than was taken.
    Refunds,
    /// A hold with a negative posting.
    Shape,
}

pub(crate) fn pick(rng: &mut Rng) -> Tamper {
    use Tamper::{
        Approver, Base, Currency, Floor, Nothing, Number, Refunds, Settings, Shape, Thaw, Time, Totals, Twice,
    };
    let all = [Time, Settings, Floor, Thaw, Totals, Currency, Twice, Number, Base, Approver, Refunds, Shape];
    if rng.chance(700) { Nothing } else { *rng.pick(&all).unwrap() }
}

impl Tamper {
    /// What it believes of the accounts.
    pub(crate) fn before(self, snapshot: &mut Snapshot) {
        let accounts: Vec<(TenantId, AccountId, _)> =
            snapshot.accounts().map(|(tenant, id, account)| (tenant, id, account.clone())).collect();
        for (tenant, id, mut account) in accounts {
            match self {
                Self::Floor => account.floor = -1_000_000,
                Self::Thaw => account.status = Status::Active,
                _ => return,
            }
            snapshot.insert_account(tenant, id, account);
        }
    }

    /// What it makes of the decisions.
    pub(crate) fn after(self, effects: &mut Effects, used: Option<BatchId>) {
        match self {
            Self::Totals => change_first(effects, |decision| {
                if let Verdict::Done { movement: Movement::Transfer(transfer), .. } = &mut decision.verdict {
                    transfer.debit.after.posted_debits += 1;
                }
            }),
            Self::Currency => change_first(effects, |decision| decision.body.currency = currency("JPY")),
            Self::Shape => change_first(effects, |decision| {
                if let Verdict::Done { movement: Movement::Transfer(transfer), .. } = &mut decision.verdict {
                    (transfer.posted, transfer.pending) = (-1, 2);
                }
            }),
            Self::Twice => {
                if let [first, .., last] = &mut effects.operations[..] {
                    last.operation = first.operation;
                    last.tenant = first.tenant;
                }
            }
            Self::Number => effects.batch = used.unwrap_or(effects.batch),
            Self::Base => {
                effects.payments.iter_mut().for_each(|change| change.base += 1);
                effects.refunds.iter_mut().for_each(|change| change.base += 1);
                effects.usages.iter_mut().for_each(|change| change.base += 1);
            }
            Self::Approver => {
                let refunds = effects.refunds.iter_mut();
                refunds.for_each(|change| change.now.approver = Arc::clone(&change.now.requester));
            }
            Self::Refunds => {
                effects.payments.iter_mut().for_each(|change| change.now.refunded = change.now.captured + 1);
            }
            Self::Nothing | Self::Time | Self::Settings | Self::Floor | Self::Thaw => {}
        }
    }

    pub(crate) const fn time(self, now: Timestamp) -> Timestamp {
        if matches!(self, Self::Time) { Timestamp(now.0 - 6_000_000) } else { now }
    }

    pub(crate) const fn settings_version(self, version: i64) -> i64 {
        if matches!(self, Self::Settings) { version + 1 } else { version }
    }
}

fn change_first(effects: &mut Effects, change: impl FnOnce(&mut Decision)) {
    let is_done = |row: &&mut OperationRow| {
        matches!(&row.decision.verdict, Verdict::Done { movement: Movement::Transfer(_), .. })
    };
    if let Some(row) = effects.operations.iter_mut().find(is_done) {
        change(Arc::make_mut(&mut row.decision));
    }
}
