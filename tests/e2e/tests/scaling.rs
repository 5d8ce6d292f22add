//! Policies that scale workloads, and the engines of a Platform.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::api::{Patch, PatchParams};
use payplane_crds::{Platform, ScalingPolicy};
use payplane_e2e::cluster::{
    PLATFORM, SYSTEM, apply, condition, delete, platform, wait_for, wait_gone, within,
};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};

fn reason(policy: &ScalingPolicy, type_: &str) -> String {
    let conditions = policy.status.as_ref().map(|status| status.conditions.as_slice());
    condition(conditions, type_).map(|found| found.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn every_example_is_accepted_and_waits_for_its_workload() {
    let tenant = TestTenant::new(&client().await, "scaling").await;
    let policies: Api<ScalingPolicy> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let mut seen = 0;
    for text in [
        include_str!("../../../examples/scaling/services.yaml"),
        include_str!("../../../examples/scaling/refunds.yaml"),
        include_str!("../../../examples/scaling/payday.yaml"),
    ] {
        for mut manifest in serde_saphyr::from_multiple::<Value>(text).unwrap() {
            manifest["metadata"]["namespace"] = tenant.name.clone().into();
            let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
            apply(&policies, &name, manifest).await;
            wait_for(&policies, &name, "waited", |policy| reason(policy, "Ready") == "TargetNotFound").await;
            seen += 1;
        }
    }
    assert_eq!(seen, 16);
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_platform_leaves_the_number_of_scaled_engines_alone() {
    let client = client().await;
    platform(&client).await;
    let policies: Api<ScalingPolicy> = Api::namespaced(client.clone(), SYSTEM);
    let engines: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), SYSTEM);
    let engine = format!("{PLATFORM}-engine");
    let mut manifest = example(include_str!("../../../examples/scaling/engines.yaml"));
    manifest["spec"]["target"]["platform"]["name"] = PLATFORM.into();
    apply(&policies, "e2e-engines", manifest).await;
    wait_for(&policies, "e2e-engines", "came into force", |policy| {
        policy.status.as_ref().is_some_and(|status| status.targets == Some(1))
    })
    .await;
    let name = format!("e2e-engines-{engine}");
    let found = autoscalers.get(&name).await.unwrap();
    assert_eq!(found.spec.unwrap().scale_target_ref.name, engine);

    // Somebody scales, as the autoscaler does: through the subresource, and again after a while, because what is changed
    // between the operator's read and its write is undone once.
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let mut asked = 0;
    while engines.get_scale(&engine).await.unwrap().spec.unwrap().replicas != Some(3) || asked == 0 {
        assert!(asked < 3, "the Platform takes the number back again and again");
        asked += 1;
        engines.patch_scale(&engine, &PatchParams::default(), &three).await.unwrap();
        let followed = wait_for(&platforms, PLATFORM, "followed", |platform| {
            platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(3)
        });
        drop(within(Duration::from_secs(30), followed).await);
    }

    delete(&policies, "e2e-engines").await;
    wait_gone(&autoscalers, &name).await;
    wait_for(&platforms, PLATFORM, "has as many as it says again", |platform| {
        platform.status.as_ref().and_then(|status| status.ready_replicas) == Some(2)
    })
    .await;
}
