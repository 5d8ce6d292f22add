//! The broker as the operator starts it: encrypted, with a login, and on a volume that is prepared once.

use super::{
    flow::status,
    oracle::Expected,
    support::{client::payment, eventually, kafka::Kafka, world::World},
    traffic::wallets,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_broker_takes_the_engines_login_and_nobody_elses() {
    let (kafka, mut world) = (Kafka::secured().await, World::new().await);
    let operator = wallets(&world).await;
    let platform = world.as_platform(None);
    let client = kafka.client_dir();
    let right = std::fs::read_to_string(client.join("password")).unwrap();
    std::fs::write(client.join("password"), "wrong").unwrap();
    world.kafka_dir = Some(client.clone());
    world.add_engine(world.database.app_dir()).await;
    let told = eventually("the reason", async || {
        Some(status(&platform).await).filter(|told| !told.last_error.is_empty())
    });
    let told = told.await;
    assert!(!told.last_error.contains("wrong"), "a password in {}", told.last_error);
    assert_eq!(told.published_seal, 0);
    // Files are read again for each connection: this is how rotated credentials come in.
    std::fs::write(client.join("password"), right).unwrap();
    let expected = Expected::read(&world).await;
    let mut reader = kafka.reader("payplane.events").await;
    reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    // Started again, the volume is what it was.
    kafka.kill();
    operator.pay(payment("meanwhile", "alice", "bob", "1.00")).await.unwrap();
    kafka.launch();
    kafka.answers().await;
    let expected = Expected::read(&world).await;
    let seen = reader.until("what came meanwhile", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!(
        "refused with a wrong password ({}); {} events, {repeated} repeated",
        told.last_error,
        expected.len()
    );
}
