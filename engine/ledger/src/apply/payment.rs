//! Payments: made at once, or held first.
//!
//! Both are refused for the same reasons, in this order: suspended, closed, frozen, condition not met, limit, (for a
//! hold) a deadline beyond the maximum, floor, ceiling, (for a hold) a deadline beyond 64 bits, totals beyond 64 bits.
//! With `up_to` the amount is what floor and ceiling allow, and that amount is what limits count.

use std::sync::Arc;

use super::{
    Case, expect, limits,
    limits::Tally,
    money::{self, Amounts, Parties},
};
use crate::{
    After, Field, HOLD_TIMEOUT_DEFAULT_US, Kind, Level, ParameterName, PaymentState, Phase, Reason, Refusal,
    Snapshot, Timestamp, Verdict,
};

pub(super) fn pay(snapshot: &mut Snapshot, case: &Case<'_>, parties: Parties) -> Result<Verdict, Refusal> {
    let (minor, tally) = check(snapshot, case, parties)?;
    let movement = money::transfer(snapshot, case, parties, Amounts { posted: minor, pending: 0 })?;
    tally.record(snapshot);
    Ok(Verdict::Done { movement, after: None })
}

pub(super) fn authorize(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    parties: Parties,
) -> Result<Verdict, Refusal> {
    let (minor, tally) = check(snapshot, case, parties)?;
    let (deadline, deadline_level) = deadline(snapshot, case, parties)?;
    let movement = money::transfer(snapshot, case, parties, Amounts { posted: 0, pending: minor })?;
    tally.record(snapshot);
    let id = |slot| snapshot.accounts.key(slot).1;
    let payment = PaymentState {
        debit: id(parties.debit),
        credit: id(parties.credit),
        currency: snapshot.accounts.get(parties.debit).currency,
        phase: Phase::Pending,
        amount: minor,
        captured: 0,
        refunding: 0,
        refunded: 0,
        deadline: Some(deadline),
        deadline_level,
        capture_at: case.request.terms.capture_at,
        gateway: Arc::default(),
        moved_at: None,
        version: 1,
    };
    snapshot.payments.set(case.key(), payment.clone());
    Ok(Verdict::Done { movement, after: Some(Box::new(After::Payment(payment))) })
}

/// The amount, and what limits will have counted.
fn check(snapshot: &Snapshot, case: &Case<'_>, parties: Parties) -> Result<(i64, Tally), Refusal> {
    let (payer, payee) = parties.of(snapshot);
    let terms = &case.request.terms;
    money::refuse_suspended(snapshot, parties)?;
    money::refuse_closed_or_frozen(payer, payee)?;
    expect::refuse_unexpected(snapshot, parties, &terms.expect)?;
    let asked = case.request.minor;
    let minor = if terms.up_to { money::most_of(payer, payee, asked) } else { asked };
    let tally = limits::check(snapshot, parties, minor, case.now)?;
    if case.request.kind == Kind::Authorize {
        refuse_long(snapshot, case, parties)?;
    }
    money::refuse_beyond(payer, payee, minor)?;
    Ok((minor, tally))
}

/// A hold that would last longer than the payer's maximum, by what the request says: its timeout, or its date.
fn refuse_long(snapshot: &Snapshot, case: &Case<'_>, parties: Parties) -> Result<(), Refusal> {
    let Some((maximum, level)) = snapshot.parameter(ParameterName::HoldMaximum, parties.debit) else {
        return Ok(());
    };
    let refused = |field| {
        let limit = Some((ParameterName::HoldMaximum, level));
        Err(Refusal { reason: Reason::LimitExceeded, field, limit })
    };
    if case.request.terms.timeout_us.is_some_and(|timeout| maximum < timeout) {
        return refused(Field::Timeout);
    }
    // A deadline beyond 64 bits has a reason of its own, which comes later.
    match deadline(snapshot, case, parties) {
        Ok((end, _)) if i128::from(maximum) < i128::from(end.0) - i128::from(case.now.0) => {
            refused(Field::CaptureTime)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Until when the money is held, and which setting said so. A hold that takes itself lives one timeout longer than its
/// date if it would end by then: whoever asks for a date means the money to be there.
fn deadline(
    snapshot: &Snapshot,
    case: &Case<'_>,
    parties: Parties,
) -> Result<(Timestamp, Option<Level>), Refusal> {
    let terms = &case.request.terms;
    let (timeout, level) = match terms.timeout_us {
        Some(timeout) => (timeout, None),
        None => {
            let set = snapshot.parameter(ParameterName::HoldTimeout, parties.debit);
            let set = set.unwrap_or((HOLD_TIMEOUT_DEFAULT_US, Level::Platform));
            // Whoever does not say how long wants what is allowed.
            let most = snapshot.parameter(ParameterName::HoldMaximum, parties.debit);
            let (timeout, level) = most.filter(|most| most.0 < set.0).unwrap_or(set);
            (timeout, Some(level))
        }
    };
    let after = |start: Timestamp, field| {
        let end = start.0.checked_add(timeout).map(Timestamp);
        end.ok_or(Refusal::new(Reason::BalanceOverflow, field))
    };
    let deadline = after(case.now, Field::Timeout)?;
    let deadline = match terms.capture_at {
        Some(date) if deadline <= date => after(date, Field::CaptureTime)?,
        _ => deadline,
    };
    Ok((deadline, level))
}
