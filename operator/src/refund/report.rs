//! From what the ledger answered to a Refund's status. Pure.
//!
//! As with a Payment, a refusal and a rejection are results: the refund is Settled and did not succeed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use payplane_crds::{
    Refund, RefundState, RefundStatus,
    condition::{
        self, SETTLED,
        reason::{
            APPROVAL_REQUIRED, APPROVED, COMPLETED, ENGINE_UNAVAILABLE, INVALID, LOST_BY_RESTORE,
            PAYMENT_NOT_FOUND, REFUND_FAILED, REJECTED,
        },
    },
    payment,
};

use super::Answer;
use crate::{
    condition::Conditions,
    engine::{self, EngineError, RefundOutcome, RefundPhase, Refusal},
    hash::body_hash,
    status::Reported,
};

const WAITS: &str = "Waits until somebody else approves it: with an Approval that names status.bodyHash, or by ApproveRefund over gRPC.";
const WAITS_FOR_GRPC: &str = "Waits until somebody approves it by ApproveRefund over gRPC. An Approval cannot, because spec.requestedBy does not say who asked; it can only reject.";

/// The status that tells this answer.
pub fn report(refund: &Refund, answer: &Answer, now: Timestamp) -> RefundStatus {
    let conditions = Conditions::new(refund.current(), refund.metadata.generation, now);
    let mut status = match answer {
        Answer::Waiting(waiting) => kept(refund, conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Never(refusal) => failed(conditions, refusal),
        Answer::Failed(EngineError::Invalid { field, message }) => {
            let (field, message) = (field.clone(), message.clone());
            failed(conditions, &Refusal { reason: INVALID, field, message, definitive: false })
        }
        Answer::Failed(error) => kept(refund, conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
        Answer::Outcome(outcome) => decided(refund, outcome, conditions),
    };
    // Always from the spec as it is, so that a status that somebody wrote is no hash to approve.
    status.body_hash = (status.state == RefundState::Requested).then(|| body_hash(refund));
    status.observed_generation = refund.metadata.generation;
    status
}

/// Whether a later try with the same key can have another result.
pub fn is_open(outcome: &RefundOutcome) -> bool {
    outcome.result.as_ref().is_err_and(|refusal| !refusal.definitive && refusal.reason == PAYMENT_NOT_FOUND)
}

fn decided(refund: &Refund, outcome: &RefundOutcome, conditions: Conditions) -> RefundStatus {
    let status = match &outcome.result {
        Ok(stands) => standing(refund, stands, replay(refund, outcome, conditions)),
        Err(refusal) if is_open(outcome) => open(conditions.waiting(PAYMENT_NOT_FOUND, &told(refusal))),
        Err(refusal) if refusal.reason == LOST_BY_RESTORE => lost(&refusal.message, conditions),
        Err(refusal) if refusal.definitive => failed(replay(refund, outcome, conditions), refusal),
        Err(refusal) => failed(conditions, refusal),
    };
    RefundStatus { refund_id: Some(outcome.refund_id.clone()).filter(|id| !id.is_empty()), ..status }
}

/// The ledger was restored to before it was asked for: it waits for somebody's consent.
fn lost(message: &str, conditions: Conditions) -> RefundStatus {
    let conditions = conditions.stalled(LOST_BY_RESTORE, message);
    RefundStatus {
        state: RefundState::Lost,
        conditions: conditions.set(SETTLED, "False", LOST_BY_RESTORE, message).into_vec(),
        ..RefundStatus::default()
    }
}

fn replay<'a>(refund: &Refund, outcome: &RefundOutcome, conditions: Conditions<'a>) -> Conditions<'a> {
    let uid = refund.metadata.uid.as_deref();
    conditions.replayed(uid, &outcome.origin_ref, "refund", &outcome.refund_id)
}

