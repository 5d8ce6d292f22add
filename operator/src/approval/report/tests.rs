use payplane_crds::condition::{READY, RECONCILING, SETTLED, STALLED, SUCCEEDED};
use serde_json::json;
use tonic::Code;

use super::*;
use crate::{approval::observe::Known, condition::find, payment::Waiting};

fn approval(decision: &str) -> Approval {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "yes", "namespace": "shop", "generation": 1},
        "spec": {"approves": {"kind": "Refund", "name": "back"}, "bodyHash": "h", "approver": "bea", "decision": decision},
    }))
    .unwrap()
}

fn stands(phase: RefundPhase) -> engine::Refund {
    engine::Refund {
        phase,
        payment_id: "p".into(),
        amount: engine::Amount { amount: "2.50".into(), currency: "USD".into() },
        key: "k".into(),
        is_of_resource: true,
        requester: "ada".into(),
        approver: "bea".into(),
        available: None,
        decided_at: None,
    }
}

fn refusal(reason: &'static str) -> Answer {
    Answer::Never(Refusal { reason, field: "bodyHash".into(), message: "no".into(), definitive: false })
}

#[test]
fn every_answer_has_its_conditions() {
    use ApprovalState::{Applied, New, Refused};
    let decided = |phase| Answer::Decided("r".into(), Box::new(stands(phase)));
    let away = EngineError::Unavailable { code: Code::Unavailable, message: "connection 17".into() };
    let invalid = EngineError::Invalid { field: "f".into(), message: "m".into() };
    let cases = [
        ("Approve", Answer::Waiting(Waiting::new("RefundNotFound", "")), New, "FTF--", "RefundNotFound"),
        ("Approve", Answer::Failed(away), New, "FTF--", "EngineUnavailable"),
        ("Approve", Answer::Failed(invalid), Refused, "FFFTF", "Invalid"),
        ("Approve", refusal("BodyHashMismatch"), Refused, "FFFTF", "BodyHashMismatch"),
        ("Approve", refusal("ApproverIsRequester"), Refused, "FFFTF", "ApproverIsRequester"),
        ("Approve", decided(RefundPhase::Completed), Applied, "TFFTT", "Approved"),
        ("Approve", decided(RefundPhase::Failed), Applied, "TFFTT", "Approved"),
        ("Reject", decided(RefundPhase::Rejected), Applied, "TFFTT", "Rejected"),
    ];
    for (decision, answer, state, letters, reason) in cases {
        let nothing = Observed { has_tenant: true, engine: None, subject: Found::NotAsked };
        let status = report(&approval(decision), &answer, &nothing, Timestamp::UNIX_EPOCH);
        let types = [READY, RECONCILING, STALLED, SETTLED, SUCCEEDED];
        let told = types.map(|type_| find(&status.conditions, type_).map_or("-", |found| &found.status[..1]));
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(
            (status.state, told.concat(), &*ready.reason),
            (state, letters.into(), reason),
            "{answer:?}"
        );
    }
}

#[test]
fn an_approval_shows_what_it_decided_and_who_had_asked() {
    let known = Known {
        hash: "h".into(),
        requested_by: Some("ada".into()),
        id: "r".into(),
        stands: stands(RefundPhase::Requested),
    };
    let observed = Observed { has_tenant: true, engine: None, subject: Found::Known(Box::new(known)) };
    let answer = Answer::Decided("r".into(), Box::new(stands(RefundPhase::Completed)));
    let status = report(&approval("Approve"), &answer, &observed, Timestamp::UNIX_EPOCH);
    assert_eq!((status.subject_id.as_deref(), status.requester.as_deref()), (Some("r"), Some("ada")));
    assert!(find(&status.conditions, READY).unwrap().message.contains("2.50 USD"));
}
