//! Fees and labels of payments: paid together with the amount or not at all, and found again.

use payplane_crds::PaymentState;
use payplane_e2e::cluster::{apply, delete};
use payplane_e2e::tenant::{example, payment};
use serde_json::{Value, json};

use crate::holds::funded;

fn with_fee(amount: &str, fee: &str) -> Value {
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), amount);
    manifest["spec"]["metadata"] = json!({"order": "7"});
    manifest["spec"]["fees"] = json!([{"to": {"name": "agent"}, "amount": fee, "reference": "commission"}]);
    manifest
}

#[tokio::test]
async fn amount_and_fees_move_together_or_not_at_all_and_once() {
    let tenant = funded("fees").await;
    tenant.wallet("agent").await;
    apply(&tenant.payments(), "order", with_fee("60.00", "1.50")).await;
    let status = tenant.settled("order").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    assert_eq!(status.fees[0].amount, "1.50");
    assert_eq!(status.available_after.as_ref().unwrap().from, "38.50");
    let first = status;

    // Enough for the amount, not for the fee.
    apply(&tenant.payments(), "short", with_fee("38.50", "0.01")).await;
    let status = tenant.settled("short").await.status.unwrap();
    let refusal = status.refusal.unwrap();
    assert_eq!((&*refusal.reason, &*refusal.field), ("InsufficientFunds", "fees[0]"));
    assert!(status.fees.is_empty());
    assert_eq!(tenant.balance("alice").await["available"], "38.50");

    delete(&tenant.payments(), "order").await;
    apply(&tenant.payments(), "order", with_fee("60.00", "1.50")).await;
    let again = tenant.settled("order").await.status.unwrap();
    assert_eq!((again.payment_id, again.fees), (first.payment_id, first.fees));
    for (wallet, available) in [("alice", "38.50"), ("bob", "60.00"), ("agent", "1.50")] {
        assert_eq!(tenant.balance(wallet).await["available"], available, "{wallet}");
    }
    let request = json!({"metadata": {"order": "7"}});
    let found = tenant.call("payment_service.proto", "PaymentService/ListPayments", &request).await.unwrap();
    assert_eq!(found["payments"].as_array().unwrap().len(), 2, "the payment and its fee");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_example_of_fees_pays_three_wallets() {
    let tenant = funded("fees-example").await;
    let text = include_str!("../../../examples/fees/payment.yaml");
    for wallet in ["treasury", "payroll"] {
        tenant.wallet(wallet).await;
    }
    let wallets = include_str!("../../../examples/fees/wallets.yaml");
    for manifest in serde_saphyr::from_multiple::<Value>(wallets).unwrap() {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let spec = json!({"spec": manifest["spec"]});
        apply(&tenant.wallets(), &name, spec).await;
    }
    tenant.fund("treasury", "124.80").await;
    apply(&tenant.payments(), "order-7", json!({"spec": example(text)["spec"]})).await;
    let status = tenant.settled("order-7").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    for (wallet, available) in
        [("treasury", "0.00"), ("payroll", "120.00"), ("marketplace", "3.60"), ("agent", "1.20")]
    {
        assert_eq!(tenant.balance(wallet).await["available"], available, "{wallet}");
    }
    tenant.clean_up().await;
}
