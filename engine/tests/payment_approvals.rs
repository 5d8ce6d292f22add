//! Payments that need somebody else's approval, over gRPC: who may say that there is one, and what is kept of it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{self as proto, RefusalReason};
use support::{
    client::{Client, code, hold, paid, payment, usd},
    world::World,
};
use tonic::Code;
use tonic_types::StatusExt as _;

/// Alice has a hundred dollars, and payments of ten or more need approval.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob"] {
        operator.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "100.00").await;
    let setting = proto::Setting {
        name: proto::ParameterName::PaymentApprovalFrom.into(),
        value: Some(proto::setting::Value::Amount(usd("10.00"))),
        ..Default::default()
    };
    let scope = proto::settings_scope::Scope::Tenant(proto::TenantScope {});
    let request = proto::PutSettingsRequest {
        scope: Some(proto::SettingsScope { scope: Some(scope) }),
        settings: vec![setting],
    };
    world.as_role("acme", "admin").settings.clone().put_settings(request).await.unwrap();
    (world, operator)
}

fn why_not(outcome: &proto::PaymentOutcome) -> (RefusalReason, &str) {
    match &outcome.result {
        Some(proto::payment_outcome::Result::Refusal(refusal)) => (refusal.reason(), &refusal.field),
        other => panic!("not refused: {other:?}"),
    }
}

fn approved(key: &str, amount: &str, by: &str) -> proto::CreatePaymentRequest {
    proto::CreatePaymentRequest { approved_by: by.to_owned(), ..payment(key, "alice", "bob", amount) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payment_waits_for_an_approval_that_only_the_platform_can_state() {
    let (world, operator) = world().await;
    paid(&operator.pay(payment("small", "alice", "bob", "9.99")).await.unwrap());
    let large = operator.pay(payment("large", "alice", "bob", "10.00")).await.unwrap();
    assert_eq!(why_not(&large), (RefusalReason::PaymentApprovalRequired, "amount.amount"));
    let Some(proto::payment_outcome::Result::Refusal(refusal)) = large.result else { panic!("paid") };
    assert!(!refusal.definitive, "the same key can be paid later");
    assert!(refusal.message.contains("Payment object"), "names the way out: {}", refusal.message);
    let limit = refusal.limit.unwrap();
    let threshold = (proto::ParameterName::PaymentApprovalFrom, proto::ParameterLevel::Tenant);
    assert_eq!((limit.name(), limit.level()), threshold);

    for role in ["operator", "approver", "treasury", "admin"] {
        let own = world.as_role("acme", role).pay(approved("large", "10.00", "bea")).await.unwrap_err();
        assert_eq!(own.code(), Code::PermissionDenied, "{role}");
        assert_eq!(own.get_details_error_info().unwrap().reason, "APPROVED_BY_NOT_ALLOWED");
    }
    let ada = world.on_behalf_of("acme", "ada");
    let unnamed = ada.pay(payment("cr", "alice", "bob", "10.00")).await.unwrap();
    assert_eq!(
        why_not(&unnamed).0,
        RefusalReason::PaymentApprovalRequired,
        "nor may the platform do without"
    );
    let own = ada.pay(approved("cr", "10.00", "ada")).await.unwrap();
    assert_eq!(why_not(&own), (RefusalReason::ApproverIsRequester, "approved_by"));
    for nobody in ["payplane:sweep", "\u{e9}", "x".repeat(257).as_str()] {
        assert_eq!(code(ada.pay(approved("cr", "10.00", nobody)).await), Code::InvalidArgument, "{nobody}");
    }

    let made = ada.pay(approved("cr", "10.00", "bea")).await.unwrap();
    assert_eq!((&*paid(&made).actor, &*paid(&made).approver, &*made.approver), ("ada", "bea", "bea"));
    // Whoever repeats the key, with another approval or none, finds what was decided.
    for again in [payment("cr", "alice", "bob", "10.00"), approved("cr", "10.00", "cleo")] {
        let again = world.as_platform(Some("acme")).pay(again).await.unwrap();
        assert!(again.replayed);
        assert_eq!((paid(&again), &*again.approver), (paid(&made), "bea"));
    }
    let found = operator.read_payment(&made.payment_id).await;
    assert_eq!(found.approver, "bea");
    assert_eq!(operator.available(support::client::name("alice")).await, "80.01");
    world.assert_balanced().await;
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_what_was_approved_keeps_who_approved_it() {
    let (world, _) = world().await;
    let ada = world.on_behalf_of("acme", "ada");
    let short = ada.pay(approved("much", "500.00", "bea")).await.unwrap();
    assert_eq!(why_not(&short).0, RefusalReason::InsufficientFunds);
    let again = ada.pay(payment("much", "alice", "bob", "500.00")).await.unwrap();
    assert!(again.replayed, "what was refused for good is no question of approval any more");
    assert_eq!((why_not(&again).0, &*again.approver), (RefusalReason::InsufficientFunds, "bea"));
    let request = proto::GetPaymentRequest { id: short.payment_id };
    let found = ada.payments.clone().get_payment(request).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!(found.approver, "bea");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_and_each_linked_item_need_approval_like_a_payment() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "10.00")).await;
    assert_eq!(why_not(&held).0, RefusalReason::PaymentApprovalRequired);
    let ada = world.on_behalf_of("acme", "ada");
    let asked =
        proto::AuthorizePaymentRequest { approved_by: "bea".into(), ..hold("h", "alice", "bob", "10.00") };
    assert_eq!(ada.hold(asked).await.approver, "bea");

    let linked = async |approver: &str| {
        let item = |key: &str, amount: &str| proto::PaymentItem {
            operation: Some(proto::payment_item::Operation::CreatePayment(approved(key, amount, approver))),
        };
        let items = vec![item("main", "20.00"), item("main fee 1", "0.50")];
        let answer = ada.payments.clone().create_linked(proto::CreateLinkedRequest { items }).await.unwrap();
        let outcomes = answer.into_inner().outcomes.into_iter().map(|outcome| match outcome.outcome {
            Some(proto::item_outcome::Outcome::Payment(payment)) => payment,
            other => panic!("no payment: {other:?}"),
        });
        outcomes.collect::<Vec<_>>()
    };
    let unapproved = linked("").await;
    assert_eq!(why_not(&unapproved[0]).0, RefusalReason::PaymentApprovalRequired);
    assert_eq!(why_not(&unapproved[1]).0, RefusalReason::LinkedItemDeclined);
    let made = linked("bea").await;
    assert!(made.iter().all(|outcome| !outcome.replayed && paid(outcome).approver == "bea"));
    world.assert_balanced().await;
    world.assert_sound().await;
}
