//! Money between two accounts: the reasons against it, each stated once, and the movement itself.
//!
//! The order of the reasons: [`refuse_suspended`], [`refuse_closed_or_frozen`], then whatever a rule asks itself, then
//! [`refuse_beyond`], then [`transfer`], which refuses totals that leave 64 bits and otherwise changes both accounts.

use super::{Case, refuse_if};
use crate::{
    Account, AccountKind, Balance, Field, Movement, Posting, Reason, Refusal, Side, Snapshot, Status,
    Transfer, table::Slot,
};

/// The account that money leaves and the one that it comes to.
#[derive(Clone, Copy)]
pub(super) struct Parties {
    pub(super) debit: Slot<Account>,
    pub(super) credit: Slot<Account>,
}

impl Parties {
    /// The way back.
    pub(super) const fn reversed(self) -> Self {
        Self { debit: self.credit, credit: self.debit }
    }

    pub(super) fn of(self, snapshot: &Snapshot) -> (&Account, &Account) {
        (snapshot.accounts.get(self.debit), snapshot.accounts.get(self.credit))
    }
}

/// What becomes of both sides: `posted` more is moved, and `pending` more (or, if negative, less) is held.
#[derive(Clone, Copy)]
pub(super) struct Amounts {
    pub(super) posted: i64,
    pub(super) pending: i64,
}

/// Nothing new leaves the accounts of a suspended tenant. Where money enters the tenant it goes on: what comes from outside
/// is no spending of the tenant's. Neither is what goes to clearing, where only the engine pays to: a tenant that is
/// suspended because it owes could not pay otherwise.
pub(super) fn refuse_suspended(snapshot: &Snapshot, parties: Parties) -> Result<(), Refusal> {
    let (payer, payee) = parties.of(snapshot);
    let enters = matches!(payer.kind, AccountKind::Settlement | AccountKind::Clearing);
    let goes_on = enters || payee.kind == AccountKind::Clearing;
    refuse_if(!goes_on && snapshot.is_suspended(parties.debit), Reason::TenantSuspended, Field::From)
}

pub(super) fn refuse_closed_or_frozen(payer: &Account, payee: &Account) -> Result<(), Refusal> {
    refuse_if(payer.status == Status::Closed, Reason::WalletClosed, Field::From)?;
    refuse_if(payee.status == Status::Closed, Reason::WalletClosed, Field::To)?;
    refuse_if(payer.status.freezes_debit(), Reason::WalletFrozen, Field::From)?;
    refuse_if(payee.status.freezes_credit(), Reason::WalletFrozen, Field::To)
}

/// Money that was promised before is taken of a payer who is frozen by now; a payee who may not be paid is not paid.
pub(super) fn refuse_closed_or_frozen_payee(payee: &Account) -> Result<(), Refusal> {
    refuse_if(payee.status == Status::Closed, Reason::WalletClosed, Field::To)?;
    refuse_if(payee.status.freezes_credit(), Reason::WalletFrozen, Field::To)
}

/// No debit below the floor, no credit above the ceiling.
pub(super) fn refuse_beyond(payer: &Account, payee: &Account, minor: i64) -> Result<(), Refusal> {
    let shortfall = match payer.kind {
        AccountKind::Settlement => Reason::SettlementCapExceeded,
        _ => Reason::InsufficientFunds,
    };
    refuse_if(room_below(payer) < i128::from(minor), shortfall, Field::From)?;
    let beyond = room_above(payee).is_some_and(|room| room < i128::from(minor));
    refuse_if(beyond, Reason::MaximumExceeded, Field::To)
}

/// The most of `minor` that the floor and the ceiling allow. At least one unit, so that where nothing is allowed
/// [`refuse_beyond`] says why.
pub(super) fn most_of(payer: &Account, payee: &Account, minor: i64) -> i64 {
    let room = room_above(payee).map_or(room_below(payer), |above| above.min(room_below(payer)));
    // What does not fit into 64 bits is more than `minor`, or less than one.
    i64::try_from(room.clamp(1, i128::from(minor.max(1)))).unwrap_or(minor)
}

fn room_below(payer: &Account) -> i128 {
    payer.balance.available() - i128::from(payer.floor)
}

fn room_above(payee: &Account) -> Option<i128> {
    payee.ceiling.map(|ceiling| i128::from(ceiling) - payee.balance.expected())
}

/// Changes both accounts by the same amounts.
pub(super) fn transfer(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    parties: Parties,
    amounts: Amounts,
) -> Result<Movement, Refusal> {
    let Amounts { posted, pending } = amounts;
    let (payer, payee) = parties.of(snapshot);
    let overflow = |field| Refusal::new(Reason::BalanceOverflow, field);
    let debit = payer.balance.moved(Side::Debit, posted, pending).ok_or(overflow(Field::From))?;
    let credit = payee.balance.moved(Side::Credit, posted, pending).ok_or(overflow(Field::To))?;
    let debit = post(snapshot, case, parties.debit, debit);
    let credit = post(snapshot, case, parties.credit, credit);
    Ok(Movement::Transfer(Box::new(Transfer { posted, pending, debit, credit })))
}

/// Gives an account its new balance and makes the case the last of its history.
pub(super) fn post(snapshot: &mut Snapshot, case: &Case<'_>, slot: Slot<Account>, after: Balance) -> Posting {
    let account = snapshot.accounts.key(slot).1;
    let changed = snapshot.accounts.change(slot);
    changed.balance = after;
    let previous = std::mem::replace(&mut changed.last, case.sequence);
    Posting { account, after, previous }
}
