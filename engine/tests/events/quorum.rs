//! Three nodes as the operator runs them, and each of them killed under load: events go on without it, in order, and none is
//! lost.

use std::time::Instant;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use super::{
    oracle::Expected,
    support::{
        nodes::{ENGINE, Nodes, TOPIC},
        world::World,
    },
    traffic::{Traffic, wallets},
};

const NODES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_in_order_while_any_one_of_three_nodes_is_killed() {
    let (kafka, mut world) = (Nodes::start(NODES, &["books"]).await, World::new().await);
    assert_eq!(
        setting(&kafka, "min.insync.replicas").await,
        "2",
        "an event that only one node has could be lost"
    );
    let operator = wallets(&world).await;
    world.kafka_dir = Some(kafka.client_dir(ENGINE));
    world.add_engine(world.database.app_dir()).await;
    let traffic = Traffic::start(&operator);
    let mut reader = kafka.reader("books").await;
    let mut gaps = Vec::new();
    for ordinal in 0..NODES {
        let count = reader.seen.len();
        reader.until("events to flow", |seen| count + 100 < seen.len()).await;
        kafka.kill(ordinal);
        let (killed, made) = (Instant::now(), traffic.acknowledged());
        traffic.flows(50).await;
        // What is decided from now on arrives, while the node is away.
        let newest = newest(&world).await;
        let arrived = |seal: i64| {
            move |seen: &[crate::support::kafka::Seen]| {
                seen.iter().any(|seen| seen.operation()["seal"].as_i64().is_some_and(|of| seal < of))
            }
        };
        reader.until("events of two nodes", arrived(newest)).await;
        gaps.push((killed.elapsed().as_secs_f32(), traffic.acknowledged() - made));
        kafka.launch(ordinal);
        kafka.in_sync(ordinal).await;
    }
    let made = traffic.stop().await;
    let expected = Expected::read(&world).await;
    let seen = reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!(
        "{} nodes killed, {made} payments, {} events, {repeated} repeated; seconds until newer events arrived, and payments \
         meanwhile: {gaps:?}",
        gaps.len(),
        expected.len()
    );
    assert_eq!(gaps.len(), NODES);
    assert!(gaps.iter().all(|(_, during)| 0 < *during), "the kill came when nothing happened");
}

async fn newest(world: &World) -> i64 {
    let head = "select seal from payplane.seal_head";
    sqlx::query_scalar(head).fetch_one(&mut world.database.superuser().await).await.unwrap()
}

/// A setting of the topic, as the engine may look at it.
async fn setting(kafka: &Nodes, name: &str) -> String {
    let admin: AdminClient<DefaultClientContext> = kafka.client(ENGINE).create().unwrap();
    let topic = [ResourceSpecifier::Topic(TOPIC)];
    let mut found = admin.describe_configs(&topic, &AdminOptions::new()).await.unwrap();
    let found = found.remove(0).unwrap();
    found.get(name).unwrap().value.clone().unwrap()
}
