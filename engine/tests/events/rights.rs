//! Kafka as the operator runs it: who may do what, and a login that is changed or taken away.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};

use super::{
    flow::status,
    oracle::Expected,
    support::{
        PATIENCE,
        client::payment,
        eventually,
        nodes::{ENGINE, Nodes, TOPIC},
        world::World,
    },
    traffic::wallets,
};

use RDKafkaErrorCode::{Authentication, GroupAuthorizationFailed, TopicAuthorizationFailed};

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_kafka_takes_the_engines_login_and_nobody_elses() {
    let (kafka, mut world) = (Nodes::start(1, &["books"]).await, World::new().await);
    let operator = wallets(&world).await;
    let platform = world.as_platform(None);
    let client = kafka.client_dir(ENGINE);
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
    let mut reader = kafka.reader("books").await;
    reader.until("all that was sealed", |seen| expected.is_in(seen)).await;
    // Started again, the volume is what it was.
    kafka.kill(0);
    operator.pay(payment("meanwhile", "alice", "bob", "1.00")).await.unwrap();
    kafka.launch(0);
    kafka.in_sync(0).await;
    let expected = Expected::read(&world).await;
    let seen = reader.until("what came meanwhile", |seen| expected.is_in(seen)).await;
    let repeated = expected.assert_is(seen);
    println!(
        "refused with a wrong password ({}); {} events, {repeated} repeated",
        told.last_error,
        expected.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_do_their_own_and_nothing_else() {
    let kafka = Nodes::start(1, &["books", "risk"]).await;
    let made = ["--create", "--topic", "other", "--partitions", "1"];
    let (is_made, said) = kafka.ask("kafka-topics.sh", "tls", &made).await;
    assert!(is_made, "{said}");
    // A certificate of the same authority is not enough: it has to be a node's.
    let (is_made, said) = kafka.ask("kafka-topics.sh", "other", &["--create", "--topic", "theirs"]).await;
    assert!(!is_made && said.contains("AuthorizationException"), "{said}");

    assert_eq!(writes(&kafka.client(ENGINE), TOPIC).await, Ok(()));
    for (user, group, topic, outcome) in [
        ("books", "books", TOPIC, Ok(())),
        ("risk", "risk", TOPIC, Ok(())),
        ("books", "risk", TOPIC, Err(GroupAuthorizationFailed)),
        ("books", "books", "other", Err(TopicAuthorizationFailed)),
        (ENGINE, "books", TOPIC, Err(GroupAuthorizationFailed)),
    ] {
        assert_eq!(reads(kafka.client(user), group, topic).await, outcome, "{user} reads {topic} as {group}");
    }
    for (user, topic) in [("books", TOPIC), ("risk", TOPIC), ("books", "other"), (ENGINE, "other")] {
        let outcome = writes(&kafka.client(user), topic).await;
        assert_eq!(outcome, Err(TopicAuthorizationFailed), "{user} writes {topic}");
    }

    // One gets a new password, the other one goes.
    let (books, risk) = (kafka.client("books"), kafka.client("risk"));
    kafka.set_password("books", "another one");
    kafka.grant(&["books"]).await;
    assert_eq!(reads(books, "books", TOPIC).await, Err(Authentication));
    assert_eq!(writes(&kafka.client(ENGINE), TOPIC).await, Ok(()), "the engine's rights stay");
    assert_eq!(reads(kafka.client("books"), "books", TOPIC).await, Ok(()));
    assert_eq!(reads(risk, "risk", TOPIC).await, Err(Authentication));
    let (_, left) = kafka.ask("kafka-acls.sh", "tls", &["--list"]).await;
    assert!(left.contains("User:books") && left.contains(&format!("User:{ENGINE}")), "{left}");
    assert!(!left.contains("User:risk"), "{left}");
}

/// Whether this client gets a message of a topic, or why not.
async fn reads(mut client: ClientConfig, group: &str, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let consumer: BaseConsumer =
        client.set("group.id", group).set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let look = move || {
        let started = Instant::now();
        loop {
            match consumer.poll(Duration::from_millis(500)) {
                Some(Ok(_)) => return Ok(()),
                // What is not ready yet passes.
                Some(Err(error)) => {
                    if let Some(
                        code @ (Authentication | GroupAuthorizationFailed | TopicAuthorizationFailed),
                    ) = error.rdkafka_error_code()
                    {
                        return Err(code);
                    }
                }
                None => {}
            }
            assert!(started.elapsed() < 3 * PATIENCE, "neither a message nor a refusal");
        }
    };
    tokio::task::spawn_blocking(look).await.unwrap()
}

/// Whether this client may write to a topic, or why not.
async fn writes(client: &ClientConfig, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let mut client = client.clone();
    client.set("message.timeout.ms", "90000");
    let producer: FutureProducer = client.create().unwrap();
    let record = FutureRecord::to(topic).key("k").payload("{}");
    let sent = producer.send(record, Duration::ZERO).await;
    match sent {
        Ok(_) => Ok(()),
        Err((KafkaError::MessageProduction(code), _)) => Err(code),
        Err((error, _)) => panic!("{error}"),
    }
}
