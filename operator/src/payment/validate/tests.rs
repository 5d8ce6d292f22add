use payplane_crds::platform::LostPayments;
use serde_json::json;

use super::*;
use crate::engine::fixture::engine;

fn payment(spec: serde_json::Value) -> Payment {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": "rent", "namespace": "shop", "uid": "u-1"},
        "spec": spec,
    }))
    .unwrap()
}

fn rent() -> Payment {
    payment(json!({"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"}))
}

fn observed(has_tenant: bool, with_engine: bool, from: Side, to: Side) -> Observed {
    let (fees, is_reviewed) = (Vec::new(), false);
    let lost = LostPayments::Flag;
    Observed { has_tenant, engine: with_engine.then(engine), from, to, fees, is_reviewed, lost }
}

#[tokio::test]
async fn the_first_thing_that_is_missing_is_named() {
    let cases = [
        (observed(false, false, Side::Absent, Side::Absent), "NoTenant", "Tenant"),
        (observed(true, false, Side::Absent, Side::Absent), "EngineUnavailable", "engine"),
        (
            observed(true, true, Side::Absent, Side::NotReady),
            "WalletNotFound",
            "from: there is no Wallet \"a\"",
        ),
        (observed(true, true, Side::NotReady, Side::Ready), "WalletNotReady", "from: Wallet \"a\""),
        (observed(true, true, Side::Ready, Side::Absent), "WalletNotFound", "to: there is no Wallet \"b\""),
        (observed(true, true, Side::Ledger, Side::NotReady), "WalletNotReady", "to: Wallet \"b\""),
    ];
    for (observed, reason, message) in cases {
        let waiting = validate(&rent(), &observed).unwrap_err();
        assert_eq!(waiting.reason, reason);
        assert!(waiting.message.contains(message), "{}", waiting.message);
    }
}

#[tokio::test]
async fn the_default_key_is_namespace_and_name_and_the_origin_is_the_uid() {
    let wanted = validate(&rent(), &observed(true, true, Side::Ready, Side::Ready)).unwrap();
    assert_eq!(wanted.wish, Wish::Keep);
    assert_eq!(
        wanted.request,
        PaymentRequest {
            namespace: "shop".into(),
            key: "shop/rent".into(),
            from: WalletRef::Name("shop/a".into()),
            to: WalletRef::Name("shop/b".into()),
            amount: Amount { amount: "1.00".into(), currency: "USD".into() },
            reference: String::new(),
            origin_ref: "u-1".into(),
            hold: None,
            never: false,
            metadata: Default::default(),
            fees: Vec::new(),
            requester: None,
            approver: None,
            asked: Default::default(),
        },
        "another default key would pay every payment of every cluster a second time"
    );
}

#[tokio::test]
async fn what_a_restore_may_have_lost_is_asked_for_with_its_age_unless_the_platform_says_replay() {
    let ready = || observed(true, true, Side::Ready, Side::Ready);
    let mut old = rent();
    old.metadata.creation_timestamp = serde_json::from_value(json!("2026-11-21T10:00:00Z")).unwrap();
    let made = old.metadata.creation_timestamp.clone().map(|time| time.0);
    let flagged = validate(&old, &ready()).unwrap().request.asked;
    assert_eq!(flagged, Asked { at: made, replay: None });
    let epoch = "2-20261121t173005z";
    old.metadata.annotations = Some([("payplane.io/replay".to_owned(), epoch.to_owned())].into());
    let consented = validate(&old, &ready()).unwrap().request.asked;
    assert_eq!(consented, Asked { at: made, replay: Some(epoch.into()) }, "the engine compares the epoch");
    let replayed = validate(&old, &Observed { lost: LostPayments::Replay, ..ready() }).unwrap();
    assert_eq!(replayed.request.asked, Asked::default());
}

