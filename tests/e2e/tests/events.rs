//! Events: a Platform with a Kafka of its own, a consumer in the cluster, a broker that stands still, and one of three nodes
//! that is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use payplane_crds::Platform;
use payplane_e2e::cluster::{DEADLINE, SYSTEM, apply, condition, delete, is_true, remove_platform, wait_for};
use payplane_e2e::tenant::{example, payment_id};
use payplane_e2e::{TestTenant, client, faults};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

const PLATFORM: &str = "events";
const THREE: &str = "three-nodes";
/// The user whom the examples name.
const USER: &str = "books";
const PAYMENTS: usize = 20;

fn platforms(client: &Client) -> Api<Platform> {
    Api::namespaced(client.clone(), SYSTEM)
}

/// An example of Kafka of its own, until it answers.
async fn with_kafka(client: &Client, name: &str, text: &str) {
    let manifest = example(text);
    assert_eq!(manifest["metadata"]["name"], name);
    apply(&platforms(client), name, json!({"metadata": {}, "spec": manifest["spec"]})).await;
    wait_for(&platforms(client), name, "publishes", |platform| {
        let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
        is_true(conditions, "Ready")
            && condition(conditions, "KafkaReady").is_some_and(|kafka| kafka.reason == "AsSpecified")
    })
    .await;
}

/// Everything in the topic, as soon as all of these are in it: a consumer that starts on a busy machine gives up too early.
async fn consumed(client: &Client, platform: &str, payments: &[String]) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let events = read(client, platform).await;
        let operations: BTreeSet<&str> =
            events.iter().filter_map(|event| event["data"]["operation"]["id"].as_str()).collect();
        if payments.iter().all(|payment| operations.contains(payment.as_str())) {
            return events;
        }
        assert!(began.elapsed() < DEADLINE, "{} events, and not of all payments", events.len());
    }
}

