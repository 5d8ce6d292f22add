//! Reversal: undoes a payment whatever has become of it, under one key.
//!
//! A hold of which nothing was taken is voided; money that has moved is refunded, as far as it is not refunded yet, with
//! every rule of a refund (approval included: a reversal is no way around it). Refused as the wrong state is what one
//! movement cannot undo: a hold that is partly taken (void the rest, then reverse), and one that a gateway has.

use super::{Case, find::OnPayment, hold, refund, refuse_if};
use crate::{Field, Phase, Reason, Refusal, Snapshot, Verdict};

pub(super) fn reverse(snapshot: &mut Snapshot, case: &Case<'_>, on: OnPayment) -> Result<Verdict, Refusal> {
    let payment = snapshot.payments.get(on.payment);
    if payment.phase == Phase::Completed {
        return refund::refund(snapshot, case, on, 0);
    }
    hold::refuse_expired(snapshot, case, on)?;
    let untouched = payment.phase == Phase::Pending && payment.captured == 0;
    refuse_if(!untouched, Reason::WrongState, Field::Payment)?;
    hold::void(snapshot, case, on)
}
