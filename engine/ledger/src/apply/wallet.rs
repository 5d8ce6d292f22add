//! Changes of a wallet's terms: status, floor, ceiling.
//!
//! Reasons in their order: closed for good, not empty, not a wallet's business, new floor above what is available, new
//! ceiling below what is expected. So no change makes a balance unlawful.

use super::{Case, money, refuse_if};
use crate::{
    Account, AccountKind, After, Field, Movement, Reason, Refusal, Snapshot, Status, Terms, Verdict,
    WalletTerms, table::Slot,
};

pub(super) fn change(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    wallet: Slot<Account>,
) -> Result<Verdict, Refusal> {
    let account = snapshot.accounts.get(wallet);
    let Terms { status, floor, ceiling, .. } = case.request.terms;
    check(account, &case.request.terms)?;
    let after = account.balance.touched().ok_or(Refusal::new(Reason::BalanceOverflow, Field::Wallet))?;
    let posting = money::post(snapshot, case, wallet, after);
    let account = snapshot.accounts.change(wallet);
    account.status = status.unwrap_or(account.status);
    account.floor = floor.unwrap_or(account.floor);
    account.ceiling = match ceiling {
        None => account.ceiling,
        Some(i64::MAX) => None,
        set => set,
    };
    let terms = WalletTerms { status: account.status, floor: account.floor, ceiling: account.ceiling };
    let after = Some(Box::new(After::Wallet(terms)));
    Ok(Verdict::Done { movement: Movement::Wallet(Box::new(posting)), after })
}

fn check(account: &Account, terms: &Terms) -> Result<(), Refusal> {
    let balance = &account.balance;
    refuse_if(account.status == Status::Closed, Reason::WalletClosed, Field::Wallet)?;
    let closes = terms.status == Some(Status::Closed);
    refuse_if(closes && !balance.is_empty(), Reason::WalletNotEmpty, Field::Status)?;
    // A settlement account's floor is its cap, which only the Tenant sets.
    refuse_if(account.kind == AccountKind::Settlement, Reason::WrongState, Field::Wallet)?;
    let short = terms.floor.is_some_and(|floor| balance.available() < i128::from(floor));
    refuse_if(short, Reason::InsufficientFunds, Field::Minimum)?;
    let beyond = terms.ceiling.is_some_and(|ceiling| i128::from(ceiling) < balance.expected());
    refuse_if(beyond, Reason::MaximumExceeded, Field::Maximum)
}
