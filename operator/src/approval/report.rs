//! From what the ledger answered to an Approval's status. Pure.
//!
//! An Approval that counts for nothing is a result, not a fault: it is Settled and did not succeed.

use jiff::Timestamp;
use payplane_crds::{
    Approval, ApprovalState, ApprovalStatus,
    approval::Decision,
    condition::reason::{APPROVED, ENGINE_UNAVAILABLE, INVALID, REJECTED},
};

use super::{
    Answer,
    observe::{Found, Observed},
};
use crate::{
    condition::Conditions,
    engine::{self, EngineError, Outcome, RefundPhase, Refusal},
    status::Reported,
};

/// The status that tells this answer.
pub fn report(approval: &Approval, answer: &Answer, observed: &Observed, now: Timestamp) -> ApprovalStatus {
    let conditions = Conditions::new(approval.current(), approval.metadata.generation, now);
    let mut status = match answer {
        Answer::Waiting(waiting) => open(conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Never(refusal) => refused(conditions, refusal),
        Answer::Failed(EngineError::Invalid { field, message }) => {
            let (field, message) = (field.clone(), message.clone());
            refused(conditions, &Refusal { reason: INVALID, field, message, definitive: false })
        }
        Answer::Failed(error) => open(conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
        Answer::Decided(_, stands) => applied(approval, stands, conditions),
        Answer::Paid(outcome) => paid(outcome, conditions),
    };
    if let Found::Known(known) = &observed.subject {
        status.subject_id = Some(known.id.clone());
        status.requester = Some(known.stands.requester.clone());
    }
    if let (Found::Payment(asked), Answer::Paid(outcome)) = (&observed.subject, answer) {
        status.subject_id = Some(outcome.payment_id.clone());
        status.requester.clone_from(&asked.requested_by);
    }
    status.observed_generation = approval.metadata.generation;
    status
}

fn applied(approval: &Approval, stands: &engine::Refund, conditions: Conditions) -> ApprovalStatus {
    let engine::Amount { amount, currency } = &stands.amount;
    let (reason, message) = match (approval.spec.decision, stands.phase) {
        (Decision::Reject, _) => (REJECTED, "Rejected; no money moved.".into()),
        (Decision::Approve, RefundPhase::Failed) => {
            (APPROVED, "Approved, but the payee had too little, or could not pay; no money moved.".into())
        }
        (Decision::Approve, _) => (APPROVED, format!("Approved; {amount} {currency} went back.")),
    };
    let conditions = conditions.ready(reason, &message).settled(true, reason, &message);
    ApprovalStatus {
        state: ApprovalState::Applied,
        conditions: conditions.into_vec(),
        ..ApprovalStatus::default()
    }
}

/// That the ledger refused what was approved is told by the Payment; the approval was used all the same.
fn paid(outcome: &Outcome, conditions: Conditions) -> ApprovalStatus {
    let message = match &outcome.result {
        Ok(stands) if stands.deadline.is_some() => {
            format!("Approved; {} {} were held.", stands.amount.amount, stands.amount.currency)
        }
        Ok(stands) => format!("Approved; {} {} moved.", stands.amount.amount, stands.amount.currency),
        Err(refusal) => format!("Approved, but the ledger refused the payment: {}", refusal.message),
    };
    let conditions = conditions.ready(APPROVED, &message).settled(true, APPROVED, &message);
    ApprovalStatus {
        state: ApprovalState::Applied,
        conditions: conditions.into_vec(),
        ..ApprovalStatus::default()
    }
}

fn refused(conditions: Conditions, refusal: &Refusal) -> ApprovalStatus {
    let message = match refusal.field.as_str() {
        "" => refusal.message.clone(),
        field => format!("{field}: {}", refusal.message),
    };
    let conditions = conditions.refused(refusal.reason, &message).settled(false, refusal.reason, &message);
    ApprovalStatus {
        state: ApprovalState::Refused,
        conditions: conditions.into_vec(),
        ..ApprovalStatus::default()
    }
}

fn open(conditions: Conditions) -> ApprovalStatus {
    ApprovalStatus { conditions: conditions.into_vec(), ..ApprovalStatus::default() }
}

#[cfg(test)]
mod tests;
