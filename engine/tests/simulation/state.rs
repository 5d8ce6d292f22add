//! What the auditor's model knows of wallets, payments and refunds.

use payplane_ledger::{
    Account, AccountId, AccountKind, Currency, OperationId, Phase, RefundPhase, Sequence, Status,
};

#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    pub(crate) kind: AccountKind,
    pub(crate) currency: Currency,
    pub(crate) class: String,
    pub(crate) status: Status,
    pub(crate) floor: i128,
    pub(crate) ceiling: Option<i128>,
    pub(crate) out: i128,
    pub(crate) come: i128,
    pub(crate) held_out: i128,
    pub(crate) held_come: i128,
    pub(crate) version: i64,
    pub(crate) last: Sequence,
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) from: AccountId,
    pub(crate) to: AccountId,
    pub(crate) phase: Phase,
    pub(crate) amount: i128,
    pub(crate) taken: i128,
    pub(crate) asked_back: i128,
    pub(crate) given_back: i128,
    pub(crate) deadline: Option<i64>,
    pub(crate) capture_at: Option<i64>,
    pub(crate) moved_at: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) payment: OperationId,
    pub(crate) amount: i128,
    pub(crate) phase: RefundPhase,
    pub(crate) asker: String,
}

impl Wallet {
    pub(crate) fn new(account: &Account) -> Self {
        let balance = &account.balance;
        Self {
            kind: account.kind,
            currency: account.currency,
            class: account.class.to_string(),
            status: account.status,
            floor: account.floor.into(),
            ceiling: account.ceiling.map(i128::from),
            out: balance.posted_debits.into(),
            come: balance.posted_credits.into(),
            held_out: balance.pending_debits.into(),
            held_come: balance.pending_credits.into(),
            version: balance.version,
            last: account.last,
        }
    }

    pub(crate) fn free(&self) -> i128 {
        self.come - self.out - self.held_out
    }

    pub(crate) fn will_have(&self) -> i128 {
        self.come + self.held_come - self.out
    }

    pub(crate) fn may_pay(&self) -> bool {
        matches!(self.status, Status::Active | Status::FrozenCredit)
    }

    pub(crate) fn may_get(&self) -> bool {
        matches!(self.status, Status::Active | Status::FrozenDebit)
    }
}

impl Hold {
    pub(crate) fn held(&self) -> i128 {
        if matches!(self.phase, Phase::Pending | Phase::Processing) { self.amount - self.taken } else { 0 }
    }

    pub(crate) fn is_over(&self, now: i64) -> bool {
        let passed = self.deadline.is_some_and(|deadline| deadline <= now);
        self.phase == Phase::Expired || (self.phase == Phase::Pending && passed)
    }

    pub(crate) fn left(&self) -> i128 {
        self.taken - self.asked_back - self.given_back
    }
}
