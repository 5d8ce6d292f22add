//! A gateway says twice and more that a payment is settled, and at the same time that it failed: one word counts, and
//! everybody who repeats it hears the same.

use futures::future::join_all;
use payplane_proto::v1::{self as proto, PaymentState, RefusalReason, payment_outcome::Result as Is};

use super::{
    at_both, cents,
    support::{
        client::{Client, hold, name, refused},
        insist, sized,
    },
    world,
};

/// How often each event is delivered, every other time to the other engine.
const DELIVERIES: usize = 4;

/// At the same time.
const ROUND: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_delivered_again_and_again_counts_once() {
    let (world, payments) = (world(&[("alice", "5000.00"), ("bob", "")]).await, sized(40, 400));
    let clients = at_both(&world, "operator");
    let mut settled = 0;
    for round in 0..payments / ROUND {
        let races = join_all((0..ROUND).map(|number| race(&clients, round * ROUND + number))).await;
        settled += races.iter().filter(|state| **state == PaymentState::Completed).count();
    }
    assert!(0 < settled && settled < payments, "{settled} of {payments} were settled");
    let bob = clients[1].read_wallet(name("bob")).await.balance.unwrap();
    assert_eq!((cents(&bob.available), &*bob.pending_credits), (settled as i64 * 100, "0.00"));
    let operations = world.assert_sound().await;
    println!(
        "events: {payments} payments, {settled} settled, {} failed, {} deliveries, {operations} operations proved",
        payments - settled,
        payments * 2 * DELIVERIES
    );
}

/// How the payment ended.
async fn race(clients: &[Client; 2], number: usize) -> PaymentState {
    let held = insist(async || {
        let request = hold(&format!("hold {number}"), "alice", "bob", "1.00");
        clients[0].payments.clone().authorize_payment(request).await
    });
    let id = held.await.into_inner().outcome.unwrap().payment_id;
    let over = proto::HandOverPaymentRequest {
        idempotency_key: format!("over {number}"),
        payment_id: id.clone(),
        gateway_reference: format!("psp {number}"),
        ..Default::default()
    };
    insist(async || clients[0].payments.clone().hand_over_payment(over.clone()).await).await;
    let settling =
        join_all((0..DELIVERIES).map(|delivery| settle(&clients[(delivery + number) % 2], number, &id)));
    let failing =
        join_all((0..DELIVERIES).map(|delivery| fail(&clients[(delivery + number + 1) % 2], number, &id)));
    // Neither is always asked first.
    let (settled, failed) = if number.is_multiple_of(2) {
        tokio::join!(settling, failing)
    } else {
        let (failed, settled) = tokio::join!(failing, settling);
        (settled, failed)
    };
    assert_same(&settled);
    assert_same(&failed);
    let is_done = |outcomes: &[proto::PaymentOutcome]| matches!(outcomes[0].result, Some(Is::Payment(_)));
    assert_ne!(is_done(&settled), is_done(&failed), "{settled:?} {failed:?}");
    let (end, loser) =
        if is_done(&settled) { (PaymentState::Completed, &failed) } else { (PaymentState::Failed, &settled) };
    assert_eq!(refused(&loser[0]), (RefusalReason::WrongState, "payment_id"));
    let now = clients[1].read_payment(&id).await;
    assert_eq!((now.state(), &*now.held), (end, "0.00"));
    end
}

/// One of the deliveries was the first; all have the same answer.
fn assert_same(outcomes: &[proto::PaymentOutcome]) {
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| outcome.result == outcomes[0].result), "{outcomes:?}");
}

async fn settle(client: &Client, number: usize, payment: &str) -> proto::PaymentOutcome {
    let request = proto::SettlePaymentRequest {
        event_id: format!("settled {number}"),
        payment_id: payment.to_owned(),
        ..Default::default()
    };
    let answer = insist(async || client.payments.clone().settle_payment(request.clone()).await).await;
    answer.into_inner().outcome.unwrap()
}

async fn fail(client: &Client, number: usize, payment: &str) -> proto::PaymentOutcome {
    let request = proto::FailPaymentRequest {
        event_id: format!("failed {number}"),
        payment_id: payment.to_owned(),
        reason: "no such account".to_owned(),
        ..Default::default()
    };
    let answer = insist(async || client.payments.clone().fail_payment(request.clone()).await).await;
    answer.into_inner().outcome.unwrap()
}
