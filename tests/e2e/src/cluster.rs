//! The cluster that KUBECONFIG names: apply objects, wait for conditions, and the shared Platform.

use std::{fmt::Debug, future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use payplane_crds::Platform;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Where the operator and every Platform live.
pub const SYSTEM: &str = "payplane-system";
/// Name of the Platform that the tests share.
pub const PLATFORM: &str = "e2e";
/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Connects to the cluster.
pub async fn client() -> Client {
    // Only the first of several tests installs it; the others find it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::try_default()
        .await
        .expect("no cluster: run tests/e2e/install.sh and source tests/e2e/cluster/env.sh")
}

/// One that hears every refusal at once: the usual one asks again for minutes after a 429.
pub async fn client_that_hears_refusals() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut config = kube::Config::infer().await.expect("no cluster");
    config.default_retry = false;
    Client::try_from(config).expect("the configuration makes a client")
}

/// The shared Platform, made by the first caller and ready.
pub async fn platform(client: &Client) {
    let api: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let manifest = json!({
        "spec": {
            "postgres": {"managed": {"storage": {"size": "1Gi"}}},
            "engine": {"replicas": 2},
        },
    });
    apply(&api, PLATFORM, manifest).await;
    wait_for(&api, PLATFORM, "is ready", |platform| {
        is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
            && platform.status.as_ref().is_some_and(|status| status.ready_replicas == Some(2))
    })
    .await;
}

/// Applies what a user would, as another field manager than the operator's.
pub async fn apply<K>(api: &Api<K>, name: &str, manifest: Value) -> K
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug,
{
    try_apply(api, name, manifest).await.unwrap_or_else(|error| panic!("{name} was refused: {error}"))
}

/// The same, for objects that the API server may refuse.
pub async fn try_apply<K>(api: &Api<K>, name: &str, mut manifest: Value) -> kube::Result<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug,
{
    manifest["apiVersion"] = K::api_version(&()).into();
    manifest["kind"] = K::kind(&()).into();
    manifest["metadata"]["name"] = name.into();
    let mut params = PatchParams::apply("payplane-e2e").force();
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    api.patch(name, &params, &Patch::Apply(manifest)).await
}

/// Waits until the object is as wanted, and returns it.
pub async fn wait_for<K>(api: &Api<K>, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut last = None;
    let found = within(DEADLINE, async {
        let mut objects = watcher(api.clone(), config).default_backoff().applied_objects().boxed();
        while let Some(object) = objects.next().await {
            match object {
                Ok(object) if wanted(&object) => return object,
                Ok(object) => last = Some(object),
                // The watcher tries again by itself.
                Err(_) => {}
            }
        }
        panic!("the watch of {name} ended")
    })
    .await;
    found.unwrap_or_else(|| panic!("{name} never {what}; its last state: {last:#?}"))
}

/// Waits until no object of this name is there.
pub async fn wait_gone<K>(api: &Api<K>, name: &str)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let gone = kube::runtime::wait::await_condition(api.clone(), name, |object: Option<&K>| object.is_none());
    within(DEADLINE, gone)
        .await
        .unwrap_or_else(|| panic!("{name} is still there"))
        .expect("the watch failed");
}

/// The result of `work`, unless the deadline passes first.
pub async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(deadline, work).await.ok()
}

/// The condition of this type.
pub fn condition<'a>(conditions: Option<&'a [Condition]>, kind: &str) -> Option<&'a Condition> {
    conditions?.iter().find(|condition| condition.type_ == kind)
}

/// Whether the condition of this type is `True`.
pub fn is_true(conditions: Option<&[Condition]>, kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// Deletes an object and waits until it is gone.
pub async fn delete<K>(api: &Api<K>, name: &str)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    api.delete(name, &DeleteParams::default()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    wait_gone(api, name).await;
}

/// Deletes a Platform with what it leaves behind on purpose, its volumes and logins, so that a test can come again.
pub async fn remove_platform(client: &Client, name: &str) {
    delete(&Api::<Platform>::namespaced(client.clone(), SYSTEM), name).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    for part in ["postgres", "kafka"] {
        wait_gone(&pods, &format!("{name}-{part}-0")).await;
    }
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), SYSTEM);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    for part in ["data-", ""] {
        remove_all(&claims, &format!("{part}{name}-")).await;
    }
    remove_all(&secrets, &format!("{name}-")).await;
}

/// Deletes all whose names begin so.
async fn remove_all<K>(api: &Api<K>, prefix: &str)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    for one in api.list(&ListParams::default()).await.expect("objects cannot be listed") {
        if one.name_any().starts_with(prefix) {
            // The Platform's own end may be faster.
            drop(api.delete(&one.name_any(), &DeleteParams::default()).await);
        }
    }
}

/// Names of the pods in the system's namespace that begin so.
pub async fn pods(client: &Client, prefix: &str) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let all = api.list(&ListParams::default()).await.expect("pods cannot be listed");
    all.items.into_iter().filter(|pod| pod.name_any().starts_with(prefix)).collect()
}
