//! A payment is the same payment wherever and whenever it is applied: it pays once.

use payplane_crds::PaymentState;
use payplane_e2e::cluster::{apply, delete, is_true};
use payplane_e2e::tenant::{payment, payment_id};
use payplane_e2e::{TestTenant, client};
use serde_json::json;

#[tokio::test]
async fn a_payment_deleted_and_applied_again_pays_once_and_says_so() {
    let tenant = TestTenant::new(&client().await, "again").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;
    tenant.pay("once", "alice", "bob", "4.00").await;
    let first = tenant.settled("once").await;
    assert!(!is_true(first.status.as_ref().map(|status| status.conditions.as_slice()), "Replayed"));

    delete(&tenant.payments(), "once").await;
    tenant.pay("once", "alice", "bob", "4.00").await;
    let second = tenant.settled("once").await;

    assert_eq!(payment_id(&second), payment_id(&first));
    assert!(is_true(second.status.as_ref().map(|status| status.conditions.as_slice()), "Replayed"));
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], "4.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_same_key_with_another_body_is_a_conflict_that_names_the_field() {
    let tenant = TestTenant::new(&client().await, "conflict").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "4.00");
    manifest["spec"]["idempotencyKey"] = "invoice-7".into();
    apply(&tenant.payments(), "first", manifest.clone()).await;
    tenant.settled("first").await;

    manifest["spec"]["amount"] = "5.00".into();
    apply(&tenant.payments(), "second", manifest).await;
    let status = tenant.settled("second").await.status.unwrap();

    assert_eq!(status.state, PaymentState::Failed);
    let refusal = status.refusal.unwrap();
    assert_eq!(refusal.reason, "IdempotencyConflict");
    assert!(refusal.field.contains("amount"), "{refusal:?}");
    assert!(!refusal.message.contains("4.00"), "the conflict reveals the other body: {refusal:?}");
    tenant.clean_up().await;
}
