//! Bills: past periods are closed once and in order, usage is counted, and nothing is issued twice.

use std::time::{SystemTime, UNIX_EPOCH};

use kube::api::Api;
use payplane_crds::{BillingPlan, TenantBilling, tenant_billing::TenantBillingStatus};
use payplane_e2e::{
    TestTenant,
    cluster::{SYSTEM, apply, client, condition, delete, is_true, try_apply, wait_for},
    tenant::example,
};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

/// The example for this tenant, by days in UTC, so many days back.
fn manifest(tenant: &TestTenant, days: u64) -> Value {
    let mut manifest = example(include_str!("../../../examples/billing/tenant-billing.yaml"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let start = i64::try_from((now / DAY - days) * DAY).unwrap();
    let start = k8s_openapi::jiff::Timestamp::from_second(start).unwrap();
    manifest["spec"]["tenantRef"]["name"] = tenant.name.clone().into();
    manifest["spec"]["period"] = json!({"unit": "Day", "timeZone": "UTC", "start": start.to_string()});
    manifest["spec"]["graceSeconds"] = 0.into();
    manifest
}

fn status(billing: &TenantBilling) -> TenantBillingStatus {
    billing.status.clone().unwrap_or_default()
}

fn last_number(billing: &TenantBilling) -> i64 {
    status(billing).last_invoice.map_or(0, |invoice| invoice.number)
}

async fn invoices(tenant: &TestTenant) -> Vec<Value> {
    let found = tenant.call("billing.proto", "BillingService/ListInvoices", &json!({})).await.unwrap();
    let mut invoices = found["invoices"].as_array().cloned().unwrap_or_default();
    invoices.reverse();
    invoices
}

#[tokio::test]
async fn past_periods_are_billed_once_and_usage_is_counted() {
    let tenant = TestTenant::new(&client().await, "bill").await;
    tenant.admit("Viewer").await;
    tenant.client_pod().await;
    for wallet in ["alice", "bob"] {
        tenant.wallet(wallet).await;
    }
    tenant.fund("alice", "100.00").await;
    tenant.pay("rent", "alice", "bob", "10.00").await;
    tenant.settled("rent").await;

    // More periods than one look closes.
    let billings: Api<TenantBilling> = Api::namespaced(tenant.client.clone(), SYSTEM);
    let wanted = manifest(&tenant, 15);
    apply(&billings, &tenant.name, wanted.clone()).await;
    let billed = wait_for(&billings, &tenant.name, "closed what was over", |billing| {
        15 <= last_number(billing) && is_true(Some(&status(billing).conditions), "Ready")
    })
    .await;
    let last = status(&billed).last_invoice.unwrap();
    let issued = invoices(&tenant).await;
    let numbers: Vec<_> =
        issued.iter().map(|invoice| invoice["number"].as_str().unwrap().to_owned()).collect();
    assert_eq!(numbers, (1..=last.number).map(|number| number.to_string()).collect::<Vec<_>>());
    for pair in issued.windows(2) {
        assert_eq!(
            (&pair[0]["endTime"], &pair[0]["throughSeal"]),
            (&pair[1]["startTime"], &pair[1]["afterSeal"])
        );
    }
    // A base fee of 49.00 less a tenth is 44.10; 8.1 % of it are 3.5721.
    assert_eq!(issued[0]["total"], json!({"amount": "47.67", "currency": "USD"}));

    // A change is looked at at once. Funding and rent: 2 payments, 110.00; two wallets.
    let mut changed = wanted.clone();
    changed["spec"]["graceSeconds"] = 1.into();
    let generation = apply(&billings, &tenant.name, changed).await.metadata.generation;
    let counted = wait_for(&billings, &tenant.name, "looked again", |billing| {
        status(billing).observed_generation == generation
    })
    .await;
    let usage = status(&counted).usage.unwrap();
    assert_eq!([usage.payments, usage.volume, usage.active_wallets], ["2", "110.00", "2"]);
    // 49.00 + 0.275 + 5.00 (one package) = 54.28, less 5.43, plus 8.1 %: 48.85 + 3.95685.
    assert_eq!(status(&counted).accrued.as_deref(), Some("52.81"));

    // Deleted and applied again, it goes on where it was, even with another start.
    delete(&billings, &tenant.name).await;
    apply(&billings, &tenant.name, manifest(&tenant, 40)).await;
    let again = wait_for(&billings, &tenant.name, "became ready again", |billing| {
        is_true(Some(&status(billing).conditions), "Ready")
    })
    .await;
    assert_eq!(last_number(&again), last.number);
    assert_eq!(invoices(&tenant).await, issued);

    // One tenant has one bill.
    let second = format!("{}-second", tenant.name);
    apply(&billings, &second, wanted).await;
    let stalled = wait_for(&billings, &second, "yielded", |billing| {
        is_true(Some(&status(billing).conditions), "Stalled")
    })
    .await;
    assert_eq!(condition(Some(&status(&stalled).conditions), "Stalled").unwrap().reason, "ScopeTaken");
    for name in [&second, &tenant.name] {
        delete(&billings, name).await;
    }
    tenant.clean_up().await;
}

#[tokio::test]
async fn bad_bills_are_refused_or_say_what_is_wrong() {
    let tenant = TestTenant::new(&client().await, "badbill").await;
    let billings: Api<TenantBilling> = Api::namespaced(tenant.client.clone(), SYSTEM);
    let mut overlapping = manifest(&tenant, 1);
    overlapping["spec"]["plan"]["prices"][0]["graduated"]["tiers"] =
        json!([{"upTo": "10", "unitPrice": "1"}, {"upTo": "5", "unitPrice": "1"}, {"unitPrice": "1"}]);
    let refused = try_apply(&billings, &tenant.name, overlapping).await.unwrap_err().to_string();
    assert!(refused.contains("tiers overlap"), "{refused}");

    // Only the ledger knows all time zones.
    let mut nowhere = manifest(&tenant, 1);
    nowhere["spec"]["period"]["timeZone"] = "Europe/Nowhere".into();
    apply(&billings, &tenant.name, nowhere).await;
    let stalled = wait_for(&billings, &tenant.name, "said what is wrong", |billing| {
        is_true(Some(&status(billing).conditions), "Stalled")
    })
    .await;
    let conditions = status(&stalled).conditions;
    let why = condition(Some(&conditions), "Stalled").unwrap();
    assert_eq!(why.reason, "Invalid");
    assert!(why.message.contains("period.timeZone"), "{}", why.message);

    // In the tenant's own namespace nobody is billed.
    let own: Api<TenantBilling> = Api::namespaced(tenant.client.clone(), &tenant.name);
    let mut sly = manifest(&tenant, 1);
    sly["metadata"]["namespace"] = tenant.name.clone().into();
    apply(&own, "sly", sly).await;
    let waiting = wait_for(&own, "sly", "said that it waits", |billing| {
        condition(Some(&status(billing).conditions), "Ready").is_some_and(|ready| ready.reason == "NoTenant")
    })
    .await;
    assert_eq!(status(&waiting).period, None);
    for (billings, name) in [(&billings, tenant.name.as_str()), (&own, "sly")] {
        delete(billings, name).await;
    }
    tenant.clean_up().await;
}

/// The example's parts for these tenants, by days in UTC.
fn collected(payer: &TestTenant, receiver: &TestTenant) -> (Vec<Value>, Value) {
    let text = include_str!("../../../examples/billing/collection.yaml");
    let mut parts: Vec<Value> = text.split("\n---\n").map(example).collect();
    let mut billing = parts.pop().unwrap();
    let name = |wallet: &str| format!("{}/{wallet}", receiver.name);
    let start = manifest(payer, 1)["spec"]["period"].clone();
    billing["spec"]["tenantRef"]["name"] = payer.name.clone().into();
    billing["spec"]["period"] = start;
    billing["spec"]["collection"]["wallet"] = format!("{}/purse", payer.name).into();
    billing["spec"]["collection"]["receiver"] = json!({
        "tenantRef": {"name": receiver.name}, "wallet": name("revenue"), "taxWallet": name("tax"),
    });
    billing["spec"]["collection"]["retryAfterSeconds"] = json!([60]);
    billing["spec"]["dunning"]["steps"][0]["afterSeconds"] = 0.into();
    billing["spec"]["dunning"]["steps"][1]["afterSeconds"] = 0.into();
    // Of the rest the wallets: the tenant is a test's own.
    let wallets = parts.split_off(1);
    (wallets, billing)
}

#[tokio::test]
async fn an_unpaid_invoice_suspends_until_it_is_collected() {
    let client = client().await;
    let (payer, receiver) = (TestTenant::new(&client, "owes").await, TestTenant::new(&client, "paid").await);
    let (wallets, wanted) = collected(&payer, &receiver);
    let of_receiver: Api<payplane_crds::Wallet> = Api::namespaced(client.clone(), &receiver.name);
    for mut wallet in wallets {
        wallet["metadata"]["namespace"] = receiver.name.clone().into();
        let name = wallet["metadata"]["name"].as_str().unwrap().to_owned();
        apply(&of_receiver, &name, wallet).await;
    }
    payer.wallet("purse").await;
    let billings: Api<TenantBilling> = Api::namespaced(client.clone(), SYSTEM);
    apply(&billings, &payer.name, wanted).await;
    let suspended = wait_for(&billings, &payer.name, "suspended for debt", |billing| {
        is_true(Some(&status(billing).conditions), "Suspended")
    })
    .await;
    let owed = status(&suspended).collection.unwrap();
    // 49.00 and 8.1 %: 3.969.
    assert_eq!((owed.due.as_deref(), owed.refusal.as_deref()), (Some("52.97"), Some("InsufficientFunds")));
    payer.fund("purse", "100.00").await;
    let paid = wait_for(&billings, &payer.name, "collected and resumed", |billing| {
        let status = status(billing);
        status.collection.as_ref().is_some_and(|owed| owed.unpaid == 0)
            && !is_true(Some(&status.conditions), "Suspended")
    })
    .await;
    let last = status(&paid).last_invoice.unwrap();
    assert_eq!(last.state.as_deref(), Some("Paid"));
    // The link of the status leads to the documents, in the language of the example.
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(client.clone(), SYSTEM);
    let kept = maps.get(&last.config_map.unwrap()).await.unwrap();
    let (text, pdf) = (kept.data.unwrap(), kept.binary_data.unwrap());
    assert!(text["invoice.json"].contains("52.97") && text["invoice.html"].contains("Grundgebühr"));
    assert!(pdf["invoice.pdf"].0.starts_with(b"%PDF"));
    delete(&billings, &payer.name).await;
    payer.clean_up().await;
    receiver.clean_up().await;
}

#[tokio::test]
async fn a_shared_plan_changes_by_version_and_outlives_its_object() {
    let tenant = TestTenant::new(&client().await, "shared").await;
    let billings: Api<TenantBilling> = Api::namespaced(tenant.client.clone(), SYSTEM);
    let plans: Api<BillingPlan> = Api::namespaced(tenant.client.clone(), SYSTEM);
    let text = include_str!("../../../examples/billing/plan.yaml");
    let mut parts = text.split("\n---\n").map(example);
    let (mut plan, mut billing) = (parts.next().unwrap(), parts.next().unwrap());
    let name = tenant.name.clone();
    plan["metadata"]["name"] = name.clone().into();
    billing["spec"]["tenantRef"]["name"] = name.clone().into();
    billing["spec"]["planRef"] = json!({"name": name, "apply": "Now"});
    billing["spec"]["period"] = manifest(&tenant, 0)["spec"]["period"].clone();
    let applied = |billing: &TenantBilling, reason: &str| {
        let conditions = status(billing).conditions;
        condition(Some(&conditions), "PlanApplied").is_some_and(|applied| applied.reason == reason)
    };

    // First without the plan: nothing to bill by.
    apply(&billings, &name, billing).await;
    wait_for(&billings, &name, "said that there is no plan", |billing| {
        let conditions = status(billing).conditions;
        condition(Some(&conditions), "Ready").is_some_and(|ready| ready.reason == "PlanNotFound")
    })
    .await;
    apply(&plans, &name, plan.clone()).await;
    let billed = wait_for(&billings, &name, "agreed", |billing| applied(billing, "PlanAgreed")).await;
    assert_eq!(status(&billed).plan_version, Some(format!("{name}@1")));

    plan["spec"]["version"] = "2".into();
    plan["spec"]["plan"]["baseFee"] = "99.00".into();
    apply(&plans, &name, plan).await;
    let both = format!("{name}@1, {name}@2");
    wait_for(&billings, &name, "cut the period", |billing| {
        status(billing).plan_version == Some(both.clone())
    })
    .await;
    let used = wait_for(&plans, &name, "counted its user", |plan| {
        plan.status.as_ref().is_some_and(|status| status.current == 1)
    })
    .await;
    assert_eq!(used.status.unwrap().used_by, [name.as_str()]);

    delete(&plans, &name).await;
    let kept =
        wait_for(&billings, &name, "kept its version", |billing| applied(billing, "PlanNotFound")).await;
    assert_eq!(status(&kept).plan_version, Some(both));
    assert!(is_true(Some(&status(&kept).conditions), "Ready"));
    delete(&billings, &name).await;
    tenant.clean_up().await;
}

/// What the plans of the worked example come to before anything is used: 49.00 and 8.1 %; 25.00 at least, a tenth off, and
/// 8.1 % of 22.50; 20.00 and 8.1 %.
#[tokio::test]
async fn the_plans_of_the_worked_example_are_billed() {
    let tenant = TestTenant::new(&client().await, "worked").await;
    let billings: Api<TenantBilling> = Api::namespaced(tenant.client.clone(), SYSTEM);
    let plans = include_str!("../../../examples/billing/worked.yaml").split("\n---\n").map(example);
    for (mut plan, accrued) in plans.zip(["52.97", "24.32", "21.62"]) {
        plan["spec"]["tenantRef"]["name"] = tenant.name.clone().into();
        // One after the other: a tenant has one bill.
        apply(&billings, &tenant.name, plan).await;
        wait_for(&billings, &tenant.name, "priced what nobody used", |billing| {
            status(billing).accrued.as_deref() == Some(accrued)
        })
        .await;
        delete(&billings, &tenant.name).await;
    }
    tenant.clean_up().await;
}
