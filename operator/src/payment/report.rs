//! From what the ledger answered to a Payment's status. Pure.
//!
//! A refusal is a result: the payment is Settled and did not succeed, and nothing is stalled. Only answers that a later
//! try can change leave the payment New: no answer at all, and a wallet that the ledger does not know yet.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use payplane_crds::{
    Payment, PaymentState, PaymentStatus,
    condition::{
        REPLAYED, SETTLED, SUCCEEDED,
        reason::{COMPLETED, ENGINE_UNAVAILABLE, INVALID, WALLET_NOT_FOUND},
    },
    payment,
};

use super::Answer;
use crate::{
    condition::Conditions,
    engine::{EngineError, Outcome, Paid, Refusal},
    status::Reported,
};

const PAID: &str = "The money moved.";

/// The status that tells this answer.
pub fn report(payment: &Payment, answer: &Answer, now: Timestamp) -> PaymentStatus {
    let conditions = Conditions::new(payment.current(), payment.metadata.generation, now);
    let mut status = match answer {
        Answer::Waiting(waiting) => open(conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Failed(EngineError::Invalid { field, message }) => {
            let refusal =
                payment::Refusal { reason: INVALID.into(), field: field.clone(), message: message.clone() };
            failed(conditions, refusal)
        }
        Answer::Failed(error) => open(conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
        Answer::Outcome(outcome) => decided(payment, outcome, conditions),
    };
    status.observed_generation = payment.metadata.generation;
    status
}

/// Whether a later try with the same key can have another result.
pub fn is_open(outcome: &Outcome) -> bool {
    outcome.result.as_ref().is_err_and(|refusal| !refusal.definitive && refusal.reason == WALLET_NOT_FOUND)
}

fn decided(payment: &Payment, outcome: &Outcome, conditions: Conditions) -> PaymentStatus {
    let status = match &outcome.result {
        Ok(paid) => completed(paid, replay(payment, outcome, conditions)),
        Err(refusal) if is_open(outcome) => open(conditions.waiting(WALLET_NOT_FOUND, &told(refusal))),
        Err(refusal) if refusal.definitive => failed(replay(payment, outcome, conditions), recorded(refusal)),
        Err(refusal) => failed(conditions, recorded(refusal)),
    };
    PaymentStatus { payment_id: Some(outcome.payment_id.clone()).filter(|id| !id.is_empty()), ..status }
}

/// Says so when another object asked first: it was deleted and applied again, restored, or lives in another cluster.
fn replay<'a>(payment: &Payment, outcome: &Outcome, conditions: Conditions<'a>) -> Conditions<'a> {
    let uid = payment.metadata.uid.as_deref().unwrap_or_default();
    if outcome.origin_ref.is_empty() || outcome.origin_ref == uid {
        return conditions;
    }
    let message = format!(
        "The ledger had decided this key before, for another object: this is the outcome of payment {}. Nothing was \
         paid again.",
        outcome.payment_id
    );
    conditions.set(REPLAYED, "True", "Replayed", &message)
}

fn completed(paid: &Paid, conditions: Conditions) -> PaymentStatus {
    let Paid { from_available, to_available, decided_at } = paid;
    let after = payment::AvailableAfter { from: from_available.clone(), to: to_available.clone() };
    PaymentStatus {
        state: PaymentState::Completed,
        available_after: Some(after),
        decided_at: decided_at.map(Time),
        conditions: settled(conditions.ready(COMPLETED, PAID), "True", COMPLETED, PAID),
        ..PaymentStatus::default()
    }
}

fn failed(conditions: Conditions, refusal: payment::Refusal) -> PaymentStatus {
    let message = sentence(&refusal.field, &refusal.message);
    let conditions =
        settled(conditions.refused(&refusal.reason, &message), "False", &refusal.reason, &message);
    PaymentStatus {
        state: PaymentState::Failed,
        refusal: Some(refusal),
        conditions,
        ..PaymentStatus::default()
    }
}

fn settled(conditions: Conditions, succeeded: &str, reason: &str, message: &str) -> Vec<Condition> {
    conditions.set(SETTLED, "True", reason, message).set(SUCCEEDED, succeeded, reason, message).into_vec()
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
