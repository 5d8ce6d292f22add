//! From what the ledger answered to a Payment's status. Pure.
//!
//! A refusal is a result: the payment is Settled and did not succeed, and nothing is stalled. Only answers that a later
//! try can change leave the payment New: no answer at all, and a wallet that the ledger does not know yet. A hold stays
//! Pending until it is captured, given back or expired; a refused capture or void is told beside it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use payplane_crds::{
    Payment, PaymentState, PaymentStatus,
    condition::{
        self, SETTLED,
        reason::{
            APPROVAL_REQUIRED, APPROVED, CAPTURE_INCOMPLETE, COMPLETED, ENGINE_UNAVAILABLE, EXPIRED,
            GATEWAY_FAILED, HELD, INVALID, LOST_BY_RESTORE, PROCESSING, PULL_REQUEST, VOIDED,
            WALLET_NOT_FOUND, WRONG_STATE,
        },
    },
    payment,
};

use super::{
    Answer,
    plan::{self, Next, Wish},
};
use crate::{
    condition::Conditions,
    engine::{self, EngineError, Outcome, Phase, Refusal},
    hash::body_hash,
    status::Reported,
};

const PAID: &str = "The money moved.";
const WAITS: &str =
    "Waits until somebody else approves it with an Approval that names status.bodyHash; nothing is held yet.";
const WAITS_IN_VAIN: &str = "Nobody can approve it, because spec.requestedBy does not say who asked: create another Payment that does.";

/// The status that tells this answer.
pub fn report(payment: &Payment, next: &Next, answer: &Answer, now: Timestamp) -> PaymentStatus {
    let conditions = Conditions::new(payment.current(), payment.metadata.generation, now);
    let mut status = match answer {
        Answer::Waiting(waiting) => kept(payment, conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Failed(EngineError::Invalid { field, message }) => {
            let refusal =
                payment::Refusal { reason: INVALID.into(), field: field.clone(), message: message.clone() };
            failed(conditions, refusal)
        }
        Answer::Failed(error) => kept(payment, conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
        Answer::Short(refusal) => {
            open(conditions.waiting(refusal.reason, &format!("{} Trying again.", told(refusal))))
        }
        Answer::Outcome(outcome, refused) => {
            decided(payment, outcome, wish(next), refused.as_ref(), conditions)
        }
    };
    status.observed_generation = payment.metadata.generation;
    status
}

/// Whether a later try with the same key can have another result.
pub fn is_open(outcome: &Outcome) -> bool {
    outcome.result.as_ref().is_err_and(|refusal| !refusal.definitive && refusal.reason == WALLET_NOT_FOUND)
}

fn wish(next: &Next) -> Wish {
    match next {
        Next::Submit(wanted) => wanted.wish,
        Next::Wait(_) => Wish::Keep,
    }
}

fn decided(
    payment: &Payment,
    outcome: &Outcome,
    wish: Wish,
    refused: Option<&Refusal>,
    conditions: Conditions,
) -> PaymentStatus {
    let status = match &outcome.result {
        Ok(stands) => {
            let conditions = approved(outcome, replay(payment, outcome, conditions));
            let status = standing(stands, wish, refused, conditions);
            PaymentStatus { refusal: refused.map(recorded), fees: fees(outcome), ..status }
        }
        Err(refusal) if is_open(outcome) => open(conditions.waiting(WALLET_NOT_FOUND, &told(refusal))),
        Err(_) if plan::awaits_approval(outcome) => awaiting(payment, conditions),
        Err(refusal) if plan::is_lost(refusal) => lost(&refusal.message, conditions),
        Err(refusal) if refusal.definitive => {
            failed(approved(outcome, replay(payment, outcome, conditions)), recorded(refusal))
        }
        Err(refusal) => failed(conditions, recorded(refusal)),
    };
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    PaymentStatus { payment_id: some(&outcome.payment_id), approver: some(&outcome.approver), ..status }
}

/// The ledger was restored to before it was asked for, or before it could be: it waits for somebody's consent.
fn lost(message: &str, conditions: Conditions) -> PaymentStatus {
    let conditions = conditions.stalled(LOST_BY_RESTORE, message);
    PaymentStatus {
        state: PaymentState::Lost,
        conditions: conditions.set(SETTLED, "False", LOST_BY_RESTORE, message).into_vec(),
        ..PaymentStatus::default()
    }
}

/// Not decided, and not held either: the ledger has no trace of it.
fn awaiting(payment: &Payment, conditions: Conditions) -> PaymentStatus {
    let waits = if payment.spec.requested_by.is_some() { WAITS } else { WAITS_IN_VAIN };
    let conditions = conditions.waiting(APPROVAL_REQUIRED, waits);
    let conditions = conditions.set(condition::APPROVED, "False", APPROVAL_REQUIRED, waits);
    PaymentStatus {
        state: PaymentState::AwaitingApproval,
        // Always from the spec as it is, so that a status that somebody wrote is no hash to approve.
        body_hash: Some(body_hash(payment)),
        conditions: conditions.set(SETTLED, "False", APPROVAL_REQUIRED, waits).into_vec(),
        ..PaymentStatus::default()
    }
}

/// Who approved, if anybody did.
fn approved<'a>(outcome: &Outcome, conditions: Conditions<'a>) -> Conditions<'a> {
    match outcome.approver.as_str() {
        "" => conditions,
        plan::PULL_REQUEST => {
            let message = "The pull request counts as approval, as the Tenant says.";
            conditions.set(condition::APPROVED, "True", PULL_REQUEST, message)
        }
        approver => {
            conditions.set(condition::APPROVED, "True", APPROVED, &format!("{approver} approved it."))
        }
    }
}

