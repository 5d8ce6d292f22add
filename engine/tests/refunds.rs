//! Money that is given back: refunds, their approval, reversals.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{self as proto, PaymentState, RefundState, RefusalReason};
use support::{
    client::{Client, code, hold, name, paid, payment, refund, refunded, settlement, usd},
    world::World,
};
use tonic::Code;
use tonic_types::StatusExt as _;

const ABSENT: &str = "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a";

/// Alice paid 60 of her 100 dollars to Bob.
async fn world() -> (World, Client, String) {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let payment = operator.pay(payment("p", "alice", "bob", "60.00")).await.unwrap().payment_id;
    (world, operator, payment)
}

async fn give_back(client: &Client, request: proto::RefundPaymentRequest) -> proto::RefundOutcome {
    client.payments.clone().refund_payment(request).await.unwrap().into_inner().outcome.unwrap()
}

fn why_not(outcome: &proto::RefundOutcome) -> (RefusalReason, &str) {
    match &outcome.result {
        Some(proto::refund_outcome::Result::Refusal(refusal)) => (refusal.reason(), &refusal.field),
        other => panic!("not refused: {other:?}"),
    }
}

fn approve(key: &str, refund: &str) -> proto::ApproveRefundRequest {
    proto::ApproveRefundRequest {
        idempotency_key: key.to_owned(),
        refund_id: refund.to_owned(),
        ..Default::default()
    }
}

fn reject(key: &str, refund: &str) -> proto::RejectRefundRequest {
    proto::RejectRefundRequest {
        idempotency_key: key.to_owned(),
        refund_id: refund.to_owned(),
        ..Default::default()
    }
}

/// Decides a refund and gives what became of it.
async fn decide(client: &Client, request: proto::ApproveRefundRequest) -> proto::RefundOutcome {
    client.payments.clone().approve_refund(request).await.unwrap().into_inner().outcome.unwrap()
}

fn reverse(key: &str, payment: &str) -> proto::ReversePaymentRequest {
    proto::ReversePaymentRequest {
        idempotency_key: key.to_owned(),
        payment_id: payment.to_owned(),
        ..Default::default()
    }
}

