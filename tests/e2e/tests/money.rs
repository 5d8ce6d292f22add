//! Money moves as asked, and both sides tell the same story.

use payplane_crds::PaymentState;
use payplane_e2e::cluster::{apply, condition, wait_for};
use payplane_e2e::tenant::payment;
use payplane_e2e::{TestTenant, client};
use serde_json::json;

#[tokio::test]
async fn a_payment_moves_money_and_the_ledger_agrees() {
    let tenant = TestTenant::new(&client().await, "money").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100.00").await;
    tenant.pay("lunch", "alice", "bob", "12.34").await;

    let status = tenant.settled("lunch").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    let after = status.available_after.unwrap();
    assert_eq!((after.from.as_str(), after.to.as_str()), ("87.66", "12.34"));

    // The objects follow by themselves.
    for (name, available) in [("alice", "87.66"), ("bob", "12.34")] {
        wait_for(&tenant.wallets(), name, "showed its balance", |wallet| {
            wallet.status.as_ref().and_then(|status| status.available.as_deref()) == Some(available)
        })
        .await;
    }
    tenant.client_pod().await;
    assert_eq!(tenant.balance("alice").await["available"], "87.66");
    assert_eq!(tenant.balance("bob").await["available"], "12.34");
    assert_eq!(tenant.assert_books_balance().await, 2);
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_payment_of_more_than_there_is_is_refused_for_good() {
    let tenant = TestTenant::new(&client().await, "refused").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;
    tenant.pay("too-much", "alice", "bob", "10.01").await;

    let status = tenant.settled("too-much").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Failed);
    let refusal = status.refusal.unwrap();
    assert_eq!((refusal.reason.as_str(), refusal.field.as_str()), ("InsufficientFunds", "from"));
    let succeeded = condition(Some(&status.conditions), "Succeeded").unwrap();
    assert_eq!((succeeded.status.as_str(), succeeded.reason.as_str()), ("False", "InsufficientFunds"));
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_settlement_cap_of_the_tenant_holds() {
    let tenant = TestTenant::new(&client().await, "cap").await;
    tenant.wallet("alice").await;
    let manifest = payment(json!({"settlement": true}), json!({"name": "alice"}), "1000000.01");
    apply(&tenant.payments(), "beyond", manifest).await;

    let status = tenant.settled("beyond").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().reason, "SettlementCapExceeded");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_payment_waits_for_its_wallets_and_says_so() {
    let tenant = TestTenant::new(&client().await, "waits").await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    tenant.pay("early", "alice", "bob", "1.00").await;

    let waiting = wait_for(&tenant.payments(), "early", "said what it waits for", |payment| {
        let conditions = payment.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Ready").is_some_and(|ready| ready.reason == "WalletNotFound")
    })
    .await;
    assert_eq!(waiting.status.unwrap().state, PaymentState::New);

    tenant.wallet("bob").await;
    assert_eq!(tenant.settled("early").await.status.unwrap().state, PaymentState::Completed);
    tenant.clean_up().await;
}

#[tokio::test]
async fn another_tenants_wallet_looks_like_none() {
    let client = client().await;
    let victim = TestTenant::new(&client, "victim").await;
    let thief = TestTenant::new(&client, "thief").await;
    let theirs = victim.wallet("vault").await.status.unwrap().wallet_id.unwrap();
    victim.fund("vault", "50.00").await;
    thief.wallet("loot").await;
    thief.client_pod().await;

    let request = |id: &str| json!({"wallet": {"id": id}});
    let method = "WalletService/GetWallet";
    let foreign = thief.call("wallet_service.proto", method, &request(&theirs)).await.unwrap_err();
    let absent = uuid::Uuid::new_v4().to_string();
    let absent = thief.call("wallet_service.proto", method, &request(&absent)).await.unwrap_err();
    assert!(absent.contains("NotFound"), "{absent}");
    assert_eq!(foreign, absent);

    let manifest = payment(json!({"id": theirs}), json!({"name": "loot"}), "1.00");
    apply(&thief.payments(), "theft", manifest).await;
    wait_for(&thief.payments(), "theft", "said that there is no such wallet", |payment| {
        let conditions = payment.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Ready").is_some_and(|ready| ready.reason == "WalletNotFound")
    })
    .await;
    victim.client_pod().await;
    assert_eq!(victim.balance("vault").await["available"], "50.00");
    victim.clean_up().await;
    thief.clean_up().await;
}
