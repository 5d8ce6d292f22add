//! Accounts and what they hold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Currency, Sequence};

/// A wallet or one of a tenant's own accounts, as far as deciding needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// All money in the account is of this currency.
    pub currency: Currency,
    /// Decides which reason a debit below the floor is refused with.
    pub kind: AccountKind,
    /// Whether the account takes part in payments.
    pub status: Status,
    /// Groups wallets that share parameters; empty for none.
    pub class: Arc<str>,
    /// The lowest available balance that a debit may leave, in minor units: a wallet's minimum, or minus the cap of a
    /// settlement account.
    pub floor: i64,
    /// The highest balance that a credit may lead to, held money included; nothing for none.
    pub ceiling: Option<i64>,
    /// What the account holds.
    pub balance: Balance,
    /// The last operation that changed the account. Operations point back to the one before, which makes the account's
    /// history a chain that needs no index.
    pub last: Sequence,
}

/// What an account is for. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccountKind {
    /// Holds money of somebody.
    Wallet = 1,
    /// Where money enters and leaves a tenant. Its floor is minus its cap.
    Settlement = 2,
    /// Where payments between tenants meet.
    Clearing = 3,
    /// Where the tenant's fees go.
    Fee = 4,
    /// Where money waits until somebody knows whose it is.
    Suspense = 5,
}

impl AccountKind {
    /// The kinds of which a tenant has one account per currency.
    pub const OF_TENANT: [Self; 4] = [Self::Settlement, Self::Clearing, Self::Fee, Self::Suspense];

    /// The word that is hashed into ids. Never change it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Settlement => "settlement",
            Self::Clearing => "clearing",
            Self::Fee => "fee",
            Self::Suspense => "suspense",
        }
    }
}

/// Whether an account takes part in payments. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Takes part.
    Active = 1,
    /// Refuses debits.
    FrozenDebit = 2,
    /// Refuses credits.
    FrozenCredit = 3,
    /// Refuses both.
    Frozen = 4,
    /// Refuses both for ever.
    Closed = 5,
}

impl Status {
    /// Whether debits are refused until somebody thaws the account.
    pub const fn freezes_debit(self) -> bool {
        matches!(self, Self::FrozenDebit | Self::Frozen)
    }

    /// Whether credits are refused until somebody thaws the account.
    pub const fn freezes_credit(self) -> bool {
        matches!(self, Self::FrozenCredit | Self::Frozen)
    }
}

/// Totals of an account in minor units; none is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Money that left. Only grows.
    pub posted_debits: i64,
    /// Money that came. Only grows.
    pub posted_credits: i64,
    /// Money held to leave.
    pub pending_debits: i64,
    /// Money held to come.
    pub pending_credits: i64,
    /// Counts the operations that changed the account.
    pub version: i64,
}

/// The two sides of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The account that money leaves.
    Debit,
    /// The account that money comes to.
    Credit,
}

impl Balance {
    /// What a debit may take down to the floor. Wide, because a sum of three counts can leave 64 bits.
    pub fn available(&self) -> i128 {
        i128::from(self.posted_credits) - i128::from(self.posted_debits) - i128::from(self.pending_debits)
    }

    /// What the account would hold if everything held to come had come.
    pub fn expected(&self) -> i128 {
        i128::from(self.posted_credits) + i128::from(self.pending_credits) - i128::from(self.posted_debits)
    }

    /// Whether nothing is there and nothing is held.
    pub const fn is_empty(&self) -> bool {
        self.posted_credits == self.posted_debits && self.pending_debits == 0 && self.pending_credits == 0
    }

    /// This balance after an operation that moves nothing; nothing if the version leaves 64 bits.
    pub fn touched(&self) -> Option<Self> {
        Some(Self { version: self.version.checked_add(1)?, ..*self })
    }

    /// This balance with `posted` more moved and `pending` more held (or, if negative, less) on one side; nothing if a
    /// total leaves 64 bits or falls below zero, or if `posted` is negative.
    pub fn moved(&self, side: Side, posted: i64, pending: i64) -> Option<Self> {
        let mut after = self.touched()?;
        let (posted_total, pending_total) = match side {
            Side::Debit => (&mut after.posted_debits, &mut after.pending_debits),
            Side::Credit => (&mut after.posted_credits, &mut after.pending_credits),
        };
        *posted_total = posted_total.checked_add(posted).filter(|_| 0 <= posted)?;
        *pending_total = pending_total.checked_add(pending).filter(|total| 0 <= *total)?;
        (i64::try_from(after.available()).is_ok() && i64::try_from(after.expected()).is_ok()).then_some(after)
    }
}