/// Refunds of this much or more need approval.
async fn set_threshold(world: &World, amount: &str) {
    let setting = proto::Setting {
        name: proto::ParameterName::RefundApprovalFrom.into(),
        value: Some(proto::setting::Value::Amount(usd(amount))),
        ..Default::default()
    };
    let scope = proto::settings_scope::Scope::Tenant(proto::TenantScope {});
    let request = proto::PutSettingsRequest {
        scope: Some(proto::SettingsScope { scope: Some(scope) }),
        settings: vec![setting],
    };
    world.as_role("acme", "admin").settings.clone().put_settings(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_never_exceed_what_was_paid() {
    let (world, operator, paid_out) = world().await;
    let first = give_back(&operator, refund("r1", &paid_out, "20.00")).await;
    let made = refunded(&first);
    assert_eq!(
        (made.state(), &made.payment_id, &made.id),
        (RefundState::Completed, &paid_out, &first.refund_id)
    );
    assert_eq!(made.from_balance.as_ref().unwrap().available, "40.00");
    assert_eq!(made.to_balance.as_ref().unwrap().available, "60.00");
    assert_eq!((&*made.requester, &*made.approver), ("system:serviceaccount:acme:operator", ""));
    let much = give_back(&operator, refund("r2", &paid_out, "40.01")).await;
    assert_eq!(why_not(&much), (RefusalReason::RefundExceedsCaptured, "amount.amount"));
    let rest = proto::RefundPaymentRequest { amount: None, ..refund("r3", &paid_out, "1.00") };
    assert_eq!(refunded(&give_back(&operator, rest).await).amount, Some(usd("40.00")));
    let again = give_back(&operator, refund("r1", &paid_out, "20.00")).await;
    assert!(again.replayed);
    assert_eq!(refunded(&again), made);
    let now = operator.read_payment(&paid_out).await;
    assert_eq!((now.state(), &*now.refunded, &*now.refunding), (PaymentState::Completed, "60.00", "0.00"));

    let list = proto::ListRefundsRequest { payment_id: paid_out.clone(), page_size: 1, ..Default::default() };
    let page = operator.payments.clone().list_refunds(list.clone()).await.unwrap().into_inner();
    assert_eq!(page.refunds[0].idempotency_key, "r3");
    let next = proto::ListRefundsRequest { page_token: page.next_page_token, ..list };
    let page = operator.payments.clone().list_refunds(next).await.unwrap().into_inner();
    assert_eq!((page.refunds[0].clone(), &*page.next_page_token), (made.clone(), ""));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_refunds_wait_for_somebody_else() {
    let (world, operator, paid_out) = world().await;
    set_threshold(&world, "30.00").await;
    let small = give_back(&operator, refund("small", &paid_out, "5.00")).await;
    assert_eq!(refunded(&small).state(), RefundState::Completed);
    let admin = world.as_role("acme", "admin");
    let asked = give_back(&admin, refund("large", &paid_out, "30.00")).await.refund_id;
    let second = give_back(&operator, refund("rest", &paid_out, "25.01")).await;
    assert_eq!(why_not(&second).0, RefusalReason::RefundExceedsCaptured);
    assert_eq!(operator.read_payment(&paid_out).await.refunding, "30.00");

    let own = admin.payments.clone().approve_refund(approve("a1", &asked)).await.unwrap().into_inner();
    assert_eq!(why_not(&own.outcome.unwrap()).0, RefusalReason::ApproverIsRequester);
    assert_eq!(
        code(operator.payments.clone().approve_refund(approve("a2", &asked)).await),
        Code::PermissionDenied
    );
    assert_eq!(
        code(operator.payments.clone().reject_refund(reject("a2", &asked)).await),
        Code::PermissionDenied
    );
    let approver = world.as_role("acme", "approver");
    let approved =
        approver.payments.clone().approve_refund(approve("a3", &asked)).await.unwrap().into_inner();
    let approved = approved.outcome.unwrap();
    assert_eq!(refunded(&approved).state(), RefundState::Completed);
    assert_eq!(refunded(&approved).approver, "system:serviceaccount:acme:approver");
    assert_eq!(operator.available(name("bob")).await, "25.00");
    let late = approver.payments.clone().reject_refund(reject("a4", &asked)).await.unwrap().into_inner();
    assert_eq!(why_not(&late.outcome.unwrap()), (RefusalReason::WrongState, "refund_id"));
    let found = operator.payments.clone().get_refund(proto::GetRefundRequest { id: asked }).await.unwrap();
    let found = found.into_inner().outcome.unwrap();
    assert_eq!(
        (refunded(&found).state(), &*refunded(&found).idempotency_key),
        (RefundState::Completed, "large")
    );
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_that_the_platform_acts_for_one_asks_and_the_other_approves() {
    let (world, _, _) = world().await;
    let platform = world.as_platform(Some("acme"));
    let paid_out = platform.pay(payment("p", "alice", "bob", "30.00")).await.unwrap().payment_id;
    set_threshold(&world, "10.00").await;
    let (ada, bea) = (world.on_behalf_of("acme", "ada"), world.on_behalf_of("acme", "bea"));
    let asked = give_back(&ada, refund("r", &paid_out, "20.00")).await;
    assert_eq!((refunded(&asked).state(), &*refunded(&asked).requester), (RefundState::Requested, "ada"));

    // The same object applied by somebody else is the same request, and who asked first stays who asked.
    let again = give_back(&bea, refund("r", &paid_out, "20.00")).await;
    assert!(again.replayed);
    assert_eq!(refunded(&again), refunded(&asked));

    let own = decide(&ada, approve("by ada", &asked.refund_id)).await;
    assert_eq!(why_not(&own), (RefusalReason::ApproverIsRequester, "refund_id"));
    let alone =
        platform.payments.clone().approve_refund(approve("alone", &asked.refund_id)).await.unwrap_err();
    assert_eq!(alone.code(), Code::PermissionDenied, "a machine is no second pair of eyes");
    assert_eq!(alone.get_details_error_info().unwrap().reason, "ON_BEHALF_OF_REQUIRED");
    assert_eq!(
        code(platform.payments.clone().reject_refund(reject("alone", &asked.refund_id)).await),
        Code::PermissionDenied
    );
    let approved = decide(&bea, approve("by bea", &asked.refund_id)).await;
    assert_eq!(refunded(&approved).state(), RefundState::Completed);
    assert_eq!((&*refunded(&approved).requester, &*refunded(&approved).approver), ("ada", "bea"));
    let late = decide(&world.on_behalf_of("acme", "cleo"), approve("by cleo", &asked.refund_id)).await;
    assert_eq!(why_not(&late), (RefusalReason::WrongState, "refund_id"));

    let mut journal = world.database.superuser().await;
    let both = "select actor, key from payplane.journal where kind in (10, 11) and refusal is null order by sequence";
    let rows: Vec<(String, String)> = sqlx::query_as(both).fetch_all(&mut journal).await.unwrap();
    assert_eq!(rows, [("ada".to_owned(), "r".to_owned()), ("bea".to_owned(), "by bea".to_owned())]);
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_voids_what_is_held_and_refunds_what_is_paid() {
    use proto::reversal_outcome::Result as Reversed;
    let (_world, operator, paid_out) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "10.00")).await.payment_id;
    let reversed = async |key: &str, payment: &str| {
        let answer = operator.payments.clone().reverse_payment(reverse(key, payment)).await.unwrap();
        answer.into_inner().outcome.unwrap()
    };
    match reversed("x", &held).await.result.unwrap() {
        Reversed::Payment(voided) => assert_eq!((voided.state(), voided.id), (PaymentState::Voided, held)),
        other => panic!("not voided: {other:?}"),
    }
    match reversed("y", &paid_out).await.result.unwrap() {
        Reversed::Refund(back) => {
            assert_eq!((back.state(), back.amount), (RefundState::Completed, Some(usd("60.00"))));
            let found = operator.payments.clone().get_refund(proto::GetRefundRequest { id: back.id }).await;
            assert_eq!(code(found), Code::Ok);
        }
        other => panic!("not refunded: {other:?}"),
    }
    assert!(reversed("y", &paid_out).await.replayed);
    match reversed("z", &paid_out).await.result.unwrap() {
        Reversed::Refusal(refusal) => assert_eq!(refusal.reason(), RefusalReason::RefundExceedsCaptured),
        other => panic!("refunded twice: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_back_what_went_into_the_settlement_account_is_for_the_treasury() {
    let (world, operator, _) = world().await;
    let out = proto::CreatePaymentRequest { to: Some(settlement()), ..payment("out", "alice", "", "10.00") };
    let out = operator.pay(out).await.unwrap().payment_id;
    let denied = operator.payments.clone().refund_payment(refund("r", &out, "1.00")).await;
    assert_eq!(code(denied), Code::PermissionDenied);
    let denied = operator.payments.clone().reverse_payment(reverse("x", &out)).await;
    assert_eq!(code(denied), Code::PermissionDenied);
    let item = proto::PaymentItem {
        operation: Some(proto::payment_item::Operation::RefundPayment(refund("r", &out, "1.00"))),
    };
    let linked = proto::CreateLinkedRequest { items: vec![item.clone()] };
    assert_eq!(code(operator.payments.clone().create_linked(linked).await), Code::PermissionDenied);
    let bulk = proto::CreatePaymentsRequest { items: vec![item], ..Default::default() };
    assert_eq!(code(operator.payments.clone().create_payments(bulk).await), Code::PermissionDenied);
    let treasury = world.as_role("acme", "treasury");
    let back = give_back(&treasury, refund("r", &out, "1.00")).await;
    assert_eq!(refunded(&back).state(), RefundState::Completed);
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_of_others_are_absent() {
    let (world, operator, paid_out) = world().await;
    let made = give_back(&operator, refund("r", &paid_out, "1.00")).await.refund_id;
    for role in ["operator", "admin"] {
        let theirs = world.as_role("globex", role);
        for payment in [&*paid_out, ABSENT] {
            let answer = give_back(&theirs, refund(&format!("r {payment}"), payment, "1.00")).await;
            assert_eq!(why_not(&answer), (RefusalReason::PaymentNotFound, "payment_id"), "{role}");
        }
    }
    let theirs = world.as_role("globex", "admin");
    for id in [made, ABSENT.to_owned()] {
        let answer = theirs.payments.clone().approve_refund(approve(&format!("a {id}"), &id)).await.unwrap();
        assert_eq!(
            why_not(&answer.into_inner().outcome.unwrap()),
            (RefusalReason::RefundNotFound, "refund_id")
        );
        let get = theirs.payments.clone().get_refund(proto::GetRefundRequest { id }).await;
        assert_eq!(code(get), Code::NotFound);
    }
    let list = proto::ListRefundsRequest { payment_id: paid_out.clone(), ..Default::default() };
    assert!(theirs.payments.clone().list_refunds(list).await.unwrap().into_inner().refunds.is_empty());
    // The id of a payment is none of a refund, and the other way round.
    let get = operator.payments.clone().get_refund(proto::GetRefundRequest { id: paid_out }).await;
    assert_eq!(code(get), Code::NotFound);
    paid(&operator.pay(payment("last", "alice", "bob", "1.00")).await.unwrap());
}
