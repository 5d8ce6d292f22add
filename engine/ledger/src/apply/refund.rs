//! Refunds: money back to the payer, at once or after approval.
//!
//! Reasons in their order: suspended, closed and frozen (if money moves now), nothing was ever taken or it went to or came
//! from another tenant (the engine gives that back, on both sides at once), more than is left of what was taken, too late,
//! floor and ceiling (if money moves now). `refunding + refunded <= captured` always holds, because a refund that waits
//! counts from the moment it is asked for. Limits do not count refunds. The window and the threshold of approval are those
//! that hold for the payment's payer: it is the payer's right that they govern.

use std::sync::Arc;

use super::{
    Case,
    find::{OnPayment, OnRefund},
    money::{self, Amounts, Parties},
    refuse_if,
};
use crate::{
    AccountKind, After, Field, Movement, OperationId, ParameterName, PaymentState, Reason, RefundPhase,
    RefundState, Refusal, Snapshot, Timestamp, Verdict,
};

/// Gives `minor` (zero: all that is left) back, or asks for approval.
pub(super) fn refund(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    on: OnPayment,
    minor: i64,
) -> Result<Verdict, Refusal> {
    let back = on.parties.reversed();
    let payment = snapshot.payments.get(on.payment);
    let refundable = payment.refundable();
    let amount = if minor == 0 { refundable } else { minor };
    let from = snapshot.parameter(ParameterName::RefundApprovalFrom, on.parties.debit);
    let waits = from.is_some_and(|(from, _)| from <= amount);
    if !waits {
        refuse_unable(snapshot, back)?;
    }
    // Half of a payment between tenants: the other half would stay.
    let is_half = is_of_two_tenants(snapshot, on.parties);
    refuse_if(payment.captured == 0 || is_half, Reason::WrongState, Field::Payment)?;
    refuse_if(amount < 1 || refundable < amount, Reason::RefundExceedsCaptured, Field::Amount)?;
    refuse_if(is_too_late(snapshot, case.now, on), Reason::RefundWindowClosed, Field::Payment)?;
    let movement = if waits { Movement::None } else { give_back(snapshot, case, back, amount)? };
    Ok(made(snapshot, case, on, amount, movement))
}

/// Gives the money back. If the accounts do not allow it (any more), the refund has failed: that is its result, not a
/// refusal of the approval.
pub(super) fn approve(snapshot: &mut Snapshot, case: &Case<'_>, on: OnRefund) -> Result<Verdict, Refusal> {
    let refund = refuse_decided(snapshot, on)?;
    let (amount, back) = (refund.amount, on.on.parties.reversed());
    let moved = refuse_unable(snapshot, back).and_then(|()| give_back(snapshot, case, back, amount));
    let (phase, refunded, movement) = match moved {
        Ok(movement) => (RefundPhase::Completed, amount, movement),
        Err(_) => (RefundPhase::Failed, 0, Movement::None),
    };
    Ok(decided(snapshot, case, on, (phase, refunded), movement))
}

/// Says no. Who asked may do so too: that withdraws the request.
pub(super) fn reject(snapshot: &mut Snapshot, case: &Case<'_>, on: OnRefund) -> Result<Verdict, Refusal> {
    refuse_decided(snapshot, on)?;
    Ok(decided(snapshot, case, on, (RefundPhase::Rejected, 0), Movement::None))
}

fn is_of_two_tenants(snapshot: &Snapshot, parties: Parties) -> bool {
    let (payer, payee) = parties.of(snapshot);
    [payer, payee].into_iter().any(|account| account.kind == AccountKind::Clearing)
}

fn refuse_unable(snapshot: &Snapshot, back: Parties) -> Result<(), Refusal> {
    money::refuse_suspended(snapshot, back)?;
    let (payer, payee) = back.of(snapshot);
    money::refuse_closed_or_frozen(payer, payee)
}

fn give_back(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    back: Parties,
    amount: i64,
) -> Result<Movement, Refusal> {
    let (payer, payee) = back.of(snapshot);
    money::refuse_beyond(payer, payee, amount)?;
    money::transfer(snapshot, case, back, Amounts { posted: amount, pending: 0 })
}

/// A window whose end leaves 64 bits never ends.
fn is_too_late(snapshot: &Snapshot, now: Timestamp, on: OnPayment) -> bool {
    let window = snapshot.parameter(ParameterName::RefundWindow, on.parties.debit);
    let start = snapshot.payments.get(on.payment).moved_at;
    let end = window.zip(start).and_then(|((window, _), start)| start.0.checked_add(window));
    end.is_some_and(|end| end <= now.0)
}

fn refuse_decided(snapshot: &Snapshot, on: OnRefund) -> Result<&RefundState, Refusal> {
    let refund = snapshot.refunds.get(on.refund);
    refuse_if(refund.phase != RefundPhase::Requested, Reason::WrongState, Field::Refund)?;
    Ok(refund)
}

fn made(snapshot: &mut Snapshot, case: &Case<'_>, on: OnPayment, amount: i64, movement: Movement) -> Verdict {
    let (_, id): (_, OperationId) = snapshot.payments.key(on.payment);
    let payment = snapshot.payments.change(on.payment);
    let phase = if movement == Movement::None {
        payment.refunding += amount;
        RefundPhase::Requested
    } else {
        payment.refunded += amount;
        RefundPhase::Completed
    };
    payment.version += 1;
    let (payment, requester) = (payment.clone(), Arc::clone(&case.request.provenance.actor));
    let currency = payment.currency;
    let refund =
        RefundState { payment: id, amount, currency, phase, requester, approver: Arc::default(), version: 1 };
    snapshot.refunds.set(case.key(), refund.clone());
    done(movement, refund, payment)
}

fn decided(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    on: OnRefund,
    (phase, refunded): (RefundPhase, i64),
    movement: Movement,
) -> Verdict {
    let refund = snapshot.refunds.change(on.refund);
    refund.phase = phase;
    refund.approver = Arc::clone(&case.request.provenance.actor);
    refund.version += 1;
    let refund = refund.clone();
    let payment = snapshot.payments.change(on.on.payment);
    payment.refunding -= refund.amount;
    payment.refunded += refunded;
    payment.version += 1;
    let payment = payment.clone();
    done(movement, refund, payment)
}

fn done(movement: Movement, refund: RefundState, payment: PaymentState) -> Verdict {
    Verdict::Done { movement, after: Some(Box::new(After::Refund(refund, payment))) }
}
