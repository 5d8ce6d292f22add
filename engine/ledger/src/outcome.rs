//! What becomes of a request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Balance, Body, Level, ParameterName, PaymentState, Provenance, RefundState, Sequence, Status,
    Timestamp,
};

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

/// A stored decision about a key: one row of the journal.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Done {
        /// What it changed of accounts.
        movement: Movement,
        /// What it left behind; nothing for a plain payment, of which the transfer says all.
        after: Option<Box<After>>,
    },
    /// Nothing changed.
    Refused(Refusal),
}

/// What an operation changes of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Nothing: only the state of a payment or a refund changed.
    None,
    /// Money moved, was held or was given back.
    Transfer(Box<Transfer>),
    /// The terms of a wallet changed; its version did, and nothing else of its balance.
    Wallet(Box<Posting>),
}

impl Movement {
    /// The accounts that changed, the payer's first.
    pub fn postings(&self) -> impl Iterator<Item = &Posting> {
        let (first, second) = match self {
            Self::None => (None, None),
            Self::Transfer(transfer) => (Some(&transfer.debit), Some(&transfer.credit)),
            Self::Wallet(posting) => (Some(&**posting), None),
        };
        first.into_iter().chain(second)
    }
}

/// One debit and one credit of the same amounts: both accounts change by `posted` and `pending` alike, so there is no
/// way to write down an unbalanced entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// What was moved, in minor units.
    pub posted: i64,
    /// What more is held, or, if negative, less.
    pub pending: i64,
    /// The payer's side.
    pub debit: Posting,
    /// The payee's side.
    pub credit: Posting,
}

/// The effect of an operation on one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Which account.
    pub account: AccountId,
    /// The balance right after.
    pub after: Balance,
    /// The account's operation before this one.
    pub previous: Sequence,
}

/// What an operation left behind. Stored with the decision, so that a repeated key gets the first answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// The payment right after.
    Payment(PaymentState),
    /// The refund and its payment right after.
    Refund(RefundState, PaymentState),
    /// The wallet right after.
    Wallet(WalletTerms),
}

/// What [`Kind::ChangeWallet`](crate::Kind::ChangeWallet) can change, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletTerms {
    /// Whether the wallet takes part in payments.
    pub status: Status,
    /// The lowest available balance, in minor units.
    pub floor: i64,
    /// The highest balance, in minor units.
    pub ceiling: Option<i64>,
}

/// Why not, and which field is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The first reason that holds.
    pub reason: Reason,
    /// The field to blame.
    pub field: Field,
    /// The parameter that was exceeded, and where it is set.
    pub limit: Option<(ParameterName, Level)>,
}

impl Refusal {
    /// A refusal that no parameter is to blame for.
    pub const fn new(reason: Reason, field: Field) -> Self {
        Self { reason, field, limit: None }
    }
}

/// Reasons to refuse, by precedence: the first that holds is the one that is answered. The numbers are stored, hashed
/// and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The key is decided for another body.
    IdempotencyConflict = 1,
    /// The tenant has no such account.
    WalletNotFound = 2,
    /// The tenant has no such payment.
    PaymentNotFound = 3,
    /// The tenant has no such refund.
    RefundNotFound = 4,
    /// Payer and payee are the same.
    SameWallet = 5,
    /// The account or payment is of another currency.
    CurrencyMismatch = 6,
    /// Who asked for a refund or a payment cannot approve it.
    ApproverIsRequester = 7,
    /// The deadline or date has not come yet.
    NotDue = 8,
    /// Another item of the same linked request was refused without a trace.
    LinkedItemDeclined = 9,
    /// So large a payment needs somebody else's approval, and there is none.
    PaymentApprovalRequired = 10,
    /// The key is not known, and the caller wants an answer only if it is: it asked before the ledger was restored.
    LostByRestore = 11,

    /// The tenant is suspended and the money would leave one of its accounts. Definitive from here on.
    TenantSuspended = 19,
    /// The account is closed.
    WalletClosed = 20,
    /// The account is frozen in this direction.
    WalletFrozen = 21,
    /// A wallet with money or holds cannot be closed.
    WalletNotEmpty = 22,
    /// The hold's deadline has passed.
    HoldExpired = 23,
    /// The payment or refund is not in a state for this.
    WrongState = 24,
    /// More than what is left of the hold.
    CaptureExceedsHold = 25,
    /// More than what was taken and not refunded yet.
    RefundExceedsCaptured = 26,
    /// The time in which refunds are possible is over.
    RefundWindowClosed = 27,
    /// What the request expected of an account does not hold.
    ConditionNotMet = 28,
    /// A limit of the wallet or the tenant.
    LimitExceeded = 29,
    /// The settlement account would fall below its cap.
    SettlementCapExceeded = 30,
    /// The wallet would fall below its minimum.
    InsufficientFunds = 31,
    /// The wallet would exceed its maximum.
    MaximumExceeded = 32,
    /// A total would leave 64 bits.
    BalanceOverflow = 33,
    /// Another item of the same linked request was refused.
    LinkedItemRefused = 34,
}

