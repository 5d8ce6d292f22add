use serde_json::json;

use super::*;
use crate::engine::{EngineError, fixture::engine};

const ID: &str = "0b0e8a52-1111-5222-8333-444455556666";

fn refund(spec: serde_json::Value) -> Refund {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Refund",
        "metadata": {"name": "back", "namespace": "shop", "uid": "u-1"},
        "spec": spec,
    }))
    .unwrap()
}

fn observed(payment: Found) -> Observed {
    Observed { has_tenant: true, engine: Some(engine()), payment, lost: Default::default() }
}

fn known(phase: Phase, captured: &str, pays_own_account: bool) -> Found {
    let stands = engine::Payment {
        phase,
        key: "shop/rent".into(),
        is_of_resource: true,
        to_wallet_id: "w".into(),
        amount: Amount { amount: "5.00".into(), currency: "USD".into() },
        captured: captured.into(),
        refunded: "0.00".into(),
        held: "0.00".into(),
        deadline: None,
        capture_at: None,
        available: None,
        decided_at: None,
    };
    Found::Known { id: ID.into(), stands: Box::new(stands), pays_own_account }
}

/// "asks", or what keeps it from asking: the reason, and whether it can ever be.
fn told(spec: serde_json::Value, payment: Found) -> String {
    match validate(&refund(spec), &observed(payment)) {
        Ok(_) => "asks".into(),
        Err(Unfit::Waiting(Waiting { reason, is_watched: true, .. })) => format!("waits {reason}"),
        Err(Unfit::Waiting(Waiting { reason, is_watched: false, .. })) => format!("looks again {reason}"),
        Err(Unfit::Never(refusal)) => format!("never {}", refusal.reason),
    }
}

#[tokio::test]
async fn nothing_is_asked_before_it_can_work_and_nothing_is_given_up_before_it_cannot() {
    let plain = || json!({"payment": {"name": "rent"}});
    let cases = [
        (Found::NotAsked, "waits EngineUnavailable"),
        (Found::NoObject, "waits PaymentNotFound"),
        (Found::Undecided, "waits PaymentNotReady"),
        (Found::NotInLedger, "looks again PaymentNotFound"),
        (Found::Unanswered(EngineError::Answer("x")), "looks again EngineUnavailable"),
        (Found::Refused, "never WrongState"),
        (known(Phase::Completed, "5.00", false), "asks"),
        (known(Phase::Pending, "0.00", false), "waits PaymentNotReady"),
        (known(Phase::Pending, "0.01", false), "asks"),
        (known(Phase::Processing, "0.00", false), "waits PaymentNotReady"),
        // The ledger says why not, and keeps that for ever.
        (known(Phase::Voided, "0.00", false), "asks"),
        (known(Phase::Completed, "5.00", true), "never TreasuryRequired"),
    ];
    for (payment, expected) in cases {
        let case = format!("{payment:?}");
        assert_eq!(told(plain(), payment), expected, "{case}");
    }
    let treasury = json!({"payment": {"name": "rent"}, "settlement": true});
    assert_eq!(told(treasury, known(Phase::Completed, "5.00", true)), "asks");
    let nobody =
        Observed { has_tenant: false, engine: None, payment: Found::NotAsked, lost: Default::default() };
    let Err(Unfit::Waiting(waiting)) = validate(&refund(plain()), &nobody) else { panic!("asks") };
    assert_eq!(waiting.reason, "NoTenant");
}

#[tokio::test]
async fn the_request_names_the_payment_by_id_and_itself_by_namespace_and_name() {
    let spec = json!({"payment": {"name": "rent"}, "amount": "2.50", "currency": "USD", "reason": "broken"});
    let asked = validate(&refund(spec), &observed(known(Phase::Completed, "5.00", false))).unwrap();
    let expected = RefundRequest {
        namespace: "shop".into(),
        key: "shop/back".into(),
        payment_id: ID.into(),
        amount: Some(Amount { amount: "2.50".into(), currency: "USD".into() }),
        reference: "broken".into(),
        origin_ref: "u-1".into(),
        requester: None,
        asked: Default::default(),
    };
    assert_eq!(asked, expected, "another default key would give back a second time");

    let spec = json!({"payment": {"id": ID}, "idempotencyKey": "k-7", "requestedBy": "ada"});
    let asked = validate(&refund(spec), &observed(known(Phase::Completed, "5.00", false))).unwrap();
    assert_eq!((asked.key.as_str(), asked.amount), ("k-7", None));
    assert_eq!(asked.requester.as_deref(), Some("ada"));
    let mut old = refund(json!({"payment": {"id": ID}}));
    old.metadata.creation_timestamp = serde_json::from_value(json!("2026-11-21T10:00:00Z")).unwrap();
    let asked = validate(&old, &observed(known(Phase::Completed, "5.00", false))).unwrap().asked;
    assert_eq!(asked.at, old.metadata.creation_timestamp.map(|time| time.0), "or a restore gives back again");
}
