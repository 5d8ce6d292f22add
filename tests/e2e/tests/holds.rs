//! Money that is held first: captured in parts, given back, expired by its deadline, and refunded.

use futures::future::join_all;
use kube::Api;
use kube::api::{Patch, PatchParams};
use payplane_crds::{Payment, PaymentState, RefundState, TimeoutPolicy, timeout_policy::OverdueAction};
use payplane_e2e::cluster::{apply, condition, delete, is_true, wait_for, wait_gone};
use payplane_e2e::tenant::{example, payment, payment_id};
use payplane_e2e::{TestTenant, client, faults};
use serde_json::{Value, json};

use crate::refunds::{refund, settled_refund};

/// Whether and until when the ledger holds the money, by the payment's own seconds.
fn held_for(payment: &Payment) -> i64 {
    let status = payment.status.as_ref().unwrap();
    let (decided, deadline) = (status.decided_at.as_ref().unwrap(), status.deadline.as_ref().unwrap());
    deadline.0.duration_since(decided.0).as_secs()
}

/// A tenant whose alice has a hundred dollars and whose bob has none, and which may call the engine as an admin.
pub async fn funded(label: &str) -> TestTenant {
    let tenant = TestTenant::new(&client().await, label).await;
    tenant.admit("Admin").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100.00").await;
    tenant.client_pod().await;
    tenant
}

/// Applies a hold of a hundred dollars by alice for bob.
async fn hold(tenant: &TestTenant, name: &str, hold: Value) -> Payment {
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "100.00");
    manifest["spec"]["hold"] = hold;
    apply(&tenant.payments(), name, manifest).await;
    wait_for(&tenant.payments(), name, "was held", |payment| state(payment) == PaymentState::Pending).await
}

fn state(payment: &Payment) -> PaymentState {
    payment.status.as_ref().map(|status| status.state).unwrap_or_default()
}

fn captured(payment: &Payment) -> &str {
    payment.status.as_ref().and_then(|status| status.captured.as_deref()).unwrap_or_default()
}

fn ready_reason(payment: &Payment) -> String {
    let conditions = payment.status.as_ref().map(|status| status.conditions.as_slice());
    condition(conditions, "Ready").map(|ready| ready.reason.clone()).unwrap_or_default()
}

const HOLDS: usize = 40;

#[tokio::test]
async fn forty_holds_survive_kills_of_every_process_and_are_captured_and_refunded_once() {
    let tenant = TestTenant::new(&client().await, "hold-kills").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "1000.00").await;
    tenant.client_pod().await;
    let names: Vec<_> = (0..HOLDS).map(|number| format!("hold-{number:02}")).collect();
    let manifest = |name: &str| {
        let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "10.00");
        manifest["metadata"]["name"] = name.into();
        manifest["spec"]["hold"] = json!({"timeoutSeconds": 3600});
        manifest
    };
    let payments = tenant.payments();
    join_all(names.iter().map(|name| apply(&payments, name, manifest(name)))).await;

    // Totals grow while one process after the other dies, and again before anybody has answered.
    let mut kills = 0;
    for (round, victim) in
        ["payplane-operator-", "e2e-engine-", "e2e-postgres-", "payplane-operator-"].into_iter().enumerate()
    {
        let grow = async {
            for step in 1..=2 {
                let total = format!("{}.{step}0", round + 1);
                let spec = json!({"capture": {"total": total}});
                join_all(names.iter().map(|name| change(&tenant, name, spec.clone()))).await;
            }
        };
        let ((), ()) = tokio::join!(grow, faults::kill(&tenant.client, victim, round));
        kills += 1;
    }
    let last = json!({"capture": {"total": "7.00", "final": true}});
    join_all(names.iter().map(|name| change(&tenant, name, last.clone()))).await;
    let mut ids = Vec::new();
    for name in &names {
        let settled = tenant.settled(name).await;
        assert_eq!((state(&settled), captured(&settled)), (PaymentState::Completed, "7.00"), "{name}");
        ids.push(payment_id(&settled));
    }
    assert_eq!(tenant.balance("bob").await["available"], format!("{}.00", HOLDS * 7));
    assert_eq!(tenant.balance("alice").await["available"], format!("{}.00", 1000 - HOLDS * 7));
    assert_eq!(tenant.balance("alice").await["pendingDebits"], "0.00");

    let refunds = names.iter().map(|name| async {
        apply(&tenant.refunds(), name, refund(name, Some("1.00"))).await;
    });
    tokio::join!(join_all(refunds), faults::kill(&tenant.client, "payplane-operator-", 0));
    for name in &names {
        assert_eq!(
            settled_refund(&tenant, name).await.status.unwrap().state,
            RefundState::Completed,
            "{name}"
        );
    }
    let before = tenant.balance("bob").await;
    assert_eq!(before["available"], format!("{}.00", HOLDS * 6));

    // All of it again, as a second cluster would apply it: the same payments, and nothing moves.
    for (name, id) in names.iter().zip(&ids) {
        let spec = tenant.payments().get(name).await.unwrap().spec;
        delete(&tenant.payments(), name).await;
        apply(&tenant.payments(), name, json!({ "spec": spec })).await;
        assert_eq!(&payment_id(&tenant.settled(name).await), id);
    }
    assert_eq!(tenant.balance("bob").await, before);
    let transfers = tenant.assert_books_balance().await;
    println!("kills that fired: {}; holds: {HOLDS}; operations that moved money: {transfers}", kills + 1);
    // The funding, and of each hold at least one capture and one refund; not each growth was seen by itself.
    assert!(HOLDS as u64 * 2 < transfers, "{transfers}");
    tenant.clean_up().await;
}

