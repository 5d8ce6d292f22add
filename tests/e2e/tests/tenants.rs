//! Tenants from their first day to their last: what they get, what is repaired, suspension, and how they go.

use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use payplane_crds::{PaymentState, Tenant};
use payplane_e2e::cluster::{apply, condition, is_true, wait_for, wait_gone, within};
use payplane_e2e::tenant::{example, payment};
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};
use tokio::process::Command;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

fn conditions(tenant: &Tenant) -> Option<&[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]> {
    tenant.status.as_ref().map(|status| status.conditions.as_slice())
}

/// The example's spec without what names its Platform and its namespaces.
fn example_spec() -> Value {
    let mut spec = example(include_str!("../../../examples/tenants/onboarding.yaml"))["spec"].clone();
    let fields = spec.as_object_mut().unwrap();
    for own in ["platformRef", "namespaces"] {
        fields.remove(own);
    }
    fields.insert("deletionPolicy".into(), "Retain".into());
    spec
}

/// Whether a member of this group may do this in the tenant's namespace. The resource may have a subresource.
async fn may(tenant: &TestTenant, group: &str, verb: &str, resource: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let output = Command::new("kubectl")
        .args(["auth", "can-i", verb, resource, "--subresource", subresource, "-n", &tenant.name])
        .args(["--as", "somebody", "--as-group", group])
        .output()
        .await
        .expect("kubectl did not run");
    output.status.success()
}

#[tokio::test]
async fn one_object_gives_a_tenant_its_access_its_quota_and_its_isolation() {
    let tenant = TestTenant::with(&client().await, "onboard", example_spec()).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let hard = quotas.get("payplane").await.unwrap().spec.unwrap().hard.unwrap();
    assert_eq!(hard["requests.cpu"].0, "4");
    // The quota admits a pod that names no resources, because of the defaults that come with it.
    tenant.client_pod().await;

    let cases = [
        ("globex-support", "list", "payments.payplane.io", true),
        ("globex-support", "create", "payments.payplane.io", false),
        ("globex-payments", "create", "payments.payplane.io", true),
        ("globex-payments", "create", "timeoutpolicies.payplane.io", false),
        ("globex-controllers", "list", "refunds.payplane.io", true),
        ("globex-leads", "create", "timeoutpolicies.payplane.io", true),
        ("globex-leads", "create", "payments.payplane.io/settlement", false),
        ("globex-leads", "create", "rolebindings", false),
        ("nobody", "list", "payments.payplane.io", false),
    ];
    for (group, verb, resource, expected) in cases {
        assert_eq!(may(&tenant, group, verb, resource).await, expected, "{group} {verb} {resource}");
    }
    tenant.clean_up().await;
}

#[tokio::test]
async fn what_somebody_changes_comes_back_and_what_is_not_ours_stays() {
    let tenant = TestTenant::with(&client().await, "drift", example_spec()).await;
    let policies: Api<NetworkPolicy> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let bindings: Api<RoleBinding> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let quotas: Api<ResourceQuota> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let theirs = json!({"spec": {"podSelector": {"matchLabels": {"app": "theirs"}}}});
    apply(&policies, "theirs", theirs).await;

    let gone = policies.get("payplane-default-deny").await.unwrap().uid();
    policies.delete("payplane-default-deny", &DeleteParams::default()).await.unwrap();
    wait_for(&policies, "payplane-default-deny", "came back", |policy| policy.uid() != gone).await;
    let more = Patch::Merge(json!({"spec": {"hard": {"pods": "5000"}}}));
    quotas.patch("payplane", &PatchParams::default(), &more).await.unwrap();
    wait_for(&quotas, "payplane", "was repaired", |quota| {
        quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()).is_some_and(|hard| hard["pods"].0 == "50")
    })
    .await;

    // What is no longer asked for goes, what has the name and not our labels stays.
    tenant.reapply(json!({"deletionPolicy": "Retain", "groups": {"viewers": ["globex-support"]}})).await;
    wait_gone(&bindings, "payplane-edit").await;
    wait_gone(&quotas, "payplane").await;
    wait_gone(&policies, "payplane-openings").await;
    assert!(bindings.get("payplane-view").await.is_ok());
    apply(&quotas, "payplane", json!({"spec": {"hard": {"pods": "7"}}})).await;
    tenant.reapply(json!({"deletionPolicy": "Retain"})).await;
    wait_gone(&bindings, "payplane-view").await;
    assert!(quotas.get("payplane").await.is_ok(), "a quota that we did not make");
    assert!(policies.get("theirs").await.is_ok(), "a policy that we did not make");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_suspended_tenant_pays_nothing_and_can_be_resumed() {
    let tenant = TestTenant::new(&client().await, "suspend").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;

    let suspended = tenant.reapply(json!({"deletionPolicy": "Retain", "suspend": true})).await;
    assert!(is_true(conditions(&suspended), "Suspended"));
    tenant.pay("refused", "alice", "bob", "1.00").await;
    let status = tenant.settled("refused").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Failed);
    assert_eq!(status.refusal.unwrap().reason, "TenantSuspended");
    tenant.fund("bob", "5.00").await;
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], "5.00", "money comes in, and may be looked at");

    let resumed = tenant.reapply(json!({"deletionPolicy": "Retain"})).await;
    assert!(!is_true(conditions(&resumed), "Suspended"));
    tenant.pay("paid", "alice", "bob", "1.00").await;
    assert_eq!(tenant.settled("paid").await.status.unwrap().state, PaymentState::Completed);
    tenant.clean_up().await;
}

