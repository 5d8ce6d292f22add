//! Wallets that change and wallets that go.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams};
use payplane_crds::wallet::WalletState;
use payplane_crds::{PaymentState, Wallet};
use payplane_e2e::cluster::{DEADLINE, apply, condition, is_true, try_apply, wait_for, wait_gone, within};
use payplane_e2e::tenant::payment;
use payplane_e2e::{TestTenant, client};
use serde_json::json;

fn conditions(wallet: &Wallet) -> Option<&[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]> {
    wallet.status.as_ref().map(|status| status.conditions.as_slice())
}

async fn becomes(tenant: &TestTenant, state: WalletState) {
    wait_for(&tenant.wallets(), "escrow", "had the state", |wallet| {
        wallet.status.as_ref().is_some_and(|status| status.state == Some(state))
    })
    .await;
}

#[tokio::test]
async fn a_wallet_is_frozen_labelled_and_bounded_by_its_spec() {
    let tenant = TestTenant::new(&client().await, "terms").await;
    tenant.wallet("bob").await;
    let manifest = tenant.here(include_str!("../../../examples/tenants/wallet.yaml"));
    apply(&tenant.wallets(), "escrow", manifest.clone()).await;
    becomes(&tenant, WalletState::FrozenDebit).await;
    tenant.fund("escrow", "10.00").await;
    tenant.pay("frozen", "escrow", "bob", "1.00").await;
    let status = tenant.settled("frozen").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().reason, "WalletFrozen");
    tenant.client_pod().await;
    let request = json!({"metadata": {"cost-center": "4711"}});
    let found = tenant.call("wallet_service.proto", "WalletService/ListWallets", &request).await.unwrap();
    assert_eq!(found["wallets"][0]["name"], format!("{}/escrow", tenant.name));

    let mut open = manifest.clone();
    open["spec"]["freeze"] = "None".into();
    open["spec"]["maximum"] = "20.00".into();
    apply(&tenant.wallets(), "escrow", open.clone()).await;
    becomes(&tenant, WalletState::Active).await;
    tenant.pay("open", "escrow", "bob", "1.00").await;
    assert_eq!(tenant.settled("open").await.status.unwrap().state, PaymentState::Completed);

    // What the ledger refuses is told, and the wallet goes on with the terms that it has.
    open["spec"]["maximum"] = "5.00".into();
    apply(&tenant.wallets(), "escrow", open.clone()).await;
    let stalled =
        wait_for(&tenant.wallets(), "escrow", "was refused", |wallet| is_true(conditions(wallet), "Stalled"))
            .await;
    assert!(is_true(conditions(&stalled), "Ready"), "it can still be paid from and to");
    let told = condition(conditions(&stalled), "Stalled").unwrap();
    assert_eq!(told.reason, "MaximumExceeded");
    assert!(told.message.contains("maximum"), "{}", told.message);
    // The balance comes down, and the same spec is tried again.
    tenant.pay("down", "escrow", "bob", "6.00").await;
    wait_for(&tenant.wallets(), "escrow", "was accepted", |wallet| !is_true(conditions(wallet), "Stalled"))
        .await;

    open["spec"]["currency"] = "EUR".into();
    let error = try_apply::<Wallet>(&tenant.wallets(), "escrow", open).await.unwrap_err().to_string();
    assert!(error.contains("currency cannot change"), "{error}");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_deleted_wallet_waits_until_it_is_empty() {
    let tenant = TestTenant::new(&client().await, "leave").await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    tenant.wallets().delete("alice", &DeleteParams::default()).await.unwrap();
    let waiting = wait_for(&tenant.wallets(), "alice", "said what it waits for", |wallet| {
        is_true(conditions(wallet), "Offboarding")
    })
    .await;
    let told = condition(conditions(&waiting), "Offboarding").unwrap();
    assert_eq!(told.reason, "NotEmpty");
    assert!(told.message.contains("10.00 USD"), "{}", told.message);
    assert!(told.message.contains("payplane.io/let-go=true"), "{}", told.message);
    let out = payment(json!({"name": "alice"}), json!({"settlement": true}), "10.00");
    apply(&tenant.payments(), "out", out).await;
    wait_gone(&tenant.wallets(), "alice").await;
    // Applied again, it is the same account.
    assert_eq!(tenant.wallet("alice").await.status.unwrap().version, Some(2));
    tenant.clean_up().await;
}

/// Waits until the Tenant of this name was told that a Wallet was let go.
async fn wait_for_event(events: &Api<Event>, tenant: &str) {
    let is_it = |event: &Event| {
        let of = event.regarding.as_ref().and_then(|object| object.name.as_deref());
        of == Some(tenant) && event.reason.as_deref() == Some("LetGo")
    };
    let told = async { while !events.list(&ListParams::default()).await.unwrap().iter().any(is_it) {} };
    assert!(within(DEADLINE, told).await.is_some(), "nobody was told");
}

#[tokio::test]
async fn a_wallet_with_money_never_keeps_a_namespace() {
    let tenant = TestTenant::new(&client().await, "ending").await;
    tenant.wallet("alice").await;
    tenant.fund("alice", "10.00").await;
    let namespaces: Api<Namespace> = Api::all(tenant.client.clone());
    namespaces.delete(&tenant.name, &DeleteParams::default()).await.unwrap();
    wait_gone(&namespaces, &tenant.name).await;
    // The namespace's own Events went with it.
    let events: Api<Event> = Api::namespaced(tenant.client.clone(), "default");
    wait_for_event(&events, &tenant.name).await;
    tenant.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
    wait_gone(&tenant.tenants(), &tenant.name).await;
    // As long as there was a Tenant, it made its namespace again.
    let _ = namespaces.delete(&tenant.name, &DeleteParams::default()).await;
}