#[tokio::test]
async fn an_own_key_an_id_and_the_settlement_account_go_through_as_they_are() {
    let id = "0b0e8a52-1111-5222-8333-444455556666";
    let spec = json!({
        "from": {"settlement": true}, "to": {"id": id}, "amount": "5", "currency": "JPY",
        "reference": "invoice 7", "idempotencyKey": "k-7",
    });
    let wanted = validate(&payment(spec), &observed(true, true, Side::Ledger, Side::Ledger)).unwrap();
    let request = wanted.request;
    assert_eq!(request.key, "k-7");
    assert_eq!(request.from, WalletRef::Settlement);
    assert_eq!(request.to, WalletRef::Id(id.into()));
    assert_eq!(request.reference, "invoice 7");
}

#[tokio::test]
async fn the_hold_is_part_of_the_request_and_what_becomes_of_it_is_not() {
    let at = "2026-12-01T00:00:00Z";
    let hold = |rest: serde_json::Value| {
        let mut spec = json!({
            "from": {"name": "a"}, "to": {"name": "b"}, "amount": "5.00", "currency": "USD",
            "hold": {"timeoutSeconds": 60, "captureAt": at},
        });
        spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        validate(&payment(spec), &observed(true, true, Side::Ready, Side::Ready)).unwrap()
    };
    let total = Decimal::from_str_exact("2.50").unwrap();
    let cases = [
        (json!({}), Wish::Keep),
        (json!({"capture": {"total": "2.50"}}), Wish::Capture { total, is_final: false }),
        (json!({"capture": {"total": "2.50", "final": true}}), Wish::Capture { total, is_final: true }),
        (json!({"void": true}), Wish::Void),
    ];
    for (rest, wish) in cases {
        let wanted = hold(rest.clone());
        assert_eq!(wanted.wish, wish, "{rest}");
        let terms = HoldTerms { timeout_seconds: Some(60), capture_at: Some(at.parse().unwrap()) };
        assert_eq!(wanted.request.hold, Some(terms), "{rest}");
        assert_eq!(wanted.request, hold(json!({})).request, "the body of a key never changes");
    }
}

fn with_fees() -> Payment {
    payment(json!({
        "from": {"name": "a"}, "to": {"name": "b"}, "amount": "5.00", "currency": "USD", "requestedBy": "ada",
        "metadata": {"order": "7"},
        "fees": [
            {"to": {"name": "agent"}, "amount": "0.10", "reference": "commission"},
            {"to": {"settlement": true}, "amount": "0.20"},
        ],
    }))
}

#[tokio::test]
async fn fees_labels_and_who_asks_are_part_of_the_request() {
    let ready = || Observed {
        fees: vec![Side::Ready, Side::Ledger],
        ..observed(true, true, Side::Ready, Side::Ready)
    };
    let request = validate(&with_fees(), &ready()).unwrap().request;
    let amount = |amount: &str| Amount { amount: amount.into(), currency: "USD".into() };
    let expected = [
        FeeRequest {
            to: WalletRef::Name("shop/agent".into()),
            amount: amount("0.10"),
            reference: "commission".into(),
        },
        FeeRequest { to: WalletRef::Settlement, amount: amount("0.20"), reference: String::new() },
    ];
    assert_eq!(request.fees, expected);
    assert_eq!(request.metadata, [("order".to_owned(), "7".to_owned())].into());
    assert_eq!((request.requester.as_deref(), request.approver), (Some("ada"), None));
    let missing = Observed { fees: vec![Side::Absent, Side::Ledger], ..ready() };
    let waiting = validate(&with_fees(), &missing).unwrap_err();
    assert_eq!(waiting.message, "fees[0].to: there is no Wallet \"agent\" in this namespace.");
}

#[tokio::test]
async fn only_the_tenant_can_say_that_the_pull_request_is_an_approval() {
    let observed = |is_reviewed| Observed { is_reviewed, ..observed(true, true, Side::Ready, Side::Ready) };
    for is_reviewed in [false, true] {
        let wanted = validate(&rent(), &observed(is_reviewed)).unwrap();
        assert_eq!((wanted.is_reviewed, wanted.request.approver), (is_reviewed, None), "asked without first");
    }
}
