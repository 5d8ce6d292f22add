use payplane_crds::condition::{READY, RECONCILING, STALLED};
use serde_json::json;
use tonic::Code;

use super::*;
use crate::{condition::find, payment::Waiting};

const ID: &str = "11111111-1111-5111-8111-111111111111";

fn payment() -> Payment {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": "rent", "namespace": "shop", "uid": "u-1", "generation": 1},
        "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
    }))
    .unwrap()
}

fn outcome(origin: &str, result: Result<Paid, Refusal>) -> Answer {
    Answer::Outcome(Outcome { payment_id: ID.into(), origin_ref: origin.into(), result })
}

fn paid() -> Result<Paid, Refusal> {
    Ok(Paid {
        from_available: "9.00".into(),
        to_available: "1.00".into(),
        decided_at: Timestamp::from_second(1_000).ok(),
    })
}

fn refused(reason: &'static str, definitive: bool) -> Result<Paid, Refusal> {
    Err(Refusal { reason, field: "from".into(), message: "no".into(), definitive })
}

fn unavailable() -> Answer {
    Answer::Failed(EngineError::Unavailable { code: Code::Unavailable, message: "connection 17".into() })
}

fn invalid() -> Answer {
    Answer::Failed(EngineError::Invalid { field: "amount".into(), message: "too many digits".into() })
}

/// State, then Ready, Reconciling, Stalled, Settled, Succeeded, Replayed as T, F or - for absent, then Ready's reason.
fn told(answer: &Answer) -> (PaymentState, String, String) {
    let status = report(&payment(), answer, Timestamp::UNIX_EPOCH);
    let letters = [READY, RECONCILING, STALLED, SETTLED, SUCCEEDED, REPLAYED]
        .map(|type_| find(&status.conditions, type_).map_or("-", |condition| &condition.status[..1]));
    let ready = find(&status.conditions, READY).unwrap();
    (status.state, letters.concat(), ready.reason.clone())
}

#[test]
fn every_answer_has_its_conditions() {
    use PaymentState::{Completed, Failed, New};
    let cases = [
        (Answer::Waiting(Waiting::new("NoTenant", "")), New, "FTF---", "NoTenant"),
        (unavailable(), New, "FTF---", "EngineUnavailable"),
        (
            Answer::Failed(EngineError::Denied { code: Code::PermissionDenied }),
            New,
            "FTF---",
            "EngineUnavailable",
        ),
        (Answer::Failed(EngineError::Answer("x")), New, "FTF---", "EngineUnavailable"),
        (invalid(), Failed, "FFFTF-", "Invalid"),
        (outcome("u-1", paid()), Completed, "TFFTT-", "Completed"),
        (outcome("u-0", paid()), Completed, "TFFTTT", "Completed"),
        (outcome("u-1", refused("InsufficientFunds", true)), Failed, "FFFTF-", "InsufficientFunds"),
        (outcome("u-0", refused("InsufficientFunds", true)), Failed, "FFFTFT", "InsufficientFunds"),
        (outcome("u-0", refused("IdempotencyConflict", false)), Failed, "FFFTF-", "IdempotencyConflict"),
        (outcome("u-1", refused("WalletNotFound", false)), New, "FTF---", "WalletNotFound"),
        (outcome("u-1", refused("SameWallet", false)), Failed, "FFFTF-", "SameWallet"),
        (outcome("u-1", refused("CurrencyMismatch", false)), Failed, "FFFTF-", "CurrencyMismatch"),
        (outcome("u-1", refused("WalletFrozen", true)), Failed, "FFFTF-", "WalletFrozen"),
        (outcome("u-1", refused("SettlementCapExceeded", true)), Failed, "FFFTF-", "SettlementCapExceeded"),
    ];
    for (answer, state, letters, reason) in cases {
        assert_eq!(told(&answer), (state, letters.into(), reason.into()), "{answer:?}");
    }
}

#[test]
fn a_completed_payment_shows_what_the_ledger_said() {
    let status = report(&payment(), &outcome("u-1", paid()), Timestamp::UNIX_EPOCH);
    let mut told = serde_json::to_value(&status).unwrap();
    told.as_object_mut().unwrap().remove("conditions");
    assert_eq!(
        told,
        json!({
            "state": "Completed",
            "paymentId": ID,
            "availableAfter": {"from": "9.00", "to": "1.00"},
            "decidedAt": "1970-01-01T00:16:40Z",
            "observedGeneration": 1,
        })
    );
}

#[test]
fn a_refusal_names_its_field_in_the_status_and_in_the_message() {
    let status = report(&payment(), &invalid(), Timestamp::UNIX_EPOCH);
    assert_eq!(status.refusal.unwrap().field, "amount");
    assert_eq!(find(&status.conditions, READY).unwrap().message, "amount: too many digits");
}

#[test]
fn another_failure_of_the_same_sort_changes_nothing_so_that_retries_write_nothing() {
    let mut object = payment();
    object.status = Some(report(&object, &unavailable(), Timestamp::from_second(5).unwrap()));
    let error = EngineError::Unavailable { code: Code::DeadlineExceeded, message: "connection 18".into() };
    let again = report(&object, &Answer::Failed(error), Timestamp::from_second(50).unwrap());
    assert_eq!(object.status, Some(again));
}

#[test]
fn a_forged_status_is_not_believed() {
    let mut object = payment();
    object.status = Some(report(&object, &outcome("u-1", paid()), Timestamp::UNIX_EPOCH));
    let status = report(&object, &outcome("u-1", refused("InsufficientFunds", true)), Timestamp::UNIX_EPOCH);
    assert_eq!(status.state, PaymentState::Failed);
    assert_eq!(status.available_after, None);
    assert_eq!(status.decided_at, None);
}
