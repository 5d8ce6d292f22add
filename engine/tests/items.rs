//! Many things in one request: bulk, linked, split, streamed.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{self as proto, RefusalReason, item_outcome::Outcome, payment_item::Operation};
use sqlx::Executor as _;
use support::{
    client::{Client, code, fields, funding, hold, name, paid, payment, refused, settlement, usd},
    world::World,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::Code;

/// Alice has 100 dollars, Bob and Carol nothing.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob", "carol"] {
        operator.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "100.00").await;
    (world, operator)
}

fn item(operation: Operation) -> proto::PaymentItem {
    proto::PaymentItem { operation: Some(operation) }
}

fn pay(key: &str, from: &str, to: &str, amount: &str) -> proto::PaymentItem {
    item(Operation::CreatePayment(payment(key, from, to, amount)))
}

fn linked(items: Vec<proto::PaymentItem>) -> proto::PaymentItem {
    item(Operation::Linked(proto::LinkedItems { items }))
}

fn bulk(items: Vec<proto::PaymentItem>) -> proto::CreatePaymentsRequest {
    proto::CreatePaymentsRequest { items, ..Default::default() }
}

async fn all(client: &Client, items: Vec<proto::PaymentItem>) -> Vec<proto::ItemOutcome> {
    client.payments.clone().create_payments(bulk(items)).await.unwrap().into_inner().outcomes
}

fn of_payment(outcome: &proto::ItemOutcome) -> &proto::PaymentOutcome {
    match &outcome.outcome {
        Some(Outcome::Payment(outcome)) => outcome,
        other => panic!("not about a payment: {other:?}"),
    }
}

