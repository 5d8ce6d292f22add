//! K2 and K10: statuses are wiped and forged, objects deleted and applied again. The ledger is asked, and pays once.

use serde_json::json;

use super::{
    Paid,
    bed::{
        Bed,
        site::{dollar, is_true, wait},
    },
    settle_up, sized,
};
use payplane_crds::PaymentState;

const FAKE: &str = "11111111-2222-5333-8444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_never_proof_and_an_object_that_comes_again_pays_nothing() {
    let bed = Bed::new().await;
    let (tenant, books) = (&bed.tenant, bed.books());
    let paid = Paid {
        dollars: (0..sized(4, 20)).map(|number| format!("pay-{number}")).collect(),
        holds: (0..sized(2, 20)).map(|number| format!("hold-{number}")).collect(),
    };
    for name in &paid.dollars {
        tenant.pay(name).await;
    }
    for name in &paid.holds {
        tenant.hold(name).await;
    }
    settle_up(tenant, &books, &paid).await;
    let transfers = books.transfers().await;

    for name in paid.names() {
        tenant.forge("Payment", name, json!(null)).await;
    }
    settle_up(tenant, &books, &paid).await;
    assert_eq!(books.transfers().await, transfers, "wiping moved money");

    for round in 0..sized(2, 20) {
        for name in paid.names() {
            tenant.delete(name).await;
        }
        for name in &paid.dollars {
            tenant.pay(name).await;
        }
        for name in &paid.holds {
            tenant.hold(name).await;
        }
        settle_up(tenant, &books, &paid).await;
        for name in paid.names() {
            let payment = tenant.settled(name).await;
            assert!(is_true(&payment, "Replayed"), "round {round}, {name}: {:#?}", payment.status);
        }
    }
    assert_eq!(books.transfers().await, transfers, "applying again moved money");
    let forged = forge(&bed).await;
    println!("wiped {}, applied again {} times, forged {forged}", paid.names().count(), sized(2, 20));
}

/// Says of payments what is not so: of one that was paid that it failed, of one that waits that it was paid, and of
/// one that nobody was asked about yet that it was paid as another one was. Returns how many lies there were.
async fn forge(bed: &Bed) -> usize {
    let tenant = &bed.tenant;
    let true_id = tenant.completed("pay-0").await;
    let says = |state: &str, id: &str| {
        let condition = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": "Completed", "message": "",
                   "lastTransitionTime": "2026-11-21T00:00:00Z"})
        };
        json!({"state": state, "paymentId": id, "conditions": [condition("Ready"), condition("Settled")]})
    };
    bed.site.to_engine.switch.go_away();
    tenant.pay("unasked").await;
    let mut spec = dollar();
    spec["to"] = json!({"name": "carol"});
    tenant.create("Payment", "waiting", spec).await;
    tenant.forge("Payment", "unasked", says("Completed", &true_id)).await;
    tenant.forge("Payment", "waiting", says("Completed", FAKE)).await;
    tenant.forge("Payment", "pay-0", says("Failed", FAKE)).await;
    tenant.forge("Payment", "hold-0", says("Voided", FAKE)).await;
    bed.site.to_engine.switch.heal();

    let unasked = id_of(bed, "unasked", |state| state == PaymentState::Completed, &true_id).await;
    assert_eq!(id_of(bed, "pay-0", |state| state == PaymentState::Completed, FAKE).await, true_id);
    id_of(bed, "hold-0", |state| state == PaymentState::Completed, FAKE).await;
    // What is left of a forged status goes with a second write.
    wait(&tenant.payments(), "waiting", "is open again", |payment| {
        payment.status.as_ref().is_some_and(|status| status.state == PaymentState::New)
            && !is_true(payment, "Settled")
    })
    .await;
    tenant.wallet("carol").await;
    let waiting = tenant.completed("waiting").await;

    let facts = bed.books().payments().await;
    let id = |name: &str| facts[&format!("acme/{name}")].id.clone();
    assert_eq!((id("unasked"), id("waiting"), id("pay-0")), (unasked, waiting, true_id));
    assert_eq!(bed.books().balance("carol").await.0, "1.00");
    4
}

/// Waits until a payment is in a state and no longer names the forged id.
async fn id_of(bed: &Bed, name: &str, state: impl Fn(PaymentState) -> bool, forged: &str) -> String {
    let told = |payment: &payplane_crds::Payment| {
        let status = payment.status.clone().unwrap_or_default();
        Some(status.payment_id.unwrap_or_default()).filter(|id| state(status.state) && id != forged)
    };
    let payments = bed.tenant.payments();
    told(&wait(&payments, name, "says what the ledger says", |payment| told(payment).is_some()).await)
        .unwrap()
}