/// What is in the topic, read as any consumer in the cluster would: encrypted, with the login of a user.
async fn read(client: &Client, platform: &str) -> Vec<Value> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let login = secrets.get(&format!("{platform}-kafka-user-{USER}")).await.unwrap().data.unwrap();
    let value = |key: &str| String::from_utf8(login[key].0.clone()).unwrap();
    let script = format!(
        "umask 0077 && cat >/tmp/ca.crt <<EOF\n{}\nEOF\ncat >/tmp/consumer.properties <<EOF\n\
         security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"{}\" password=\"{}\";\n\
         ssl.truststore.type=PEM\nssl.truststore.location=/tmp/ca.crt\nEOF\n\
         export KAFKA_HEAP_OPTS=-Xmx96m\n\
         exec /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server {} --group {USER} \
         --consumer-property enable.auto.commit=false --consumer-property auto.offset.reset=earliest \
         --consumer.config /tmp/consumer.properties --topic payplane.events --timeout-ms 20000 2>/tmp/consumer.log",
        value("ca.crt"),
        value("username"),
        value("password"),
        value("brokers"),
    );
    let pod = format!("{platform}-kafka-0");
    let mut command = Command::new("kubectl");
    // On its input, because a command line is for everybody to read.
    command.args(["exec", "-i", "-n", SYSTEM, &pod, "-c", "kafka", "--", "sh"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Asks as the operator does: these calls need the platform role.
async fn ask(tenant: &TestTenant, method: &str, request: &Value) -> Result<Value, String> {
    let mut command = Command::new("kubectl");
    command.args(["create", "token", "payplane-operator", "-n", SYSTEM, "--audience", "payplane"]);
    let token = command.output().await.unwrap();
    assert!(token.status.success(), "{}", String::from_utf8_lossy(&token.stderr));
    let token = String::from_utf8(token.stdout).unwrap();
    tenant.call_with("event_service.proto", &format!("EventService/{method}"), request, token.trim()).await
}

/// Asks until the answer is as wanted.
async fn status(tenant: &TestTenant, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = ask(tenant, "GetEventStatus", &json!({})).await.unwrap();
        if wanted(&answer) {
            return answer;
        }
        assert!(began.elapsed() < DEADLINE, "events never {what}: {answer}");
        // Between two looks: nothing tells of this.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn pay(tenant: &TestTenant, wave: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..PAYMENTS {
        tenant.pay(&format!("{wave}-{number}"), "alice", "bob", "1.00").await;
    }
    for number in 0..PAYMENTS {
        ids.push(payment_id(&tenant.settled(&format!("{wave}-{number}")).await));
    }
    ids
}

/// Both sides of every payment are there, and each wallet's versions in order. Gives the number of repetitions.
fn assert_complete(events: &[Value], payments: &[String]) -> usize {
    let (mut known, mut versions, mut sides) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for event in events.iter().filter(|event| known.insert(event["id"].as_str().unwrap().to_owned())) {
        let wallet = event["subject"].as_str().unwrap().to_owned();
        if let Some(version) = event["data"]["wallet"]["version"].as_i64() {
            let before = versions.insert(wallet.clone(), version).unwrap_or(0);
            assert_eq!(before + 1, version, "wallet {wallet}: {event}");
        }
        let operation = event["data"]["operation"]["id"].as_str().unwrap().to_owned();
        *sides.entry(operation).or_insert(0) += 1;
    }
    for payment in payments {
        assert_eq!(sides.get(payment), Some(&2), "events of payment {payment}");
    }
    events.len() - known.len()
}

#[tokio::test]
async fn payments_arrive_through_kafka_and_wait_for_nobody() {
    let client = client().await;
    with_kafka(&client, PLATFORM, include_str!("../../../examples/events/platform.yaml")).await;
    let spec = json!({"deletionPolicy": "Retain", "platformRef": {"namespace": SYSTEM, "name": PLATFORM}});
    let tenant = TestTenant::with(&client, "events", spec).await;
    tenant.client_pod().await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    let mut payments = pay(&tenant, "first").await;
    status(&tenant, "were published", |told| told["lagSeals"] == "0" && told["publishing"] == true).await;
    assert_complete(&consumed(&client, PLATFORM, &payments).await, &payments);

    // The broker stands still: every payment settles all the same, and the engine stays ready.
    let paused = faults::pause(&client, &format!("{PLATFORM}-kafka-")).await;
    let began = Instant::now();
    payments.extend(pay(&tenant, "meanwhile").await);
    let behind =
        status(&tenant, "fell behind", |told| told["lagSeals"] != "0" && told["lastError"] != "").await;
    let outage = if std::env::var_os("PAYPLANE_PROVE").is_some() { 600 } else { 0 };
    // The length of the outage is what is proved.
    tokio::time::sleep(Duration::from_secs(outage).saturating_sub(began.elapsed())).await;
    let ready = platforms(&client).get(PLATFORM).await.unwrap().status.unwrap();
    assert!(is_true(Some(&ready.conditions), "EngineReady"), "{ready:#?}");
    drop(paused);
    status(&tenant, "caught up", |told| told["lagSeals"] == "0").await;
    let events = consumed(&client, PLATFORM, &payments).await;
    let repeated = assert_complete(&events, &payments);
    println!(
        "{} payments, {PAYMENTS} of them without a broker, {} seals behind, {} events, {repeated} repeated",
        payments.len(),
        behind["lagSeals"],
        events.len()
    );

    // What docs/events.md shows.
    let replay = json!({"start_seal": 1, "reason": "a consumer lost its table"});
    ask(&tenant, "ReplayEvents", &replay).await.unwrap();
    status(&tenant, "were published again", |told| told["lagSeals"] == "0").await;
    assert!(events.len() <= assert_complete(&consumed(&client, PLATFORM, &payments).await, &payments));
    let letters = ask(&tenant, "ListDeadLetters", &json!({})).await.unwrap();
    assert_eq!(letters["deadLetters"], json!([]));
    for method in ["RetryDeadLetter", "DropDeadLetter"] {
        let name = format!("{0}/{0}", payments[0]);
        let refused = ask(&tenant, method, &json!({"event_id": name, "reason": "nobody needs it"})).await;
        assert!(refused.unwrap_err().contains("NotFound"), "{method}");
    }
    tenant.clean_up().await;
    remove_platform(&client, PLATFORM).await;
}

/// A consumer that is no user any more can neither log in nor find its Secret.
async fn without_the_user(client: &Client, platform: &str) {
    let users = json!({"spec": {"kafka": {"managed": {"users": null}}}});
    platforms(client).patch(platform, &PatchParams::default(), &Patch::Merge(users)).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let name = format!("{platform}-kafka-user-{USER}");
    let began = Instant::now();
    while secrets.get_opt(&name).await.unwrap().is_some() {
        assert!(began.elapsed() < DEADLINE, "the Secret of a user who is gone stays");
        // Between two looks.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Catalogue X6 with three nodes: events arrive while one is away, in order, and none is lost.
#[tokio::test]
async fn one_of_three_nodes_of_kafka_is_killed_and_events_go_on() {
    let client = client().await;
    with_kafka(&client, THREE, include_str!("../../../examples/events/three-nodes.yaml")).await;
    let spec = json!({"deletionPolicy": "Retain", "platformRef": {"namespace": SYSTEM, "name": THREE}});
    let tenant = TestTenant::with(&client, "nodes", spec).await;
    tenant.client_pod().await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    let mut payments = pay(&tenant, "first").await;
    for victim in [1, 2] {
        let wave = format!("without-{victim}");
        let prefix = format!("{THREE}-kafka-{victim}");
        let ((), during) = tokio::join!(faults::kill(&client, &prefix, 0), pay(&tenant, &wave));
        payments.extend(during);
        status(&tenant, "caught up", |told| told["lagSeals"] == "0" && told["publishing"] == true).await;
        wait_for(&platforms(&client), THREE, "has three nodes in sync", |platform| {
            let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
            condition(conditions, "KafkaReady").is_some_and(|kafka| kafka.reason == "AsSpecified")
        })
        .await;
    }
    let events = consumed(&client, THREE, &payments).await;
    let repeated = assert_complete(&events, &payments);
    println!("2 nodes killed, {} payments, {} events, {repeated} repeated", payments.len(), events.len());
    without_the_user(&client, THREE).await;
    tenant.clean_up().await;
    remove_platform(&client, THREE).await;
}

#[tokio::test]
async fn an_external_kafka_is_taken_from_its_secret_and_nothing_of_money_waits_for_it() {
    let client = client().await;
    let mut documents =
        serde_saphyr::from_multiple::<Value>(include_str!("../../../examples/events/external.yaml"));
    let documents = documents.as_mut().unwrap();
    let (mut platform, mut secret) = (documents.remove(1), documents.remove(0));
    let name = platform["metadata"]["name"].as_str().unwrap().to_owned();
    let secret_name = secret["metadata"]["name"].as_str().unwrap().to_owned();
    platform["metadata"] = json!({});
    apply(&platforms(&client), &name, platform).await;
    wait_for(&platforms(&client), &name, "missed its Secret", |platform| {
        let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Ready").is_some_and(|ready| ready.reason == "SecretNotFound")
    })
    .await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    secret["metadata"] = json!({});
    apply(&secrets, &secret_name, secret).await;
    wait_for(&platforms(&client), &name, "became ready without the broker", |platform| {
        let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
        is_true(conditions, "Ready")
            && condition(conditions, "KafkaReady").is_some_and(|kafka| kafka.status == "Unknown")
    })
    .await;
    remove_platform(&client, &name).await;
    delete(&secrets, &secret_name).await;
}
