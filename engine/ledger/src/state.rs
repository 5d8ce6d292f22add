//! What changes about a payment or a refund after it was made. A payment that was made at once has no state of its own
//! until somebody refunds some of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{AccountId, Currency, Decision, Kind, Level, Movement, OperationId, Timestamp, Verdict};

/// How far a payment has come. The numbers are stored, hashed and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Held.
    Pending = 1,
    /// Handed to an external gateway.
    Processing = 2,
    /// Nothing is held any more, and money moved.
    Completed = 3,
    /// The gateway failed it.
    Failed = 4,
    /// Given back before any of it was taken.
    Voided = 5,
    /// Given back by the deadline before any of it was taken.
    Expired = 6,
}

impl Phase {
    /// Whether money is held.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing)
    }
}

/// A payment as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentState {
    /// The payer.
    pub debit: AccountId,
    /// The payee.
    pub credit: AccountId,
    /// The currency of all amounts.
    pub currency: Currency,
    /// How far it has come.
    pub phase: Phase,
    /// What was held or, if nothing ever was, moved; in minor units.
    pub amount: i64,
    /// What was taken so far.
    pub captured: i64,
    /// What refunds that wait for approval ask for.
    pub refunding: i64,
    /// What was given back.
    pub refunded: i64,
    /// Until when the hold can be taken. Never for a payment that was made at once.
    pub deadline: Option<Timestamp>,
    /// Where the deadline came from, if the request did not name it.
    pub deadline_level: Option<Level>,
    /// When the hold takes itself.
    pub capture_at: Option<Timestamp>,
    /// What the gateway calls it; empty before it was handed over.
    pub gateway: Arc<str>,
    /// When money last moved to the payee; the refund window counts from here.
    pub moved_at: Option<Timestamp>,
    /// Counts the changes; zero before the first is stored.
    pub version: i64,
}

impl PaymentState {
    /// A payment that was made at once, before any refund; nothing if the decision made no such payment.
    pub fn of_immediate(decision: &Decision) -> Option<Self> {
        let Verdict::Done { movement: Movement::Transfer(transfer), .. } = &decision.verdict else {
            return None;
        };
        (decision.body.kind == Kind::Pay).then(|| Self {
            debit: transfer.debit.account,
            credit: transfer.credit.account,
            currency: decision.body.currency,
            phase: Phase::Completed,
            amount: transfer.posted,
            captured: transfer.posted,
            refunding: 0,
            refunded: 0,
            deadline: None,
            deadline_level: None,
            capture_at: None,
            gateway: Arc::default(),
            moved_at: Some(decision.decided_at),
            version: 0,
        })
    }

    /// Whether the deadline ended the hold, be it noted already or not. While a gateway has it, it does not end.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let passed = self.deadline.is_some_and(|deadline| deadline <= now);
        self.phase == Phase::Expired || (self.phase == Phase::Pending && passed)
    }

    /// What is still held.
    pub const fn held(&self) -> i64 {
        if self.phase.is_open() { self.amount - self.captured } else { 0 }
    }

    /// Whether nothing will ever change it again: nothing is held, and what was taken was given back.
    pub const fn is_final(&self) -> bool {
        !self.phase.is_open() && self.refunding == 0 && self.refundable() == 0
    }

    /// What may still be refunded.
    pub const fn refundable(&self) -> i64 {
        self.captured - self.refunding - self.refunded
    }
}

/// How far a refund has come. The numbers are stored, hashed and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefundPhase {
    /// Waits for approval; counts against the cap.
    Requested = 1,
    /// Approved, and the money is on its way. Approval and transfer are one commit, so nobody finds a refund here.
    Approved = 2,
    /// The money was given back.
    Completed = 3,
    /// Somebody said no.
    Rejected = 4,
    /// The payee had too little when it was approved.
    Failed = 5,
}

/// A refund as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundState {
    /// What is refunded.
    pub payment: OperationId,
    /// How much, in minor units.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// How far it has come.
    pub phase: RefundPhase,
    /// Who asked.
    pub requester: Arc<str>,
    /// Who decided; empty before that, or if no approval was needed.
    pub approver: Arc<str>,
    /// Counts the changes.
    pub version: i64,
}