fn fees(outcome: &Outcome) -> Vec<payment::PaidFee> {
    let paid = |fee: &engine::Fee| {
        let amount = fee.amount.clone()?;
        Some(payment::PaidFee { payment_id: fee.payment_id.clone(), amount })
    };
    outcome.fees.iter().filter_map(paid).collect()
}

fn replay<'a>(payment: &Payment, outcome: &Outcome, conditions: Conditions<'a>) -> Conditions<'a> {
    let uid = payment.metadata.uid.as_deref();
    conditions.replayed(uid, &outcome.origin_ref, "payment", &outcome.payment_id)
}

fn standing(
    stands: &engine::Payment,
    wish: Wish,
    refused: Option<&Refusal>,
    conditions: Conditions,
) -> PaymentStatus {
    let available = stands.available.clone();
    let is_hold = stands.deadline.is_some();
    PaymentStatus {
        state: state(stands.phase),
        captured: is_hold.then(|| stands.captured.clone()),
        held: is_hold.then(|| stands.held.clone()),
        refunded: Some(stands.refunded.clone()).filter(|refunded| is_some(refunded)),
        deadline: stands.deadline.map(Time),
        available_after: available.map(|(from, to)| payment::AvailableAfter { from, to }),
        decided_at: stands.decided_at.map(Time),
        conditions: life(stands, wish, refused, conditions),
        ..PaymentStatus::default()
    }
}

