//! Thresholds of billing on their way through Kafka: each arrives, also when the publisher is killed, and is the same whenever it
//! is sent.

use payplane_proto::v1 as proto;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{
    flow::status,
    support::{
        client::Client,
        eventually, insist,
        kafka::{Kafka, Seen},
        postgres::free_port,
        world::World,
    },
};
use crate::billing::{
    threshold::{accrued, list, plan},
    wire::days,
};

const WORD: &str = "billing.threshold-reached";

const WAITS: &str = "select count(*) from pg_stat_activity where datname = current_database() \
                     and wait_event_type = 'Lock' and query like '%payplane.settle_thresholds(%'";

const END: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                   and wait_event_type = 'Lock' and query like '%payplane.settle_thresholds(%'";

/// Looks at the period, which costs 49.00, with a threshold of this name and bound.
async fn look(client: &Client, name: &str, bound: &str) {
    let (plan, cycle) = (Some(plan()), Some(days(0)));
    let request = proto::PreviewInvoiceRequest { plan, cycle, thresholds: vec![accrued(name, bound)] };
    let answer = insist(async || client.billing.clone().preview_invoice(request.clone()).await).await;
    assert_eq!(answer.into_inner().reached.len(), 1);
}

fn count(seen: &[Seen], name: &str) -> usize {
    let is_it = |seen: &&Seen| seen.word() == WORD && seen.event["data"]["threshold"]["name"] == name;
    seen.iter().filter(is_it).count()
}

/// Repetitions are the same events; gives how many events there are without them.
fn distinct(seen: &[Seen]) -> usize {
    let mut first: std::collections::HashMap<&str, &Seen> = std::collections::HashMap::new();
    for event in seen {
        let before = first.entry(event.id()).or_insert(event);
        assert_eq!((&before.event, before.partition), (&event.event, event.partition));
    }
    first.len()
}

