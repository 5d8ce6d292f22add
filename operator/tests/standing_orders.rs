//! A StandingOrder on the real API server, from its first minute to its deletion: one Payment per time, whatever crashes.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use payplane_crds::{
    Payment, StandingOrder,
    standing_order::{Counts, OccurrenceOutcome},
};
use payplane_operator::{
    condition::find,
    controllers::{Again, Reconciled},
};
use serde_json::{Value, json};
use support::{context, create, in_namespace, look, objects, payment};

/// The next minute that does not begin before the test has: an operator that runs in the same cluster pays at once.
fn soon() -> String {
    let begun = Timestamp::now() + SignedDuration::from_secs(20);
    let next = begun.as_second() - begun.as_second() % 60 + 60;
    Timestamp::from_second(next).unwrap().strftime("%-M %-H * * *").to_string()
}

async fn order(client: &Client, namespace: &str, name: &str, schedule: &str) -> Api<StandingOrder> {
    let body = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "StandingOrder", "metadata": {"name": name},
        "spec": {
            "schedule": schedule, "onInsufficientFunds": {"action": "Suspend"},
            "template": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
        },
    });
    create(&objects(client, "StandingOrder", namespace), body).await.unwrap();
    Api::namespaced(client.clone(), namespace)
}

/// Status and reason of a condition.
fn told(order: &StandingOrder, type_: &str) -> (String, String) {
    let found = find(&order.status.as_ref().unwrap().conditions, type_).unwrap();
    (found.status.clone(), found.reason.clone())
}

/// Says of a payment what only the operator should: that the payer had too little.
async fn refuse(payments: &Api<Payment>, name: &str) {
    let condition = |type_: &str, status: &str| {
        json!({
            "type": type_, "status": status, "reason": "InsufficientFunds", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let conditions =
        [condition("Settled", "True"), condition("Succeeded", "False"), condition("Ready", "False")];
    let patch = Patch::Merge(json!({"status": {"state": "Failed", "conditions": conditions}}));
    payments.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn names(payments: &Api<Payment>, order: &str) -> Vec<String> {
    let ours = ListParams::default().labels(&format!("payplane.io/standing-order={order}"));
    payments.list(&ours).await.unwrap().items.iter().map(|payment| payment.name_any()).collect()
}

#[tokio::test]
async fn a_time_gets_one_payment_and_a_refused_one_stops_the_order() {
    in_namespace("standing", |client, namespace| async move {
        let context = context(&client);
        let payments = Api::<Payment>::namespaced(client.clone(), &namespace);
        let schedule = soon();
        let orders = order(&client, &namespace, "rent", &schedule).await;
        order(&client, &namespace, "taken", &schedule).await;
        let before = orders.get("rent").await.unwrap();
        let (first, again) = look(&context, &orders, "rent").await;
        assert_eq!(told(&first, "Ready"), ("True".into(), "Scheduled".into()));
        let due = first.status.as_ref().unwrap().next_scheduled_time.clone().unwrap().0;
        // Somebody else's payment has the name that the other order will need.
        let foreign = format!("taken-{}", due.strftime("%Y%m%dt%H%Mz"));
        create(&objects(&client, "Payment", &namespace), payment(&foreign)).await.unwrap();

        let Again::After(wait) = again else { panic!("it has to come back by itself: {again:?}") };
        // As long as the order itself asks for: that it asks for the right time is what this shows.
        tokio::time::sleep(wait).await;
        let (served, _) = look(&context, &orders, "rent").await;
        let name = format!("rent-{}", due.strftime("%Y%m%dt%H%Mz"));
        assert_eq!(names(&payments, "rent").await, std::slice::from_ref(&name));
        let made = payments.get(&name).await.unwrap();
        let key = format!("standing-order:{namespace}/rent@{due}");
        assert_eq!(made.spec.idempotency_key.as_deref(), Some(key.as_str()));
        assert_eq!(made.owner_references()[0].uid, served.uid().unwrap());
        assert_eq!(
            served.status.as_ref().unwrap().last_payment.as_ref().unwrap().outcome,
            OccurrenceOutcome::Open
        );

        // A process that saw only the order's beginning makes the same object, not a second one.
        drop(before.reconcile(&context).await);
        let wiped = Patch::Merge(json!({"status": Value::Null}));
        orders.patch_status("rent", &PatchParams::default(), &wiped).await.unwrap();
        look(&context, &orders, "rent").await;
        assert_eq!(names(&payments, "rent").await, std::slice::from_ref(&name));

        // The other order meets the foreign payment, says so, and leaves it alone.
        let found = orders.get("taken").await.unwrap();
        drop(found.reconcile(&context).await);
        assert_eq!(told(&orders.get("taken").await.unwrap(), "Stalled"), ("True".into(), "NameTaken".into()));
        assert!(payments.get(&foreign).await.unwrap().owner_references().is_empty());

        refuse(&payments, &name).await;
        let (stopped, _) = look(&context, &orders, "rent").await;
        assert_eq!(told(&stopped, "Suspended"), ("True".into(), "InsufficientFunds".into()));
        assert_eq!(stopped.status.as_ref().unwrap().counts, Some(Counts { refused: 1, ..Counts::default() }));
        assert!(stopped.status.as_ref().unwrap().next_scheduled_time.is_none());

        payments.delete(&name, &DeleteParams::default()).await.unwrap();
        let (resumed, _) = look(&context, &orders, "rent").await;
        assert_eq!(told(&resumed, "Suspended").0, "False");
        let pause = Patch::Merge(json!({"spec": {"suspend": true}}));
        orders.patch("rent", &PatchParams::default(), &pause).await.unwrap();
        let (paused, again) = look(&context, &orders, "rent").await;
        assert_eq!(told(&paused, "Suspended"), ("True".into(), "Suspended".into()));
        assert_eq!(again, Again::OnChange, "a paused order costs nothing");
    })
    .await;
}
