//! What the API server itself refuses and fills in, before any operator looks.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::time::Duration;

use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};
use support::{as_user, create, enforce, grant, grant_rules, hold, in_namespace, objects, payment, within};

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
async fn a_payment_and_what_a_wallet_is_cannot_change() {
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
            json!({"hold": {}}),
            json!({"ttlSecondsAfterSettled": 60}),
            json!({"retryUntil": "2036-01-01T00:00:00Z"}),
        ] {
            let error =
                payments.patch("rent", &PatchParams::default(), &patch(spec.clone())).await.unwrap_err();
            assert!(error.to_string().contains("spec"), "{spec}: {error}");
            assert!(error.to_string().contains("cannot change"), "{spec}: {error}");
        }
        let wallets = objects(&client, "Wallet", &namespace);
        let wallet = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Wallet",
            "metadata": {"name": "a"}, "spec": {"currency": "USD", "owner": "us"},
        });
        let made = create(&wallets, wallet).await.unwrap();
        assert_eq!((&made.data["spec"]["minimum"], &made.data["spec"]["deletionPolicy"]), (&json!("0"), &json!("WhenEmpty")));
        for (field, value) in [("currency", json!("EUR")), ("owner", json!("them")), ("owner", json!(null)), ("class", json!("gold"))] {
            let changed = patch(json!({field: value}));
            let error = wallets.patch("a", &PatchParams::default(), &changed).await.unwrap_err().to_string();
            assert!(error.contains(&format!("{field} cannot change")), "{error}");
            assert!(error.contains("create another Wallet"), "the way out: {error}");
        }
        for (field, value) in [("metadata", json!({"Not A Key": "x"})), ("freeze", json!("Maybe")), ("metadata", json!({"k": "bell\u{7}"}))] {
            let changed = patch(json!({field: value}));
            let error = wallets.patch("a", &PatchParams::default(), &changed).await.unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        let allowed = json!({"minimum": "-5", "maximum": "9.5", "freeze": "Both", "metadata": {"team": "a"}, "deletionPolicy": "Close"});
        wallets.patch("a", &PatchParams::default(), &patch(allowed)).await.unwrap();
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
        create(&payments, hold("held")).await.unwrap();
        say(&payments, "done", "Completed").await;
        say(&payments, "refused", "Failed").await;
        let open = ListParams::default().fields("status.state!=Completed,status.state!=Failed");
        let found = payments.list(&open).await.unwrap();
        let names: Vec<_> = found.items.iter().filter_map(|item| item.metadata.name.as_deref()).collect();
        assert_eq!(names, ["held", "untouched"]);
    })
    .await;
}

/// Says of a payment what only the operator should.
async fn say(payments: &Api<DynamicObject>, name: &str, state: &str) {
    let patch = Patch::Merge(json!({"status": {"state": state}}));
    payments.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_hold_has_terms_and_only_a_hold_is_captured_or_voided() {
    in_namespace("hold", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let (taken, final_too) = (json!({"total": "1.00"}), json!({"total": "1.00", "final": true}));
        let bad = [
            (json!({"hold": null, "capture": taken}), "hold"),
            (json!({"hold": null, "void": true}), "hold"),
            (json!({"capture": taken, "void": true}), "capture and void"),
            (json!({"void": false}), "void"),
            (json!({"capture": {"total": "5.01"}}), "capture.total"),
            (json!({"capture": {"total": "50"}}), "capture.total"),
            (json!({"capture": {"total": "0"}}), "capture.total"),
            (json!({"capture": {}}), "capture.total"),
            (json!({"hold": {"timeoutSeconds": 0}}), "hold.timeoutSeconds"),
            (json!({"hold": {"timeoutSeconds": 31_622_401}}), "hold.timeoutSeconds"),
            (json!({"hold": {"captureAt": "tomorrow"}}), "hold.captureAt"),
        ];
        for (n, (change, blamed)) in bad.into_iter().enumerate() {
            let message = refusal(&payments, changed(hold(&format!("bad-{n}")), &change)).await;
            assert!(message.contains(blamed), "{change}: {message}");
        }
        let good = [
            json!({}),
            json!({"hold": {}}),
            json!({"hold": {"captureAt": "2036-01-01T00:00:00Z"}}),
            json!({"capture": taken}),
            json!({"capture": final_too}),
            json!({"capture": {"total": "5"}}),
            json!({"void": true}),
        ];
        for (n, change) in good.into_iter().enumerate() {
            create(&payments, changed(hold(&format!("good-{n}")), &change)).await.unwrap();
        }
    })
    .await;
}

