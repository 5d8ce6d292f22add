//! A Platform of its own, to which things happen while payments run.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use payplane_crds::{PaymentState, Platform};
use payplane_e2e::cluster::{SYSTEM, apply, condition, delete, is_true, remove_platform, wait_for};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client, faults};
use serde_json::{Value, json};

const NAME: &str = "shared";
/// How many payments each fault meets.
pub const PAYMENTS: usize = 40;

/// Status and reason of a condition.
pub fn told(platform: &Platform, type_: &str) -> Option<(String, String)> {
    let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
    condition(conditions, type_).map(|found| (found.status.clone(), found.reason.clone()))
}

/// Whether all of it is as its spec says.
pub fn is_ready(platform: &Platform) -> bool {
    let status = platform.status.as_ref();
    is_true(status.map(|status| status.conditions.as_slice()), "Ready")
        && status.and_then(|status| status.observed_generation) >= platform.metadata.generation
}

/// Pays again and again while `fault` happens, and sees every payment through.
pub async fn pay_through(tenant: &TestTenant, label: &str, fault: impl Future<Output = ()>) {
    let names: Vec<String> = (0..PAYMENTS).map(|number| format!("{label}-{number:02}")).collect();
    let payments = async {
        for name in &names {
            tenant.pay(name, "alice", "bob", "1.00").await;
        }
        for name in &names {
            let payment = tenant.settled(name).await;
            assert_eq!(payment.status.as_ref().unwrap().state, PaymentState::Completed, "{name}");
        }
    };
    let ((), ()) = tokio::join!(payments, fault);
}

#[tokio::test]
async fn a_platform_whose_operator_is_not_installed_says_what_to_install() {
    const NAME: &str = "production";
    let client = client().await;
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    apply(&platforms, NAME, example(include_str!("../../../examples/platforms/operators.yaml"))).await;
    let platform = wait_for(&platforms, NAME, "says what is missing", |platform| {
        told(platform, "Stalled") == Some(("True".into(), "OperatorNotInstalled".into()))
    })
    .await;
    let conditions = platform.status.unwrap().conditions;
    let message = &condition(Some(&conditions), "Ready").unwrap().message;
    assert!(message.contains("install CloudNativePG"), "{message}");
    delete(&platforms, NAME).await;
}

#[tokio::test]
async fn redis_dies_a_login_changes_and_a_bad_image_comes_while_payments_run() {
    let client = client().await;
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let engines: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let redis: Value = example(include_str!("../../../examples/platforms/redis.yaml"));
    apply(&platforms, NAME, redis).await;
    let platform = wait_for(&platforms, NAME, "is ready, with Redis", |platform| {
        is_ready(platform) && told(platform, "RedisReady").is_some_and(|(status, _)| status == "True")
    })
    .await;
    assert_eq!(told(&platform, "CredentialsRotated"), None, "nothing was changed yet");
    let tenant = TestTenant::with(
        &client,
        "platforms",
        json!({"platformRef": {"namespace": SYSTEM, "name": NAME}, "deletionPolicy": "Retain"}),
    )
    .await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;

    let pod = format!("{NAME}-redis-");
    pay_through(&tenant, "redis", faults::kill(&client, &pod, 0)).await;

    let rotated = async {
        apply(&platforms, NAME, example(include_str!("../../../examples/platforms/rotated.yaml"))).await;
        wait_for(&platforms, NAME, "changed its login", |platform| {
            is_ready(platform)
                && told(platform, "CredentialsRotated").is_some_and(|(status, _)| status == "True")
        })
        .await;
    };
    pay_through(&tenant, "login", rotated).await;

    let before = engines.get(&format!("{NAME}-engine")).await.unwrap();
    let bad = async {
        let mut manifest = example(include_str!("../../../examples/platforms/rotated.yaml"));
        manifest["spec"]["engine"]["image"] = "payplane/engine:no-such-image".into();
        apply(&platforms, NAME, manifest).await;
        let platform = wait_for(&platforms, NAME, "went back", |platform| {
            told(platform, "RolledBack").is_some_and(|(status, _)| status == "True")
                && platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(2)
        })
        .await;
        let conditions = platform.status.unwrap().conditions;
        let message = &condition(Some(&conditions), "RolledBack").unwrap().message;
        assert!(message.contains("no-such-image"), "it names the image: {message}");
    };
    pay_through(&tenant, "image", bad).await;
    let image = |engine: &Deployment| {
        engine.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].image.clone()
    };
    let after = engines.get(&format!("{NAME}-engine")).await.unwrap();
    assert_eq!(image(&after), image(&before));
    apply(&platforms, NAME, example(include_str!("../../../examples/platforms/rotated.yaml"))).await;
    wait_for(&platforms, NAME, "is as it was", |platform| {
        is_ready(platform) && told(platform, "RolledBack").is_none()
    })
    .await;

    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], format!("{}.00", 3 * PAYMENTS));
    assert_eq!(tenant.assert_books_balance().await, 3 * PAYMENTS as u64 + 1);
    tenant.clean_up().await;
    remove_platform(&client, NAME).await;
}
