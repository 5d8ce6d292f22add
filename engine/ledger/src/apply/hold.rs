//! What becomes of a hold: taken, given back, or handed to a gateway and then settled or failed.
//!
//! Reasons in their order: payee closed, payee frozen (only where a caller takes money), deadline passed, wrong state,
//! more than is held. A payer who was frozen, or whose tenant was suspended, after the hold was made still pays: the
//! money was promised. While a gateway has the hold, its deadline does not end it, and only the gateway's word does.

use std::sync::Arc;

use super::{
    Case,
    find::{self, OnPayment},
    money::{self, Amounts},
    refuse_if,
};
use crate::{After, Field, Movement, PaymentState, Phase, Reason, Refusal, Snapshot, Verdict};

/// Giving back: from which phase, and into which if nothing was taken before. If some was, the payment is completed.
#[derive(Clone, Copy)]
pub(super) struct Give {
    pub(super) from: Phase,
    pub(super) to: Phase,
}

/// Takes `minor` (zero: all that is held); if final, the rest is given back.
pub(super) fn capture(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    on: OnPayment,
    minor: i64,
    is_final: bool,
) -> Result<Verdict, Refusal> {
    money::refuse_closed_or_frozen_payee(snapshot.accounts.get(on.parties.credit))?;
    refuse_expired(snapshot, case, on)?;
    take(snapshot, case, on, Phase::Pending, minor, is_final)
}

/// The gateway took `minor` (zero: all); the rest is given back. A payee who was frozen meanwhile is paid all the same:
/// the money has moved out there, and no refusal here takes it back.
pub(super) fn settle(snapshot: &mut Snapshot, case: &Case<'_>, on: OnPayment) -> Result<Verdict, Refusal> {
    take(snapshot, case, on, Phase::Processing, case.request.minor, true)
}

pub(super) fn void(snapshot: &mut Snapshot, case: &Case<'_>, on: OnPayment) -> Result<Verdict, Refusal> {
    // What no sweep gives back ends in no other way.
    if find::left_by(snapshot, on).is_none() {
        refuse_expired(snapshot, case, on)?;
    }
    release(snapshot, case, on, Give { from: Phase::Pending, to: Phase::Voided })
}

/// Gives back all that is held.
pub(super) fn release(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    on: OnPayment,
    give: Give,
) -> Result<Verdict, Refusal> {
    let payment = snapshot.payments.get(on.payment);
    refuse_if(payment.phase != give.from, Reason::WrongState, Field::Payment)?;
    let amounts = Amounts { posted: 0, pending: -payment.held() };
    let movement = money::transfer(snapshot, case, on.parties, amounts)?;
    let change = |payment: &mut PaymentState| {
        payment.phase = if payment.captured == 0 { give.to } else { Phase::Completed };
    };
    Ok(changed(snapshot, on, movement, change))
}

/// The gateway knows the payment by the request's reference.
pub(super) fn hand_over(snapshot: &mut Snapshot, case: &Case<'_>, on: OnPayment) -> Result<Verdict, Refusal> {
    refuse_expired(snapshot, case, on)?;
    let phase = snapshot.payments.get(on.payment).phase;
    refuse_if(phase != Phase::Pending, Reason::WrongState, Field::Payment)?;
    let change = |payment: &mut PaymentState| {
        payment.phase = Phase::Processing;
        payment.gateway = Arc::clone(&case.request.reference);
    };
    Ok(changed(snapshot, on, Movement::None, change))
}

pub(super) fn refuse_expired(snapshot: &Snapshot, case: &Case<'_>, on: OnPayment) -> Result<(), Refusal> {
    let expired = snapshot.payments.get(on.payment).is_expired(case.now);
    refuse_if(expired, Reason::HoldExpired, Field::Payment)
}

fn take(
    snapshot: &mut Snapshot,
    case: &Case<'_>,
    on: OnPayment,
    phase: Phase,
    minor: i64,
    is_final: bool,
) -> Result<Verdict, Refusal> {
    let payment = snapshot.payments.get(on.payment);
    refuse_if(payment.phase != phase, Reason::WrongState, Field::Payment)?;
    let held = payment.held();
    let posted = if minor == 0 { held } else { minor };
    refuse_if(held < posted, Reason::CaptureExceedsHold, Field::Amount)?;
    let pending = if is_final { -held } else { -posted };
    let movement = money::transfer(snapshot, case, on.parties, Amounts { posted, pending })?;
    let change = |payment: &mut PaymentState| {
        payment.captured += posted;
        payment.moved_at = Some(case.now);
        if is_final || payment.captured == payment.amount {
            payment.phase = Phase::Completed;
        }
    };
    Ok(changed(snapshot, on, movement, change))
}

fn changed(
    snapshot: &mut Snapshot,
    on: OnPayment,
    movement: Movement,
    change: impl FnOnce(&mut PaymentState),
) -> Verdict {
    let payment = snapshot.payments.change(on.payment);
    change(payment);
    payment.version += 1;
    Verdict::Done { movement, after: Some(Box::new(After::Payment(payment.clone()))) }
}
