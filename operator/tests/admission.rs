//! What the API server itself refuses and fills in, before any operator looks.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::{Value, json};
use support::{create, in_namespace, objects, payment};

async fn refusal(payments: &Api<DynamicObject>, body: Value) -> String {
    match create(payments, body.clone()).await {
        Ok(_) => panic!("accepted: {body}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_amount_that_is_no_money_is_refused_by_name() {
    in_namespace("amount", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let long = "1".repeat(40);
        let bad = [
            json!("0"),
            json!("0.00"),
            json!("-1"),
            json!("1e3"),
            json!("1,00"),
            json!(" 1"),
            json!("1 "),
            json!("+1"),
            json!("NaN"),
            json!("\u{661}\u{662}"),
            json!(long),
            json!(""),
            json!("1."),
            json!(".5"),
            json!("01"),
            json!("1\n"),
            json!(1),
            json!(1.5),
            json!(null),
        ];
        for amount in bad {
            let mut body = payment("bad");
            body["spec"]["amount"] = amount.clone();
            let message = refusal(&payments, body).await;
            assert!(message.contains("spec.amount"), "{amount}: {message}");
        }
        for (n, amount) in ["1", "0.01", "125.00", "12345678901234567.89"].into_iter().enumerate() {
            let mut body = payment(&format!("good-{n}"));
            body["spec"]["amount"] = json!(amount);
            create(&payments, body).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_side_that_names_none_or_two_wallets_is_refused_by_name() {
    in_namespace("sides", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let id = "0b0e8a52-1111-5222-8333-444455556666";
        for side in ["from", "to"] {
            for bad in [
                json!({}),
                json!({"name": "a", "id": id}),
                json!({"name": "a", "settlement": true}),
                json!({"settlement": false}),
                json!({"id": "A-1"}),
                json!({"name": ""}),
            ] {
                let mut body = payment("bad");
                body["spec"][side] = bad.clone();
                let message = refusal(&payments, body).await;
                assert!(message.contains(&format!("spec.{side}")), "{bad}: {message}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn currencies_and_keys_have_a_shape() {
    in_namespace("shape", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        for (field, bad) in [
            ("currency", json!("usd")),
            ("currency", json!("EURO")),
            ("currency", json!("US")),
            ("currency", json!(1)),
            ("idempotencyKey", json!("")),
            ("idempotencyKey", json!("a b")),
            ("idempotencyKey", json!("x".repeat(256))),
            ("reference", json!("a\u{7}b")),
            ("reference", json!("x".repeat(257))),
        ] {
            let mut body = payment("bad");
            body["spec"][field] = bad.clone();
            let message = refusal(&payments, body).await;
            assert!(message.contains(&format!("spec.{field}")), "{bad}: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_generated_name_needs_a_key_or_every_retry_would_pay_again() {
    in_namespace("key", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let mut body = payment("x");
        body["metadata"] = json!({"generateName": "rent-"});
        let message = refusal(&payments, body.clone()).await;
        assert!(message.contains("spec.idempotencyKey"), "{message}");
        body["spec"]["idempotencyKey"] = json!("rent-july");
        create(&payments, body).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_payment_and_a_wallet_cannot_change() {
    in_namespace("change", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        create(&payments, payment("rent")).await.unwrap();
        let patch = |spec: Value| Patch::Merge(json!({ "spec": spec }));
        for spec in [
            json!({"amount": "2.00"}),
            json!({"currency": "EUR"}),
            json!({"from": {"name": "c"}}),
            json!({"reference": "new"}),
            json!({"idempotencyKey": "other"}),
        ] {
            let error =
                payments.patch("rent", &PatchParams::default(), &patch(spec.clone())).await.unwrap_err();
            assert!(error.to_string().contains("spec"), "{spec}: {error}");
            assert!(error.to_string().contains("cannot change"), "{spec}: {error}");
        }
        let wallets = objects(&client, "Wallet", &namespace);
        let wallet = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Wallet",
            "metadata": {"name": "a"}, "spec": {"currency": "USD"},
        });
        let made = create(&wallets, wallet).await.unwrap();
        assert_eq!(made.data["spec"]["minimum"], "0");
        let changed = patch(json!({"minimum": "-5"}));
        let error = wallets.patch("a", &PatchParams::default(), &changed).await.unwrap_err();
        assert!(error.to_string().contains("cannot change"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_new_object_says_at_once_that_nothing_is_known_without_any_write() {
    in_namespace("fresh", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let made = create(&payments, payment("rent")).await.unwrap();
        let condition = &made.data["status"]["conditions"][0];
        assert_eq!((&condition["type"], &condition["status"]), (&json!("Ready"), &json!("Unknown")));
        assert_eq!(made.data["status"]["state"], "New");
        let writers = made.metadata.managed_fields.unwrap_or_default();
        assert!(
            writers.iter().all(|entry| entry.subresource.is_none()),
            "nobody wrote a status: {writers:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn open_payments_are_found_by_state_even_if_nobody_ever_touched_them() {
    in_namespace("select", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        for name in ["untouched", "done", "refused"] {
            create(&payments, payment(name)).await.unwrap();
        }
        for (name, state) in [("done", "Completed"), ("refused", "Failed")] {
            let patch = Patch::Merge(json!({"status": {"state": state}}));
            payments.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
        }
        let open = ListParams::default().fields("status.state!=Completed,status.state!=Failed");
        let found = payments.list(&open).await.unwrap();
        let names: Vec<_> = found.items.iter().filter_map(|item| item.metadata.name.as_deref()).collect();
        assert_eq!(names, ["untouched"]);
    })
    .await;
}