/// Merges this into the payment's spec.
async fn change(tenant: &TestTenant, name: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    tenant.payments().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn captures(tenant: &TestTenant, name: &str, total: &str) {
    change(tenant, name, json!({"capture": {"total": total}})).await;
    wait_for(&tenant.payments(), name, "was captured", |payment| captured(payment) == total).await;
}

#[tokio::test]
async fn a_hold_is_captured_in_growing_parts_and_the_rest_goes_back() {
    let tenant = funded("capture").await;
    let held = hold(&tenant, "deposit", json!({"timeoutSeconds": 3600})).await;
    let status = held.status.clone().unwrap();
    assert_eq!(status.held.as_deref(), Some("100.00"));
    assert!(status.deadline.is_some());
    assert!(is_true(Some(&status.conditions), "Ready"));
    assert_eq!(condition(Some(&status.conditions), "Settled").unwrap().status, "False");
    assert_eq!(tenant.balance("alice").await["available"], "0.00");

    captures(&tenant, "deposit", "30.00").await;
    captures(&tenant, "deposit", "45.50").await;
    assert_eq!(tenant.balance("bob").await["available"], "45.50");

    change(&tenant, "deposit", json!({"capture": {"total": "60.00", "final": true}})).await;
    let status = tenant.settled("deposit").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Completed);
    assert_eq!((status.captured.as_deref(), status.held.as_deref()), (Some("60.00"), Some("0.00")));
    assert!(is_true(Some(&status.conditions), "Succeeded"));
    assert_eq!(tenant.balance("alice").await["available"], "40.00");
    assert_eq!(tenant.balance("bob").await["available"], "60.00");

    // The same object from a backup, or in a second cluster: everything is found, nothing is taken twice.
    let whole = tenant.payments().get("deposit").await.unwrap().spec;
    delete(&tenant.payments(), "deposit").await;
    apply(&tenant.payments(), "deposit", json!({"spec": whole})).await;
    let again = tenant.settled("deposit").await;
    assert_eq!(payment_id(&again), payment_id(&held));
    assert_eq!(captured(&again), "60.00");
    assert!(is_true(again.status.as_ref().map(|status| status.conditions.as_slice()), "Replayed"));
    assert_eq!(tenant.balance("bob").await["available"], "60.00");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_wiped_or_forged_status_of_a_hold_is_told_anew_and_takes_nothing_twice() {
    let tenant = funded("forged").await;
    hold(&tenant, "deposit", json!({"timeoutSeconds": 3600})).await;
    captures(&tenant, "deposit", "30.00").await;
    for forged in [json!(null), json!({"state": "Pending", "captured": "0.00", "held": "100.00"})] {
        let patch = Patch::Merge(json!({ "status": forged }));
        tenant.payments().patch_status("deposit", &PatchParams::default(), &patch).await.unwrap();
        wait_for(&tenant.payments(), "deposit", "told the truth again", |payment| {
            captured(payment) == "30.00"
        })
        .await;
    }
    assert_eq!(tenant.balance("bob").await["available"], "30.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_hold_goes_back_when_it_is_voided_or_when_its_deadline_passes() {
    let tenant = funded("release").await;
    hold(&tenant, "voided", json!({"timeoutSeconds": 3600})).await;
    change(&tenant, "voided", json!({"void": true})).await;
    let status = tenant.settled("voided").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Voided);
    assert!(is_true(Some(&status.conditions), "Ready"), "that is what was asked for");

    // Without a timeout of its own: the tenant's policy says.
    let policies: Api<TimeoutPolicy> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let mut minute = example(include_str!("../../../examples/timeouts/minute.yaml"));
    minute["metadata"]["namespace"] = tenant.name.clone().into();
    minute["spec"]["timeoutSeconds"] = 5.into();
    apply(&policies, "minute", minute.clone()).await;
    wait_for(&policies, "minute", "came into force", |policy| {
        policy.status.as_ref().and_then(|status| status.timeout_seconds) == Some(5)
    })
    .await;
    apply(&policies, "second", minute).await;
    let stalled = wait_for(&policies, "second", "yielded", |policy| {
        is_true(policy.status.as_ref().map(|status| status.conditions.as_slice()), "Stalled")
    })
    .await;
    let conditions = stalled.status.map(|status| status.conditions);
    assert_eq!(condition(conditions.as_deref(), "Stalled").unwrap().reason, "ScopeTaken");

    hold(&tenant, "expired", json!({})).await;
    let status = tenant.settled("expired").await.status.unwrap();
    assert_eq!(status.state, PaymentState::Expired);
    assert_eq!(condition(Some(&status.conditions), "Succeeded").unwrap().reason, "Expired");
    assert_eq!(tenant.balance("alice").await["available"], "100.00");

    // The policy tells that the ledger gave it back, and that it keeps up.
    let counted = wait_for(&policies, "minute", "counted the reversal", |policy| {
        let holds = policy.status.as_ref().and_then(|status| status.holds.as_ref());
        holds.is_some_and(|holds| (holds.pending, holds.overdue, holds.reversed) == (0, 0, 1))
    })
    .await;
    let status = counted.status.unwrap();
    assert!(is_true(Some(&status.conditions), "ReversalsCurrent"), "{status:#?}");
    assert!(status.holds.unwrap().last_sweep_time.is_some());
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "1.00");
    manifest["spec"]["hold"] = json!({"timeoutSeconds": 3601});
    apply(&tenant.payments(), "too-long", manifest).await;
    let refusal = tenant.settled("too-long").await.status.unwrap().refusal.unwrap();
    assert_eq!((&*refusal.reason, &*refusal.field), ("LimitExceeded", "hold.timeoutSeconds"));

    // Left to a decision, a hold past its deadline stays held until it is voided.
    let mut ask = example(include_str!("../../../examples/timeouts/alert.yaml"));
    ask["metadata"]["namespace"] = tenant.name.clone().into();
    apply(&policies, "ask-first", ask).await;
    wait_for(&policies, "ask-first", "came into force", |policy| {
        policy.status.as_ref().and_then(|status| status.action) == Some(OverdueAction::Alert)
    })
    .await;
    delete(&policies, "ask-first").await;

    // With the policy go the parameters.
    delete(&policies, "second").await;
    delete(&policies, "minute").await;
    let request = json!({"scope": {"tenant": {}}});
    let left = tenant.call("settings_service.proto", "SettingsService/GetSettings", &request).await.unwrap();
    assert_eq!(left["settings"], json!([]));
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_timeout_of_the_most_specific_scope_counts() {
    let tenant = TestTenant::new(&client().await, "scopes").await;
    let policies: Api<TimeoutPolicy> = Api::namespaced(tenant.client.clone(), &tenant.name);
    for (name, spec) in [
        ("tenant", json!({"scope": {"tenant": true}, "timeoutSeconds": 1000})),
        ("gold", json!({"scope": {"walletClass": "gold"}, "timeoutSeconds": 2000})),
    ] {
        apply(&policies, name, json!({ "spec": spec })).await;
        wait_for(&policies, name, "came into force", |policy| {
            is_true(policy.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
        })
        .await;
    }
    let gold = json!({"spec": {"currency": "USD", "class": "gold", "maximum": "500"}});
    apply(&tenant.wallets(), "alice", gold).await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "300.00").await;
    tenant.fund("bob", "100.00").await;
    let by_class = hold(&tenant, "by-class", json!({})).await;
    let by_itself = hold(&tenant, "by-itself", json!({"timeoutSeconds": 3000})).await;
    let mut manifest = payment(json!({"name": "bob"}), json!({"name": "alice"}), "1.00");
    manifest["spec"]["hold"] = json!({});
    apply(&tenant.payments(), "by-tenant", manifest).await;
    let by_tenant = wait_for(&tenant.payments(), "by-tenant", "was held", |payment| {
        state(payment) == PaymentState::Pending
    })
    .await;
    assert_eq!([&by_tenant, &by_class, &by_itself].map(held_for), [1000, 2000, 3000]);

    // The wallet's maximum holds, too.
    apply(
        &tenant.payments(),
        "beyond",
        payment(json!({"settlement": true}), json!({"name": "alice"}), "300.00"),
    )
    .await;
    let status = tenant.settled("beyond").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().reason, "MaximumExceeded");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_capture_that_a_frozen_wallet_refuses_comes_through_when_it_is_thawed() {
    let tenant = funded("frozen").await;
    hold(&tenant, "deposit", json!({"timeoutSeconds": 3600})).await;
    let freeze = |status: &str, key: &str| {
        let wallet = json!({"name": format!("{}/bob", tenant.name)});
        json!({"idempotency_key": key, "wallet": wallet, "status": status})
    };
    let update = "WalletService/UpdateWallet";
    let frozen = freeze("WALLET_STATUS_FROZEN", "freeze");
    tenant.call("wallet_service.proto", update, &frozen).await.unwrap();

    change(&tenant, "deposit", json!({"capture": {"total": "10.00"}})).await;
    wait_for(&tenant.payments(), "deposit", "was refused", |payment| ready_reason(payment) == "WalletFrozen")
        .await;
    // Another total meets the key of the refused one and goes around it.
    change(&tenant, "deposit", json!({"capture": {"total": "25.00"}})).await;
    let thawed = freeze("WALLET_STATUS_ACTIVE", "thaw");
    tenant.call("wallet_service.proto", update, &thawed).await.unwrap();

    let held =
        wait_for(&tenant.payments(), "deposit", "was captured", |payment| captured(payment) == "25.00").await;
    assert_eq!(ready_reason(&held), "Held");
    assert_eq!(tenant.balance("bob").await["available"], "25.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_examples_of_holds_work_as_they_stand() {
    let tenant = TestTenant::new(&client().await, "examples").await;
    tenant.wallet("treasury").await;
    tenant.wallet("payroll").await;
    tenant.fund("treasury", "500.00").await;
    for (name, text, state) in [
        ("deposit-room-12", include_str!("../../../examples/holds/hold.yaml"), "Pending"),
        ("deposit-room-12", include_str!("../../../examples/holds/capture.yaml"), "Completed"),
        ("deposit-room-13", include_str!("../../../examples/holds/void.yaml"), "Voided"),
        ("salaries-november", include_str!("../../../examples/quickstart/payments.yaml"), "Completed"),
    ] {
        apply(&tenant.payments(), name, tenant.here(text)).await;
        wait_for(&tenant.payments(), name, state, |payment| {
            payment.status.as_ref().is_some_and(|status| format!("{:?}", status.state) == state)
        })
        .await;
    }
    for (name, text, amount) in [
        ("salaries-november-correction", include_str!("../../../examples/refunds/refund.yaml"), "50.00"),
        ("salaries-november-rest", include_str!("../../../examples/refunds/rest.yaml"), "200.00"),
    ] {
        apply(&tenant.refunds(), name, tenant.here(text)).await;
        let status = settled_refund(&tenant, name).await.status.unwrap();
        assert_eq!(
            (status.state, status.amount.as_deref()),
            (RefundState::Completed, Some(amount)),
            "{name}"
        );
    }
    let salaries = wait_for(&tenant.payments(), "salaries-november", "told what was given back", |payment| {
        payment.status.as_ref().and_then(|status| status.refunded.as_deref()) == Some("250.00")
    })
    .await;
    assert_eq!(state(&salaries), PaymentState::Completed);
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_payment_with_a_ttl_goes_when_the_ledger_has_it_and_pays_once_when_it_comes_back() {
    let tenant = funded("ttl").await;
    let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "10.00");
    manifest["spec"]["ttlSecondsAfterSettled"] = 0.into();
    apply(&tenant.payments(), "short", manifest.clone()).await;
    wait_gone(&tenant.payments(), "short").await;
    assert_eq!(tenant.balance("bob").await["available"], "10.00");

    // The ledger keeps nothing of a key that belongs to another payment, so this object stays.
    manifest["spec"]["amount"] = "11.00".into();
    apply(&tenant.payments(), "short", manifest).await;
    let status = tenant.settled("short").await.status.unwrap();
    assert_eq!(status.refusal.unwrap().reason, "IdempotencyConflict");
    assert_eq!(tenant.balance("bob").await["available"], "10.00");
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_payment_that_may_try_again_is_paid_once_when_there_are_funds_and_not_at_all_after_its_end() {
    let tenant = TestTenant::new(&client().await, "retry").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.client_pod().await;
    let patient = |until: &str| {
        let mut manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "5.00");
        manifest["spec"]["retryUntil"] = until.into();
        manifest
    };
    let is_short = |payment: &Payment| ready_reason(payment) == "InsufficientFunds";

    // An end that has come: refused, and nobody pays it later.
    apply(&tenant.payments(), "late", patient("2020-01-01T00:00:00Z")).await;
    assert_eq!(tenant.settled("late").await.status.unwrap().state, PaymentState::Failed);
    delete(&tenant.payments(), "late").await;

    let manifest = patient("2036-01-01T00:00:00Z");
    apply(&tenant.payments(), "patient", manifest.clone()).await;
    let waiting = wait_for(&tenant.payments(), "patient", "was short of funds", is_short).await;
    assert_eq!(state(&waiting), PaymentState::New);
    tenant.fund("alice", "20.00").await;
    let paid = tenant.settled("patient").await;
    assert_eq!(state(&paid), PaymentState::Completed);

    // With funds, and everything applied again: the patient one finds its payment, the late one its refusal.
    delete(&tenant.payments(), "patient").await;
    apply(&tenant.payments(), "patient", manifest).await;
    assert_eq!(payment_id(&tenant.settled("patient").await), payment_id(&paid));
    apply(&tenant.payments(), "late", patient("2020-01-01T00:00:00Z")).await;
    assert_eq!(tenant.settled("late").await.status.unwrap().refusal.unwrap().reason, "InsufficientFunds");
    delete(&tenant.payments(), "late").await;
    // Another clock that believes in a later end changes nothing: the ledger knows that it has come.
    apply(&tenant.payments(), "late", patient("2036-01-01T00:00:00Z")).await;
    assert_eq!(tenant.settled("late").await.status.unwrap().refusal.unwrap().reason, "InsufficientFunds");
    assert_eq!(tenant.balance("bob").await["available"], "5.00");

    // A refund finds the payment, whichever attempt it was.
    apply(&tenant.refunds(), "back", refund("patient", None)).await;
    assert_eq!(settled_refund(&tenant, "back").await.status.unwrap().state, RefundState::Completed);
    tenant.clean_up().await;
}

/// Nobody touches the object, and its deadline is a week away: only the engine's word can wake it.
#[tokio::test]
async fn a_capture_over_grpc_shows_at_once() {
    let tenant = funded("hold-grpc").await;
    let held = hold(&tenant, "week", json!({"timeoutSeconds": 604_800})).await;
    let request = json!({
        "idempotency_key": "taken", "payment_id": payment_id(&held),
        "amount": {"amount": "30.00", "currency": "USD"},
    });
    tenant.call("payment_service.proto", "PaymentService/CapturePayment", &request).await.unwrap();
    wait_for(&tenant.payments(), "week", "showed what was taken", |payment| captured(payment) == "30.00")
        .await;
    let request = json!({"idempotency_key": "back", "payment_id": payment_id(&held)});
    tenant.call("payment_service.proto", "PaymentService/VoidPayment", &request).await.unwrap();
    assert_eq!(state(&tenant.settled("week").await), PaymentState::Completed);
    tenant.clean_up().await;
}
