//! Payments that are held before money moves: taken, given back, handed to a gateway.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use payplane_proto::v1::{self as proto, PaymentState, RefusalReason};
use support::{
    client::{Client, capture, code, fields, hold, id, name, paid, payment, refused, usd},
    eventually,
    world::World,
};
use tonic::Code;

const ABSENT: &str = "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a";

/// Alice has 100 dollars, Bob nothing.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    (world, operator)
}

async fn take(client: &Client, request: proto::CapturePaymentRequest) -> proto::PaymentOutcome {
    client.payments.clone().capture_payment(request).await.unwrap().into_inner().outcome.unwrap()
}

fn void(key: &str, payment: &str) -> proto::VoidPaymentRequest {
    proto::VoidPaymentRequest {
        idempotency_key: key.to_owned(),
        payment_id: payment.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_taken_in_parts_and_the_rest_is_given_back() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await;
    let made = paid(&held);
    assert_eq!((made.state(), &*made.held, &*made.captured), (PaymentState::Pending, "60.00", "0.00"));
    assert_eq!(made.from_balance.as_ref().unwrap().available, "40.00");
    assert_eq!(made.to_balance.as_ref().unwrap().pending_credits, "60.00");
    assert!(made.deadline.unwrap().seconds - made.create_time.unwrap().seconds == 600);
    assert_eq!(made.deadline_level(), proto::ParameterLevel::Unspecified);
    let poor = operator.pay(payment("poor", "alice", "bob", "40.01")).await.unwrap();
    assert_eq!(refused(&poor), (RefusalReason::InsufficientFunds, "from"));

    let first = take(&operator, capture("c1", &held.payment_id, "25.00")).await;
    assert_eq!(first.payment_id, held.payment_id);
    let taken = paid(&first);
    assert_eq!((taken.state(), &*taken.held, &*taken.captured), (PaymentState::Pending, "35.00", "25.00"));
    assert_eq!((&*taken.idempotency_key, taken.to_balance.as_ref().unwrap().version), ("c1", 2));
    let much = take(&operator, capture("c2", &held.payment_id, "35.01")).await;
    assert_eq!(refused(&much), (RefusalReason::CaptureExceedsHold, "amount.amount"));
    let last = proto::CapturePaymentRequest { r#final: true, ..capture("c3", &held.payment_id, "5.00") };
    let last = take(&operator, last).await;
    let taken = paid(&last);
    assert_eq!((taken.state(), &*taken.held, &*taken.captured), (PaymentState::Completed, "0.00", "30.00"));
    assert_eq!(taken.from_balance.as_ref().unwrap().available, "70.00");

    let again = take(&operator, capture("c1", &held.payment_id, "25.00")).await;
    assert!(again.replayed);
    assert_eq!(paid(&again), paid(&first));
    let other = take(&operator, capture("c1", &held.payment_id, "26.00")).await;
    assert_eq!(refused(&other), (RefusalReason::IdempotencyConflict, "amount.amount"));
    let late = take(&operator, capture("c4", &held.payment_id, "1.00")).await;
    assert_eq!(refused(&late), (RefusalReason::WrongState, "payment_id"));
    let now = operator.read_payment(&held.payment_id).await;
    assert_eq!((&*now.idempotency_key, &*now.captured, now.state()), ("h", "30.00", PaymentState::Completed));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_voided_once() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await;
    let voided = operator.payments.clone().void_payment(void("v", &held.payment_id)).await.unwrap();
    let voided = voided.into_inner().outcome.unwrap();
    assert_eq!(paid(&voided).state(), PaymentState::Voided);
    assert_eq!(paid(&voided).from_balance.as_ref().unwrap().available, "100.00");
    let more = operator.payments.clone().void_payment(void("v2", &held.payment_id)).await.unwrap();
    assert_eq!(refused(&more.into_inner().outcome.unwrap()).0, RefusalReason::WrongState);
    // One key means one payment, however it is asked for.
    let other = operator.pay(payment("h", "alice", "bob", "60.00")).await.unwrap();
    assert_eq!(refused(&other), (RefusalReason::IdempotencyConflict, "kind"));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_at_its_deadline_whether_or_not_it_was_swept() {
    let (_world, operator) = world().await;
    let short = proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds: 0, nanos: 1_000 }),
        ..hold("h", "alice", "bob", "60.00")
    };
    let held = operator.hold(short).await;
    let late = take(&operator, capture("c", &held.payment_id, "1.00")).await;
    assert_eq!(refused(&late), (RefusalReason::HoldExpired, "payment_id"));
    let swept = eventually("a sweep", async || {
        let now = operator.read_payment(&held.payment_id).await;
        (now.state() == PaymentState::Expired).then_some(now)
    });
    assert_eq!(swept.await.held, "0.00");
    assert_eq!(operator.available(name("alice")).await, "100.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_settles_or_fails_a_payment_once_per_event() {
    let (world, operator) = world().await;
    let hand_over = |payment: &str| proto::HandOverPaymentRequest {
        idempotency_key: format!("over {payment}"),
        payment_id: payment.to_owned(),
        gateway_reference: "psp-1".to_owned(),
        ..Default::default()
    };
    let settle = |event: &str, payment: &str, amount: Option<&str>| proto::SettlePaymentRequest {
        event_id: event.to_owned(),
        payment_id: payment.to_owned(),
        amount: amount.map(usd),
        ..Default::default()
    };
    let first = operator.hold(hold("one", "alice", "bob", "30.00")).await.payment_id;
    let second = operator.hold(hold("two", "alice", "bob", "20.00")).await.payment_id;
    for held in [&first, &second] {
        let over = operator.payments.clone().hand_over_payment(hand_over(held)).await.unwrap();
        let over = over.into_inner().outcome.unwrap();
        assert_eq!(
            (paid(&over).state(), &*paid(&over).gateway_reference),
            (PaymentState::Processing, "psp-1")
        );
        assert_eq!(paid(&over).from_balance, None, "no account changed");
    }
    let stopped = take(&operator, capture("c", &first, "1.00")).await;
    assert_eq!(refused(&stopped).0, RefusalReason::WrongState);
    let event = settle("evt-1", &first, Some("12.00"));
    let settled = operator.payments.clone().settle_payment(event.clone()).await.unwrap();
    let settled = settled.into_inner().outcome.unwrap();
    assert_eq!((paid(&settled).state(), &*paid(&settled).captured), (PaymentState::Completed, "12.00"));
    let again = operator.payments.clone().settle_payment(event).await.unwrap().into_inner().outcome.unwrap();
    assert!(again.replayed);
    assert_eq!(paid(&again), paid(&settled));
    let fail = proto::FailPaymentRequest {
        event_id: "evt-2".to_owned(),
        payment_id: second.clone(),
        reason: "no such account".to_owned(),
        ..Default::default()
    };
    let failed =
        operator.payments.clone().fail_payment(fail.clone()).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!((paid(&failed).state(), &*paid(&failed).held), (PaymentState::Failed, "0.00"));
    let changed = proto::FailPaymentRequest { reason: "other".to_owned(), ..fail };
    let changed =
        operator.payments.clone().fail_payment(changed).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!(refused(&changed), (RefusalReason::IdempotencyConflict, "reason"));
    assert_eq!(operator.available(name("alice")).await, "88.00");
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_others_are_absent_for_every_operation() {
    let (world, operator) = world().await;
    let held = operator.hold(hold("h", "alice", "bob", "60.00")).await.payment_id;
    let theirs = world.as_role("globex", "admin");
    for payment in [&*held, ABSENT] {
        let answer = take(&theirs, capture(&format!("c {payment}"), payment, "1.00")).await;
        assert_eq!(refused(&answer), (RefusalReason::PaymentNotFound, "payment_id"));
        let voided =
            theirs.payments.clone().void_payment(void(&format!("v {payment}"), payment)).await.unwrap();
        let voided = voided.into_inner().outcome.unwrap();
        assert_eq!(refused(&voided), (RefusalReason::PaymentNotFound, "payment_id"));
        let get = proto::GetPaymentRequest { id: payment.to_owned() };
        assert_eq!(code(theirs.payments.clone().get_payment(get).await), Code::NotFound);
    }
    assert_eq!(operator.read_payment(&held).await.state(), PaymentState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_and_what_is_available_are_looked_at_before_money_moves() {
    let (_world, operator) = world().await;
    let expecting = |key: &str, expect| proto::CreatePaymentRequest {
        expect: Some(expect),
        ..payment(key, "alice", "bob", "1.00")
    };
    let version = |version| proto::Expect { from_version: Some(version), ..Default::default() };
    let least = |amount| proto::Expect { from_available_min: Some(usd(amount)), ..Default::default() };
    let old = operator.pay(expecting("old", version(7))).await.unwrap();
    assert_eq!(refused(&old), (RefusalReason::ConditionNotMet, "expect"));
    paid(&operator.pay(expecting("new", version(1))).await.unwrap());
    let little = operator.pay(expecting("little", least("99.01"))).await.unwrap();
    assert_eq!(refused(&little).0, RefusalReason::ConditionNotMet);
    paid(&operator.pay(expecting("enough", least("99.00"))).await.unwrap());
    let all = proto::CreatePaymentRequest { up_to: true, ..payment("all", "alice", "bob", "1000.00") };
    let moved = operator.pay(all.clone()).await.unwrap();
    assert_eq!(paid(&moved).amount, Some(usd("98.00")));
    assert_eq!(paid(&operator.pay(all).await.unwrap()).amount, Some(usd("98.00")));
    let none = proto::CreatePaymentRequest { up_to: true, ..payment("none", "alice", "bob", "1.00") };
    assert_eq!(refused(&operator.pay(none).await.unwrap()).0, RefusalReason::InsufficientFunds);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_steps_name_every_field() {
    let (_world, operator) = world().await;
    let good = || hold("k", "alice", "bob", "1.00");
    let lasting = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let euros = proto::Money { amount: "1.00".to_owned(), currency: "EUR".to_owned() };
    let least = proto::Expect { from_available_min: Some(euros), ..Default::default() };
    #[rustfmt::skip]
    let table = [
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(0, 0), ..good() }),
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(-1, 0), ..good() }),
        ("timeout",      proto::AuthorizePaymentRequest { timeout: lasting(367 * 86_400, 0), ..good() }),
        ("capture_time", proto::AuthorizePaymentRequest { capture_time: at(-1), ..good() }),
        ("expect.from_available_min.currency", proto::AuthorizePaymentRequest { expect: Some(least), ..good() }),
        ("from.id",      proto::AuthorizePaymentRequest { from: Some(id("x")), ..good() }),
    ];
    for (field, request) in table {
        assert_eq!(fields(&operator.payments.clone().authorize_payment(request).await.unwrap_err()), [field]);
    }
    let empty = operator.payments.clone().capture_payment(proto::CapturePaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["idempotency_key", "payment_id"]);
    let empty = operator.payments.clone().settle_payment(proto::SettlePaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["event_id", "payment_id"]);
    let empty = operator.payments.clone().hand_over_payment(proto::HandOverPaymentRequest::default()).await;
    assert_eq!(fields(&empty.unwrap_err()), ["gateway_reference", "idempotency_key", "payment_id"]);
    let nothing = operator.payments.clone().capture_payment(capture("k", ABSENT, "0.00")).await;
    assert_eq!(fields(&nothing.unwrap_err()), ["amount.amount"]);
}