/// Whether an amount is more than zero.
fn is_some(amount: &str) -> bool {
    amount.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

const fn state(phase: Phase) -> PaymentState {
    match phase {
        Phase::Pending | Phase::Processing => PaymentState::Pending,
        Phase::Completed => PaymentState::Completed,
        Phase::Failed => PaymentState::Failed,
        Phase::Voided => PaymentState::Voided,
        Phase::Expired => PaymentState::Expired,
    }
}

/// The conditions of a payment that the ledger has, by where in its life it is.
fn life(
    stands: &engine::Payment,
    wish: Wish,
    refused: Option<&Refusal>,
    conditions: Conditions,
) -> Vec<Condition> {
    match stands.phase {
        Phase::Pending => held(stands, refused, conditions),
        Phase::Processing => {
            let message = "An external gateway has the payment; only its word ends it.";
            let conditions = conditions.waiting(PROCESSING, message);
            conditions.set(SETTLED, "False", PROCESSING, message).into_vec()
        }
        Phase::Completed => completed(stands, wish, conditions),
        Phase::Failed => {
            let message = "The external gateway failed the payment; the hold was given back.";
            conditions.refused(GATEWAY_FAILED, message).settled(false, GATEWAY_FAILED, message).into_vec()
        }
        Phase::Voided => {
            let message = "The hold was given back; no money moved.";
            let conditions = match wish {
                Wish::Void => conditions.ready(VOIDED, message),
                Wish::Keep | Wish::Capture { .. } => conditions.refused(VOIDED, message),
            };
            conditions.settled(false, VOIDED, message).into_vec()
        }
        Phase::Expired => {
            let message = "The deadline passed before anything was captured; the hold was given back.";
            conditions.refused(EXPIRED, message).settled(false, EXPIRED, message).into_vec()
        }
    }
}

fn held(stands: &engine::Payment, refused: Option<&Refusal>, conditions: Conditions) -> Vec<Condition> {
    let message =
        format!("{} {} are held, {} were captured.", stands.held, currency(stands), stands.captured);
    let conditions = match refused {
        None => conditions.ready(HELD, &message),
        Some(refusal) if plan::may_pass(refusal) => {
            conditions.waiting(refusal.reason, &format!("{}; trying again", told(refusal)))
        }
        Some(refusal) if plan::is_lost(refusal) => conditions.stalled(refusal.reason, &told(refusal)),
        Some(refusal) => conditions.refused(refusal.reason, &told(refusal)),
    };
    conditions.set(SETTLED, "False", HELD, &message).into_vec()
}

fn completed(stands: &engine::Payment, wish: Wish, conditions: Conditions) -> Vec<Condition> {
    let part = format!("{} of {} {} moved", stands.captured, stands.amount.amount, currency(stands));
    if plan::falls_short(wish, stands) {
        let message = format!("{part}, less than capture.total asks for: the hold ended first.");
        let conditions = conditions.refused(CAPTURE_INCOMPLETE, &message);
        return conditions.settled(false, CAPTURE_INCOMPLETE, &message).into_vec();
    }
    if wish == Wish::Void {
        let message = format!("{part} before the hold could be voided; give it back with a Refund.");
        return conditions.refused(WRONG_STATE, &message).settled(true, COMPLETED, &message).into_vec();
    }
    let message = match stands.captured == stands.amount.amount {
        true => PAID.into(),
        false => format!("{part}; the rest was given back."),
    };
    conditions.ready(COMPLETED, &message).settled(true, COMPLETED, &message).into_vec()
}

fn currency(stands: &engine::Payment) -> &str {
    &stands.amount.currency
}

fn failed(conditions: Conditions, refusal: payment::Refusal) -> PaymentStatus {
    let message = sentence(&refusal.field, &refusal.message);
    let conditions = conditions.refused(&refusal.reason, &message).settled(false, &refusal.reason, &message);
    PaymentStatus {
        state: PaymentState::Failed,
        refusal: Some(refusal),
        conditions: conditions.into_vec(),
        ..PaymentStatus::default()
    }
}

/// What the ledger said of a hold last stays true until it says something else, and so does that it asked for approval. The
/// hash is always that of the spec as it is.
fn kept(payment: &Payment, conditions: Conditions) -> PaymentStatus {
    let conditions = conditions.into_vec();
    match &payment.status {
        Some(status) if status.state == PaymentState::Pending => {
            PaymentStatus { conditions, ..status.clone() }
        }
        Some(status) if status.state == PaymentState::AwaitingApproval => PaymentStatus {
            state: status.state,
            body_hash: Some(body_hash(payment)),
            conditions,
            ..PaymentStatus::default()
        },
        Some(status) if status.state == PaymentState::Lost => {
            PaymentStatus { state: status.state, conditions, ..PaymentStatus::default() }
        }
        _ => PaymentStatus { conditions, ..PaymentStatus::default() },
    }
}

fn open(conditions: Conditions) -> PaymentStatus {
    PaymentStatus { conditions: conditions.into_vec(), ..PaymentStatus::default() }
}

fn recorded(refusal: &Refusal) -> payment::Refusal {
    payment::Refusal {
        reason: refusal.reason.into(),
        field: refusal.field.clone(),
        message: refusal.message.clone(),
    }
}

fn told(refusal: &Refusal) -> String {
    sentence(&refusal.field, &refusal.message)
}

fn sentence(field: &str, message: &str) -> String {
    if field.is_empty() { message.into() } else { format!("{field}: {message}") }
}

#[cfg(test)]
mod tests;
