//! How many engines run is the autoscaler's to say while a ScalingPolicy scales them, also when it says so in the moment
//! between the operator's read and its write.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::bed::{
    Bed, Fault, PLATFORM, Rule, SYSTEM,
    site::{create, wait},
    switch::Call,
};

/// How late a write of the operator is: long enough for an autoscaler's to come first.
const LATE: Fault = Fault::Delay(Duration::from_millis(500));

fn is_of_engine(call: &Call) -> bool {
    call.verb == "PATCH" && call.kind == "deployments" && call.name == format!("{PLATFORM}-engine")
}

/// One Platform's engines.
struct Engines {
    deployments: Api<Deployment>,
    platforms: Api<DynamicObject>,
}

impl Engines {
    /// As an autoscaler does it.
    async fn scale(&self, replicas: i32) {
        let params =
            PatchParams { field_manager: Some("kube-controller-manager".into()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments.patch_scale(&format!("{PLATFORM}-engine"), &params, &patch).await.unwrap();
    }

    async fn ask(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.platforms.patch(PLATFORM, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the Deployment is so; then there must be so many engines.
    async fn has(&self, what: &str, replicas: i32, wanted: impl Fn(&Value) -> bool) {
        let name = format!("{PLATFORM}-engine");
        let found = wait(&self.deployments, &name, what, |engine| wanted(&json!(engine))).await;
        assert_eq!(found.spec.unwrap().replicas, Some(replicas), "{what}");
    }
}

/// Whether the operator's last apply speaks of the number.
fn is_counted(engine: &Value) -> bool {
    let managers = engine["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    managers.iter().any(|entry| {
        entry["manager"] == "payplane-operator" && !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null()
    })
}

fn memory(engine: &Value) -> &Value {
    &engine["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_that_is_faster_than_a_write_is_not_undone() {
    let bed = Bed::new().await;
    let (client, api) = (bed.site.client.clone(), bed.site.to_api.switch.clone());
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("payplane.io", "v1alpha1", "Platform"));
    let engines = Engines {
        deployments: Api::namespaced(client.clone(), SYSTEM),
        platforms: Api::namespaced_with(client.clone(), SYSTEM, &kind),
    };
    engines.has("is the Platform's", 1, is_counted).await;

    // Its first write after the policy gives the number away; the autoscaler changes it before that arrives.
    api.set(vec![Rule::first(1, LATE, is_of_engine)]);
    let strikes = api.strikes();
    let policy = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"name": "engines", "namespace": SYSTEM},
        "spec": {"target": {"platform": {"name": PLATFORM}}, "class": "Core"},
    });
    create(&client, policy).await;
    api.struck(strikes + 1).await;
    engines.scale(2).await;
    engines.has("is the autoscaler's", 2, |engine| !is_counted(engine)).await;

    for (replicas, limit) in [(4, "700Mi"), (3, "800Mi")] {
        api.set(vec![Rule::first(1, LATE, is_of_engine)]);
        let strikes = api.strikes();
        engines.ask(json!({"engine": {"resources": {"limits": {"memory": limit}}}})).await;
        api.struck(strikes + 1).await;
        engines.scale(replicas).await;
        engines
            .has("has the new limit and the autoscaler's number", replicas, |engine| memory(engine) == limit)
            .await;
    }
    println!("{} writes were overtaken by an autoscaler, none undid it", api.strikes());

    // Without a policy the number is the Platform's again.
    let policies = Api::<payplane_crds::ScalingPolicy>::namespaced(client.clone(), SYSTEM);
    policies.delete("engines", &DeleteParams::default()).await.unwrap();
    engines.has("is the Platform's again", 1, is_counted).await;
}
