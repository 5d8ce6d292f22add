//! A Platform whose PostgreSQL a real CloudNativePG runs: its primary is killed while payments run. Started by
//! `tests/foreign/cloudnative-pg.sh`, which brings CloudNativePG.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject},
    core::{ApiResource, GroupVersionKind},
};
use payplane_crds::{PaymentState, Platform};
use payplane_e2e::cluster::{SYSTEM, apply, delete, is_true, wait_for};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};

const NAME: &str = "production";
const PAYMENTS: usize = 60;

fn is(platform: &Platform, type_: &str) -> bool {
    is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), type_)
}

/// The example, as large as fits one machine: without Kafka, which nobody runs here.
fn manifest() -> Value {
    let mut manifest = example(include_str!("../../../examples/platforms/operators.yaml"));
    let image = std::env::var("POSTGRES_IMAGE").expect("POSTGRES_IMAGE is not set: source images.env");
    manifest["spec"]["postgres"]["operator"] = json!({
        "instances": 3, "image": image, "storage": {"size": "1Gi"}, "deletionPolicy": "Delete",
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    });
    manifest["spec"].as_object_mut().unwrap().remove("kafka");
    manifest["spec"]["engine"]["replicas"] = json!(2);
    manifest
}

fn clusters(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Cluster"));
    Api::namespaced_with(client.clone(), SYSTEM, &resource)
}

async fn primary(client: &Client) -> String {
    let cluster = clusters(client).get(&format!("{NAME}-postgres")).await.unwrap();
    cluster.data["status"]["currentPrimary"].as_str().unwrap().to_owned()
}

/// Kills the primary without a word, and waits until another one is and payments can be committed.
async fn kill_the_primary(client: &Client) {
    let (began, victim) = (Instant::now(), primary(client).await);
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete(&victim, &at_once).await.unwrap();
    while primary(client).await == victim {
        assert!(began.elapsed() < payplane_e2e::cluster::DEADLINE, "{victim} is still the primary");
        // CloudNativePG takes seconds to see it; each look is a call.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    wait_for(&platforms, NAME, "serves again", |platform| is(platform, "PostgresReady")).await;
    println!("{victim} was killed; {} took over after {:?}", primary(client).await, began.elapsed());
}

#[tokio::test]
async fn the_primary_of_a_cluster_is_killed_and_no_payment_is_lost_or_doubled() {
    let client = client().await;
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    apply(&platforms, NAME, manifest()).await;
    wait_for(&platforms, NAME, "has a database", |platform| is(platform, "PostgresReady")).await;
    wait_for(&platforms, NAME, "is ready", |platform| is(platform, "Ready")).await;
    let of = json!({"platformRef": {"namespace": SYSTEM, "name": NAME}, "deletionPolicy": "Retain"});
    let tenant = TestTenant::with(&client, "operators", of).await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;

    let payments = async {
        for number in 0..PAYMENTS {
            tenant.pay(&format!("pay-{number:02}"), "alice", "bob", "1.00").await;
        }
        for number in 0..PAYMENTS {
            let payment = tenant.settled(&format!("pay-{number:02}")).await;
            assert_eq!(payment.status.as_ref().unwrap().state, PaymentState::Completed, "{number}");
        }
    };
    let ((), ()) = tokio::join!(payments, kill_the_primary(&client));

    wait_for(&platforms, NAME, "is whole again", |platform| {
        let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
        payplane_e2e::cluster::condition(conditions, "PostgresReady")
            .is_some_and(|found| found.reason == "AsSpecified")
    })
    .await;
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], format!("{PAYMENTS}.00"));
    assert_eq!(tenant.assert_books_balance().await, PAYMENTS as u64 + 1);
    println!("{PAYMENTS} payments acknowledged, {PAYMENTS} in the ledger");
    tenant.clean_up().await;
    delete(&platforms, NAME).await;
}
