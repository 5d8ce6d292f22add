//! What every test against the real API server needs: a client, the CRDs, a namespace of its own, and patience with an
//! end. Without a cluster tests fail; none is skipped.

// Each test file uses a part of this, and failing is what it is for.
#![allow(dead_code, missing_docs, clippy::panic, clippy::unwrap_used)]

use std::{future::Future, time::Duration};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{conditions, wait::await_condition},
};
use serde_json::{Value, json};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test in a namespace of its own, which goes afterwards.
pub async fn in_namespace<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Client, String) -> F) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.expect("no cluster: start one and set KUBECONFIG");
    install(&client).await;
    let namespace = create_namespace(&client, name).await;
    test(client.clone(), namespace.clone()).await;
    // After a failure the namespace stays, for whoever looks into it.
    let namespaces = Api::<Namespace>::all(client);
    namespaces.delete(&namespace, &DeleteParams::background()).await.unwrap();
}

async fn install(client: &Client) {
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    let params = PatchParams::apply("payplane-tests").force();
    for crd in payplane_crds::all() {
        let name = crd.name_any();
        crds.patch(&name, &params, &Patch::Apply(&crd))
            .await
            .unwrap_or_else(|error| panic!("the cluster does not answer, or refuses CRD {name}: {error}"));
        within("a CRD is served", await_condition(crds.clone(), &name, conditions::is_crd_established()))
            .await
            .unwrap();
    }
}

async fn create_namespace(client: &Client, prefix: &str) -> String {
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some(format!("test-{prefix}-"));
    let made = Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    made.name_any()
}

/// Awaits something that must happen soon.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Untyped objects of ours, so that a test can send what the types would not allow.
pub fn objects(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("payplane.io", "v1alpha1", kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// A Payment as a user would write it.
pub fn payment(name: &str) -> Value {
    json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": name},
        "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
    })
}

/// A hold of five dollars as a user would write it.
pub fn hold(name: &str) -> Value {
    let mut body = payment(name);
    body["spec"]["amount"] = json!("5.00");
    body["spec"]["hold"] = json!({"timeoutSeconds": 600});
    body
}

pub async fn create(objects: &Api<DynamicObject>, body: Value) -> Result<DynamicObject, kube::Error> {
    objects.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await
}
