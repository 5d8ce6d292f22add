//! Four eyes: who asks never decides, whoever decides says what was read, and the ledger keeps both names.

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Config};
use payplane_crds::{Approval, ApprovalState, Refund, RefundState};
use payplane_e2e::TestTenant;
use payplane_e2e::cluster::{apply, condition, delete, is_true, try_apply, wait_for};
use payplane_e2e::tenant::example;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::holds::funded;
use crate::refunds::{refund, settled_refund};

/// The cluster as somebody else sees it.
pub async fn as_user(user: &str) -> Client {
    let mut config = Config::infer().await.unwrap();
    config.auth_info.impersonate = Some(user.into());
    Client::try_from(config).unwrap()
}

/// Gives a user one of the chart's roles in the tenant's namespace.
pub async fn grant(tenant: &TestTenant, role: &str, user: &str) {
    let bindings: Api<k8s_openapi::api::rbac::v1::RoleBinding> =
        Api::namespaced(tenant.client.clone(), &tenant.name);
    let manifest = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    apply(&bindings, &format!("{user}-{role}"), manifest).await;
}

/// A tenant where refunds of five dollars or more wait, and Alice paid Bob forty. Ada works, Bea and Cleo approve.
async fn tenant(label: &str) -> TestTenant {
    let tenant = funded(label).await;
    let limit = json!({
        "scope": {"tenant": {}},
        "settings": [{"name": "PARAMETER_NAME_REFUND_APPROVAL_FROM", "amount": {"amount": "5.00", "currency": "USD"}}],
    });
    tenant.call("settings_service.proto", "SettingsService/PutSettings", &limit).await.unwrap();
    tenant.pay("lunch", "alice", "bob", "40.00").await;
    tenant.settled("lunch").await;
    for (role, user) in [
        ("payplane-edit", "ada"),
        ("payplane-approve", "ada"),
        ("payplane-approve", "bea"),
        ("payplane-approve", "cleo"),
    ] {
        grant(&tenant, role, user).await;
    }
    tenant
}

pub async fn approvals(tenant: &TestTenant, user: &str) -> Api<Approval> {
    Api::namespaced(as_user(user).await, &tenant.name)
}

fn approval(refund: &str, hash: &str, approver: &str) -> Value {
    json!({"spec": {"approves": {"kind": "Refund", "name": refund}, "bodyHash": hash, "approver": approver}})
}

/// Ada asks for ten dollars back; gives the hash to approve.
async fn ask(tenant: &TestTenant, name: &str) -> String {
    let refunds: Api<Refund> = Api::namespaced(as_user("ada").await, &tenant.name);
    let mut manifest = refund("lunch", Some("10.00"));
    manifest["spec"]["requestedBy"] = "ada".into();
    apply(&refunds, name, manifest).await;
    let waiting = wait_for(&tenant.refunds(), name, "waited for approval", |refund| {
        refund.status.as_ref().is_some_and(|status| status.state == RefundState::Requested)
    })
    .await;
    let status = waiting.status.unwrap();
    let approved = condition(Some(&status.conditions), "Approved").unwrap();
    assert_eq!((&*approved.status, &*approved.reason), ("False", "ApprovalRequired"));
    status.body_hash.unwrap()
}

/// Waits until nothing more will happen to the approval; gives its state and why.
pub async fn settled(tenant: &TestTenant, name: &str) -> (ApprovalState, String) {
    let approvals: Api<Approval> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let found = wait_for(&approvals, name, "settled", |approval| {
        is_true(approval.status.as_ref().map(|status| status.conditions.as_slice()), "Settled")
    })
    .await;
    let status = found.status.unwrap();
    let ready = condition(Some(&status.conditions), "Ready").unwrap();
    (status.state, ready.reason.clone())
}

