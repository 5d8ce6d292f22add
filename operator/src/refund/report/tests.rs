use payplane_crds::condition::{READY, RECONCILING, REPLAYED, STALLED, SUCCEEDED};
use serde_json::json;
use tonic::Code;

use super::*;
use crate::{condition::find, payment::Waiting};

const ID: &str = "22222222-2222-5222-8222-222222222222";

fn refund() -> Refund {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Refund",
        "metadata": {"name": "back", "namespace": "shop", "uid": "u-1", "generation": 1},
        "spec": {"payment": {"name": "rent"}},
    }))
    .unwrap()
}

fn stands(phase: RefundPhase, approver: &str) -> engine::Refund {
    engine::Refund {
        phase,
        payment_id: "p".into(),
        amount: engine::Amount { amount: "2.50".into(), currency: "USD".into() },
        key: "shop/back".into(),
        is_of_resource: true,
        requester: "ada".into(),
        approver: approver.into(),
        available: None,
        decided_at: Timestamp::from_second(1_000).ok(),
    }
}

fn outcome(origin: &str, result: Result<engine::Refund, Refusal>) -> Answer {
    let origin_ref = origin.into();
    Answer::Outcome(Box::new(RefundOutcome { refund_id: ID.into(), origin_ref, replayed: false, result }))
}

fn refusal(reason: &'static str, definitive: bool) -> Refusal {
    Refusal { reason, field: "amount".into(), message: "no".into(), definitive }
}

fn unavailable() -> Answer {
    Answer::Failed(EngineError::Unavailable { code: Code::Unavailable, message: "connection 17".into() })
}

/// State, then Ready, Reconciling, Stalled, Approved, Settled, Succeeded, Replayed by their first letters or - for
/// absent, then Ready's reason.
fn told(status: &RefundStatus) -> (RefundState, String, String) {
    let types = [READY, RECONCILING, STALLED, condition::APPROVED, SETTLED, SUCCEEDED, REPLAYED];
    let letters =
        types.map(|type_| find(&status.conditions, type_).map_or("-", |condition| &condition.status[..1]));
    (status.state, letters.concat(), find(&status.conditions, READY).unwrap().reason.clone())
}

#[test]
fn every_answer_has_its_conditions() {
    use RefundPhase as Phase;
    use RefundState::{Approved, Completed, Failed, New, Rejected, Requested};
    let cases = [
        (Answer::Waiting(Waiting::new("PaymentNotReady", "")), New, "FTF----", "PaymentNotReady"),
        (unavailable(), New, "FTF----", "EngineUnavailable"),
        (Answer::Never(refusal("TreasuryRequired", false)), Failed, "FFF-TF-", "TreasuryRequired"),
        (outcome("u-1", Ok(stands(Phase::Requested, ""))), Requested, "FTFFF--", "ApprovalRequired"),
        (outcome("u-1", Ok(stands(Phase::Approved, "bea"))), Approved, "FTFTF--", "Approved"),
        (outcome("u-1", Ok(stands(Phase::Completed, ""))), Completed, "TFF-TT-", "Completed"),
        (outcome("u-1", Ok(stands(Phase::Completed, "bea"))), Completed, "TFFTTT-", "Completed"),
        (outcome("u-0", Ok(stands(Phase::Completed, ""))), Completed, "TFF-TTT", "Completed"),
        (outcome("u-1", Ok(stands(Phase::Rejected, "bea"))), Rejected, "FFFFTF-", "Rejected"),
        (outcome("u-1", Ok(stands(Phase::Failed, "bea"))), Failed, "FFFTTF-", "RefundFailed"),
        (
            outcome("u-1", Err(refusal("RefundExceedsCaptured", true))),
            Failed,
            "FFF-TF-",
            "RefundExceedsCaptured",
        ),
        (outcome("u-0", Err(refusal("RefundWindowClosed", true))), Failed, "FFF-TFT", "RefundWindowClosed"),
        (
            outcome("u-0", Err(refusal("IdempotencyConflict", false))),
            Failed,
            "FFF-TF-",
            "IdempotencyConflict",
        ),
        (outcome("u-1", Err(refusal("PaymentNotFound", false))), New, "FTF----", "PaymentNotFound"),
    ];
    for (answer, state, letters, reason) in cases {
        let status = report(&refund(), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&status), (state, letters.into(), reason.into()), "{answer:?}");
    }
}

#[test]
fn a_refund_shows_what_the_ledger_said_and_who_approved() {
    let answer = outcome("u-1", Ok(stands(RefundPhase::Completed, "bea")));
    let mut told = serde_json::to_value(report(&refund(), &answer, Timestamp::UNIX_EPOCH)).unwrap();
    told.as_object_mut().unwrap().remove("conditions");
    assert_eq!(
        told,
        json!({
            "state": "Completed",
            "refundId": ID,
            "paymentId": "p",
            "amount": "2.50",
            "currency": "USD",
            "approver": "bea",
            "decidedAt": "1970-01-01T00:16:40Z",
            "observedGeneration": 1,
        })
    );
}

#[test]
fn while_nobody_answers_a_request_keeps_what_was_said_of_it_and_a_forged_result_is_not_kept() {
    let mut object = refund();
    let asked = outcome("u-1", Ok(stands(RefundPhase::Requested, "")));
    object.status = Some(report(&object, &asked, Timestamp::UNIX_EPOCH));
    let status = report(&object, &unavailable(), Timestamp::UNIX_EPOCH);
    assert_eq!((status.state, status.refund_id.as_deref()), (RefundState::Requested, Some(ID)));

    let forged = outcome("u-1", Ok(stands(RefundPhase::Completed, "")));
    object.status = Some(report(&object, &forged, Timestamp::UNIX_EPOCH));
    let status = report(&object, &unavailable(), Timestamp::UNIX_EPOCH);
    assert_eq!((status.state, status.refund_id), (RefundState::New, None));
}

#[test]
fn the_hash_to_approve_is_shown_while_somebody_has_to_and_is_never_taken_from_the_status() {
    let requested = || outcome("u-1", Ok(stands(RefundPhase::Requested, "")));
    let mut object = refund();
    let status = report(&object, &requested(), Timestamp::UNIX_EPOCH);
    assert_eq!(status.body_hash.as_deref(), Some(&*body_hash(&object)));
    let message = |status: &RefundStatus| find(&status.conditions, READY).unwrap().message.clone();
    assert!(message(&status).contains("requestedBy"), "nobody can approve what nobody asked for");

    object.status = Some(RefundStatus { body_hash: Some("sha256:forged".into()), ..status });
    let status = report(&object, &unavailable(), Timestamp::UNIX_EPOCH);
    assert_eq!(status.body_hash.as_deref(), Some(&*body_hash(&object)));
    object.spec.requested_by = Some("ada".into());
    let named = report(&object, &requested(), Timestamp::UNIX_EPOCH);
    assert_ne!(named.body_hash, status.body_hash, "who asks is part of what is approved");
    assert!(message(&named).contains("Approval"));

    let done = outcome("u-1", Ok(stands(RefundPhase::Completed, "bea")));
    assert_eq!(report(&object, &done, Timestamp::UNIX_EPOCH).body_hash, None);
}