/// Waits until the engine refuses the token of the client pod.
async fn is_locked_out(tenant: &TestTenant) -> bool {
    let refused = async {
        loop {
            let answer = tenant.call("wallet_service.proto", "WalletService/ListWallets", &json!({})).await;
            if answer.is_err_and(|error| error.contains("PermissionDenied")) {
                return;
            }
        }
    };
    within(PATIENCE, refused).await.is_some()
}

#[tokio::test]
async fn a_deleted_tenant_waits_for_its_money_and_then_nobody_may_act_for_it() {
    let tenant =
        TestTenant::with(&client().await, "offboard", json!({"groups": {"viewers": ["them"]}})).await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    tenant.client_pod().await;

    tenant.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
    let waiting = wait_for(&tenant.tenants(), &tenant.name, "said what it waits for", |tenant| {
        is_true(conditions(tenant), "Offboarding")
    })
    .await;
    let offboarding = condition(conditions(&waiting), "Offboarding").unwrap();
    assert_eq!(offboarding.reason, "NotEmpty");
    assert!(offboarding.message.contains("1 accounts with money"), "{}", offboarding.message);
    assert!(offboarding.message.contains("payplane.io/let-go=true"), "{}", offboarding.message);

    // It works as long as it waits, so that the money can go.
    let out = payment(json!({"name": "alice"}), json!({"settlement": true}), "10.00");
    apply(&tenant.payments(), "out", out).await;
    assert_eq!(tenant.settled("out").await.status.unwrap().state, PaymentState::Completed);
    wait_gone(&tenant.tenants(), &tenant.name).await;
    assert!(is_locked_out(&tenant).await, "tokens of the namespace are still accepted");
    let bindings: Api<RoleBinding> = Api::namespaced(tenant.client.clone(), &tenant.name);
    assert!(bindings.get_opt("payplane-view").await.unwrap().is_none());
    let namespaces: Api<Namespace> = Api::all(tenant.client.clone());
    assert!(namespaces.get(&tenant.name).await.is_ok(), "a namespace is never deleted");
    namespaces.delete(&tenant.name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn an_archived_tenant_keeps_its_money_and_finds_it_again() {
    let tenant = TestTenant::with(&client().await, "archive", json!({"deletionPolicy": "Archive"})).await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    tenant.client_pod().await;
    tenant.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
    wait_gone(&tenant.tenants(), &tenant.name).await;
    assert!(is_locked_out(&tenant).await, "tokens of the namespace are still accepted");

    tenant.reapply(json!({"deletionPolicy": "Retain"})).await;
    assert_eq!(tenant.wallet("alice").await.status.unwrap().available.as_deref(), Some("10.00"));
    tenant.clean_up().await;
}

#[tokio::test]
async fn an_annotation_lets_a_tenant_go() {
    let tenant = TestTenant::with(&client().await, "let-go", json!({})).await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    tenant.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
    wait_for(&tenant.tenants(), &tenant.name, "waited", |tenant| is_true(conditions(tenant), "Offboarding"))
        .await;
    let go = Patch::Merge(json!({"metadata": {"annotations": {"payplane.io/let-go": "true"}}}));
    tenant.tenants().patch(&tenant.name, &PatchParams::default(), &go).await.unwrap();
    wait_gone(&tenant.tenants(), &tenant.name).await;
    let namespaces: Api<Namespace> = Api::all(tenant.client.clone());
    namespaces.delete(&tenant.name, &DeleteParams::default()).await.unwrap();
}
