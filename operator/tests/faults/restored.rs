//! D5: the ledger is restored to before twenty payments and a refund. None is done again by itself; those that somebody
//! consents to are, once each, although the operator dies in the middle.

use std::collections::BTreeSet;

use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use payplane_crds::PaymentState;
use serde_json::{Value, json};

use super::bed::{
    Bed, Fault, Operator, Rule, eventually,
    objects::Objects,
    site::{TestTenant, condition, create, dollar, wait},
};

const LOST: usize = 20;
const CONSENTED: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restored_ledger_does_not_know_is_flagged_and_paid_again_only_with_consent() {
    let mut bed = Bed::new().await;
    waits_for_a_decision(&bed).await;
    for name in ["known", "given"] {
        bed.tenant.pay(name).await;
    }
    let known = bed.tenant.completed("known").await;
    bed.tenant.completed("given").await;
    let copy = bed.ledger.snapshot().await;
    let names: Vec<String> = (0..LOST).map(|number| format!("lost-{number}")).collect();
    for name in &names {
        bed.tenant.pay(name).await;
    }
    for name in &names {
        bed.tenant.completed(name).await;
    }
    bed.tenant.create("Refund", "back", json!({"payment": {"name": "given"}})).await;
    refund_is(&bed.tenant, "Completed").await;
    let paid = bed.books().transfers().await;

    bed.ledger.restore(&copy, "r-1").await;
    let restored = bed.books().transfers().await;
    assert_eq!(paid - restored, LOST as i64 + 1, "the copy is from before the payments and the refund");
    // Some were open when it happened, as far as their status tells; the audit finds the others.
    for name in &names[..3] {
        bed.tenant.forge("Payment", name, json!(null)).await;
    }
    let mut told = String::new();
    for name in &names {
        told = is_lost(&bed.tenant, name).await;
    }
    let back = refund_is(&bed.tenant, "Lost").await;
    assert_eq!(condition(&back, "Stalled").unwrap()["reason"], "LostByRestore");
    let (epoch, began) = bed.books().epoch().await;
    assert!(told.contains(&format!("payplane.io/replay={epoch}")), "{told}");
    assert_eq!(bed.books().transfers().await, restored, "something was paid again without consent");
    assert_eq!(bed.tenant.completed("known").await, known);

    // One consent is for another restore. The operator dies after the third call that pays, before it hears the answer.
    consent(&bed.tenant, &names[LOST - 1], "1").await;
    let engine = bed.site.to_engine.switch.clone();
    let strikes = engine.strikes();
    engine.set(vec![Rule::nth(3, Fault::HoldAnswer, |call| call.kind == "CreatePayment")]);
    for name in &names[..CONSENTED] {
        consent(&bed.tenant, name, &epoch).await;
    }
    bed.tenant.objects("Refund").patch("back", &PatchParams::default(), &consenting(&epoch)).await.unwrap();
    engine.struck(strikes + 1).await;
    bed.operator.process.kill();
    engine.heal();
    bed.operator = Operator::start(&bed.site, &["--leader-elect=false"]);
    for name in &names[..CONSENTED] {
        bed.tenant.completed(name).await;
    }
    refund_is(&bed.tenant, "Completed").await;
    // What is new is paid as ever, as soon as clocks cannot differ so much.
    eventually("ten seconds after the restore", async || {
        (began + 11 < jiff::Timestamp::now().as_second()).then_some(())
    })
    .await;
    bed.tenant.pay("fresh").await;
    bed.tenant.completed("fresh").await;
    for name in &names[CONSENTED..] {
        is_lost(&bed.tenant, name).await;
    }
    let flagged = ListParams::default().fields("status.state=Lost");
    let flagged = bed.tenant.payments().list(&flagged).await.unwrap().items.len();
    assert_eq!(flagged, LOST - CONSENTED);
    expect(&bed, &names[..CONSENTED], &["known", "given", "fresh"], 1).await;
    assert_eq!(bed.books().transfers().await, restored + CONSENTED as i64 + 2);

    // Restored from the same copy once more, the number of the epoch is the same and the consents of before count no more.
    bed.ledger.restore(&copy, "r-2").await;
    assert_ne!(bed.books().epoch().await.0, epoch);
    for name in &names[..CONSENTED] {
        bed.tenant.forge("Payment", name, json!(null)).await;
    }
    bed.tenant.forge("Refund", "back", json!(null)).await;
    for name in &names {
        is_lost(&bed.tenant, name).await;
    }
    refund_is(&bed.tenant, "Lost").await;
    expect(&bed, &[], &["known", "given"], 0).await;
    // What is applied now is younger than the restore, however much clocks may differ.
    let (_, began) = bed.books().epoch().await;
    eventually("ten seconds after the second restore", async || {
        (began + 11 < jiff::Timestamp::now().as_second()).then_some(())
    })
    .await;
    let applied = apply_again(&bed).await;
    for name in &names {
        is_lost(&bed.tenant, name).await;
    }
    assert_eq!(bed.tenant.completed("known").await, known);
    let again = bed.tenant.settled("known").await;
    assert_eq!(condition(&again, "Replayed").unwrap()["status"], "True");
    refund_is(&bed.tenant, "Lost").await;
    expect(&bed, &[], &["known", "given"], 0).await;
    println!("{applied} objects kept in a file, deleted and applied again: none was paid again");
    println!(
        "restored twice: {LOST} payments and 1 refund flagged, {CONSENTED} and 1 done again once, 1 kill in between"
    );
}

