//! Who may talk to whom: pods of a tenant reach each other, DNS and the engine, and nobody else in either direction unless
//! the Tenant opens it. On a cluster that does not enforce NetworkPolicies these tests fail.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use payplane_e2e::cluster::{apply, wait_for, within};
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};
use tokio::process::Command;

/// Longer than a policy takes to be in force, so that a wrong answer stays wrong.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A web server that can also ask others, and its address.
async fn pod(tenant: &TestTenant, namespace: &str) -> String {
    let image = std::env::var("TOOLBOX_IMAGE").expect("TOOLBOX_IMAGE is not set: source images.env");
    let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), namespace);
    let manifest = json!({"metadata": {"labels": {"app": "web"}}, "spec": {
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "web",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"],
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
            "volumeMounts": [{"name": "www", "mountPath": "/www"}],
        }],
        "volumes": [{"name": "www", "emptyDir": {}}],
    }});
    apply(&pods, "web", manifest).await;
    let ready = wait_for(&pods, "web", "became ready", |pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    })
    .await;
    ready.status.unwrap().pod_ip.unwrap()
}

/// Whether the web pod of a namespace gets an answer from this address.
async fn reaches(namespace: &str, address: &str) -> bool {
    let ask = format!("timeout 2 wget -qO- http://{address}:8080");
    let output = Command::new("kubectl")
        .args(["exec", "-n", namespace, "web", "--", "sh", "-c", &ask])
        .output()
        .await
        .expect("kubectl did not run");
    output.status.success()
}

/// Asks until the answer is this one, or patience ends.
async fn comes_to(namespace: &str, address: &str, expected: bool) -> bool {
    within(PATIENCE, async { while reaches(namespace, address).await != expected {} }).await.is_some()
}

fn opening(namespace: &str) -> Value {
    json!([{"peer": {"namespace": namespace, "pods": {"app": "web"}}, "ports": [{"port": 8080}]}])
}

#[tokio::test]
async fn pods_reach_their_own_tenant_and_nobody_else_unless_it_is_opened() {
    let client = client().await;
    let tenant = TestTenant::with(&client, "isolated", json!({"deletionPolicy": "Retain"})).await;
    // A namespace that belongs to nobody, and that nothing is denied to.
    let outside = format!("{}-outside", tenant.name);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    apply(&namespaces, &outside, json!({})).await;
    let (inner, outer) = (pod(&tenant, &tenant.name).await, pod(&tenant, &outside).await);

    // Probes of the node pass, or the pod would not be ready; so do the engine and DNS, by which it is found.
    tenant.wallet("alice").await;
    tenant.client_pod().await;
    assert_eq!(tenant.balance("alice").await["available"], "0.00");
    let client_pod: Api<Pod> = Api::namespaced(client.clone(), &tenant.name);
    let of_the_client = client_pod.get("client").await.unwrap();
    assert_eq!(of_the_client.name_any(), "client");

    assert!(reaches(&outside, &outer).await, "where nothing is denied everything passes");
    assert!(reaches(&tenant.name, &inner).await, "a tenant's pods reach each other");
    assert!(comes_to(&tenant.name, &outer, false).await, "out of the tenant");
    assert!(comes_to(&outside, &inner, false).await, "into the tenant");

    // One way is opened, and the other stays closed.
    tenant.reapply(json!({"deletionPolicy": "Retain", "isolation": {"egress": opening(&outside)}})).await;
    assert!(comes_to(&tenant.name, &outer, true).await, "opened: out of the tenant");
    assert!(!reaches(&outside, &inner).await, "not opened: into the tenant");
    tenant.reapply(json!({"deletionPolicy": "Retain", "isolation": {"ingress": opening(&outside)}})).await;
    assert!(comes_to(&outside, &inner, true).await, "opened: into the tenant");
    assert!(comes_to(&tenant.name, &outer, false).await, "no longer opened: out of the tenant");

    // Who isolates by other means says so.
    tenant.reapply(json!({"deletionPolicy": "Retain", "isolation": {"mode": "None"}})).await;
    assert!(comes_to(&tenant.name, &outer, true).await, "nothing is denied any more");
    namespaces.delete(&outside, &DeleteParams::default()).await.unwrap();
    tenant.clean_up().await;
}