async fn waiting(database: &mut PgConnection) -> i64 {
    let query = sqlx::query_scalar("select count(*) from payplane.unpublished_thresholds");
    query.fetch_one(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reached_threshold_arrives_once_and_can_be_published_again() {
    let (kafka, mut world) = (Kafka::shared(), World::new().await);
    kafka.answers().await;
    let (client, platform) = (world.as_platform(Some("acme")), world.as_platform(None));
    // Kafka comes to a ledger in which one was reached.
    look(&client, "early", "10").await;
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let mut reader = kafka.reader(&topic).await;
    reader.until("the first one", |seen| count(seen, "early") == 1).await;
    for _ in 0..5 {
        look(&client, "later", "49.00").await;
    }
    reader.until("the second one", |seen| count(seen, "later") == 1).await;
    let mut database = world.database.superuser().await;
    eventually("nothing to wait", async || (waiting(&mut database).await == 0).then_some(())).await;
    // What comes after it shows that nothing was sent twice before.
    look(&client, "last", "1").await;
    let seen = reader.until("the last one", |seen| count(seen, "last") == 1).await.to_vec();
    assert_eq!((seen.len(), distinct(&seen)), (3, 3));

    let facts = list(&world.as_role("acme", "viewer"), 10).await;
    let later = seen.iter().find(|seen| seen.event["data"]["threshold"]["name"] == "later").unwrap();
    let fact = facts.iter().find(|fact| fact.threshold.as_ref().unwrap().name == "later").unwrap();
    assert_eq!(later.id(), format!("{}/{}", fact.id, later.key));
    assert_eq!(later.event["subject"], *later.key);
    assert_eq!(later.event["payplanetenant"], "acme");
    let threshold =
        json!({"name": "later", "measure": "ACCRUED", "bound": "49.00", "value": "49.00", "currency": "USD"});
    assert_eq!(later.event["data"]["threshold"], threshold);
    let start = jiff::Timestamp::from_second(fact.start_time.unwrap().seconds).unwrap().to_string();
    assert_eq!(later.event["data"]["period"]["start"], start);
    assert_eq!(later.event["data"]["period"]["seal"], fact.through_seal);

    let replay = proto::ReplayEventsRequest { start_seal: 1, reason: "a consumer lost its table".to_owned() };
    platform.events.clone().replay_events(replay).await.unwrap();
    let seen = reader.until("the replay", |seen| 6 <= seen.len()).await;
    assert_eq!((seen.len(), distinct(seen)), (6, 3));
}

/// Between the acknowledgement and the note of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_killed_repeats_thresholds_and_skips_none() {
    const KILLS: usize = 2;
    let (kafka, mut world) = (Kafka::shared(), World::new().await);
    kafka.answers().await;
    let client = world.as_platform(Some("acme"));
    let (files, topic) = kafka.files();
    world.kafka_dir = Some(files.path().to_owned());
    let spawn = || {
        let mut command = world.engine_command(free_port());
        command.arg("--kafka-dir").arg(files.path());
        command.spawn().unwrap()
    };
    let (mut holder, mut watcher) = (world.database.superuser().await, world.database.superuser().await);
    let mut engine = spawn();
    let mut reader = kafka.reader(&topic).await;
    for kill in 0..KILLS {
        let mut held = holder.begin().await.unwrap();
        held.execute("select 1 from payplane.event_head for update").await.unwrap();
        look(&client, &format!("kill-{kill}"), "49").await;
        // Another process that begins waits for its turn, which takes the same row, so it had its turn before.
        eventually("the note to wait", async || {
            let count: i64 = sqlx::query_scalar(WAITS).fetch_one(&mut watcher).await.unwrap();
            (0 < count).then_some(())
        })
        .await;
        engine.kill().unwrap();
        engine.wait().unwrap();
        watcher.execute(END).await.unwrap();
        held.rollback().await.unwrap();
        assert_eq!(waiting(&mut watcher).await, 1, "taken out although nobody noted it");
        engine = spawn();
        eventually("the note", async || (waiting(&mut watcher).await == 0).then_some(())).await;
    }
    let all = |seen: &[Seen]| (0..KILLS).all(|kill| 2 <= count(seen, &format!("kill-{kill}")));
    let seen = reader.until("each again after its kill", all).await;
    assert_eq!(distinct(seen), KILLS);
    engine.kill().unwrap();
    engine.wait().unwrap();
    println!("{KILLS} kills of the publisher, {} events of {KILLS} thresholds, none lost", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_that_kafka_refuses_waits_apart_until_somebody_sends_it_again() {
    // As little as the client takes; the event with the longest name and what Kafka adds is more.
    const SMALL: usize = 1_000;
    let name = "x".repeat(63);
    let (kafka, mut world) = (Kafka::shared(), World::new().await);
    kafka.answers().await;
    let (files, topic) = kafka.files();
    kafka.create_topic(&topic, SMALL).await;
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let platform = world.on_behalf_of("acme", "erin");
    look(&world.as_platform(Some("acme")), &name, "49.00000000").await;
    let letters = async || {
        let request = proto::ListDeadLettersRequest::default();
        platform.events.clone().list_dead_letters(request).await.unwrap().into_inner().dead_letters
    };
    let found = eventually("a dead letter", async || letters().await.pop()).await;
    let fact = list(&world.as_role("acme", "viewer"), 10).await.pop().unwrap();
    assert!(found.event_id.starts_with(&fact.id), "{found:?}");
    assert_eq!((&*found.tenant, found.attempts, found.seal), ("acme", 1, fact.through_seal));
    kafka.bound_topic(&topic, 100_000).await;
    let (event_id, reason) = (found.event_id.clone(), "larger now".to_owned());
    platform
        .events
        .clone()
        .retry_dead_letter(proto::RetryDeadLetterRequest { event_id, reason })
        .await
        .unwrap();
    let mut reader = kafka.reader(&topic).await;
    let seen = reader.until("the letter", |seen| count(seen, &name) == 1).await;
    assert_eq!(seen[0].id(), found.event_id);
    eventually("the letter to be settled", async || letters().await.is_empty().then_some(())).await;
    assert_eq!(status(&platform).await.dead_letters, 0);
}
