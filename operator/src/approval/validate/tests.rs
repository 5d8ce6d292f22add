use serde_json::json;

use super::*;
use crate::{
    engine::{self, Amount, EngineError, PaymentRequest, WalletRef, fixture::engine},
    payment::{Wanted, Wish},
};

const ID: &str = "0b0e8a52-1111-5222-8333-444455556666";
const HASH: &str = "sha256:f2902fb19a91db1d571bc87f134d2aefabfef30fd4b87680b9176d513bf4226f";

/// Bea's decision, good until the thousandth second.
fn approval(decision: &str) -> Approval {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "yes", "namespace": "shop", "uid": "u-9"},
        "spec": {
            "approves": {"kind": "Refund", "name": "back"}, "bodyHash": HASH, "approver": "bea",
            "decision": decision, "expiresAt": "1970-01-01T00:16:40Z",
        },
    }))
    .unwrap()
}

/// A refund that Ada asked for.
fn known(phase: RefundPhase, approver: &str) -> Known {
    let stands = engine::Refund {
        phase,
        payment_id: "p".into(),
        amount: Amount { amount: "2.50".into(), currency: "USD".into() },
        key: "shop/back".into(),
        is_of_resource: true,
        requester: "ada".into(),
        approver: approver.into(),
        available: None,
        decided_at: None,
    };
    Known { hash: HASH.into(), requested_by: Some("ada".into()), id: ID.into(), stands }
}

fn undecided(hash: &str, is_over: bool) -> Found {
    Found::Undecided { hash: hash.into(), is_over }
}

/// "decides", "done", or what keeps it from deciding: the reason, and whether it can ever.
fn told(decision: &str, second: i64, subject: Found) -> String {
    let observed = Observed { has_tenant: true, engine: Some(engine()), subject };
    match validate(&approval(decision), &observed, Timestamp::from_second(second).unwrap()) {
        Fit::Decides(_) => "decides".into(),
        Fit::Done(..) => "done".into(),
        Fit::Pays(_) => "pays".into(),
        Fit::Waiting(Waiting { reason, is_watched: true, .. }) => format!("waits {reason}"),
        Fit::Waiting(Waiting { reason, is_watched: false, .. }) => format!("looks again {reason}"),
        Fit::Never(refusal) => format!("never {} {}", refusal.reason, refusal.field),
    }
}

#[tokio::test]
async fn an_approval_counts_for_what_was_read_by_somebody_else_in_time_and_once() {
    use RefundPhase::{Completed, Failed, Rejected, Requested};
    let found = |known: Known| Found::Known(Box::new(known));
    let asks = |phase| found(known(phase, ""));
    let by = |phase, approver| found(known(phase, approver));
    let asked_by =
        |name: Option<&str>| found(Known { requested_by: name.map(String::from), ..known(Requested, "") });
    let changed = || found(Known { hash: "sha256:other".into(), ..known(Requested, "") });
    let cases = [
        ("Approve", 999, asks(Requested), "decides"),
        ("Reject", 999, asks(Requested), "decides"),
        ("Approve", 1_000, asks(Requested), "never ApprovalExpired expiresAt"),
        ("Reject", 1_000, asks(Requested), "never ApprovalExpired expiresAt"),
        ("Approve", 0, changed(), "never BodyHashMismatch bodyHash"),
        ("Reject", 0, changed(), "never BodyHashMismatch bodyHash"),
        ("Approve", 9_999, changed(), "never BodyHashMismatch bodyHash"),
        // Nobody asked, or the ledger had the key from somebody else.
        ("Approve", 0, asked_by(None), "never RequesterUnknown approves"),
        ("Approve", 0, asked_by(Some("cleo")), "never RequesterUnknown approves"),
        ("Reject", 0, asked_by(None), "decides"),
        // Decided: what is asked again after a crash stays what it was, also when the time is over.
        ("Approve", 9_999, by(Completed, "bea"), "done"),
        ("Approve", 9_999, by(Failed, "bea"), "done"),
        ("Reject", 9_999, by(Rejected, "bea"), "done"),
        ("Approve", 0, by(Rejected, "bea"), "never AlreadyDecided approves"),
        ("Reject", 0, by(Completed, "bea"), "never AlreadyDecided approves"),
        ("Approve", 0, by(Completed, "cleo"), "never AlreadyDecided approves"),
        ("Approve", 0, asks(Completed), "never WrongState approves"),
        // Not there yet.
        ("Approve", 0, Found::NotAsked, "waits EngineUnavailable"),
        ("Approve", 0, Found::Unanswered(EngineError::Answer("x")), "looks again EngineUnavailable"),
        ("Approve", 0, Found::NoObject, "waits RefundNotFound"),
        ("Approve", 1_000, Found::NoObject, "never ApprovalExpired expiresAt"),
        ("Approve", 0, undecided(HASH, false), "waits RefundNotReady"),
        ("Approve", 1_000, undecided(HASH, false), "never ApprovalExpired expiresAt"),
        ("Approve", 0, undecided("sha256:other", false), "never BodyHashMismatch bodyHash"),
        ("Approve", 0, undecided(HASH, true), "never WrongState approves"),
    ];
    for (decision, second, subject, expected) in cases {
        let case = format!("{decision} at {second}: {subject:?}");
        assert_eq!(told(decision, second, subject), expected, "{case}");
    }
    let nobody = Observed { has_tenant: false, engine: None, subject: Found::NotAsked };
    let Fit::Waiting(waiting) = validate(&approval("Approve"), &nobody, Timestamp::UNIX_EPOCH) else {
        panic!("decides")
    };
    assert_eq!(waiting.reason, "NoTenant");
}

