//! What becomes of a request.

use std::sync::Arc;

use crate::{Balance, Body, Provenance, Sequence, Timestamp};

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The key is decided, now or before, and stays so.
    Decided {
        /// What was decided.
        decision: Arc<Decision>,
        /// Whether it was decided before this request.
        replayed: bool,
    },
    /// Refused without a trace: the same key may be decided later.
    Declined(Refusal),
}

/// A stored decision about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its number; holds the batch and the place in it.
    pub sequence: Sequence,
    /// What was asked for.
    pub body: Body,
    /// Who asked first.
    pub provenance: Provenance,
    /// When the batch was decided.
    pub decided_at: Timestamp,
    /// Yes or no.
    pub verdict: Verdict,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Money moved; these are the balances right after.
    Completed {
        /// The payer's.
        debit_after: Balance,
        /// The payee's.
        credit_after: Balance,
    },
    /// Nothing moved.
    Refused(Refusal),
}

/// Why not, and which field is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first reason that holds.
    pub reason: Reason,
    /// The field to blame.
    pub field: Field,
}

/// Reasons to refuse, by precedence: the first that holds is the one that is answered. The numbers are stored, hashed
/// and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The key is decided for another body.
    IdempotencyConflict = 1,
    /// The tenant has no such account.
    WalletNotFound = 2,
    /// Payer and payee are the same.
    SameWallet = 3,
    /// The account is of another currency.
    CurrencyMismatch = 4,
    /// The account is closed.
    WalletClosed = 5,
    /// The account is frozen in this direction.
    WalletFrozen = 6,
    /// The settlement account would fall below its cap.
    SettlementCapExceeded = 7,
    /// The wallet would fall below its minimum.
    InsufficientFunds = 8,
    /// A total would leave 64 bits.
    BalanceOverflow = 9,
}

impl Reason {
    /// Whether the refusal is stored, so that the key always gets it again.
    pub fn is_definitive(self) -> bool {
        Self::WalletClosed <= self
    }
}

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The payer.
    From,
    /// The payee.
    To,
    /// The number.
    Amount,
    /// The currency.
    Currency,
    /// The caller's text.
    Reference,
}

impl Field {
    /// The field's path in the request.
    pub const fn path(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Amount => "amount.amount",
            Self::Currency => "amount.currency",
            Self::Reference => "reference",
        }
    }
}
