//! A Platform whose Redis the Redis operator of Opstree runs: its own controller, installed by tests/foreign/redis-operator.sh.

use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};
use payplane_crds::Platform;
use payplane_e2e::cluster::{DEADLINE, SYSTEM, apply, pods, remove_platform, wait_for, wait_gone, within};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client, faults};
use serde_json::json;

use super::platforms::{PAYMENTS, is_ready, pay_through, told};

const NAME: &str = "cached";

/// Waits until every engine says that Redis answers it.
async fn engines_use_redis(client: &Client) {
    let told = within(DEADLINE, async {
        loop {
            let mut up = Vec::new();
            for engine in pods(client, &format!("{NAME}-engine-")).await {
                let path =
                    format!("/api/v1/namespaces/{SYSTEM}/pods/{}:8080/proxy/metrics", engine.name_any());
                let request = Request::get(path).body(Vec::new()).unwrap();
                let metrics = client.request_text(request).await.unwrap_or_default();
                up.push(metrics.lines().any(|line| line == "payplane_engine_redis_up 1"));
            }
            if !up.is_empty() && up.iter().all(|up| *up) {
                return;
            }
        }
    });
    told.await.expect("an engine does not use Redis");
}

#[tokio::test]
async fn redis_operator_runs_redis_and_payments_go_on_while_its_primary_dies() {
    let client = client().await;
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let mut manifest = example(include_str!("../../../examples/platforms/redis-operator.yaml"));
    let image = std::env::var("REDIS_IMAGE").expect("REDIS_IMAGE is not set: source images.env");
    manifest["spec"]["redis"]["operator"]["image"] = image.into();
    apply(&platforms, NAME, manifest).await;
    let serves = |platform: &Platform| {
        is_ready(platform) && told(platform, "RedisReady") == Some(("True".into(), "AsSpecified".into()))
    };
    wait_for(&platforms, NAME, "is ready, with Redis", serves).await;
    engines_use_redis(&client).await;

    let tenant = TestTenant::with(
        &client,
        "cached",
        json!({"platformRef": {"namespace": SYSTEM, "name": NAME}, "deletionPolicy": "Retain"}),
    )
    .await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    pay_through(&tenant, "primary", faults::kill(&client, &format!("{NAME}-redis-set-0"), 0)).await;
    wait_for(&platforms, NAME, "has a primary again", serves).await;
    engines_use_redis(&client).await;
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], format!("{PAYMENTS}.00"));
    assert_eq!(tenant.assert_books_balance().await, PAYMENTS as u64 + 1);
    tenant.clean_up().await;
    remove_platform(&client, NAME).await;
    // It keeps nothing, so nothing of it is kept.
    wait_gone(&Api::<Pod>::namespaced(client.clone(), SYSTEM), &format!("{NAME}-redis-set-0")).await;
}
