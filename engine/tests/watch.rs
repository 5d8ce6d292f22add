//! Watching the journal: everything once, in order, from where somebody left off.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_proto::v1::{self as proto, OperationKind, operation::Result as Left};
use support::{
    client::{Client, capture, code, fields, hold, name, paid, payment},
    world::World,
};
use tonic::{Code, Streaming};

async fn watch(client: &Client, start_seal: i64) -> Streaming<proto::WatchPaymentsResponse> {
    let request = proto::WatchPaymentsRequest { start_seal, ..Default::default() };
    client.payments.clone().watch_payments(request).await.unwrap().into_inner()
}

/// Takes answers until so many operations were seen.
async fn take(
    watch: &mut Streaming<proto::WatchPaymentsResponse>,
    operations: usize,
) -> Vec<proto::WatchPaymentsResponse> {
    let mut answers = Vec::new();
    let mut seen = 0;
    while seen < operations {
        let answer = watch.message().await.unwrap().unwrap();
        seen += answer.operations.len();
        answers.push(answer);
    }
    answers
}

fn keys(answers: &[proto::WatchPaymentsResponse]) -> Vec<&str> {
    answers.iter().flat_map(|answer| &answer.operations).map(|line| &*line.idempotency_key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sends_everything_once_and_goes_on_where_it_broke() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.as_role("globex", "operator").wallet("theirs", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    world.fund("globex", "theirs", "5.00").await;
    let held = operator.hold(hold("held", "alice", "bob", "10.00")).await.payment_id;
    operator.payments.clone().capture_payment(capture("taken", &held, "10.00")).await.unwrap();
    operator.pay(payment("poor", "alice", "bob", "1000.00")).await.unwrap();
    let freeze = proto::UpdateWalletRequest {
        idempotency_key: "frozen".to_owned(),
        wallet: Some(name("bob")),
        status: proto::WalletStatus::Frozen.into(),
        ..Default::default()
    };
    operator.wallets.clone().update_wallet(freeze).await.unwrap();

    let viewer = world.as_role("acme", "viewer");
    let mut first = watch(&viewer, 1).await;
    let all = take(&mut first, 5).await;
    assert_eq!(keys(&all), ["fund alice", "held", "taken", "poor", "frozen"]);
    let lines: Vec<_> = all.iter().flat_map(|answer| &answer.operations).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line.kind()).collect();
    use OperationKind::{Authorize, Capture, ChangeWallet, Pay};
    assert_eq!(kinds, [Pay, Authorize, Capture, Pay, ChangeWallet]);
    assert!(
        matches!(lines[0].result, Some(Left::Payment(_)))
            && matches!(lines[3].result, Some(Left::Refusal(_)))
    );
    match lines[4].result.as_ref().unwrap() {
        Left::WalletChange(change) => assert_eq!(change.status(), proto::WalletStatus::Frozen),
        other => panic!("no change: {other:?}"),
    }
    assert_eq!(lines[2].target_id, held);
    assert_eq!(lines[2].posted.as_ref().unwrap().amount, "10.00");
    assert_eq!(lines[2].pending.as_ref().unwrap().amount, "-10.00");
    assert!(all.is_sorted_by_key(|answer| answer.seal));

    // From every seal on comes exactly the rest.
    for (index, answer) in all.iter().enumerate() {
        let mut again = watch(&viewer, answer.seal).await;
        let rest = keys(&all[index..]).len();
        assert_eq!(take(&mut again, rest).await, all[index..]);
    }
    // And what happens while somebody watches comes too: each once, over many batches.
    let last = all.last().unwrap().seal;
    operator.wallet("carol", "USD").await;
    let mut expected: Vec<_> = (0..200).map(|number| format!("live {number}")).collect();
    let payers: Vec<_> = expected
        .iter()
        .map(|key| {
            let (operator, request) = (operator.clone(), payment(key, "alice", "carol", "0.01"));
            tokio::spawn(async move { operator.pay(request).await })
        })
        .collect();
    for payer in payers {
        paid(&payer.await.unwrap().unwrap());
    }
    let live = take(&mut first, 200).await;
    assert!(1 < live.len(), "one batch has no gaps");
    let mut seen = keys(&live);
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let mut resumed = watch(&viewer, last + 1).await;
    assert_eq!(keys(&take(&mut resumed, 200).await), keys(&live));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_starts_within_the_chain_and_ends_when_the_engine_drains() {
    let mut world = World::new().await;
    let viewer = world.as_role("acme", "viewer");
    let start = |start_seal| {
        let mut payments = viewer.payments.clone();
        async move {
            let request = proto::WatchPaymentsRequest { start_seal, ..Default::default() };
            payments.watch_payments(request).await
        }
    };
    assert_eq!(fields(&start(-1).await.unwrap_err()), ["start_seal"]);
    assert_eq!(code(start(1_000_000).await), Code::OutOfRange);
    let mut quiet = watch(&viewer, 0).await;
    let server = world.engines.remove(0);
    let drained = tokio::spawn(server.drain());
    assert_eq!(quiet.message().await.unwrap_err().code(), Code::Unavailable);
    drained.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_the_chain_is_told_and_grows() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let head = async || {
        let answer = operator.ledger.clone().get_head(proto::GetHeadRequest {}).await.unwrap();
        answer.into_inner().head.unwrap()
    };
    let before = head().await;
    assert_eq!((before.seal, before.link), (0, "0".repeat(64)));
    operator.wallet("alice", "USD").await;
    world.fund("acme", "alice", "1.00").await;
    let after =
        support::eventually("a seal", async || Some(head().await).filter(|head| head.seal == 1)).await;
    assert!(after.link.len() == 64 && after.link != "0".repeat(64));
    assert!(after.decide_time.unwrap().seconds <= after.seal_time.unwrap().seconds);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_proved_on_request_for_the_platform_only() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    world.fund("acme", "alice", "1.00").await;
    let verify = async |client: &Client, head: &str| {
        let request = proto::VerifyLedgerRequest { expect_head: head.to_owned() };
        client.ledger.clone().verify_ledger(request).await
    };
    let platform = world.as_platform(None);
    let report = verify(&platform, "").await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert!(report.sound, "{}", report.report);
    assert!(report.checks.iter().any(|check| check.name == "balances" && 0 < check.examined));
    let elsewhere = format!("1:{}", "0".repeat(64));
    let report = verify(&platform, &elsewhere).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let wrong: Vec<&str> =
        report.checks.iter().filter(|check| check.violations != 0).map(|check| &*check.name).collect();
    assert_eq!((report.sound, wrong), (false, vec!["expected_head"]));
    assert_eq!(fields(&verify(&platform, "1").await.unwrap_err()), ["expect_head"]);
    assert_eq!(code(verify(&world.as_role("acme", "admin"), "").await), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_an_origin_tells_what_anybody_does_to_what_came_from_there() {
    let world = World::new().await;
    let (operator, platform) = (world.as_role("acme", "operator"), world.as_platform(Some("acme")));
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "100.00").await;
    let own = operator.hold(hold("own", "alice", "bob", "5.00")).await.payment_id;
    let of_resource = platform.hold(hold("shop/rent", "alice", "bob", "10.00")).await.payment_id;
    operator.payments.clone().capture_payment(capture("own taken", &own, "1.00")).await.unwrap();
    operator.payments.clone().capture_payment(capture("rent taken", &of_resource, "10.00")).await.unwrap();
    let refund = proto::RefundPaymentRequest {
        idempotency_key: "back".to_owned(),
        payment_id: of_resource.clone(),
        ..Default::default()
    };
    operator.payments.clone().refund_payment(refund).await.unwrap();

    let viewer = world.as_role("acme", "viewer");
    let of = async |origin: proto::Origin| {
        let request = proto::WatchPaymentsRequest { start_seal: 1, subject_origin: origin.into() };
        viewer.payments.clone().watch_payments(request).await.unwrap().into_inner()
    };
    let found = take(&mut of(proto::Origin::Resource).await, 3).await;
    assert_eq!(keys(&found), ["shop/rent", "rent taken", "back"]);
    let lines: Vec<_> = found.iter().flat_map(|answer| &answer.operations).collect();
    assert_eq!((&*lines[0].id, &*lines[1].target_id), (&*of_resource, &*of_resource));
    let found = take(&mut of(proto::Origin::Api).await, 3).await;
    assert_eq!(keys(&found), ["fund alice", "own", "own taken"]);
    let all = take(&mut of(proto::Origin::Unspecified).await, 6).await;
    assert_eq!(keys(&all).len(), 6, "and nothing is left out of a watch of all");
    let request = proto::WatchPaymentsRequest { start_seal: 1, subject_origin: 7 };
    let error = viewer.payments.clone().watch_payments(request).await.unwrap_err();
    assert_eq!(fields(&error), ["subject_origin"]);
}
