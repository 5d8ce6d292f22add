//! Everything is killed while money moves; every payment ends, and pays exactly once.

use std::collections::BTreeMap;

use futures::future::join_all;
use kube::api::DeleteParams;
use payplane_crds::{PaymentState, Platform};
use payplane_e2e::cluster::{PLATFORM, SYSTEM, apply, condition, is_true, wait_for, wait_gone};
use payplane_e2e::tenant::payment_id;
use payplane_e2e::{TestTenant, client, faults};
use serde_json::json;

const PAYMENTS: usize = 200;
const ROUNDS: usize = 3;

#[tokio::test]
async fn two_hundred_payments_survive_kills_of_every_process_and_pay_once() {
    let tenant = TestTenant::new(&client().await, "kills").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    let names: Vec<_> = (0..PAYMENTS).map(|number| format!("pay-{number:03}")).collect();

    // Payments arrive all the while: a share before each kill.
    let mut kills = 0;
    let share = PAYMENTS / (ROUNDS * 3);
    let mut waves = names.chunks(share);
    for round in 0..ROUNDS {
        for victim in ["payplane-operator-", "e2e-engine-", "e2e-postgres-"] {
            let wave = waves.next().unwrap_or_default();
            let applied = join_all(wave.iter().map(|name| tenant.pay(name, "alice", "bob", "1.00")));
            let (_, ()) = tokio::join!(applied, faults::kill(&tenant.client, victim, round));
            kills += 1;
        }
    }
    for name in waves.flatten() {
        tenant.pay(name, "alice", "bob", "1.00").await;
    }

    let first = settled_ids(&tenant, &names).await;
    tenant.client_pod().await;
    let before = (tenant.balance("alice").await, tenant.balance("bob").await);
    assert_eq!(before.1["available"], format!("{PAYMENTS}.00"));
    let transfers = tenant.assert_books_balance().await;
    assert_eq!(transfers, PAYMENTS as u64 + 1, "one transfer for each payment and one for the funding");
    assert_eq!(tenant.ledger_payments().await.len(), PAYMENTS + 1);
    println!("kills that fired: {kills}; payments settled: {}; transfers: {transfers}", first.len());
    assert_eq!(kills, ROUNDS * 3);

    // The same manifests again: nothing moves, and each names the payment that it met.
    for name in &names {
        tenant.payments().delete(name, &DeleteParams::default()).await.unwrap();
    }
    for name in &names {
        wait_gone(&tenant.payments(), name).await;
    }
    for name in &names {
        tenant.pay(name, "alice", "bob", "1.00").await;
    }
    assert_eq!(settled_ids(&tenant, &names).await, first);
    for name in &names {
        let status = tenant.settled(name).await.status.unwrap();
        assert!(is_true(Some(&status.conditions), "Replayed"), "{name}: {status:#?}");
    }
    assert_eq!((tenant.balance("alice").await, tenant.balance("bob").await), before);
    tenant.clean_up().await;
}

/// Waits for every payment and returns the ledger's ids by name.
async fn settled_ids(tenant: &TestTenant, names: &[String]) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for name in names {
        let payment = tenant.settled(name).await;
        assert_eq!(payment.status.as_ref().unwrap().state, PaymentState::Completed, "{name}");
        ids.insert(name.clone(), payment_id(&payment));
    }
    ids
}

#[tokio::test]
async fn a_payment_waits_while_the_engine_is_away_and_completes_when_it_is_back() {
    let tenant = TestTenant::new(&client().await, "away").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;
    scale_engine(&tenant, 0).await;

    tenant.pay("patient", "alice", "bob", "3.00").await;
    wait_for(&tenant.payments(), "patient", "said that the engine is away", |payment| {
        let conditions = payment.status.as_ref().map(|status| status.conditions.as_slice());
        let ready = condition(conditions, "Ready");
        ready.is_some_and(|ready| ["EngineUnavailable", "PlatformNotReady"].contains(&ready.reason.as_str()))
    })
    .await;

    scale_engine(&tenant, 2).await;
    let status = tenant.settled("patient").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    tenant.client_pod().await;
    assert_eq!(tenant.balance("bob").await["available"], "3.00");
    tenant.clean_up().await;
}

async fn scale_engine(tenant: &TestTenant, replicas: i32) {
    let platforms: kube::Api<Platform> = kube::Api::namespaced(tenant.client.clone(), SYSTEM);
    let manifest = json!({"spec": {
        "postgres": {"managed": {"storage": {"size": "1Gi"}}},
        "engine": {"replicas": replicas},
    }});
    apply(&platforms, PLATFORM, manifest).await;
    wait_for(&platforms, PLATFORM, "has as many engines as asked", |platform| {
        platform.status.as_ref().is_some_and(|status| status.ready_replicas.unwrap_or_default() == replicas)
    })
    .await;
}
