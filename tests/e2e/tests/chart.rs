//! The installed chart: its own check passes, installing it again restarts nothing, and treasury is a right of its own.

use std::process::Output;

use kube::ResourceExt;
use payplane_e2e::chart::{helm, upgrade};
use payplane_e2e::cluster::pods;
use payplane_e2e::{TestTenant, client};
use tokio::process::Command;

#[tokio::test]
async fn the_charts_own_check_passes() {
    let output = helm(&["test", "payplane", "--timeout", "2m"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn installing_the_same_again_restarts_nothing() {
    let client = client().await;
    payplane_e2e::platform(&client).await;
    let running = || async {
        let mut all: Vec<_> = pods(&client, "").await.iter().map(|pod| (pod.name_any(), pod.uid())).collect();
        all.sort();
        all
    };
    let before = running().await;
    assert!(before.len() >= 4, "operator, engines and database run: {before:?}");
    upgrade(&[]).await;
    assert_eq!(running().await, before);
}

#[tokio::test]
async fn bringing_money_in_needs_the_treasury_role() {
    let tenant = TestTenant::new(&client().await, "rights").await;
    tenant.wallet("alice").await;
    let manifest = serde_json::json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "Payment",
        "metadata": {"name": "mint", "namespace": tenant.name},
        "spec": {"from": {"settlement": true}, "to": {"name": "alice"}, "amount": "1.00", "currency": "USD"},
    });
    // An editor of the namespace may pay, but not bring money in.
    grant(&tenant.name, "editor", "edit").await;
    let refused = create_as(&tenant.name, "editor", &manifest).await;
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("payplane-treasury"), "{message}");

    // Nor by giving a payout back, nor may an editor set rules for all of the tenant's money.
    let object = |kind: &str, spec: serde_json::Value| {
        let metadata = serde_json::json!({"name": "sly", "namespace": tenant.name});
        serde_json::json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
        })
    };
    let refund = object("Refund", serde_json::json!({"payment": {"name": "payout"}, "settlement": true}));
    let refused = create_as(&tenant.name, "editor", &refund).await;
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("payplane-treasury"), "{message}");
    let rule = serde_json::json!({"scope": {"tenant": true}, "timeoutSeconds": 1});
    let refused = create_as(&tenant.name, "editor", &object("TimeoutPolicy", rule)).await;
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && message.contains("forbidden"), "{message}");

    grant(&tenant.name, "treasurer", "payplane-treasury").await;
    let accepted = create_as(&tenant.name, "treasurer", &manifest).await;
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    tenant.settled("mint").await;
    tenant.clean_up().await;
}

async fn grant(namespace: &str, user: &str, role: &str) {
    let arguments = ["create", "rolebinding", user, "-n", namespace, "--clusterrole", role, "--user", user];
    let output = Command::new("kubectl").args(arguments).output().await.expect("kubectl did not run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn create_as(namespace: &str, user: &str, manifest: &serde_json::Value) -> Output {
    use tokio::io::AsyncWriteExt;
    let mut child = Command::new("kubectl")
        .args(["create", "-n", namespace, "--as", user, "-f", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("kubectl did not run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(manifest.to_string().as_bytes()).await.expect("kubectl reads its input");
    drop(stdin);
    child.wait_with_output().await.expect("kubectl did not end")
}
