//! What to do next about a TenantBilling, and when to look again. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use payplane_crds::{
    condition::reason::{CURRENCY_MISMATCH, WALLET_NOT_FOUND},
    money::PositiveAmount,
    tenant_billing::{DunningAction, DunningStep},
};

use super::{Answer, Billed, Owed, Wallets, validate::Wanted};
use crate::{
    controllers::Again,
    engine::{Amount, DebtMeasures, Invoice},
};

/// How many periods one look closes at most: a year that was missed takes a few looks, and each of them shows.
pub const CLOSES_MAX: usize = 12;

/// How many invoices one look tries to collect at most.
pub const COLLECTS_MAX: usize = 12;

/// How old the shown usage may be.
const REFRESH: Duration = Duration::from_mins(5);

/// A little after the moment, because the database's clock may be a little behind.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Nothing: this is the answer.
    Say(Answer),
    /// Close what is over, collect what is due, and look at what is open.
    Bill(Box<Wanted>),
}

/// Asks, if everything is there.
pub fn plan(valid: Result<Wanted, Answer>) -> Next {
    match valid {
        Ok(wanted) => Next::Bill(Box::new(wanted)),
        Err(answer) => Next::Say(answer),
    }
}

/// When the open period is closed.
pub fn closes_at(billed: &Billed) -> Timestamp {
    let grace = SignedDuration::from_secs(billed.grace_seconds);
    billed.preview.invoice.end.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// Again when the open period closes, but not later than the shown usage is old.
pub fn again(billed: &Billed, now: Timestamp) -> Again {
    if billed.has_more {
        return Again::After(Duration::ZERO);
    }
    let collects_at = billed.owed.as_ref().and_then(|owed| owed.next_attempt_at);
    let dunned_at = billed.owed.as_ref().and_then(|owed| owed.stage.next_at);
    let next = [collects_at, dunned_at].into_iter().flatten().fold(closes_at(billed), Timestamp::min);
    let left = next.duration_since(now).saturating_add(MARGIN);
    // In the past only if the clocks disagree.
    let left = Duration::try_from(left).unwrap_or_default().max(Duration::from_secs(1));
    Again::After(left.min(REFRESH))
}

/// When an open invoice is to be tried: at once, or some time after the last refusal. What was collected too much is given
/// back at once.
pub fn next_attempt(invoice: &Invoice, retry_after_seconds: &[i64]) -> Timestamp {
    let refused = invoice.standing.as_ref().filter(|standing| standing.is_due && 0 < standing.attempts);
    let Some((standing, last)) = refused.and_then(|standing| Some((standing, standing.last_attempt?))) else {
        return Timestamp::UNIX_EPOCH;
    };
    let place = usize::try_from(standing.attempts - 1).unwrap_or_default();
    let wait = retry_after_seconds.get(place).or(retry_after_seconds.last()).copied().unwrap_or_default();
    last.checked_add(SignedDuration::from_secs(wait)).unwrap_or(Timestamp::MAX)
}

/// How far dunning has come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stage {
    /// How many steps have been reached.
    pub steps: usize,
    /// Whether one of them suspends.
    pub is_suspended: bool,
    /// The most that one payment may be, by the last of them that restricts.
    pub payment_maximum: Option<PositiveAmount>,
    /// When the next one is reached.
    pub next_at: Option<Timestamp>,
}

/// Which steps have been reached, by when the oldest unpaid invoice was issued.
pub fn stage(unpaid_since: Option<Timestamp>, steps: &[DunningStep], now: Timestamp) -> Stage {
    let Some(since) = unpaid_since else { return Stage::default() };
    let at = |step: &DunningStep| {
        since.checked_add(SignedDuration::from_secs(step.after_seconds)).unwrap_or(Timestamp::MAX)
    };
    let reached = steps.iter().filter(|step| at(step) <= now);
    Stage {
        steps: reached.clone().count(),
        is_suspended: reached.clone().any(|step| step.action == DunningAction::Suspend),
        payment_maximum: reached.filter_map(|step| step.per_payment_max.clone()).next_back(),
        next_at: steps.iter().map(at).filter(|at| now < *at).min(),
    }
}

/// A wallet of the collection, as the ledger has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundWallet {
    /// Field of the spec that names it.
    pub field: &'static str,
    /// What the ledger calls it.
    pub name: String,
    /// Its currency. None if there is no such wallet.
    pub currency: Option<String>,
}

/// Whether what is billed can be paid between these wallets; the first one that does not fit is named. The API server cannot
/// say so when the spec is applied: it sees no other object, and wallets may come later.
pub fn fit(currency: &str, wallets: &[FoundWallet]) -> Wallets {
    let misfit = wallets.iter().find(|wallet| wallet.currency.as_deref() != Some(currency));
    let Some(FoundWallet { field, name, currency: found }) = misfit else { return Wallets::Fit };
    match found {
        None => Wallets::Misfit {
            reason: WALLET_NOT_FOUND,
            message: format!(
                "{field}: the ledger has no wallet {name:?} of this tenant. Apply a Wallet in {currency}, or name another one as \
                 \"<namespace>/<name>\"."
            ),
        },
        Some(found) => Wallets::Misfit {
            reason: CURRENCY_MISMATCH,
            message: format!(
                "{field}: the wallet {name:?} is in {found}, and the plan is in {currency}. Name a wallet in {currency}, or bill \
                 by a plan in {found}."
            ),
        },
    }
}

/// What is done to the tenant now.
pub fn measures(owed: &Owed, currency: &str) -> DebtMeasures {
    let Stage { is_suspended, payment_maximum, .. } = &owed.stage;
    let amount =
        |maximum: &PositiveAmount| Amount { amount: maximum.0.clone(), currency: currency.to_owned() };
    DebtMeasures { suspended: *is_suspended, payment_maximum: payment_maximum.as_ref().map(amount) }
}

#[cfg(test)]
mod tests;
