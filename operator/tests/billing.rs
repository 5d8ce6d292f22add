//! What the API server itself refuses of a TenantBilling and of a BillingPlan.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::{own, support};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use payplane_crds::TenantBilling;
use payplane_operator::{apply::apply, engine::Documents, tenant_billing::build::config_map};
use serde_json::{Value, json};
use support::{create, in_namespace, objects};

fn billing(name: &str) -> Value {
    json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "TenantBilling",
        "metadata": {"name": name},
        "spec": {
            "tenantRef": {"name": "acme"},
            "plan": {"currency": "USD", "prices": []},
            "period": {"unit": "Month", "timeZone": "Europe/Zurich"},
        },
    })
}

fn with_price(price: &Value) -> Value {
    let mut body = billing("bad");
    body["spec"]["plan"]["prices"] = json!([price]);
    body
}

/// The plan of a TenantBilling as a BillingPlan.
fn shared(billing: Value) -> Value {
    json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "BillingPlan",
        "metadata": billing["metadata"],
        "spec": {"version": "1", "plan": billing["spec"]["plan"]},
    })
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused_by_name() {
    in_namespace("plan", |client, namespace| async move {
        let billings = objects(&client, "TenantBilling", &namespace);
        let tiers = |tiers: Value| json!({"metric": "Payments", "graduated": {"tiers": tiers}});
        let prices = [
            (json!({"metric": "Electricity", "flat": {"unitPrice": "1"}}), "metric"),
            (json!({"metric": "Payments"}), "exactly one of flat"),
            (
                json!({"metric": "Payments", "flat": {"unitPrice": "1"}, "packages": {"size": "1", "price": "1"}}),
                "exactly one of flat",
            ),
            (json!({"metric": "Payments", "flat": {"unitPrice": "-1"}}), "unitPrice"),
            (json!({"metric": "Payments", "flat": {"unitPrice": "0.000000001"}}), "unitPrice"),
            (json!({"metric": "Payments", "flat": {"unitPrice": 0.5}}), "unitPrice"),
            (json!({"metric": "Payments", "free": "1.5", "flat": {"unitPrice": "1"}}), "free is a whole number"),
            (json!({"metric": "Holds", "packages": {"size": "1.5", "price": "1"}}), "size is a whole number"),
            (json!({"metric": "Holds", "packages": {"size": "0", "price": "1"}}), "size"),
            (tiers(json!([])), "tiers"),
            (tiers(json!([{"upTo": "10", "unitPrice": "1"}])), "every tier but the last"),
            (tiers(json!([{"unitPrice": "1"}, {"unitPrice": "2"}])), "every tier but the last"),
            (
                tiers(json!([{"upTo": "10", "unitPrice": "1"}, {"upTo": "9", "unitPrice": "2"}, {"unitPrice": "3"}])),
                "tiers overlap",
            ),
        ];
        // A plan is the same in both places.
        let plans = objects(&client, "BillingPlan", &namespace);
        for (price, blamed) in prices {
            let error = create(&billings, with_price(&price)).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{price}: {error}");
            let error = create(&plans, shared(with_price(&price))).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{price} of a BillingPlan: {error}");
        }
        for (place, bad, blamed) in [
            ("/plan/currency", json!("usd"), "currency"),
            ("/plan/baseFee", json!("-1"), "baseFee"),
            ("/plan/discount", json!({"amount": "1", "percent": "1"}), "exactly one of amount"),
            ("/plan/discount", json!({"percent": "0.0"}), "more than zero"),
            ("/plan/discount", json!({"percent": "100.1"}), "percent"),
            ("/plan/taxes", json!([{"name": "a", "percent": "101"}]), "percent"),
            ("/plan/taxes", json!([{"name": "a", "percent": "1"}, {"name": "a", "percent": "2"}]), "Duplicate"),
            ("/period/unit", json!("Year"), "unit"),
            ("/period/timeZone", json!("Europe Zurich"), "timeZone"),
            ("/period/anchor", json!("31.1.2026"), "anchor"),
            ("/graceSeconds", json!(-1), "graceSeconds"),
            ("/plan/events", json!([{"event": "Calls", "flat": {"unitPrice": "1"}}]), "event"),
            ("/plan/events", json!([{"event": "calls"}]), "exactly one of flat"),
            ("/collection", json!({"wallet": "a/b"}), "receiver"),
            ("/collection", json!({"wallet": "A", "receiver": {"tenantRef": {"name": "r"}, "wallet": "r/w"}}), "wallet"),
            ("/dunning", json!({"steps": []}), "steps"),
            (
                "/dunning",
                json!({"steps": [{"afterSeconds": 9, "action": "Suspend"}, {"afterSeconds": 1, "action": "Remind"}]}),
                "ascending order",
            ),
            ("/tenantRef", json!({"name": ""}), "tenantRef"),
            ("/plan/discount", json!({"until": "2027-01-01T00:00:00Z"}), "exactly one of amount"),
            ("/plan/discount", json!({"percent": "1", "until": "tomorrow"}), "until"),
            (
                "/plan/events",
                json!([{"event": "payplane.api-calls", "flat": {"unitPrice": "1"}}]),
                "event cannot begin with payplane.",
            ),
            ("/thresholds", json!([{"name": "a"}]), "exactly one of accrued, metric and event"),
            ("/thresholds", json!([{"name": "a", "accrued": "1", "quantity": "1"}]), "give quantity with metric"),
            ("/thresholds", json!([{"name": "a", "metric": "Payments"}]), "give quantity with metric"),
            ("/thresholds", json!([{"name": "a", "metric": "Payments", "quantity": "1.5"}]), "quantity is a whole number"),
            ("/thresholds", json!([{"name": "a", "accrued": "1"}, {"name": "a", "accrued": "2"}]), "Duplicate"),
            ("/planRef", json!({"name": "gold"}), "exactly one of plan and planRef"),
            ("/plan", Value::Null, "exactly one of plan and planRef"),
            ("/dunning", json!({"steps": [{"afterSeconds": 1, "action": "Restrict"}]}), "give perPaymentMax"),
            (
                "/dunning",
                json!({"steps": [{"afterSeconds": 1, "action": "Remind", "perPaymentMax": "1"}]}),
                "give perPaymentMax",
            ),
            (
                "/dunning",
                json!({"steps": [{"afterSeconds": 1, "action": "Restrict", "perPaymentMax": "0"}]}),
                "perPaymentMax",
            ),
        ] {
            let mut body = billing("bad");
            let (parent, field) = place.rsplit_once('/').unwrap();
            body["spec"].pointer_mut(parent).unwrap()[field] = bad.clone();
            if place.starts_with("/plan/") {
                let error = create(&plans, shared(body.clone())).await.unwrap_err().to_string();
                assert!(error.contains(blamed), "{place} {bad} of a BillingPlan: {error}");
            }
            let error = create(&billings, body).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{place} {bad}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_whole_plan_is_accepted_and_tenant_and_currency_stay() {
    in_namespace("bill", |client, namespace| async move {
        let billings = objects(&client, "TenantBilling", &namespace);
        let mut body: Value =
            serde_saphyr::from_str(include_str!("../../examples/billing/tenant-billing.yaml")).unwrap();
        body["metadata"] = json!({"name": "acme"});
        create(&billings, body).await.unwrap();
        let collected =
            include_str!("../../examples/billing/collection.yaml").rsplit("\n---\n").next().unwrap();
        let mut body: Value = serde_saphyr::from_str(collected).unwrap();
        body["metadata"] = json!({"name": "collected"});
        create(&billings, body).await.unwrap();
        for worked in include_str!("../../examples/billing/worked.yaml").split("\n---\n") {
            let mut body: Value = serde_saphyr::from_str(worked).unwrap();
            body["metadata"] = json!({"name": body["metadata"]["name"]});
            create(&billings, body).await.unwrap();
        }
        let volume = json!({"metric": "Volume", "free": "0.50", "volume": {"tiers": [
            {"upTo": "99.50", "unitPrice": "0.1"}, {"upTo": "100.25", "unitPrice": "0.2", "flatFee": "1"},
            {"unitPrice": "0"}]}});
        let mut body = with_price(&volume);
        body["metadata"] = json!({"name": "volume"});
        create(&billings, body).await.unwrap();
        for (spec, blamed) in [
            (json!({"tenantRef": {"name": "globex"}}), Some("tenantRef cannot change")),
            (json!({"plan": {"currency": "EUR"}}), Some("plan.currency cannot change")),
            (json!({"plan": {"baseFee": "50.00"}, "graceSeconds": 0}), None),
        ] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            let patched = billings.patch("acme", &PatchParams::default(), &patch).await;
            match (patched, blamed) {
                (Ok(_), None) => {}
                (Err(error), Some(blamed)) => assert!(error.to_string().contains(blamed), "{error}"),
                (patched, blamed) => panic!("{spec}: {patched:?}, expected {blamed:?}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_prices_of_a_version_never_change() {
    in_namespace("version", |client, namespace| async move {
        let (plans, billings) =
            (objects(&client, "BillingPlan", &namespace), objects(&client, "TenantBilling", &namespace));
        let mut parts = include_str!("../../examples/billing/plan.yaml").split("\n---\n");
        let mut body: Value = serde_saphyr::from_str(parts.next().unwrap()).unwrap();
        body["metadata"] = json!({"name": "gold"});
        create(&plans, body.clone()).await.unwrap();
        for (field, bad, blamed) in [
            ("version", json!(""), "version"),
            ("version", json!("a b"), "version"),
            ("version", json!("x".repeat(21)), "version"),
            ("version", Value::Null, "version"),
            ("apply", json!("Yesterday"), "apply"),
            ("plan", Value::Null, "plan"),
        ] {
            let mut body = body.clone();
            body["spec"][field] = bad.clone();
            let error = create(&plans, body).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{field} {bad}: {error}");
        }
        let mut long = body;
        long["metadata"]["name"] = "n".repeat(41).into();
        let error = create(&plans, long).await.unwrap_err().to_string();
        assert!(error.contains("at most 40 characters"), "{error}");
        // In this order: each follows on what the ones before left.
        for (spec, blamed) in [
            (json!({"plan": {"baseFee": "59.00"}}), Some("the prices of a version never change")),
            (json!({"plan": {"taxes": null}}), Some("the prices of a version never change")),
            (json!({"version": "2", "plan": {"currency": "EUR"}}), Some("plan.currency cannot change")),
            (json!({"apply": "Now"}), None),
            (json!({"version": "2", "plan": {"baseFee": "59.00"}}), None),
            (json!({"plan": {"baseFee": "49.00"}}), Some("the prices of a version never change")),
        ] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            match (plans.patch("gold", &PatchParams::default(), &patch).await, blamed) {
                (Ok(_), None) => {}
                (Err(error), Some(blamed)) => assert!(error.to_string().contains(blamed), "{error}"),
                (patched, blamed) => panic!("{spec}: {patched:?}, expected {blamed:?}"),
            }
        }
        let mut body: Value = serde_saphyr::from_str(parts.next().unwrap()).unwrap();
        body["metadata"] = json!({"name": "acme"});
        create(&billings, body).await.unwrap();
        // From a plan of others to one of its own, and back.
        for spec in [
            json!({"planRef": null, "plan": {"currency": "USD"}}),
            json!({"plan": null, "planRef": {"name": "silver", "apply": "Now"}}),
        ] {
            let patch = Patch::Merge(json!({ "spec": spec }));
            billings.patch("acme", &PatchParams::default(), &patch).await.unwrap();
        }
    })
    .await;
}

/// On an API server of the test's own: nobody else looks after these objects.
#[tokio::test]
async fn the_last_invoice_is_kept_in_one_config_map_that_goes_with_its_owner() {
    own::in_namespace("documents", |client, namespace| async move {
        let mut body = billing("acme");
        body["spec"]["documents"] = json!({"locale": "xx"});
        let billings = objects(&client, "TenantBilling", &namespace);
        let error = create(&billings, body.clone()).await.unwrap_err().to_string();
        assert!(error.contains("locale"), "{error}");
        body["spec"]["documents"] = json!({});
        let created = create(&billings, body).await.unwrap();
        assert_eq!(created.data["spec"]["documents"]["locale"], "en");
        let owner: TenantBilling = serde_json::from_value(serde_json::to_value(&created).unwrap()).unwrap();

        // As large as the operator takes documents: they fit.
        let most = |character: char| character.to_string().repeat(256 * 1024);
        let documents = |number| Documents {
            number,
            json: most('j'),
            html: most('<'),
            pdf: [&b"%PDF\x80"[..], &vec![0xff; 256 * 1024 - 5]].concat(),
        };
        let first = apply(&client, &config_map(&owner, &documents(1))).await.unwrap();
        let again = apply(&client, &config_map(&owner, &documents(1))).await.unwrap();
        assert_eq!(first.resource_version(), again.resource_version(), "the same is written once");
        assert_eq!(first.owner_references()[0].uid, created.uid().unwrap());
        // The next one takes its place, and what others change comes back.
        let next = Documents { number: 2, json: "{}".into(), html: "<p>".into(), pdf: b"%PDF\x80".to_vec() };
        apply(&client, &config_map(&owner, &next)).await.unwrap();
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        let forged = Patch::Merge(json!({"data": {"invoice.json": "forged"}}));
        maps.patch("payplane-invoice-acme", &PatchParams::default(), &forged).await.unwrap();
        let kept = apply(&client, &config_map(&owner, &next)).await.unwrap();
        assert_eq!(kept.labels()["payplane.io/invoice"], "2");
        assert_eq!(
            (kept.data.unwrap()["invoice.json"].as_str(), &kept.binary_data.unwrap()["invoice.pdf"].0),
            ("{}", &next.pdf)
        );
        let ours = maps.list(&Default::default()).await.unwrap().items;
        let ours = ours.iter().filter(|map| map.name_any().starts_with("payplane-invoice-"));
        assert_eq!(ours.count(), 1);
    })
    .await;
}
