//! Many refunds of one payment at once: what is given back never exceeds what was captured, at no moment.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use payplane_proto::v1::{self as proto, RefundState, RefusalReason, refund_outcome::Result as Is};

use super::{
    at_both, cents,
    support::{
        client::{Client, payment, refund, usd},
        insist, sized,
        world::World,
    },
    world,
};

/// At once, per payment.
const REFUNDS: usize = 50;

/// Bob could pay much more back than he got: only the cap stands in the way.
const WALLETS: [(&str, &str); 2] = [("alice", "100000.00"), ("bob", "100000.00")];

#[tokio::test(flavor = "multi_thread")]
async fn three_of_fifty_refunds_of_30_percent_fit() {
    let (world, payments) = (world(&WALLETS).await, sized(4, 20));
    let clients = at_both(&world, "operator");
    let looks = AtomicUsize::new(0);
    for number in 0..payments {
        let payment = pay(&clients[0], number, "10.00").await;
        let asked: Vec<i64> = vec![300; REFUNDS];
        let outcomes = watched(&clients, &payment, &looks, ask_all(&clients, number, &payment, &asked)).await;
        let (fit, others): (Vec<_>, Vec<_>) =
            outcomes.iter().partition(|outcome| matches!(outcome.result, Some(Is::Refund(_))));
        assert_eq!((fit.len(), others.len()), (3, REFUNDS - 3));
        assert!(fit.iter().all(|outcome| state(outcome) == Some(RefundState::Completed)));
        others.iter().for_each(|outcome| assert_too_much(outcome));
        assert_eq!(clients[1].read_payment(&payment).await.refunded, "9.00");
    }
    let operations = world.assert_sound().await;
    let looks = looks.into_inner();
    assert!(payments < looks, "nobody looked while it happened");
    println!(
        "refunds of 30 %: {payments} payments, {} completed, {} refused, {looks} looks meanwhile, {operations} operations \
         proved",
        3 * payments,
        (REFUNDS - 3) * payments
    );
}

/// Some wait for approval, and are approved at the other engine as soon as they are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn refunds_of_mixed_amounts_fill_the_cap_and_never_exceed_it() {
    let (world, payments) = (world(&WALLETS).await, sized(4, 20));
    approval_from(&world, "20.00").await;
    let clients = at_both(&world, "operator");
    let approvers = at_both(&world, "admin");
    let (looks, mut approved, mut fitted) = (AtomicUsize::new(0), 0, 0);
    for number in 0..payments {
        let payment = pay(&clients[0], number, "100.00").await;
        // 1.00 to 50.00 dollars, each once, in an order that has nothing to do with it.
        let asked: Vec<i64> =
            (0..REFUNDS as i64).map(|place| (place * 17 + number as i64) % 50 * 100 + 100).collect();
        let racing = async {
            let outcomes = ask_all(&clients, number, &payment, &asked).await;
            let waiting = outcomes.iter().filter(|outcome| state(outcome) == Some(RefundState::Requested));
            let approvals =
                join_all(waiting.enumerate().map(|(place, outcome)| approve(&approvers[place % 2], outcome)));
            approved += approvals.await.len();
            outcomes
        };
        let outcomes = watched(&clients, &payment, &looks, racing).await;
        let is_in = |outcome: &proto::RefundOutcome| state(outcome).is_some();
        let sum: i64 =
            asked.iter().zip(&outcomes).filter(|(_, outcome)| is_in(outcome)).map(|(minor, _)| minor).sum();
        let now = clients[1].read_payment(&payment).await;
        assert_eq!((cents(&now.refunded), &*now.refunding), (sum, "0.00"));
        // What is left only shrinks: what was refused then would not fit now either.
        for (minor, outcome) in asked.iter().zip(&outcomes).filter(|(_, outcome)| !is_in(outcome)) {
            assert_too_much(outcome);
            assert!(10_000 - sum < *minor, "{minor} was refused and would have fitted beside {sum}");
        }
        fitted += outcomes.iter().filter(|outcome| is_in(outcome)).count();
    }
    let operations = world.assert_sound().await;
    assert!(0 < approved && approved < fitted, "{approved} of {fitted} waited");
    println!(
        "refunds of 1 to 50 %: {payments} payments, {fitted} fitted ({approved} after approval), {} refused, {} looks \
         meanwhile, {operations} operations proved",
        REFUNDS * payments - fitted,
        looks.into_inner()
    );
}

async fn pay(client: &Client, number: usize, amount: &str) -> String {
    let request = payment(&format!("payment {number}"), "alice", "bob", amount);
    insist(async || client.pay(request.clone()).await).await.payment_id
}

/// All at once, every other one at the other engine.
async fn ask_all(
    clients: &[Client; 2],
    number: usize,
    payment: &str,
    asked: &[i64],
) -> Vec<proto::RefundOutcome> {
    let calls = asked.iter().enumerate().map(|(place, minor)| async move {
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let request = refund(&format!("refund {number} {place}"), payment, &amount);
        let client = &clients[place % 2];
        let answer = insist(async || client.payments.clone().refund_payment(request.clone()).await).await;
        answer.into_inner().outcome.unwrap()
    });
    join_all(calls).await
}

async fn approve(client: &Client, asked: &proto::RefundOutcome) {
    let request = proto::ApproveRefundRequest {
        idempotency_key: format!("approve {}", asked.refund_id),
        refund_id: asked.refund_id.clone(),
        ..Default::default()
    };
    let answer = insist(async || client.payments.clone().approve_refund(request.clone()).await).await;
    assert_eq!(state(&answer.into_inner().outcome.unwrap()), Some(RefundState::Completed));
}

/// Does it while both engines are asked again and again how the payment stands.
async fn watched<T>(
    clients: &[Client; 2],
    payment: &str,
    looks: &AtomicUsize,
    racing: impl Future<Output = T>,
) -> T {
    let look = async |client: &Client| -> Infallible {
        loop {
            let now = client.read_payment(payment).await;
            let given_back = cents(&now.refunded) + cents(&now.refunding);
            assert!(given_back <= cents(&now.captured), "{now:?}");
            looks.fetch_add(1, Ordering::SeqCst);
        }
    };
    tokio::select! {
        done = racing => done,
        never = look(&clients[0]) => match never {},
        never = look(&clients[1]) => match never {},
    }
}

/// How far the refund has come, if there is one.
fn state(outcome: &proto::RefundOutcome) -> Option<RefundState> {
    match &outcome.result {
        Some(Is::Refund(refund)) => Some(refund.state()),
        _ => None,
    }
}

fn assert_too_much(outcome: &proto::RefundOutcome) {
    match &outcome.result {
        Some(Is::Refusal(refusal)) => {
            assert_eq!(
                (refusal.reason(), &*refusal.field),
                (RefusalReason::RefundExceedsCaptured, "amount.amount")
            );
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn approval_from(world: &World, amount: &str) {
    let setting = proto::Setting {
        name: proto::ParameterName::RefundApprovalFrom.into(),
        value: Some(proto::setting::Value::Amount(usd(amount))),
        ..Default::default()
    };
    let scope = proto::settings_scope::Scope::Tenant(proto::TenantScope {});
    let scope = Some(proto::SettingsScope { scope: Some(scope) });
    let request = proto::PutSettingsRequest { scope, settings: vec![setting] };
    world.as_role("acme", "admin").settings.clone().put_settings(request).await.unwrap();
}
