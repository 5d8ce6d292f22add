//! Payments that need somebody else's approval: they hold nothing while they wait, and are paid once.

use kube::api::{Api, Patch, PatchParams};
use payplane_crds::{Approval, ApprovalState, Payment, PaymentState};
use payplane_e2e::TestTenant;
use payplane_e2e::cluster::{apply, condition, delete, wait_for};
use payplane_e2e::tenant::{example, payment};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::approvals::{approvals, as_user, grant, settled};
use crate::holds::funded;

/// A tenant where payments of fifty dollars or more wait. Alice has a hundred; Ada asks, Bea and Cleo approve.
async fn tenant(label: &str) -> TestTenant {
    let tenant = funded(label).await;
    let limit = json!({
        "scope": {"tenant": {}},
        "settings": [{"name": "PARAMETER_NAME_PAYMENT_APPROVAL_FROM", "amount": {"amount": "50.00", "currency": "USD"}}],
    });
    tenant.call("settings_service.proto", "SettingsService/PutSettings", &limit).await.unwrap();
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

fn approval(payment: &str, hash: &str, approver: &str) -> Value {
    json!({"spec": {"approves": {"kind": "Payment", "name": payment}, "bodyHash": hash, "approver": approver}})
}

/// Ada asks for sixty dollars from Alice to Bob; gives the hash to approve.
async fn ask(tenant: &TestTenant, name: &str, more: Value) -> String {
    let payments: Api<Payment> = Api::namespaced(as_user("ada").await, &tenant.name);
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "60.00");
    manifest["spec"]["requestedBy"] = "ada".into();
    manifest["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    apply(&payments, name, manifest).await;
    let waiting = wait_for(&tenant.payments(), name, "waited for approval", |payment| {
        payment.status.as_ref().is_some_and(|status| status.state == PaymentState::AwaitingApproval)
    })
    .await;
    let status = waiting.status.unwrap();
    let approved = condition(Some(&status.conditions), "Approved").unwrap();
    assert_eq!((&*approved.status, &*approved.reason), ("False", "ApprovalRequired"));
    status.body_hash.unwrap()
}

#[tokio::test]
async fn a_large_payment_is_paid_once_when_somebody_else_approves_what_was_read() {
    let tenant = tenant("pay-eyes").await;
    let hash = ask(&tenant, "rent", json!({})).await;
    assert_eq!(tenant.balance("alice").await["available"], "100.00", "nothing is held");
    let bea = approvals(&tenant, "bea").await;
    let other = format!("sha256:{}", "0".repeat(64));
    for (name, user, hash, reason) in
        [("own", "ada", &hash, "ApproverIsRequester"), ("unread", "bea", &other, "BodyHashMismatch")]
    {
        apply(&approvals(&tenant, user).await, name, approval("rent", hash, user)).await;
        assert_eq!(settled(&tenant, name).await, (ApprovalState::Refused, reason.into()), "{name}");
    }
    assert_eq!(tenant.balance("alice").await["available"], "100.00", "nothing moved");

    apply(&bea, "yes", approval("rent", &hash, "bea")).await;
    assert_eq!(settled(&tenant, "yes").await, (ApprovalState::Applied, "Approved".into()));
    let status = tenant.settled("rent").await.status.unwrap();
    assert_eq!((status.state, status.approver.as_deref()), (PaymentState::Completed, Some("bea")));
    let request = json!({"id": status.payment_id});
    let found = tenant.call("payment_service.proto", "PaymentService/GetPayment", &request).await.unwrap();
    let kept = &found["outcome"]["payment"];
    assert_eq!((&kept["actor"], &kept["approver"]), (&json!("ada"), &json!("bea")));

    apply(&approvals(&tenant, "cleo").await, "late", approval("rent", &hash, "cleo")).await;
    assert_eq!(settled(&tenant, "late").await, (ApprovalState::Refused, "AlreadyDecided".into()));
    // Deleted and applied again, both say the same, and nothing moves again.
    let all: Api<Approval> = Api::namespaced(tenant.client.clone(), &tenant.name);
    delete(&all, "yes").await;
    apply(&bea, "yes", approval("rent", &hash, "bea")).await;
    assert_eq!(settled(&tenant, "yes").await, (ApprovalState::Applied, "Approved".into()));
    assert_eq!(tenant.balance("alice").await["available"], "40.00");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

#[tokio::test]
async fn over_grpc_there_is_no_way_around_it() {
    let tenant = tenant("pay-grpc").await;
    let wallet = |name: &str| json!({"name": format!("{}/{name}", tenant.name)});
    let request = json!({
        "idempotency_key": "sly", "from": wallet("alice"), "to": wallet("bob"),
        "amount": {"amount": "50.00", "currency": "USD"},
    });
    let found = tenant.call("payment_service.proto", "PaymentService/CreatePayment", &request).await.unwrap();
    assert_eq!(found["outcome"]["refusal"]["reason"], "REFUSAL_REASON_PAYMENT_APPROVAL_REQUIRED");
    let mut own = request.clone();
    own["approved_by"] = "bea".into();
    let error = tenant.call("payment_service.proto", "PaymentService/CreatePayment", &own).await.unwrap_err();
    assert!(error.to_string().contains("approved_by"), "{error}");
    assert_eq!(tenant.balance("alice").await["available"], "100.00");
    tenant.clean_up().await;
}

/// A status that says that somebody has approved.
#[tokio::test]
async fn a_forged_status_pays_nothing() {
    let tenant = tenant("pay-forged").await;
    ask(&tenant, "rent", json!({})).await;
    let forged = Patch::Merge(json!({"status": {"state": "Pending", "approver": "bea"}}));
    tenant.payments().patch_status("rent", &PatchParams::default(), &forged).await.unwrap();
    // What was forged goes with a second write.
    wait_for(&tenant.payments(), "rent", "was mended", |payment| {
        payment
            .status
            .as_ref()
            .is_some_and(|status| status.state == PaymentState::AwaitingApproval && status.approver.is_none())
    })
    .await;
    assert_eq!(tenant.balance("alice").await["available"], "100.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_tenant_can_say_that_the_pull_request_is_the_second_pair_of_eyes() {
    let tenant = tenant("pay-gitops").await;
    tenant.reapply(json!({"approval": {"mode": "PullRequest"}, "deletionPolicy": "Retain"})).await;
    tenant.pay("rent", "alice", "bob", "60.00").await;
    let status = tenant.settled("rent").await.status.unwrap();
    assert_eq!((status.state, status.approver.as_deref()), (PaymentState::Completed, Some("pull-request")));
    assert_eq!(condition(Some(&status.conditions), "Approved").unwrap().reason, "PullRequest");
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_examples_of_a_payment_are_approved_as_the_page_says() {
    let tenant = tenant("pay-examples").await;
    for wallet in ["treasury", "payroll"] {
        tenant.wallet(wallet).await;
    }
    tenant.fund("treasury", "49.00").await;
    // A payment of that much into the tenant would wait too.
    tenant.pay("more", "alice", "treasury", "11.00").await;
    tenant.settled("more").await;
    let payments: Api<Payment> = Api::namespaced(as_user("ada").await, &tenant.name);
    let text = include_str!("../../../examples/approvals/payment.yaml");
    apply(&payments, "salaries-december", json!({"spec": example(text)["spec"]})).await;
    let waiting = wait_for(&tenant.payments(), "salaries-december", "waited for approval", |payment| {
        payment.status.as_ref().is_some_and(|status| status.body_hash.is_some())
    })
    .await;
    let hash = waiting.status.unwrap().body_hash.unwrap();
    let page = include_str!("../../../docs/approvals.md");
    let command = page.lines().map(str::trim).find(|line| line.starts_with("kubectl get payment")).unwrap();
    let command = command.replace("-n acme", &format!("-n {}", tenant.name));
    let output = Command::new("sh").args(["-c", &command]).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), hash);
    let mut manifest =
        json!({"spec": example(include_str!("../../../examples/approvals/payment-approval.yaml"))["spec"]});
    // In another namespace it is another hash than the example's.
    manifest["spec"]["bodyHash"] = hash.into();
    apply(&approvals(&tenant, "bea").await, "salaries-december", manifest).await;
    assert_eq!(settled(&tenant, "salaries-december").await, (ApprovalState::Applied, "Approved".into()));
    let status = tenant.settled("salaries-december").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    tenant.clean_up().await;
}
