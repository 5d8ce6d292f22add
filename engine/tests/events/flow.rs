//! Without faults: every kind of operation, two engines, and publishing again.

use std::collections::BTreeSet;

use payplane_engine::events::EVENT_BYTES_MAX;
use payplane_proto::v1 as proto;
use tonic::Code;

use super::{
    oracle::Expected,
    support::{
        client::{Client, capture, code, fields, hold, name, payment, refund},
        eventually,
        kafka::Kafka,
        postgres::Postgres,
        world::World,
    },
    traffic::{Traffic, wallets},
};

pub(crate) async fn status(client: &Client) -> proto::GetEventStatusResponse {
    client.events.clone().get_event_status(proto::GetEventStatusRequest {}).await.unwrap().into_inner()
}

/// Payments of every kind that a caller can ask for.
async fn of_each_kind(world: &World, operator: &Client) {
    let mut payments = operator.payments.clone();
    let held = operator.hold(hold("held", "alice", "bob", "10.00")).await.payment_id;
    payments.capture_payment(capture("taken", &held, "4.00")).await.unwrap();
    let void = proto::VoidPaymentRequest {
        idempotency_key: "given back".to_owned(),
        payment_id: held,
        ..Default::default()
    };
    payments.void_payment(void).await.unwrap();
    let made = operator.pay(payment("made", "alice", "bob", "5.00")).await.unwrap().payment_id;
    payments.refund_payment(refund("some back", &made, "1.00")).await.unwrap();
    let reverse = proto::ReversePaymentRequest {
        idempotency_key: "all back".to_owned(),
        payment_id: made,
        ..Default::default()
    };
    payments.reverse_payment(reverse).await.unwrap();
    let gateway = operator.hold(hold("to a gateway", "alice", "bob", "3.00")).await.payment_id;
    let hand_over = proto::HandOverPaymentRequest {
        idempotency_key: "handed over".to_owned(),
        payment_id: gateway.clone(),
        gateway_reference: "g-1".to_owned(),
        ..Default::default()
    };
    payments.hand_over_payment(hand_over).await.unwrap();
    let fail = proto::FailPaymentRequest {
        event_id: "gateway says no".to_owned(),
        payment_id: gateway,
        ..Default::default()
    };
    payments.fail_payment(fail).await.unwrap();
    let short = proto::AuthorizePaymentRequest {
        timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..hold("forgotten", "alice", "bob", "2.00")
    };
    let forgotten = operator.hold(short).await.payment_id;
    eventually("a hold to expire", async || {
        (operator.read_payment(&forgotten).await.state() == proto::PaymentState::Expired).then_some(())
    })
    .await;
    operator.pay(payment("too much", "bob", "alice", "1000000.00")).await.unwrap();
    let freeze = proto::UpdateWalletRequest {
        idempotency_key: "frozen".to_owned(),
        wallet: Some(name("dave")),
        status: proto::WalletStatus::Frozen.into(),
        ..Default::default()
    };
    operator.wallets.clone().update_wallet(freeze).await.unwrap();
    world.as_role("globex", "operator").wallet("theirs", "USD").await;
    world.fund("globex", "theirs", "5.00").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_operation_arrives_and_can_be_published_again() {
    let (kafka, mut world) = (Kafka::shared(), World::new().await);
    kafka.answers().await;
    let operator = wallets(&world).await;
    of_each_kind(&world, &operator).await;
    // Kafka comes to a ledger that has a history.
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let expected = Expected::read(&world).await;
    let mut reader = kafka.reader(&topic).await;
    let seen = reader.until("all that was sealed", |seen| expected.is_in(seen)).await.to_vec();
    assert_eq!(expected.assert_is(&seen), 0, "repeated without a reason");
    let words: BTreeSet<&str> = seen.iter().map(|seen| seen.word()).collect();
    let wanted = [
        "operation.refused",
        "payment.captured",
        "payment.completed",
        "payment.expired",
        "payment.failed",
        "payment.handed-over",
        "payment.held",
        "payment.refunded",
        "payment.reversed",
        "payment.voided",
        "wallet.frozen",
    ];
    assert_eq!(words.into_iter().collect::<Vec<_>>(), wanted);
    let tenants: BTreeSet<_> =
        seen.iter().map(|seen| seen.event["payplanetenant"].as_str().unwrap()).collect();
    assert_eq!(tenants.into_iter().collect::<Vec<_>>(), ["acme", "globex"]);
    for event in &seen {
        assert_eq!(
            (&event.event["specversion"], &event.event["subject"]),
            (&"1.0".into(), &(&*event.key).into())
        );
        assert!(event.event.to_string().len() < EVENT_BYTES_MAX);
    }
    // What changes no wallet is told to those who follow the payer's.
    let payer =
        seen.iter().find(|seen| seen.word() == "payment.held").unwrap().event["data"]["payment"]["from"]
            .clone();
    let handed = seen.iter().find(|seen| seen.word() == "payment.handed-over").unwrap();
    assert_eq!((handed.version(), &handed.event["subject"]), (None, &payer));

    let platform = world.as_platform(None);
    let told = eventually("the position", async || {
        Some(status(&platform).await).filter(|told| told.published_seal == expected.newest)
    });
    let told = told.await;
    assert_eq!((told.publishing, told.lag_seals, told.dead_letters, &*told.last_error), (true, 0, 0, ""));
    let replay = async |client: &Client, start_seal| {
        let request =
            proto::ReplayEventsRequest { start_seal, reason: "a consumer lost its table".to_owned() };
        client.events.clone().replay_events(request).await
    };
    assert_eq!(fields(&replay(&platform, 0).await.unwrap_err()), ["start_seal"]);
    assert_eq!(code(replay(&platform, expected.newest + 2).await), Code::OutOfRange);
    assert_eq!(code(replay(&world.as_role("acme", "admin"), 1).await), Code::PermissionDenied);
    let start = expected.newest / 2;
    let before = replay(&platform, start).await.unwrap().into_inner().published_seal;
    assert_eq!(before, expected.newest);
    let seal = |seen: &crate::support::kafka::Seen| seen.operation()["seal"].as_i64().unwrap();
    let again = seen.iter().filter(|seen| start <= seal(seen)).count();
    let seen = reader.until("the replay", |all| seen.len() + again <= all.len()).await;
    assert_eq!(expected.assert_is(seen), again);
    let acts: Vec<(i16, String, String, i64)> =
        sqlx::query_as("select act, actor, reason, seal from payplane.event_acts")
            .fetch_all(&mut world.database.superuser().await)
            .await
            .unwrap();
    let actor = crate::support::world::OPERATOR_OF_PLATFORM.to_owned();
    assert_eq!(acts, [(3, actor, "a consumer lost its table".to_owned(), start)]);
    println!(
        "{} operations' events of {} kinds, {again} published again from seal {start} of {}",
        expected.len(),
        wanted.len(),
        expected.newest
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_publish_in_order_and_one_goes_on_when_the_other_ends() {
    let kafka = Kafka::shared();
    kafka.answers().await;
    let mut world = World::with_engines(Postgres::shared(), 1).await;
    let operator = wallets(&world).await;
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    for _ in 0..2 {
        world.add_engine(world.database.app_dir()).await;
    }
    let traffic = Traffic::start(&operator);
    let mut reader = kafka.reader(&topic).await;
    let mut turns = 0;
    // Whoever publishes leaves; the other one takes over; a third one comes.
    for _ in 0..2 {
        traffic.flows(100).await;
        let count = reader.seen.len();
        reader.until("events to flow", |seen| count + 100 < seen.len()).await;
        let leaving = world.engines.remove(1);
        leaving.drain().await.unwrap();
        world.add_engine(world.database.app_dir()).await;
        turns += 1;
    }
    let made = traffic.stop().await;
    let expected = Expected::read(&world).await;
    let seen = reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!("{made} payments, {} events, {turns} engines left, {repeated} repeated", expected.len());
}