/// Under `action: Alert` a hold past its deadline is not given back, is told, and is voided by its Payment.
async fn waits_for_a_decision(bed: &Bed) {
    let tenant = &bed.tenant;
    let example = include_str!("../../../examples/timeouts/alert.yaml");
    let mut spec = serde_saphyr::from_str::<Value>(example).unwrap()["spec"].clone();
    spec["scope"] = json!({"tenant": true});
    spec["timeoutSeconds"] = json!(1);
    tenant.create("TimeoutPolicy", "ask-first", spec).await;
    let policies = tenant.objects("TimeoutPolicy");
    wait(&policies, "ask-first", "is in force", |policy| policy.data["status"]["action"] == "Alert").await;
    let mut hold = dollar();
    hold["hold"] = json!({});
    tenant.create("Payment", "undecided", hold).await;
    let held = wait(&tenant.payments(), "undecided", "is held", |payment| {
        payment.status.as_ref().is_some_and(|status| status.deadline.is_some())
    })
    .await;
    let deadline = held.status.unwrap().deadline.unwrap().0;
    // Three times as long as from one sweep to the next.
    eventually("a deadline that is long past", async || {
        (3 < jiff::Timestamp::now().duration_since(deadline).as_secs()).then_some(())
    })
    .await;
    assert_eq!(bed.books().balance("alice").await.1, "1.00", "the money is not held any more");
    let told = looked_at(bed, 2, "False").await;
    assert_eq!(told.data["status"]["holds"]["awaitingDecision"], 1, "{told:?}");
    assert_eq!(told.data["status"]["holds"]["reversed"], 0, "{told:?}");
    let void = Patch::Merge(json!({"spec": {"void": true}}));
    tenant.payments().patch("undecided", &PatchParams::default(), &void).await.unwrap();
    assert_eq!(tenant.settled("undecided").await.status.unwrap().state, PaymentState::Voided);
    looked_at(bed, 3, "True").await;
    println!("one hold waited for a decision, and was voided past its deadline");
}

/// A change of the policy brings the next look before its time.
async fn looked_at(bed: &Bed, seconds: i64, status: &str) -> DynamicObject {
    let policies = bed.tenant.objects("TimeoutPolicy");
    let change = Patch::Merge(json!({"spec": {"timeoutSeconds": seconds}}));
    policies.patch("ask-first", &PatchParams::default(), &change).await.unwrap();
    wait(&policies, "ask-first", "tells whether a hold waits", |policy| {
        policy.data["status"]["timeoutSeconds"] == seconds
            && condition(policy, "DecisionsCurrent").is_some_and(|found| found["status"] == status)
    })
    .await
}

/// Keeps the objects as a Backup does, deletes the tenant's Payments, and applies them again. Gives how many there are.
async fn apply_again(bed: &Bed) -> usize {
    let (tenant, payments) = (&bed.tenant, bed.tenant.payments());
    let objects = Objects::new();
    objects.store(&bed.site, "nightly").await;
    let (_, mut document) = objects.fetch("nightly");
    let mut kept = std::mem::take(document["items"].as_array_mut().unwrap());
    kept.retain(|object| object["kind"] == "Payment");
    for object in &kept {
        tenant.delete(object["metadata"]["name"].as_str().unwrap()).await;
    }
    eventually("no Payments", async || {
        payments.list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
    for object in &kept {
        create(&tenant.client, object.clone()).await;
    }
    kept.len()
}

/// Waits until it is flagged, and gives what it says.
async fn is_lost(tenant: &TestTenant, name: &str) -> String {
    let payment = wait(&tenant.payments(), name, "is flagged", |payment| {
        payment.status.as_ref().is_some_and(|status| status.state == PaymentState::Lost)
    })
    .await;
    let stalled = condition(&payment, "Stalled").unwrap();
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("LostByRestore")), "{name}");
    stalled["message"].as_str().unwrap().to_owned()
}

async fn refund_is(tenant: &TestTenant, state: &str) -> DynamicObject {
    let refunds = tenant.objects("Refund");
    wait(&refunds, "back", "has the state that is expected", |refund| refund.data["status"]["state"] == state)
        .await
}

async fn consent(tenant: &TestTenant, name: &str, epoch: &str) {
    tenant.payments().patch(name, &PatchParams::default(), &consenting(epoch)).await.unwrap();
}

fn consenting(epoch: &str) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"annotations": {"payplane.io/replay": epoch}}}))
}

/// The ledger has these payments, the funding and the voided hold, each once, and no other; of so many the money went back.
async fn expect(bed: &Bed, again: &[String], others: &[&str], refunded: usize) {
    let facts = bed.books().payments().await;
    let key = |name: &str| format!("{}/{name}", bed.tenant.name);
    let names = again.iter().map(String::as_str).chain(others.iter().copied()).chain(["fund", "undecided"]);
    let expected: BTreeSet<String> = names.map(key).collect();
    assert_eq!(facts.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let sum = again.len() + others.len() - refunded;
    assert_eq!(bed.books().balance("bob").await.0, format!("{sum}.00"));
}