fn of_linked(outcome: &proto::ItemOutcome) -> &[proto::ItemOutcome] {
    match &outcome.outcome {
        Some(Outcome::Linked(linked)) => &linked.outcomes,
        other => panic!("not linked: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_of_a_bulk_call_has_its_own_outcome_in_its_place() {
    let (world, operator) = world().await;
    let items = vec![
        pay("a", "alice", "bob", "10.00"),
        pay("b", "alice", "nobody", "10.00"),
        item(Operation::AuthorizePayment(hold("c", "alice", "bob", "80.00"))),
        linked(vec![pay("d", "alice", "bob", "5.00"), pay("e", "alice", "carol", "1.00")]),
        linked(vec![pay("f", "alice", "bob", "1.00"), pay("g", "alice", "carol", "99.00")]),
        pay("h", "alice", "bob", "4.01"),
        pay("i", "alice", "bob", "4.00"),
    ];
    let outcomes = all(&operator, items.clone()).await;
    assert_eq!(outcomes.len(), 7);
    assert_eq!(paid(of_payment(&outcomes[0])).idempotency_key, "a");
    assert_eq!(refused(of_payment(&outcomes[1])), (RefusalReason::WalletNotFound, "to"));
    assert_eq!(paid(of_payment(&outcomes[2])).state(), proto::PaymentState::Pending);
    assert!(of_linked(&outcomes[3]).iter().all(|outcome| paid(of_payment(outcome)).captured != "0.00"));
    let reasons: Vec<_> =
        of_linked(&outcomes[4]).iter().map(|outcome| refused(of_payment(outcome)).0).collect();
    assert_eq!(reasons, [RefusalReason::LinkedItemRefused, RefusalReason::InsufficientFunds]);
    assert_eq!(refused(of_payment(&outcomes[5])).0, RefusalReason::InsufficientFunds);
    assert_eq!(paid(of_payment(&outcomes[6])).from_balance.as_ref().unwrap().available, "0.00");
    let again = all(&operator, items).await;
    assert!(of_payment(&again[0]).replayed);
    assert!(!of_payment(&again[1]).replayed, "not stored, so not replayed");
    assert!(
        of_linked(&again[3]).iter().chain(of_linked(&again[4])).all(|outcome| of_payment(outcome).replayed)
    );
    assert_eq!(paid(of_payment(&again[6])), paid(of_payment(&outcomes[6])));
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_thousand_items_keep_their_order_and_one_more_is_refused() {
    let (world, operator) = world().await;
    let items = |count: usize| -> Vec<_> {
        (0..count).map(|number| pay(&format!("k{number}"), "alice", "bob", "0.01")).collect()
    };
    let mut request = bulk(items(8_000));
    request.view = proto::OutcomeView::Brief.into();
    let answer = operator.payments.clone().create_payments(request).await.unwrap().into_inner();
    let ids: Vec<_> = answer.outcomes.iter().map(|outcome| of_payment(outcome).payment_id.clone()).collect();
    assert_eq!(ids.len(), 8_000);
    assert!(answer.outcomes.iter().all(|outcome| paid(of_payment(outcome)).idempotency_key.is_empty()));
    assert_eq!(operator.available(name("bob")).await, "80.00");
    let again = all(&operator, items(20)).await;
    let again: Vec<_> = again.iter().map(|outcome| of_payment(outcome).payment_id.clone()).collect();
    assert_eq!(again, ids[..20]);
    for too_many in [items(8_001), vec![linked(items(64)); 126], Vec::new()] {
        let error = operator.payments.clone().create_payments(bulk(too_many)).await.unwrap_err();
        assert_eq!(fields(&error), ["items"]);
    }
    assert_eq!(world.assert_balanced().await, 8_001);
}

/// All the money goes round, so each item needs the one before it; two thousand make the line long, and it changes lanes.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_need_each_other_are_decided_in_their_order_however_many() {
    let (world, operator) = world().await;
    let round = [("alice", "bob"), ("bob", "carol"), ("carol", "alice")];
    let items = (0..1_998).map(|number| {
        let (from, to) = round[number % 3];
        pay(&format!("k{number}"), from, to, "100.00")
    });
    let outcomes = all(&operator, items.collect()).await;
    assert!(outcomes.iter().all(|outcome| paid(of_payment(outcome)).captured == "100.00"));
    assert_eq!(operator.available(name("alice")).await, "100.00");
    assert_eq!(world.assert_balanced().await, 1_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_items_are_named_by_their_place() {
    let (world, operator) = world().await;
    let items = vec![
        pay("good", "alice", "bob", "1.00"),
        pay("", "alice", "bob", "1.001"),
        proto::PaymentItem { operation: None },
        linked(vec![pay("x", "Alice", "bob", "1.00"), linked(Vec::new())]),
        linked(Vec::new()),
        item(Operation::VoidPayment(proto::VoidPaymentRequest::default())),
    ];
    let error = operator.payments.clone().create_payments(bulk(items)).await.unwrap_err();
    let expected = [
        "items[1].create_payment.idempotency_key",
        "items[1].create_payment.amount.amount",
        "items[2]",
        "items[3].linked.items[0].create_payment.from.name",
        "items[3].linked.items[1].linked",
        "items[4].linked.items",
        "items[5].void_payment.idempotency_key",
        "items[5].void_payment.payment_id",
    ];
    assert_eq!(fields(&error), expected);
    assert_eq!(world.assert_balanced().await, 1, "nothing but the funding");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_item_gets_around_a_role() {
    let (world, operator) = world().await;
    let from_till =
        || proto::AuthorizePaymentRequest { from: Some(settlement()), ..hold("h", "", "alice", "1.00") };
    let approval = proto::ApproveRefundRequest {
        idempotency_key: "a".to_owned(),
        refund_id: "6b1f5ff2-3b1c-4a6c-8a52-2a2a2a2a2a2a".to_owned(),
        ..Default::default()
    };
    let forbidden = [
        item(Operation::CreatePayment(funding("f", "alice", "1.00"))),
        item(Operation::AuthorizePayment(from_till())),
        item(Operation::ApproveRefund(approval)),
        linked(vec![
            pay("x", "alice", "bob", "1.00"),
            item(Operation::CreatePayment(funding("f", "bob", "1.00"))),
        ]),
    ];
    for item in forbidden {
        let answer = operator.payments.clone().create_payments(bulk(vec![item.clone()])).await;
        assert_eq!(code(answer), Code::PermissionDenied, "{item:?}");
        let outcomes = stream(&operator, vec![item.clone()]).await;
        assert_eq!(item_code(&outcomes[0]), Code::PermissionDenied, "{item:?}");
    }
    let split = |client: &Client| {
        let request = proto::SplitPaymentRequest { from: Some(settlement()), ..shares("s", &[("alice", 1)]) };
        let mut payments = client.payments.clone();
        async move { code(payments.split_payment(request).await) }
    };
    assert_eq!(split(&operator).await, Code::PermissionDenied);
    assert_eq!(code(operator.payments.clone().authorize_payment(from_till()).await), Code::PermissionDenied);
    assert_eq!(split(&world.as_role("acme", "treasury")).await, Code::Ok);
    let viewer = world.as_role("acme", "viewer");
    let answer = viewer.payments.clone().create_payments(bulk(vec![pay("v", "alice", "bob", "1.00")])).await;
    assert_eq!(code(answer), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_items_succeed_or_fail_together() {
    let (world, operator) = world().await;
    let request = |items| proto::CreateLinkedRequest { items };
    let good = request(vec![pay("p", "alice", "bob", "90.00"), pay("fee", "bob", "carol", "2.00")]);
    let done = operator.payments.clone().create_linked(good.clone()).await.unwrap().into_inner().outcomes;
    assert_eq!(paid(of_payment(&done[1])).from_balance.as_ref().unwrap().available, "88.00");
    let again = operator.payments.clone().create_linked(good).await.unwrap().into_inner().outcomes;
    assert!(again.iter().all(|outcome| of_payment(outcome).replayed));
    let bad = request(vec![pay("q", "alice", "bob", "10.00"), pay("r", "carol", "nobody", "2.00")]);
    let none = operator.payments.clone().create_linked(bad).await.unwrap().into_inner().outcomes;
    let reasons: Vec<_> = none.iter().map(|outcome| refused(of_payment(outcome)).0).collect();
    assert_eq!(reasons, [RefusalReason::LinkedItemDeclined, RefusalReason::WalletNotFound]);
    assert_eq!(operator.available(name("alice")).await, "10.00");
    let many = request((0..65).map(|number| pay(&format!("{number}"), "alice", "bob", "0.01")).collect());
    assert_eq!(fields(&operator.payments.clone().create_linked(many).await.unwrap_err()), ["items"]);
    assert_eq!(world.assert_balanced().await, 3);
}

fn shares(key: &str, parts: &[(&str, u32)]) -> proto::SplitPaymentRequest {
    let part = |(to, weight): &(&str, u32)| proto::SplitPart {
        to: Some(name(to)),
        share: Some(proto::split_part::Share::Weight(*weight)),
        ..Default::default()
    };
    proto::SplitPaymentRequest {
        idempotency_key: key.to_owned(),
        from: Some(name("alice")),
        amount: Some(usd("10.00")),
        parts: parts.iter().map(part).collect(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_split_sum_to_the_whole() {
    let (world, operator) = world().await;
    operator.wallet("dave", "USD").await;
    let request = shares("s", &[("bob", 1), ("carol", 1), ("dave", 1)]);
    let split = operator.payments.clone().split_payment(request.clone()).await.unwrap().into_inner().outcomes;
    let parts: Vec<_> =
        split.iter().map(|part| (&*paid(part).idempotency_key, &*paid(part).captured)).collect();
    assert_eq!(parts, [("s/1", "3.34"), ("s/2", "3.33"), ("s/3", "3.33")]);
    let again = operator.payments.clone().split_payment(request.clone()).await.unwrap().into_inner().outcomes;
    assert!(again.iter().all(|part| part.replayed));
    // A caller's own key of the same form is another payment.
    assert!(!operator.pay(payment("s/1", "alice", "bob", "1.00")).await.unwrap().replayed);
    let mut fixed = shares("f", &[("bob", 3), ("carol", 1), ("dave", 1)]);
    fixed.parts[1].share = Some(proto::split_part::Share::Amount(usd("4.00")));
    let split = operator.payments.clone().split_payment(fixed).await.unwrap().into_inner().outcomes;
    let parts: Vec<_> = split.iter().map(|part| &*paid(part).captured).collect();
    assert_eq!(parts, ["4.50", "4.00", "1.50"]);
    let more = shares("s", &[("bob", 1), ("carol", 1), ("dave", 1), ("bob", 1)]);
    let more = operator.payments.clone().split_payment(more).await.unwrap().into_inner().outcomes;
    assert!(more.iter().all(|part| refused(part).0 == RefusalReason::IdempotencyConflict));
    let mut wrong = shares("w", &[("bob", 0), ("carol", 1)]);
    wrong.parts[1].share = Some(proto::split_part::Share::Amount(usd("10.01")));
    let error = operator.payments.clone().split_payment(wrong.clone()).await.unwrap_err();
    assert_eq!(fields(&error), ["parts[0]"]);
    wrong.parts.remove(0);
    assert_eq!(fields(&operator.payments.clone().split_payment(wrong).await.unwrap_err()), ["parts"]);
    world.assert_balanced().await;
}

async fn stream(client: &Client, items: Vec<proto::PaymentItem>) -> Vec<proto::StreamPaymentsResponse> {
    let requests = (0..).zip(items).map(|(tag, item)| proto::StreamPaymentsRequest {
        tag,
        item: Some(item),
        ..Default::default()
    });
    let requests: Vec<_> = requests.collect();
    let answers = client.payments.clone().stream_payments(tokio_stream::iter(requests)).await.unwrap();
    answers.into_inner().map(Result::unwrap).collect().await
}

fn item_code(answer: &proto::StreamPaymentsResponse) -> Code {
    match &answer.outcome.as_ref().unwrap().outcome {
        Some(Outcome::Error(error)) => Code::from(error.code),
        _ => Code::Ok,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_and_survives_bad_items() {
    let (world, operator) = world().await;
    let mut items: Vec<_> =
        (0..3_000).map(|number| pay(&format!("k{number}"), "alice", "bob", "0.01")).collect();
    items[7] = pay("k7", "alice", "bob", "0.001");
    items[8] = pay("k8", "alice", "bob", "1000.00");
    let answers = stream(&operator, items).await;
    assert!(answers.iter().map(|answer| answer.tag).eq(0..3_000));
    match &answers[7].outcome.as_ref().unwrap().outcome {
        Some(Outcome::Error(error)) => {
            assert_eq!(error.violations[0].field, "item.create_payment.amount.amount")
        }
        other => panic!("taken: {other:?}"),
    }
    let poor = answers[8].outcome.as_ref().unwrap();
    assert_eq!(refused(of_payment(poor)).0, RefusalReason::InsufficientFunds);
    assert!(answers.iter().skip(9).all(|answer| item_code(answer) == Code::Ok));
    assert_eq!(operator.available(name("bob")).await, "29.98");
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_one_by_one_and_ends_when_the_engine_drains() {
    let (mut world, operator) = world().await;
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let answers = operator.payments.clone().stream_payments(ReceiverStream::new(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    for tag in 0..3 {
        let item = Some(pay(&format!("k{tag}"), "alice", "bob", "1.00"));
        sender.send(proto::StreamPaymentsRequest { tag, item, ..Default::default() }).await.unwrap();
        // Answered although the next item is not there yet.
        assert_eq!(answers.message().await.unwrap().unwrap().tag, tag);
    }
    let server = world.engines.remove(0);
    let drained = tokio::spawn(server.drain());
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unavailable);
    drained.await.unwrap().unwrap();
}

/// A defect, played by a constraint that the engine does not know of: the database refuses a batch for what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_the_database_refuses_fails_alone() {
    const ITEMS: usize = 200;
    const REFUSE_CULPRITS: &str =
        "alter table payplane.journal add constraint no_culprit check (key !~ 'culprit') not valid";
    let (world, operator) = world().await;
    let mut person = world.database.superuser().await;
    for (round, culprits) in [(0, 1), (1, 3), (2, 40)] {
        let key = |number: usize| {
            let is_culprit = number % (ITEMS / culprits) == ITEMS / culprits - 1;
            format!("{round} {number} {}", if is_culprit { "culprit" } else { "" })
        };
        person.execute(REFUSE_CULPRITS).await.unwrap();
        let items = || (0..ITEMS).map(|number| pay(&key(number), "alice", "bob", "0.01")).collect();
        let outcomes = all(&operator, items()).await;
        let failed = outcomes.iter().filter(|outcome| error_code(outcome) == Some(Code::Internal)).count();
        // Up to a number of them that tells a defect from a disaster, nobody fails for a culprit.
        let expected = if culprits <= 3 { culprits..=culprits } else { culprits..=ITEMS };
        assert!(expected.contains(&failed), "{failed} of {ITEMS} for {culprits}");
        for (number, outcome) in outcomes.iter().enumerate() {
            assert!(!key(number).contains("culprit") || error_code(outcome) == Some(Code::Internal));
        }
        let shared: i64 = sqlx::query_scalar(
            "select max(rows) from (select count(*) as rows from payplane.journal group by sequence / 1024) b",
        )
        .fetch_one(&mut person)
        .await
        .unwrap();
        assert!(1 < shared, "no batch was shared, so nobody could fail with a culprit");
        // Whoever failed may ask again: nothing of it was stored.
        person.execute("alter table payplane.journal drop constraint no_culprit").await.unwrap();
        let again = all(&operator, items()).await;
        let replayed = again.iter().filter(|outcome| of_payment(outcome).replayed).count();
        assert_eq!(replayed, ITEMS - failed);
    }
    assert_eq!(operator.available(name("bob")).await, "6.00");
    world.assert_sound().await;
}

fn error_code(outcome: &proto::ItemOutcome) -> Option<Code> {
    match &outcome.outcome {
        Some(Outcome::Error(error)) => Some(Code::from(error.code)),
        _ => None,
    }
}
