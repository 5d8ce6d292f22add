//! Bad input is told by field, and moves nothing.

use kube::api::Api;
use payplane_crds::{Payment, PaymentState, Platform, Tenant};
use payplane_e2e::cluster::{PLATFORM, SYSTEM, apply, condition, delete, try_apply, wait_for};
use payplane_e2e::tenant::payment;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};

#[tokio::test]
async fn what_can_never_be_a_payment_is_refused_at_admission_by_field() {
    let tenant = TestTenant::new(&client().await, "admission").await;
    let good = || payment(json!({"name": "alice"}), json!({"name": "bob"}), "1.00");
    let with = |path: &str, value: Value| {
        let mut manifest = good();
        *manifest.pointer_mut(path).unwrap() = value;
        manifest
    };
    let amounts = ["0", "0.00", "-1", "1e3", "1,00", " 1", "1 ", "+1", "NaN", "", "٣", ".5", "1.", "01"];
    let mut cases: Vec<(String, Value)> =
        amounts.iter().map(|amount| ("spec.amount".into(), with("/spec/amount", json!(amount)))).collect();
    cases.push(("spec.amount".into(), with("/spec/amount", json!("1".repeat(40)))));
    cases.push(("spec.amount".into(), with("/spec/amount", json!(1))));
    cases.push(("spec.currency".into(), with("/spec/currency", json!("usd"))));
    cases.push(("spec.from".into(), with("/spec/from", json!({}))));
    cases.push(("spec.from".into(), with("/spec/from", json!({"name": "alice", "settlement": true}))));
    cases.push(("spec.to".into(), with("/spec/to", json!({"id": "not-a-uuid"}))));
    let mut control = good();
    control["spec"]["reference"] = "bell\u{7}".into();
    cases.push(("spec.reference".into(), control));
    let mut long = good();
    long["spec"]["idempotencyKey"] = "k".repeat(256).into();
    cases.push(("spec.idempotencyKey".into(), long));
    let mut unknown = good();
    unknown["spec"]["fromm"] = "x".into();
    cases.push(("fromm".into(), unknown));

    for (field, manifest) in cases {
        let error = try_apply::<Payment>(&tenant.payments(), "bad", manifest.clone()).await;
        let error = error.expect_err(&format!("accepted: {manifest}")).to_string();
        assert!(error.contains(&field), "{manifest}: {error}");
    }
    tenant.clean_up().await;
}

#[tokio::test]
async fn a_payment_cannot_change() {
    let tenant = TestTenant::new(&client().await, "fixed").await;
    tenant.pay("fixed", "alice", "bob", "1.00").await;
    let manifest = payment(json!({"name": "alice"}), json!({"name": "bob"}), "2.00");
    let error = try_apply::<Payment>(&tenant.payments(), "fixed", manifest).await.unwrap_err();
    assert!(error.to_string().contains("a Payment cannot change"), "{error}");
    tenant.clean_up().await;
}

#[tokio::test]
async fn what_only_the_ledger_can_know_is_told_in_status_by_field() {
    let tenant = TestTenant::new(&client().await, "status").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "10.00").await;
    apply(&tenant.wallets(), "euros", json!({"spec": {"currency": "EUR"}})).await;

    let cases = [
        ("decimals", "alice", "bob", "1.001", "USD", "Invalid", "amount"),
        ("currency", "alice", "bob", "1.00", "XQQ", "Invalid", "currency"),
        ("mismatch", "alice", "euros", "1.00", "USD", "CurrencyMismatch", "to"),
        ("same", "alice", "alice", "1.00", "USD", "SameWallet", "to"),
    ];
    for (name, from, to, amount, currency, reason, field) in cases {
        let mut manifest = payment(json!({"name": from}), json!({"name": to}), amount);
        manifest["spec"]["currency"] = currency.into();
        apply(&tenant.payments(), name, manifest).await;
        let status = tenant.settled(name).await.status.unwrap();
        assert_eq!(status.state, PaymentState::Failed, "{name}");
        let refusal = status.refusal.unwrap_or_else(|| panic!("{name} names no refusal"));
        assert_eq!(refusal.reason, reason, "{name}: {refusal:?}");
        assert!(refusal.field.contains(field), "{name}: {refusal:?}");
    }
    tenant.client_pod().await;
    assert_eq!(tenant.balance("alice").await["available"], "10.00");
    assert_eq!(tenant.assert_books_balance().await, 1);
    tenant.clean_up().await;
}

#[tokio::test]
async fn two_tenants_that_claim_one_namespace_the_second_is_told() {
    let client = client().await;
    let first = TestTenant::new(&client, "first").await;
    let tenants: Api<Tenant> = Api::all(client.clone());
    let name = format!("{}-rival", first.name);
    let manifest = json!({"spec": {
        "platformRef": {"namespace": SYSTEM, "name": PLATFORM},
        "namespaces": [{"name": first.name}],
    }});
    apply(&tenants, &name, manifest).await;
    let rival = wait_for(&tenants, &name, "was told", |tenant| {
        let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice());
        condition(conditions, "Stalled").is_some_and(|stalled| stalled.status == "True")
    })
    .await;
    let status = rival.status.unwrap();
    let stalled = condition(Some(&status.conditions), "Stalled").unwrap();
    assert_eq!(stalled.reason, "NamespaceClaimed");
    assert!(stalled.message.contains(&first.name), "{}", stalled.message);
    tenants.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
    first.clean_up().await;
}

#[tokio::test]
async fn a_platform_that_names_what_does_not_exist_says_so() {
    let client = client().await;
    let platforms: Api<Platform> = Api::namespaced(client.clone(), SYSTEM);
    let cases = [
        ("no-secret", json!({"external": {"secretRef": {"name": "absent"}}}), "SecretNotFound"),
        (
            "no-class",
            json!({"managed": {"storage": {"size": "1Gi", "storageClassName": "absent"}}}),
            "StorageClassNotFound",
        ),
    ];
    for (name, postgres, reason) in cases {
        apply(&platforms, name, json!({"spec": {"postgres": postgres}})).await;
        let platform = wait_for(&platforms, name, "said what is missing", |platform| {
            let conditions = platform.status.as_ref().map(|status| status.conditions.as_slice());
            condition(conditions, "Ready").is_some_and(|ready| ready.reason == reason)
        })
        .await;
        let status = platform.status.unwrap();
        let ready = condition(Some(&status.conditions), "Ready").unwrap();
        assert!(ready.message.contains("absent"), "{}", ready.message);
        delete(&platforms, name).await;
    }
}