fn standing(refund: &Refund, stands: &engine::Refund, conditions: Conditions) -> RefundStatus {
    let waits = if refund.spec.requested_by.is_some() { WAITS } else { WAITS_FOR_GRPC };
    let available = stands.available.clone();
    RefundStatus {
        state: state(stands.phase),
        payment_id: Some(stands.payment_id.clone()),
        amount: Some(stands.amount.amount.clone()),
        currency: Some(stands.amount.currency.clone()),
        approver: Some(stands.approver.clone()).filter(|approver| !approver.is_empty()),
        available_after: available.map(|(from, to)| payment::AvailableAfter { from, to }),
        decided_at: stands.decided_at.map(Time),
        conditions: life(stands, approval(stands, conditions, waits), waits),
        ..RefundStatus::default()
    }
}

const fn state(phase: RefundPhase) -> RefundState {
    match phase {
        RefundPhase::Requested => RefundState::Requested,
        RefundPhase::Approved => RefundState::Approved,
        RefundPhase::Completed => RefundState::Completed,
        RefundPhase::Rejected => RefundState::Rejected,
        RefundPhase::Failed => RefundState::Failed,
    }
}

/// Whether somebody approved, if anybody had to.
fn approval<'a>(stands: &engine::Refund, conditions: Conditions<'a>, waits: &str) -> Conditions<'a> {
    let said = |status, reason, verb| (status, reason, format!("{} {verb} it.", stands.approver));
    let (status, reason, message) = match stands.phase {
        RefundPhase::Requested => ("False", APPROVAL_REQUIRED, waits.into()),
        RefundPhase::Rejected => said("False", REJECTED, "rejected"),
        _ if stands.approver.is_empty() => return conditions,
        RefundPhase::Approved | RefundPhase::Completed | RefundPhase::Failed => {
            said("True", APPROVED, "approved")
        }
    };
    conditions.set(condition::APPROVED, status, reason, &message)
}

fn life(stands: &engine::Refund, conditions: Conditions, waits: &str) -> Vec<Condition> {
    let engine::Amount { amount, currency } = &stands.amount;
    let conditions = match stands.phase {
        RefundPhase::Requested => {
            conditions.waiting(APPROVAL_REQUIRED, waits).set(SETTLED, "False", APPROVAL_REQUIRED, waits)
        }
        RefundPhase::Approved => {
            let message = "Approved; the money is on its way.";
            conditions.waiting(APPROVED, message).set(SETTLED, "False", APPROVED, message)
        }
        RefundPhase::Completed => {
            let message = format!("{amount} {currency} went back.");
            conditions.ready(COMPLETED, &message).settled(true, COMPLETED, &message)
        }
        RefundPhase::Rejected => {
            let message = format!("{} rejected it; no money moved.", stands.approver);
            conditions.refused(REJECTED, &message).settled(false, REJECTED, &message)
        }
        RefundPhase::Failed => {
            let message = "The payee had too little, or could not pay, when it was approved.";
            conditions.refused(REFUND_FAILED, message).settled(false, REFUND_FAILED, message)
        }
    };
    conditions.into_vec()
}

fn failed(conditions: Conditions, refusal: &Refusal) -> RefundStatus {
    let message = told(refusal);
    let conditions = conditions.refused(refusal.reason, &message).settled(false, refusal.reason, &message);
    let Refusal { reason, field, message, definitive: _ } = refusal.clone();
    RefundStatus {
        state: RefundState::Failed,
        refusal: Some(payment::Refusal { reason: reason.into(), field, message }),
        conditions: conditions.into_vec(),
        ..RefundStatus::default()
    }
}

/// What the ledger said of a request last stays true until it says something else.
fn kept(refund: &Refund, conditions: Conditions) -> RefundStatus {
    match &refund.status {
        Some(status) if matches!(status.state, RefundState::Requested | RefundState::Approved) => {
            RefundStatus { conditions: conditions.into_vec(), ..status.clone() }
        }
        Some(status) if status.state == RefundState::Lost => {
            RefundStatus { state: status.state, ..open(conditions) }
        }
        _ => open(conditions),
    }
}

fn open(conditions: Conditions) -> RefundStatus {
    RefundStatus { conditions: conditions.into_vec(), ..RefundStatus::default() }
}

fn told(refusal: &Refusal) -> String {
    match refusal.field.as_str() {
        "" => refusal.message.clone(),
        field => format!("{field}: {}", refusal.message),
    }
}

#[cfg(test)]
mod tests;