#[tokio::test]
async fn the_requester_is_sent_too_because_the_ledger_has_the_last_word() {
    let mut own = known(RefundPhase::Requested, "");
    (own.requested_by, own.stands.requester) = (Some("bea".into()), "bea".into());
    assert_eq!(told("Approve", 0, Found::Known(Box::new(own))), "decides");
}

#[tokio::test]
async fn one_person_has_one_key_per_refund_and_decision() {
    let asked = |decision: &str| {
        request(&approval(decision), &known(RefundPhase::Requested, ""), decision == "Approve")
    };
    let expected = DecisionRequest {
        namespace: "shop".into(),
        key: format!("{ID}/approve/bea"),
        refund_id: ID.into(),
        origin_ref: "u-9".into(),
        approver: "bea".into(),
        approves: true,
    };
    assert_eq!(asked("Approve"), expected, "with another name or after a restore it is the same decision");
    assert_eq!(asked("Reject").key, format!("{ID}/reject/bea"));
    let mut longest = approval("Approve");
    longest.spec.approver = "x".repeat(200);
    assert!(request(&longest, &known(RefundPhase::Requested, ""), true).key.len() <= 255);
}

/// A Payment that Ada asks for.
fn asked(hash: &str, requested_by: Option<&str>) -> Found {
    let wanted = Err(Waiting::new("WalletNotReady", ""));
    Found::Payment(Box::new(Asked {
        hash: hash.into(),
        requested_by: requested_by.map(String::from),
        wanted,
    }))
}

fn ready(hash: &str, requested_by: Option<&str>) -> Found {
    let request = PaymentRequest {
        namespace: "shop".into(),
        key: "shop/rent".into(),
        from: WalletRef::Settlement,
        to: WalletRef::Settlement,
        amount: Amount { amount: "1.00".into(), currency: "USD".into() },
        reference: String::new(),
        origin_ref: "u-1".into(),
        hold: None,
        metadata: Default::default(),
        fees: Vec::new(),
        requester: Some("ada".into()),
        approver: None,
        asked: Default::default(),
        never: false,
    };
    let wanted = Ok(Wanted { request, wish: Wish::Keep, retry_until: None, is_reviewed: false });
    Found::Payment(Box::new(Asked {
        hash: hash.into(),
        requested_by: requested_by.map(String::from),
        wanted,
    }))
}

#[tokio::test]
async fn an_approval_of_a_payment_counts_for_what_was_read_that_somebody_asked_for_in_time() {
    let cases = [
        (999, ready(HASH, Some("ada")), "pays"),
        // Who asks is sent too: the ledger has the last word.
        (999, ready(HASH, Some("bea")), "pays"),
        (999, ready("sha256:other", Some("ada")), "never BodyHashMismatch bodyHash"),
        (999, ready(HASH, None), "never RequesterUnknown approves"),
        (1_000, ready(HASH, Some("ada")), "never ApprovalExpired expiresAt"),
        (999, asked(HASH, Some("ada")), "waits WalletNotReady"),
        (999, asked("sha256:other", Some("ada")), "never BodyHashMismatch bodyHash"),
    ];
    for (second, subject, expected) in cases {
        let case = format!("at {second}: {subject:?}");
        assert_eq!(told("Approve", second, subject), expected, "{case}");
    }
    let mut approval = approval("Approve");
    approval.spec.approves.kind = SubjectKind::Payment;
    let observed = Observed { has_tenant: true, engine: Some(engine()), subject: Found::NoObject };
    let Fit::Waiting(waiting) = validate(&approval, &observed, Timestamp::UNIX_EPOCH) else { panic!("pays") };
    assert_eq!(waiting.reason, "PaymentNotFound");
}