#[tokio::test]
async fn only_somebody_else_who_says_what_was_read_moves_the_money() {
    let tenant = tenant("four-eyes").await;
    let refunds: Api<Refund> = Api::namespaced(as_user("ada").await, &tenant.name);
    let mut forged = refund("lunch", Some("10.00"));
    forged["spec"]["requestedBy"] = "bea".into();
    let error = try_apply(&refunds, "forged", forged).await.unwrap_err().to_string();
    assert!(error.contains("spec.requestedBy must be the user"), "{error}");

    let hash = ask(&tenant, "back").await;
    let (ada, bea) = (approvals(&tenant, "ada").await, approvals(&tenant, "bea").await);
    let error = try_apply(&bea, "forged", approval("back", &hash, "cleo")).await.unwrap_err().to_string();
    assert!(error.contains("spec.approver must be the user"), "{error}");

    let other = format!("sha256:{}", "0".repeat(64));
    let mut late = approval("back", &hash, "bea");
    late["spec"]["expiresAt"] = "2026-01-01T00:00:00Z".into();
    for (name, user, manifest, reason) in [
        ("own", &ada, approval("back", &hash, "ada"), "ApproverIsRequester"),
        ("unread", &bea, approval("back", &other, "bea"), "BodyHashMismatch"),
        ("late", &bea, late, "ApprovalExpired"),
    ] {
        apply(user, name, manifest).await;
        assert_eq!(settled(&tenant, name).await, (ApprovalState::Refused, reason.into()), "{name}");
    }
    assert_eq!(tenant.balance("alice").await["available"], "60.00", "nothing moved");

    apply(&bea, "yes", approval("back", &hash, "bea")).await;
    assert_eq!(settled(&tenant, "yes").await, (ApprovalState::Applied, "Approved".into()));
    let status = settled_refund(&tenant, "back").await.status.unwrap();
    assert_eq!((status.state, status.approver.as_deref()), (RefundState::Completed, Some("bea")));
    assert_eq!(tenant.balance("alice").await["available"], "70.00");
    let request = json!({"id": status.refund_id});
    let found = tenant.call("payment_service.proto", "PaymentService/GetRefund", &request).await.unwrap();
    let kept = &found["outcome"]["refund"];
    assert_eq!((&kept["requester"], &kept["approver"]), (&json!("ada"), &json!("bea")));

    apply(&approvals(&tenant, "cleo").await, "too-late", approval("back", &hash, "cleo")).await;
    assert_eq!(settled(&tenant, "too-late").await, (ApprovalState::Refused, "AlreadyDecided".into()));

    // Deleted and applied again, both say the same, and nothing moves again.
    delete(&approvals_of(&tenant), "yes").await;
    apply(&bea, "yes", approval("back", &hash, "bea")).await;
    assert_eq!(settled(&tenant, "yes").await, (ApprovalState::Applied, "Approved".into()));
    assert_eq!(tenant.balance("alice").await["available"], "70.00");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

fn approvals_of(tenant: &TestTenant) -> Api<Approval> {
    Api::namespaced(tenant.client.clone(), &tenant.name)
}

#[tokio::test]
async fn an_approval_may_come_first_and_a_rejection_moves_nothing() {
    let tenant = tenant("early").await;
    let bea = approvals(&tenant, "bea").await;
    let hash = ask(&tenant, "back").await;
    delete(&tenant.refunds(), "back").await;
    apply(&bea, "yes", approval("back", &hash, "bea")).await;
    wait_for(&approvals_of(&tenant), "yes", "waited for the refund", |approval| {
        let conditions = approval.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Ready").is_some_and(|ready| ready.reason == "RefundNotFound")
    })
    .await;
    let mut again = refund("lunch", Some("10.00"));
    again["spec"]["requestedBy"] = "ada".into();
    apply(&Api::<Refund>::namespaced(as_user("ada").await, &tenant.name), "back", again).await;
    assert_eq!(settled_refund(&tenant, "back").await.status.unwrap().state, RefundState::Completed);

    let hash = ask(&tenant, "no").await;
    let mut rejection = approval("no", &hash, "bea");
    rejection["spec"]["decision"] = "Reject".into();
    apply(&bea, "no", rejection).await;
    assert_eq!(settled(&tenant, "no").await, (ApprovalState::Applied, "Rejected".into()));
    let status = settled_refund(&tenant, "no").await.status.unwrap();
    assert_eq!((status.state, status.approver.as_deref()), (RefundState::Rejected, Some("bea")));
    assert_eq!(tenant.balance("alice").await["available"], "70.00");
    tenant.clean_up().await;
}

/// Ada asks without a name and then, under the same key, with hers: the ledger knows nobody as the requester.
#[tokio::test]
async fn what_nobody_is_known_to_have_asked_for_is_approved_by_no_object() {
    let tenant = tenant("nobody").await;
    let refunds: Api<Refund> = Api::namespaced(as_user("ada").await, &tenant.name);
    let mut nameless = refund("lunch", Some("10.00"));
    nameless["spec"]["idempotencyKey"] = "once".into();
    apply(&refunds, "nameless", nameless.clone()).await;
    wait_for(&tenant.refunds(), "nameless", "waited", |refund| {
        refund.status.as_ref().is_some_and(|status| status.state == RefundState::Requested)
    })
    .await;
    nameless["spec"]["requestedBy"] = "ada".into();
    apply(&refunds, "named", nameless).await;
    let named = wait_for(&tenant.refunds(), "named", "waited", |refund| {
        refund.status.as_ref().is_some_and(|status| status.state == RefundState::Requested)
    })
    .await;
    let hash = named.status.unwrap().body_hash.unwrap();
    for user in ["ada", "bea"] {
        let name = format!("by-{user}");
        apply(&approvals(&tenant, user).await, &name, approval("named", &hash, user)).await;
        assert_eq!(settled(&tenant, &name).await, (ApprovalState::Refused, "RequesterUnknown".into()));
    }
    assert_eq!(tenant.balance("alice").await["available"], "60.00");
    tenant.clean_up().await;
}

/// A status that names another refund of the tenant, which the one who approves has not read.
#[tokio::test]
async fn a_forged_status_approves_nothing_else() {
    let tenant = tenant("forged-id").await;
    let large = {
        ask(&tenant, "large").await;
        tenant.refunds().get("large").await.unwrap().status.unwrap().refund_id.unwrap()
    };
    let hash = ask(&tenant, "small").await;
    let forged = Patch::Merge(json!({"status": {"refundId": large}}));
    tenant.refunds().patch_status("small", &PatchParams::default(), &forged).await.unwrap();
    apply(&approvals(&tenant, "bea").await, "yes", approval("small", &hash, "bea")).await;
    assert_eq!(settled(&tenant, "yes").await, (ApprovalState::Applied, "Approved".into()));
    assert_eq!(settled_refund(&tenant, "small").await.status.unwrap().state, RefundState::Completed);
    let large = tenant.refunds().get("large").await.unwrap().status.unwrap();
    assert_eq!(large.state, RefundState::Requested);
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_examples_are_approved_as_the_page_says() {
    let tenant = tenant("appr-examples").await;
    tenant.pay("salaries-november", "alice", "bob", "50.00").await;
    tenant.settled("salaries-november").await;
    let here = |text: &str| {
        let mut manifest = example(text);
        manifest["metadata"]["namespace"] = tenant.name.clone().into();
        manifest
    };
    let name = "salaries-november-double";
    let refunds: Api<Refund> = Api::namespaced(as_user("ada").await, &tenant.name);
    apply(&refunds, name, here(include_str!("../../../examples/approvals/refund.yaml"))).await;
    wait_for(&tenant.refunds(), name, "waited for approval", |refund| {
        refund.status.as_ref().is_some_and(|status| status.state == RefundState::Requested)
    })
    .await;
    // Both commands of the page give the same hash; in another namespace it is another one than the example's.
    let page = include_str!("../../../docs/approvals.md");
    let commands = page.lines().map(str::trim).filter(|line| line.starts_with("kubectl get refund"));
    let mut hashes = Vec::new();
    for command in commands {
        let command = command.replace("-n acme", &format!("-n {}", tenant.name));
        let output = Command::new("sh").args(["-c", &command]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let digits = text.trim().trim_start_matches("sha256:").trim_end_matches('-').trim();
        hashes.push(format!("sha256:{digits}"));
    }
    assert_eq!(hashes.len(), 2, "{hashes:?}");
    assert_eq!(hashes[0], hashes[1]);
    let mut manifest = here(include_str!("../../../examples/approvals/approval.yaml"));
    manifest["spec"]["bodyHash"] = hashes[0].clone().into();
    apply(&approvals(&tenant, "bea").await, name, manifest).await;
    assert_eq!(settled(&tenant, name).await, (ApprovalState::Applied, "Approved".into()));
    assert_eq!(settled_refund(&tenant, name).await.status.unwrap().state, RefundState::Completed);
    tenant.clean_up().await;
}
