//! Accounts and what they hold.

use crate::{Currency, Sequence};

/// A wallet or a settlement account, as far as deciding needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// All money in the account is of this currency.
    pub currency: Currency,
    /// Decides which reason a debit below the floor is refused with.
    pub kind: AccountKind,
    /// Whether the account takes part in payments.
    pub status: Status,
    /// The lowest available balance that a debit may leave, in minor units: a wallet's minimum, or minus the cap of a
    /// settlement account.
    pub floor: i64,
    /// What the account holds.
    pub balance: Balance,
    /// The last transfer that touched the account. Transfers point back to the one before, which makes the account's
    /// history a chain that needs no index.
    pub last: Sequence,
}

/// What an account is for. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// Holds money of somebody.
    Wallet = 1,
    /// Where money enters and leaves a tenant. Its floor is minus its cap.
    Settlement = 2,
}

/// Whether an account takes part in payments. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Totals of an account in minor units; each of the four only grows or is released, and none is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Money that left.
    pub posted_debits: i64,
    /// Money that came.
    pub posted_credits: i64,
    /// Money held to leave.
    pub pending_debits: i64,
    /// Money held to come.
    pub pending_credits: i64,
    /// Counts the postings.
    pub version: i64,
}

impl Balance {
    /// What a debit may take down to the floor. Wide, because a sum of three counts can leave 64 bits.
    pub fn available(&self) -> i128 {
        i128::from(self.posted_credits) - i128::from(self.posted_debits) - i128::from(self.pending_debits)
    }

    /// This balance after a debit, or nothing if a total leaves 64 bits.
    pub(crate) fn debited(&self, minor: i64) -> Option<Self> {
        let posted_debits = self.posted_debits.checked_add(minor)?;
        Self { posted_debits, version: self.version.checked_add(1)?, ..*self }.in_range()
    }

    /// This balance after a credit, or nothing if a total leaves 64 bits.
    pub(crate) fn credited(&self, minor: i64) -> Option<Self> {
        let posted_credits = self.posted_credits.checked_add(minor)?;
        Self { posted_credits, version: self.version.checked_add(1)?, ..*self }.in_range()
    }

    fn in_range(self) -> Option<Self> {
        i64::try_from(self.available()).is_ok().then_some(self)
    }
}
