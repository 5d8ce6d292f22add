//! Money that goes back: never more than moved, once, with approval where it is asked for, and never around the treasury.

use payplane_crds::{Refund, RefundState};
use payplane_e2e::TestTenant;
use payplane_e2e::cluster::{apply, condition, delete, is_true, wait_for};
use payplane_e2e::tenant::payment;
use serde_json::{Value, json};

use crate::holds::funded;

/// Waits until nothing more will happen to the refund.
pub async fn settled_refund(tenant: &TestTenant, name: &str) -> Refund {
    wait_for(&tenant.refunds(), name, "settled", |refund| {
        is_true(refund.status.as_ref().map(|status| status.conditions.as_slice()), "Settled")
    })
    .await
}

/// Manifest of a refund of all that is left, or of this many dollars.
pub fn refund(payment: &str, amount: Option<&str>) -> Value {
    let mut manifest = json!({"spec": {"payment": {"name": payment}}});
    if let Some(amount) = amount {
        manifest["spec"]["amount"] = amount.into();
        manifest["spec"]["currency"] = "USD".into();
    }
    manifest
}

#[tokio::test]
async fn refunds_wait_for_their_payment_and_never_exceed_what_moved() {
    let tenant = funded("refunds").await;
    apply(&tenant.refunds(), "early", refund("lunch", Some("30.00"))).await;
    let waiting = wait_for(&tenant.refunds(), "early", "said what it waits for", |refund| {
        let conditions = refund.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Ready").is_some_and(|ready| ready.reason == "PaymentNotFound")
    })
    .await;
    assert_eq!(waiting.status.unwrap().state, RefundState::New);

    tenant.pay("lunch", "alice", "bob", "40.00").await;
    let status = settled_refund(&tenant, "early").await.status.unwrap();
    assert_eq!(status.state, RefundState::Completed);
    let after = status.available_after.unwrap();
    assert_eq!((after.from.as_str(), after.to.as_str()), ("10.00", "90.00"));

    apply(&tenant.refunds(), "too-much", refund("lunch", Some("10.01"))).await;
    let status = settled_refund(&tenant, "too-much").await.status.unwrap();
    assert_eq!(status.state, RefundState::Failed);
    assert_eq!(status.refusal.unwrap().reason, "RefundExceedsCaptured");

    // Deleted and applied again, it gives back once.
    delete(&tenant.refunds(), "early").await;
    apply(&tenant.refunds(), "early", refund("lunch", Some("30.00"))).await;
    let again = settled_refund(&tenant, "early").await.status.unwrap();
    assert!(is_true(Some(&again.conditions), "Replayed"));
    assert_eq!(tenant.balance("alice").await["available"], "90.00");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_refund_that_needs_approval_waits_for_somebody_else() {
    let tenant = funded("approval").await;
    let limit = json!({
        "scope": {"tenant": {}},
        "settings": [{"name": "PARAMETER_NAME_REFUND_APPROVAL_FROM", "amount": {"amount": "5.00", "currency": "USD"}}],
    });
    tenant.call("settings_service.proto", "SettingsService/PutSettings", &limit).await.unwrap();
    tenant.pay("lunch", "alice", "bob", "40.00").await;
    tenant.settled("lunch").await;

    for (name, method, state, approved) in [
        ("good", "ApproveRefund", RefundState::Completed, "True"),
        ("bad", "RejectRefund", RefundState::Rejected, "False"),
    ] {
        apply(&tenant.refunds(), name, refund("lunch", Some("10.00"))).await;
        let waiting = wait_for(&tenant.refunds(), name, "waited for approval", |refund| {
            refund.status.as_ref().is_some_and(|status| status.state == RefundState::Requested)
        })
        .await;
        let id = waiting.status.unwrap().refund_id.unwrap();
        let request = json!({"idempotency_key": format!("decide-{name}"), "refund_id": id});
        let method = format!("PaymentService/{method}");
        tenant.call("payment_service.proto", &method, &request).await.unwrap();
        let status = settled_refund(&tenant, name).await.status.unwrap();
        assert_eq!(status.state, state);
        assert_eq!(condition(Some(&status.conditions), "Approved").unwrap().status, approved);
        assert!(status.approver.unwrap().contains(&tenant.name), "a ServiceAccount of the tenant");
    }
    assert_eq!(tenant.balance("alice").await["available"], "70.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn money_comes_in_only_where_that_is_said_by_whatever_way() {
    let tenant = funded("ways-in").await;
    let manifest = payment(json!({"name": "alice"}), json!({"settlement": true}), "60.00");
    apply(&tenant.payments(), "payout", manifest).await;
    tenant.settled("payout").await;

    // Giving a payout back without saying that this brings money in.
    apply(&tenant.refunds(), "sly", refund("payout", None)).await;
    let status = settled_refund(&tenant, "sly").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().reason, "TreasuryRequired");

    // Naming the settlement account by its id, which is no secret.
    let request = json!({"wallet": {"settlement": {}}, "currency": "USD"});
    let found = tenant.call("wallet_service.proto", "WalletService/GetWallet", &request).await.unwrap();
    let manifest = payment(json!({"id": found["wallet"]["id"]}), json!({"name": "bob"}), "1.00");
    apply(&tenant.payments(), "by-id", manifest).await;
    let status = tenant.settled("by-id").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().field, "from.id");
    assert_eq!(tenant.balance("bob").await["available"], "0.00");

    let mut openly = refund("payout", None);
    openly["spec"]["settlement"] = true.into();
    apply(&tenant.refunds(), "openly", openly).await;
    assert_eq!(settled_refund(&tenant, "openly").await.status.unwrap().state, RefundState::Completed);
    assert_eq!(tenant.balance("alice").await["available"], "100.00");
    tenant.clean_up().await;
}
