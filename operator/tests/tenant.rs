//! What the API server refuses and fills in of a Tenant.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};
use support::in_namespace;

fn tenants(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("payplane.io", "v1alpha1", "Tenant"));
    Api::all_with(client.clone(), &resource)
}

/// A Tenant of a Platform that nobody serves, so that an operator in the same cluster leaves it alone.
fn tenant(name: &str, more: &Value) -> DynamicObject {
    let mut spec =
        json!({"platformRef": {"namespace": name, "name": "none"}, "namespaces": [{"name": name}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

async fn try_create(client: &Client, name: &str, more: &Value) -> Result<DynamicObject, kube::Error> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    tenants(client).create(&dry, &tenant(name, more)).await
}

#[tokio::test]
async fn what_can_never_be_is_refused_with_the_way_out() {
    in_namespace("tenant", |client, name| async move {
        let with = |base: Value, more: Value| {
            let mut all = base;
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let key = |more: Value| {
            let base = json!({"name": "a", "namespace": name, "role": "Viewer"});
            json!({"apiKeys": [with(base, more)]})
        };
        let oidc = |more: Value| {
            let roles = json!([{"value": "a", "role": "Viewer"}]);
            let base = json!({"issuer": "https://login.example", "audience": "a", "roles": roles});
            json!({"oidc": with(base, more)})
        };
        let opening = |peer: Value| json!({"isolation": {"egress": [{"peer": peer}]}});
        let cases = [
            (json!({"groups": {"admins": ["system:authenticated"]}}), "groups cannot begin with"),
            (json!({"groups": {"viewers": ["a", "a"]}}), "groups.viewers"),
            (json!({"quota": {"hard": {"pods": "many"}}}), "spec.quota.hard"),
            (json!({"quota": {"hard": {}}}), "spec.quota.hard"),
            (json!({"limits": {"max": {"cpu": "-1"}}}), "spec.limits.max"),
            (opening(json!({})), "exactly one of them"),
            (opening(json!({"cidr": "203.0.113.0/24", "namespace": "x"})), "exactly one of them"),
            (
                opening(json!({"cidr": "203.0.113.0/24", "pods": {"app": "x"}})),
                "pods are those of a namespace",
            ),
            (opening(json!({"cidr": "not-a-range"})), "expected an address range"),
            (
                json!({"isolation": {"ingress": [{"peer": {"namespace": "x"}, "ports": [{"port": 70000}]}]}}),
                "port",
            ),
            (json!({"isolation": {"mode": "Sometimes"}}), "spec.isolation.mode"),
            (json!({"deletionPolicy": "Burn"}), "spec.deletionPolicy"),
            (key(json!({"namespace": "elsewhere"})), "namespaces that spec.namespaces lists"),
            (key(json!({"role": "Admin"})), "role"),
            (key(json!({"name": "a.b"})), "name"),
            (key(json!({"rotateAfterSeconds": 60, "overlapSeconds": 60})), "overlapSeconds has to be less"),
            (oidc(json!({"issuer": "http://login.example"})), "issuer"),
            (oidc(json!({"issuer": "https://me@login.example"})), "issuer"),
            (oidc(json!({"roles": []})), "roles"),
            (oidc(json!({"roles": [{"value": "a", "role": "Platform"}]})), "role"),
        ];
        for (more, expected) in cases {
            let error =
                try_create(&client, &name, &more).await.expect_err(&format!("accepted: {more}")).to_string();
            assert!(error.contains(expected), "{more}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_says_little_gets_what_is_safe() {
    in_namespace("tenant", |client, name| async move {
        let opened = json!({"peer": {"namespace": "x"}, "ports": [{"port": 1}]});
        let more = json!({"isolation": {"egress": [opened]}});
        let made = try_create(&client, &name, &more).await.unwrap();
        let spec = made.data["spec"].clone();
        assert_eq!((&spec["deletionPolicy"], &spec["suspend"]), (&json!("WhenEmpty"), &json!(false)));
        assert_eq!(spec["isolation"]["mode"], "DefaultDeny");
        assert_eq!(spec["isolation"]["egress"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(spec["access"]["defaultRole"], "Viewer");
        // Not dry: the object can be made, and goes without anybody having looked at it.
        tenants(&client).create(&PostParams::default(), &tenant(&name, &json!({}))).await.unwrap();
        tenants(&client).delete(&name, &DeleteParams::default()).await.unwrap();
    })
    .await;
}
