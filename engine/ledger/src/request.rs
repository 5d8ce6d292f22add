//! What is asked for, who asks, and what of it a repeated key is compared with.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{AccountId, Currency, OperationId, Origin, Status, TenantId};

/// Microseconds since 1970 by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// An operation that somebody asks for. Shapes and ranges were checked at the edge; which fields a kind uses is said at
/// [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose accounts.
    pub tenant: TenantId,
    /// Follows from tenant, origin, kind and key.
    pub operation: OperationId,
    /// What to do.
    pub kind: Kind,
    /// The payer, or the wallet that is changed.
    pub from: Option<AccountRef>,
    /// The payee.
    pub to: Option<AccountRef>,
    /// In minor units; zero where the kind takes "all that is left".
    pub minor: i64,
    /// The currency of the amount.
    pub currency: Option<Currency>,
    /// The caller's text.
    pub reference: Arc<str>,
    /// The payment or refund that is acted on.
    pub target: Option<OperationId>,
    /// What else is asked for.
    pub terms: Terms,
    /// Who asks.
    pub provenance: Provenance,
    /// Answer only if the key is known: it was asked before the ledger was restored, and may have been done since the copy
    /// was made.
    pub only_known: bool,
}

/// What an operation does. The numbers are stored, hashed and on the wire: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Moves `minor` from `from` to `to` at once. Terms: `up_to`, `expect`, `approver`.
    Pay = 1,
    /// Holds `minor` for a payment from `from` to `to`. Terms: `up_to`, `expect`, `timeout_us`,
    /// `capture_at`, `approver`. Where the date is not before the deadline, the hold lives one timeout longer than its date.
    Authorize = 2,
    /// Takes `minor` (zero: all that is left) of the hold `target`. Terms: `is_final`.
    Capture = 3,
    /// Gives back what is left of the hold `target`.
    Void = 4,
    /// Gives back what is left of the hold `target`, because its deadline has passed.
    Expire = 5,
    /// Takes all that is left of the hold `target`, because its date has come.
    CaptureDue = 6,
    /// Hands the hold `target` to an external gateway, which knows it by `reference`.
    HandOver = 7,
    /// The gateway says that `minor` (zero: all) of `target` was settled. The key is the gateway's event.
    Settle = 8,
    /// The gateway says that `target` failed. The key is the gateway's event.
    Fail = 9,
    /// Gives `minor` (zero: all that is left) of the payment `target` back, or asks for approval.
    Refund = 10,
    /// Approves the refund `target` and gives the money back.
    ApproveRefund = 11,
    /// Rejects the refund `target`.
    RejectRefund = 12,
    /// Voids the payment `target` while it is held, refunds what is left of it when it is completed.
    Reverse = 13,
    /// Changes the wallet `from`. Terms: `status`, `floor`, `ceiling`.
    ChangeWallet = 14,
}

/// Every kind, in the order of the numbers.
pub const KINDS: [Kind; 14] = [
    Kind::Pay,
    Kind::Authorize,
    Kind::Capture,
    Kind::Void,
    Kind::Expire,
    Kind::CaptureDue,
    Kind::HandOver,
    Kind::Settle,
    Kind::Fail,
    Kind::Refund,
    Kind::ApproveRefund,
    Kind::RejectRefund,
    Kind::Reverse,
    Kind::ChangeWallet,
];

impl Kind {
    /// Whether the operation makes a payment, whose id is then the operation's.
    pub const fn makes_payment(self) -> bool {
        matches!(self, Self::Pay | Self::Authorize)
    }

    /// Whether the target is a refund; all other targets are payments.
    pub const fn targets_refund(self) -> bool {
        matches!(self, Self::ApproveRefund | Self::RejectRefund)
    }
}

/// What only some operations ask for. The default is what a plain payment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// How long the money is held, in microseconds. Without it the parameter `hold-timeout` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_us: Option<i64>,
    /// When the hold takes itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_at: Option<Timestamp>,
    /// Gives back what this capture leaves of the hold.
    #[serde(skip_serializing_if = "is_false")]
    pub is_final: bool,
    /// Moves less if less is available.
    #[serde(skip_serializing_if = "is_false")]
    pub up_to: bool,
    /// What must hold of the accounts.
    #[serde(skip_serializing_if = "Expect::is_nothing")]
    pub expect: Expect,
    /// The wallet's new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The wallet's new floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<i64>,
    /// The wallet's new ceiling; [`i64::MAX`] takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<i64>,
    /// What the caller wants to find the payment by. Never personal data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The first operation of those that succeed or fail together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<OperationId>,
    /// Who approved it. Kept and hashed with the rest, and never compared: an approval does not make it another request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver: Option<Arc<str>>,
}

/// Conditions of a conditional payment, looked at before the money moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// The payer's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_version: Option<i64>,
    /// The payee's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_version: Option<i64>,
    /// The least that the payer has available, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_available_min: Option<i64>,
}

impl Expect {
    /// Whether nothing is expected.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Names an account by its id. A name of a wallet stands for two ids, one per origin; at most one of them exists,
/// because names are unique within a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRef {
    /// Looked for first.
    pub first: AccountId,
    /// Looked for if the first does not exist.
    pub fallback: Option<AccountId>,
}

impl AccountRef {
    /// Names exactly one account.
    pub const fn id(id: AccountId) -> Self {
        Self { first: id, fallback: None }
    }

    /// Every id that the reference may stand for.
    pub fn candidates(&self) -> impl Iterator<Item = AccountId> {
        std::iter::once(self.first).chain(self.fallback)
    }
}

/// Who asked, kept with the decision and never compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Whose key it is.
    pub origin: Origin,
    /// The key as the caller gave it.
    pub key: Arc<str>,
    /// Tells one sender of the key from another.
    pub origin_ref: Arc<str>,
    /// The authenticated subject.
    pub actor: Arc<str>,
    /// Finds the call in logs and traces.
    pub correlation_id: Arc<str>,
}

/// The part of a request that makes it the same request: a repeated key is compared field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// What was asked to do.
    pub kind: Kind,
    /// The account that pays, or the wallet that is changed.
    pub debit: Option<AccountId>,
    /// The account that is paid.
    pub credit: Option<AccountId>,
    /// In minor units; zero for "all that is left".
    pub minor: i64,
    /// The currency of the amount. Always known once decided.
    pub currency: Currency,
    /// The caller's text.
    pub reference: Arc<str>,
    /// The payment or refund acted on.
    pub target: Option<OperationId>,
    /// What else was asked for.
    pub terms: Terms,
}