/// Every reason, in the order of precedence.
pub const REASONS: [Reason; 27] = [
    Reason::IdempotencyConflict,
    Reason::WalletNotFound,
    Reason::PaymentNotFound,
    Reason::RefundNotFound,
    Reason::SameWallet,
    Reason::CurrencyMismatch,
    Reason::ApproverIsRequester,
    Reason::NotDue,
    Reason::LinkedItemDeclined,
    Reason::PaymentApprovalRequired,
    Reason::LostByRestore,
    Reason::TenantSuspended,
    Reason::WalletClosed,
    Reason::WalletFrozen,
    Reason::WalletNotEmpty,
    Reason::HoldExpired,
    Reason::WrongState,
    Reason::CaptureExceedsHold,
    Reason::RefundExceedsCaptured,
    Reason::RefundWindowClosed,
    Reason::ConditionNotMet,
    Reason::LimitExceeded,
    Reason::SettlementCapExceeded,
    Reason::InsufficientFunds,
    Reason::MaximumExceeded,
    Reason::BalanceOverflow,
    Reason::LinkedItemRefused,
];

impl Reason {
    /// Whether the refusal is stored, so that the key always gets it again.
    pub fn is_definitive(self) -> bool {
        Self::TenantSuspended <= self
    }
}

/// A field of a request. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// The payer.
    From = 1,
    /// The payee.
    To = 2,
    /// The number.
    Amount = 3,
    /// The currency.
    Currency = 4,
    /// The caller's text.
    Reference = 5,
    /// The payment acted on.
    Payment = 6,
    /// The refund acted on.
    Refund = 7,
    /// The wallet that is changed.
    Wallet = 8,
    /// How long the money is held.
    Timeout = 9,
    /// When the hold takes itself.
    CaptureTime = 10,
    /// Whether the rest is given back.
    Final = 11,
    /// Whether less may be moved.
    UpTo = 12,
    /// A condition.
    Expect = 13,
    /// The wallet's new status.
    Status = 14,
    /// The wallet's new floor.
    Minimum = 15,
    /// The wallet's new ceiling.
    Maximum = 16,
    /// What is asked to do.
    Kind = 17,
    /// The other items of a linked request.
    Items = 18,
    /// The caller's labels.
    Metadata = 19,
    /// Who approved it.
    Approver = 20,
    /// The key itself.
    Key = 21,
}

/// Every field, in the order of the numbers.
pub const FIELDS: [Field; 21] = [
    Field::From,
    Field::To,
    Field::Amount,
    Field::Currency,
    Field::Reference,
    Field::Payment,
    Field::Refund,
    Field::Wallet,
    Field::Timeout,
    Field::CaptureTime,
    Field::Final,
    Field::UpTo,
    Field::Expect,
    Field::Status,
    Field::Minimum,
    Field::Maximum,
    Field::Kind,
    Field::Items,
    Field::Metadata,
    Field::Approver,
    Field::Key,
];

impl Field {
    /// The field's path in the request.
    pub const fn path(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Amount => "amount.amount",
            Self::Currency => "amount.currency",
            Self::Reference => "reference",
            Self::Payment => "payment_id",
            Self::Refund => "refund_id",
            Self::Wallet => "wallet",
            Self::Timeout => "timeout",
            Self::CaptureTime => "capture_time",
            Self::Final => "final",
            Self::UpTo => "up_to",
            Self::Expect => "expect",
            Self::Status => "status",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
            Self::Kind => "kind",
            Self::Items => "items",
            Self::Metadata => "metadata",
            Self::Approver => "approved_by",
            Self::Key => "idempotency_key",
        }
    }
}