/// The object with fields of its spec replaced; null takes one away.
fn changed(mut body: Value, change: &Value) -> Value {
    for (field, value) in change.as_object().unwrap() {
        body["spec"][field] = value.clone();
    }
    body["spec"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    body
}

#[tokio::test]
async fn of_a_hold_only_the_capture_grows_until_it_is_final_and_void_is_for_ever() {
    in_namespace("grow", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        for name in ["taken", "given-back"] {
            create(&payments, hold(name)).await.unwrap();
        }
        let total = |total: &str| json!({"capture": {"total": total}});
        let cases = [
            ("taken", json!({"hold": null}), Some("cannot change")),
            ("taken", json!({"hold": {"timeoutSeconds": 601}}), Some("cannot change")),
            ("taken", total("2.00"), None),
            ("taken", total("1.99"), Some("can only grow")),
            ("taken", json!({"capture": null}), Some("cannot change back")),
            ("taken", json!({"void": true}), Some("one of capture and void")),
            ("taken", total("2"), None),
            ("taken", total("2.50"), None),
            ("taken", json!({"capture": {"final": true}}), None),
            ("taken", json!({"capture": {"final": false}}), Some("final capture cannot change")),
            ("taken", total("3.00"), Some("final capture cannot change")),
            ("given-back", json!({"void": true}), None),
            ("given-back", json!({"void": null}), Some("cannot change back")),
            ("given-back", total("1.00"), Some("one of capture and void")),
        ];
        for (name, spec, refused) in cases {
            let patch = Patch::Merge(json!({ "spec": spec }));
            let answer = payments.patch(name, &PatchParams::default(), &patch).await;
            match (answer, refused) {
                (Ok(_), None) => {}
                (Err(error), Some(words)) => {
                    assert!(error.to_string().contains(words), "{name} {spec}: {error}");
                }
                (answer, _) => panic!("{name} {spec}: {answer:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_settled_payment_cannot_change_or_nobody_would_ever_look_at_the_change() {
    in_namespace("settled", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let capture = Patch::Merge(json!({"spec": {"capture": {"total": "1.00"}}}));
        let states = [
            ("Pending", true),
            ("Completed", false),
            ("Failed", false),
            ("Voided", false),
            ("Expired", false),
        ];
        for (state, may_change) in states {
            let name = state.to_lowercase();
            create(&payments, hold(&name)).await.unwrap();
            say(&payments, &name, state).await;
            let answer = payments.patch(&name, &PatchParams::default(), &capture).await;
            assert_eq!(answer.is_ok(), may_change, "{state}: {answer:?}");
            if let Err(error) = answer {
                assert!(error.to_string().contains("settled cannot change"), "{error}");
            }
            let labelled = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
            payments.patch(&name, &PatchParams::default(), &labelled).await.unwrap();
        }
    })
    .await;
}

fn refund(spec: Value) -> Value {
    json!({"apiVersion": "payplane.io/v1alpha1", "kind": "Refund", "metadata": {"name": "back"}, "spec": spec})
}

#[tokio::test]
async fn a_refund_names_one_payment_and_whole_money_and_cannot_change() {
    in_namespace("refund", |client, namespace| async move {
        let refunds = objects(&client, "Refund", &namespace);
        let id = "0b0e8a52-1111-5222-8333-444455556666";
        for (bad, blamed) in [
            (json!({"payment": {}}), "spec.payment"),
            (json!({"payment": {"name": "rent", "id": id}}), "spec.payment"),
            (json!({"payment": {"id": "A-1"}}), "spec.payment.id"),
            (json!({"payment": {"name": "rent"}, "amount": "1.00"}), "amount and currency"),
            (json!({"payment": {"name": "rent"}, "currency": "USD"}), "amount and currency"),
            (json!({"payment": {"name": "rent"}, "amount": "0", "currency": "USD"}), "spec.amount"),
            (json!({"payment": {"name": "rent"}, "settlement": false}), "settlement"),
            (json!({"payment": {"name": "rent"}, "reason": "a\u{7}b"}), "spec.reason"),
            (json!({"payment": {"name": "rent"}, "requestedBy": " ada"}), "spec.requestedBy"),
            (json!({"payment": {"name": "rent"}, "requestedBy": "x".repeat(201)}), "spec.requestedBy"),
        ] {
            let message = refusal(&refunds, refund(bad.clone())).await;
            assert!(message.contains(blamed), "{bad}: {message}");
        }
        let mut generated = refund(json!({"payment": {"name": "rent"}}));
        generated["metadata"] = json!({"generateName": "back-"});
        let message = refusal(&refunds, generated).await;
        assert!(message.contains("spec.idempotencyKey"), "{message}");

        create(&refunds, refund(json!({"payment": {"id": id}, "amount": "1.00", "currency": "USD"})))
            .await
            .unwrap();
        for spec in [json!({"amount": "2.00"}), json!({"reason": "new"}), json!({"settlement": true})] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            let error = refunds.patch("back", &PatchParams::default(), &patch).await.unwrap_err();
            assert!(error.to_string().contains("cannot change"), "{spec}: {error}");
        }
    })
    .await;
}

fn approval(name: &str, approver: &str) -> Value {
    json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Approval", "metadata": {"name": name},
        "spec": {
            "approves": {"kind": "Refund", "name": "back"}, "approver": approver,
            "bodyHash": format!("sha256:{}", "0".repeat(64)),
        },
    })
}

#[tokio::test]
async fn an_approval_names_a_refund_its_hash_and_one_decision_and_cannot_change() {
    in_namespace("approval", |client, namespace| async move {
        // Where the chart is installed, its policies hold here too.
        grant(&client, "payplane-approve", "bea", &namespace).await;
        let approvals = objects(&as_user("bea").await, "Approval", &namespace);
        for (bad, blamed) in [
            (json!({"approves": {"kind": "Wallet", "name": "rent"}}), "spec.approves.kind"),
            (
                json!({"approves": {"kind": "Payment", "name": "rent"}, "decision": "Reject"}),
                "a Payment can only be approved",
            ),
            (json!({"approves": {"kind": "Refund", "name": ""}}), "spec.approves.name"),
            (json!({"approves": {"kind": "Refund"}}), "spec.approves.name"),
            (json!({"bodyHash": format!("sha256:{}", "A".repeat(64))}), "spec.bodyHash"),
            (json!({"bodyHash": "0".repeat(71)}), "spec.bodyHash"),
            (json!({"bodyHash": null}), "spec.bodyHash"),
            (json!({"approver": ""}), "spec.approver"),
            (json!({"approver": "b\u{e9}a"}), "spec.approver"),
            (json!({"approver": null}), "spec.approver"),
            (json!({"decision": "Maybe"}), "spec.decision"),
            (json!({"expiresAt": "tomorrow"}), "spec.expiresAt"),
        ] {
            let message = refusal(&approvals, changed(approval("bad", "bea"), &bad)).await;
            assert!(message.contains(blamed), "{bad}: {message}");
        }
        let made = create(&approvals, approval("yes", "bea")).await.unwrap();
        assert_eq!(made.data["spec"]["decision"], "Approve");
        assert_eq!(made.data["status"]["conditions"][0]["status"], "Unknown");
        for spec in [
            json!({"approver": "cleo"}),
            json!({"decision": "Reject"}),
            json!({"bodyHash": format!("sha256:{}", "1".repeat(64))}),
        ] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            let error = approvals.patch("yes", &PatchParams::default(), &patch).await.unwrap_err();
            assert!(error.to_string().contains("cannot change"), "{spec}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_asks_or_approves_in_somebody_elses_name() {
    in_namespace("people", |client, namespace| async move {
        enforce(&client, "approval-policy.yaml", &namespace).await;
        grant(&client, "payplane-edit", "ada", &namespace).await;
        grant(&client, "payplane-approve", "bea", &namespace).await;
        let managing =
            json!([{"apiGroups": ["payplane.io"], "resources": ["approvals"], "verbs": ["create"]}]);
        grant_rules(&client, &managing, "cleo", &namespace).await;
        let of = |user: Client, kind| objects(&user, kind, &namespace);
        let (ada, bea, cleo) = (as_user("ada").await, as_user("bea").await, as_user("cleo").await);

        let refunds = of(ada.clone(), "Refund");
        let asked_by = |name: &str, user: &str| {
            let mut body = refund(json!({"payment": {"name": "rent"}, "requestedBy": user}));
            body["metadata"]["name"] = json!(name);
            body
        };
        within(
            "the policies hold",
            refused_at_last(&refunds, asked_by("sly", "bea"), |told| {
                told.contains("spec.requestedBy must be")
            }),
        )
        .await;
        within(
            "the policies hold",
            refused_at_last(&of(bea.clone(), "Approval"), approval("sly", "ada"), |told| {
                told.contains("spec.approver must be")
            }),
        )
        .await;

        let message = refusal(&refunds, asked_by("sly", "bea")).await;
        assert!(
            message.contains("spec.requestedBy must be the user who creates the object: ada"),
            "{message}"
        );
        let payments = of(ada.clone(), "Payment");
        let mut forged = payment("sly");
        forged["spec"]["requestedBy"] = json!("bea");
        let message = refusal(&payments, forged.clone()).await;
        assert!(
            message.contains("spec.requestedBy must be the user who creates the object: ada"),
            "{message}"
        );
        create(&payments, changed(forged, &json!({"requestedBy": "ada"}))).await.unwrap();
        create(&refunds, asked_by("back", "ada")).await.unwrap();
        create(&refunds, changed(asked_by("nobodys", "ada"), &json!({"requestedBy": null}))).await.unwrap();

        let cases = [
            (&ada, "ada", Some("cannot create resource \"approvals\"")),
            (&bea, "ada", Some("spec.approver must be the user who creates the Approval: bea")),
            (&cleo, "cleo", Some("needs the verb approve")),
            (&bea, "bea", None),
        ];
        // Who may approve refunds only approves no payment.
        let refunds_only = json!([
            {"apiGroups": ["payplane.io"], "resources": ["approvals"], "verbs": ["create"]},
            {"apiGroups": ["payplane.io"], "resources": ["refunds"], "verbs": ["approve"]},
        ]);
        grant_rules(&client, &refunds_only, "dora", &namespace).await;
        let of_payment = |user: &str| {
            changed(approval("pays", user), &json!({"approves": {"kind": "Payment", "name": "sly"}}))
        };
        let dora = of(as_user("dora").await, "Approval");
        let is_told = |told: &str| told.contains("needs the verb approve");
        within("the role is bound", refused_at_last(&dora, of_payment("dora"), is_told)).await;
        create(&of(bea.clone(), "Approval"), of_payment("bea")).await.unwrap();
        for (user, approver, refused) in cases {
            let answer = create(&of(user.clone(), "Approval"), approval("yes", approver)).await;
            match (answer, refused) {
                (Ok(_), None) => {}
                (Err(error), Some(words)) => {
                    assert!(error.to_string().contains(words), "{approver}: {error}")
                }
                (answer, _) => panic!("{approver}: {answer:?}"),
            }
        }
        let message = refusal(&of(bea, "Refund"), asked_by("own", "bea")).await;
        assert!(
            message.contains("cannot create resource \"refunds\""),
            "who only approves asks for nothing: {message}"
        );
    })
    .await;
}

/// The API server begins to enforce a policy a moment after it was created. Nothing is created while it is waited for.
/// A role may be bound a moment later too: then it is refused for another reason at first.
async fn refused_at_last(objects: &Api<DynamicObject>, body: Value, is_told: impl Fn(&str) -> bool) {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let object = serde_json::from_value(body).unwrap();
    while !matches!(objects.create(&params, &object).await, Err(error) if is_told(&error.to_string())) {
        // Between two tries; nothing tells when it is so far.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_timeout_policy_has_one_scope_for_ever_and_a_timeout_that_may_change() {
    in_namespace("timeout", |client, namespace| async move {
        let policies = objects(&client, "TimeoutPolicy", &namespace);
        let policy = |scope: Value, seconds: i64| {
            json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "TimeoutPolicy", "metadata": {"name": "minute"},
                "spec": {"scope": scope, "timeoutSeconds": seconds},
            })
        };
        for (scope, seconds, blamed) in [
            (json!({}), 60, "spec.scope"),
            (json!({"tenant": true, "walletClass": "gold"}), 60, "spec.scope"),
            (json!({"tenant": false}), 60, "tenant"),
            (json!({"walletClass": "Gold"}), 60, "walletClass"),
            (json!({"tenant": true}), 0, "timeoutSeconds"),
            (json!({"tenant": true}), 31_622_401, "timeoutSeconds"),
        ] {
            let message = refusal(&policies, policy(scope.clone(), seconds)).await;
            assert!(message.contains(blamed), "{scope} {seconds}: {message}");
        }
        for (most, blamed) in
            [(59, "at most maximumSeconds"), (0, "maximumSeconds"), (31_622_401, "maximumSeconds")]
        {
            let mut body = policy(json!({"tenant": true}), 60);
            body["spec"]["maximumSeconds"] = json!(most);
            let message = refusal(&policies, body).await;
            assert!(message.contains(blamed), "{most}: {message}");
        }
        let mut body = policy(json!({"tenant": true}), 60);
        body["spec"]["action"] = json!("Ignore");
        let message = refusal(&policies, body).await;
        assert!(message.contains("action"), "{message}");
        let made = create(&policies, policy(json!({"walletClass": "gold"}), 60)).await.unwrap();
        assert_eq!(made.data["spec"]["action"], "Reverse", "what was before there was a choice");
        let patch = |spec: Value| Patch::Merge(json!({ "spec": spec }));
        let moved = patch(json!({"scope": {"walletClass": "silver"}}));
        let error = policies.patch("minute", &PatchParams::default(), &moved).await.unwrap_err();
        assert!(error.to_string().contains("scope cannot change"), "{error}");
        policies
            .patch(
                "minute",
                &PatchParams::default(),
                &patch(json!({"timeoutSeconds": 90, "maximumSeconds": 90})),
            )
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn payments_with_a_ttl_are_found_by_it() {
    in_namespace("ttl", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        create(&payments, payment("kept")).await.unwrap();
        for (name, seconds) in [("short", 0), ("long", 3600)] {
            create(&payments, changed(payment(name), &json!({"ttlSecondsAfterSettled": seconds})))
                .await
                .unwrap();
        }
        let with_ttl = ListParams::default().fields("spec.ttlSecondsAfterSettled!=");
        let found = payments.list(&with_ttl).await.unwrap();
        let names: Vec<_> = found.items.iter().filter_map(|item| item.metadata.name.as_deref()).collect();
        assert_eq!(names, ["long", "short"]);
    })
    .await;
}

/// An order as a user would write it, with these changes of its spec.
fn order(name: &str, change: &Value) -> Value {
    let body = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "StandingOrder", "metadata": {"name": name},
        "spec": {
            "schedule": "0 9 1 * *", "suspend": true,
            "template": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
        },
    });
    changed(body, change)
}

#[tokio::test]
async fn a_standing_order_has_a_schedule_and_terms_that_fit_together() {
    in_namespace("order", |client, namespace| async move {
        let orders = objects(&client, "StandingOrder", &namespace);
        let template =
            |from: Value, to: Value| json!({"from": from, "to": to, "amount": "1.00", "currency": "USD"});
        let (a, b) = (json!({"name": "a"}), json!({"name": "b"}));
        let bad = [
            (json!({"schedule": "* * * *"}), "spec.schedule"),
            (json!({"schedule": "* * * * * *"}), "spec.schedule"),
            (json!({"schedule": "@daily"}), "spec.schedule"),
            (json!({"schedule": "1".repeat(200)}), "spec.schedule"),
            (json!({"timeZone": "Berlin time"}), "spec.timeZone"),
            (json!({"timeZone": "../etc/passwd"}), "spec.timeZone"),
            (json!({"count": 12}), "count needs start"),
            (json!({"count": 0, "start": "2027-01-01T00:00:00Z"}), "spec.count"),
            (json!({"count": 1001, "start": "2027-01-01T00:00:00Z"}), "spec.count"),
            (
                json!({"start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z"}),
                "end cannot be before start",
            ),
            (json!({"start": "tomorrow"}), "spec.start"),
            (json!({"onMiss": "Always"}), "spec.onMiss"),
            (json!({"onInsufficientFunds": {"action": "Retry"}}), "retryForSeconds"),
            (json!({"onInsufficientFunds": {"retryForSeconds": 60}}), "retryForSeconds"),
            (json!({"historyLimit": 0}), "spec.historyLimit"),
            (json!({"historyLimit": 51}), "spec.historyLimit"),
            (json!({"template": template(a.clone(), a.clone())}), "same wallet"),
            (json!({"template": template(json!({}), b.clone())}), "spec.template.from"),
        ];
        for (change, blamed) in bad {
            let message = refusal(&orders, order("bad", &change)).await;
            assert!(message.contains(blamed), "{change}: {message}");
        }
        let message = refusal(&orders, order(&"x".repeat(46), &json!({}))).await;
        assert!(message.contains("45 characters"), "{message}");

        let made = create(&orders, order("good", &json!({}))).await.unwrap();
        assert_eq!(made.data["spec"]["timeZone"], "Etc/UTC");
        assert_eq!(made.data["spec"]["onMiss"], "CatchUpOnce");
        assert_eq!(made.data["spec"]["onInsufficientFunds"]["action"], "Skip");
        let patch = |spec: Value| Patch::Merge(json!({ "spec": spec }));
        for allowed in [json!({"template": {"amount": "2.00"}}), json!({"schedule": "0 9 L * *"})] {
            orders.patch("good", &PatchParams::default(), &patch(allowed)).await.unwrap();
        }
        let error = orders
            .patch("good", &PatchParams::default(), &patch(json!({"idempotencyKey": "k"})))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("idempotencyKey cannot change"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_standing_order_is_no_way_around_the_treasury() {
    in_namespace("treasury", |client, namespace| async move {
        enforce(&client, "settlement-policy.yaml", &namespace).await;
        for (user, role) in [("editor", "payplane-edit"), ("treasurer", "payplane-treasury")] {
            grant(&client, role, user, &namespace).await;
        }
        let editor = objects(&as_user("editor").await, "StandingOrder", &namespace);
        let treasurer = objects(&as_user("treasurer").await, "StandingOrder", &namespace);
        let settlement = json!({"template": {
            "from": {"settlement": true}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD",
        }});
        let is_told = |message: &str| message.contains("payplane-treasury");
        let by_editor = order("by-editor", &settlement);
        within("the policy holds", refused_at_last(&editor, by_editor, is_told)).await;
        create(&editor, order("between-wallets", &json!({}))).await.unwrap();
        create(&treasurer, order("by-treasurer", &settlement)).await.unwrap();

        let patch = |spec: &Value| Patch::Merge(json!({ "spec": spec }));
        let params = PatchParams::default();
        for (name, change) in [
            ("between-wallets", json!({"template": {"from": {"name": null, "settlement": true}}})),
            ("by-treasurer", json!({"template": {"amount": "1000.00"}})),
            ("by-treasurer", json!({"suspend": false})),
        ] {
            let error = editor.patch(name, &params, &patch(&change)).await.unwrap_err().to_string();
            assert!(is_told(&error), "{name} {change}: {error}");
            treasurer.patch(name, &params, &patch(&change)).await.unwrap();
        }
        // What does not change the order is anybody's who may write it.
        let labelled = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
        editor.patch("by-treasurer", &params, &labelled).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn labels_and_fees_of_a_payment_are_bounded_and_no_part_of_a_hold() {
    in_namespace("fees", |client, namespace| async move {
        let payments = objects(&client, "Payment", &namespace);
        let fee = |amount: &str| json!({"to": {"name": "agent"}, "amount": amount});
        let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
        for (bad, blamed) in [
            (json!({"metadata": {"Order": "7"}}), "keys of metadata"),
            (json!({"metadata": {"order": "x".repeat(257)}}), "spec.metadata.order"),
            (json!({"metadata": {"order": "a\u{7}b"}}), "spec.metadata.order"),
            (json!({ "metadata": many }), "spec.metadata"),
            (json!({"fees": []}), "spec.fees"),
            (json!({"fees": vec![fee("0.10"); 9]}), "spec.fees"),
            (json!({"fees": [fee("0")]}), "spec.fees[0].amount"),
            (json!({"fees": [{"to": {}, "amount": "1"}]}), "spec.fees[0].to"),
            (json!({"fees": [fee("0.10")], "hold": {}}), "make each fee a Payment of its own"),
            (json!({"fees": [fee("0.10")], "idempotencyKey": "k".repeat(241)}), "at most 240"),
            (json!({"requestedBy": " ada"}), "spec.requestedBy"),
        ] {
            let message = refusal(&payments, changed(payment("bad"), &bad)).await;
            assert!(message.contains(blamed), "{bad}: {message}");
        }
        let good = json!({
            "metadata": {"order": "7"}, "fees": [fee("0.10"), {"to": {"settlement": true}, "amount": "0.20"}],
        });
        create(&payments, changed(payment("good"), &good)).await.unwrap();
        for change in [
            json!({"metadata": {"order": "8"}}),
            json!({"metadata": null}),
            json!({"fees": [fee("0.10")]}),
            json!({"fees": null}),
            json!({"requestedBy": "ada"}),
        ] {
            let patch = Patch::Merge(json!({ "spec": change }));
            let error = payments.patch("good", &PatchParams::default(), &patch).await.unwrap_err();
            assert!(error.to_string().contains("cannot change"), "{change}: {error}");
        }
    })
    .await;
}
