//! What can be asked, as a table.

use serde_json::{Value, json};

use super::*;

fn billing(plan: Value, start: Option<&str>) -> TenantBilling {
    let mut period = json!({"unit": "Month", "timeZone": "UTC"});
    if let Some(start) = start {
        period["start"] = json!(start);
    }
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1",
        "kind": "TenantBilling",
        "metadata": {"name": "acme", "namespace": "payplane-system", "creationTimestamp": "2026-11-21T09:00:00Z"},
        "spec": {"tenantRef": {"name": "acme"}, "plan": plan, "period": period},
    }))
    .unwrap()
}

fn observed(namespace: Option<&str>, rival: Option<&str>) -> Observed {
    Observed {
        namespace: namespace.map(Into::into),
        engine: None,
        plan: None,
        rival: rival.map(Into::into),
        receiver: None,
    }
}

#[test]
fn what_is_missing_is_said_in_order() {
    let billing = billing(json!({"currency": "USD"}), None);
    let cases = [
        (observed(Some("acme"), Some("payplane-system/first")), "taken"),
        (observed(None, Some("payplane-system/first")), "taken"),
        (observed(None, None), "NoTenant"),
        (observed(Some("acme"), None), "EngineUnavailable"),
    ];
    for (observed, expected) in cases {
        let told = match validate(&billing, &observed).unwrap_err() {
            Answer::Taken(_) => "taken",
            Answer::Waiting(waiting) => waiting.reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected);
    }
}

#[test]
fn a_version_follows_from_what_the_plan_says() {
    let version = |plan: Value| own_plan(&billing(plan, None).spec.plan.unwrap()).version;
    let plain = version(json!({"currency": "USD"}));
    assert_eq!(plain, version(json!({"currency": "USD"})));
    assert_ne!(plain, version(json!({"currency": "USD", "baseFee": "1"})));
    assert_eq!(plain.len(), 16);
}

#[test]
fn billing_begins_where_it_says_or_with_the_object() {
    let at = |start: Option<&str>| begin(&billing(json!({"currency": "USD"}), start)).to_string();
    assert_eq!(at(None), "2026-11-21T09:00:00Z");
    assert_eq!(at(Some("2026-11-01T00:00:00+01:00")), "2026-10-31T23:00:00Z");
}

#[test]
fn a_billing_plan_is_agreed_on_by_its_version() {
    let plan = |apply: &str| -> BillingPlan {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "BillingPlan",
            "metadata": {"name": "gold"},
            "spec": {"version": "2", "apply": apply, "plan": {"currency": "USD"}},
        }))
        .unwrap()
    };
    let named = |apply: Option<&str>| {
        let mut named = billing(json!({"currency": "USD"}), None);
        let reference = json!({"name": "gold", "apply": apply});
        (named.spec.plan, named.spec.plan_ref) = (None, serde_json::from_value(reference).unwrap());
        named
    };
    // What the plan says, what the reference says, whether it holds from now on.
    for (says, asks, now) in [
        ("NextPeriod", None, false),
        ("Now", None, true),
        ("Now", Some("NextPeriod"), false),
        ("NextPeriod", Some("Now"), true),
    ] {
        let Some(Agreeing::On { plan, is_now }) = agreeing(&named(asks), Some(&plan(says))) else { panic!() };
        assert_eq!((plan.version.as_str(), is_now), ("gold@2", now), "{says} {asks:?}");
    }
    assert_eq!(agreeing(&named(None), None), Some(Agreeing::Missing("gold".into())));
    assert_eq!(agreeing(&billing(json!({"currency": "USD"}), None), None), None);
}
