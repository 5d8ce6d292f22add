//! The same payment again and again: each time once, whoever dies, and never more than the payer has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::ListParams;
use payplane_crds::StandingOrder;
use payplane_crds::standing_order::{Counts, OccurrenceOutcome};
use payplane_e2e::cluster::{apply, condition, delete, is_true, wait_for, wait_gone};
use payplane_e2e::{TestTenant, client, faults};

fn orders(tenant: &TestTenant) -> Api<StandingOrder> {
    Api::namespaced(tenant.client.clone(), &tenant.name)
}

fn conditions(order: &StandingOrder) -> Option<&[Condition]> {
    order.status.as_ref().map(|status| status.conditions.as_slice())
}

fn reason(order: &StandingOrder, type_: &str) -> String {
    condition(conditions(order), type_).map(|found| found.reason.clone()).unwrap_or_default()
}

fn counts(order: &StandingOrder) -> Counts {
    order.status.as_ref().and_then(|status| status.counts).unwrap_or_default()
}

/// A tenant with the examples' wallets, where the payer has so many dollars.
async fn tenant_with(label: &str, dollars: &str) -> TestTenant {
    let tenant = TestTenant::new(&client().await, label).await;
    tenant.wallet("treasury").await;
    tenant.wallet("payroll").await;
    tenant.fund("treasury", dollars).await;
    tenant.client_pod().await;
    tenant
}

#[tokio::test]
async fn an_order_pays_each_time_once_across_a_crash_and_stops_when_the_payer_has_too_little() {
    // Enough for one payment.
    let tenant = tenant_with("standing", "15.00").await;
    let sweep = include_str!("../../../examples/standing-orders/sweep.yaml");
    apply(&orders(&tenant), "sweep", tenant.here(sweep)).await;
    let paid = wait_for(&orders(&tenant), "sweep", "paid", |order| counts(order).paid == 1).await;
    let first =
        paid.status.as_ref().unwrap().history.iter().find(|one| one.outcome == OccurrenceOutcome::Paid);
    let first = first.unwrap().payment.clone().unwrap();
    assert!(first.starts_with("sweep-"), "{first}");
    faults::kill(&tenant.client, "payplane-operator-", 0).await;

    let stopped = wait_for(&orders(&tenant), "sweep", "stopped", |order| {
        reason(order, "Suspended") == "InsufficientFunds"
    })
    .await;
    assert!(is_true(conditions(&stopped), "Suspended"));
    assert!(stopped.status.as_ref().unwrap().next_scheduled_time.is_none());
    let last = stopped.status.unwrap().last_payment.unwrap();
    assert_eq!(
        (last.outcome, last.reason.as_deref()),
        (OccurrenceOutcome::Refused, Some("InsufficientFunds"))
    );
    assert_eq!(tenant.balance("payroll").await["available"], "10.00");

    let paused = include_str!("../../../examples/standing-orders/paused.yaml");
    apply(&orders(&tenant), "sweep", tenant.here(paused)).await;
    wait_for(&orders(&tenant), "sweep", "paused", |order| reason(order, "Suspended") == "Suspended").await;

    // Its objects go with the order; what moved stays moved.
    delete(&orders(&tenant), "sweep").await;
    wait_gone(&tenant.payments(), &first).await;
    let left =
        tenant.payments().list(&ListParams::default().labels("payplane.io/standing-order=sweep")).await;
    assert!(left.unwrap().items.iter().all(|payment| payment.metadata.deletion_timestamp.is_some()));
    assert_eq!(tenant.balance("payroll").await["available"], "10.00");
    let keys = tenant.ledger_payments().await;
    // The funding, and one time of the order.
    assert_eq!(keys.len(), 2, "{keys:#?}");
    tenant.assert_books_balance().await;
    tenant.clean_up().await;
}

#[tokio::test]
async fn the_example_of_a_monthly_order_is_ready_and_pays_nothing_before_its_time() {
    let tenant = tenant_with("monthly", "5.00").await;
    let rent = include_str!("../../../examples/standing-orders/rent.yaml");
    apply(&orders(&tenant), "rent", tenant.here(rent)).await;
    let order =
        wait_for(&orders(&tenant), "rent", "is ready", |order| is_true(conditions(order), "Ready")).await;
    assert!(["Scheduled", "Finished"].contains(&reason(&order, "Ready").as_str()));
    assert_eq!(counts(&order), Counts::default());

    let mut wrong = tenant.here(rent);
    wrong["spec"]["timeZone"] = "Europe/Atlantis".into();
    apply(&orders(&tenant), "rent", wrong).await;
    let stalled =
        wait_for(&orders(&tenant), "rent", "stalled", |order| is_true(conditions(order), "Stalled")).await;
    let message = &condition(conditions(&stalled), "Stalled").unwrap().message;
    assert!(message.starts_with("timeZone"), "{message}");
    tenant.clean_up().await;
}
