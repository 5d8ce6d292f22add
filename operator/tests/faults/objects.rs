//! A cluster is lost with everything in it: the ledger comes back from a copy, the objects from the document that a Backup
//! keeps, into an empty cluster. Nothing is paid again, not even what the copy of the ledger does not know.

use std::collections::BTreeMap;

use payplane_crds::{PaymentState, Tenant};

use super::bed::{
    Bed, Ledger, Operator, Site,
    api_server::Keys,
    eventually,
    objects::Objects,
    site::{TestTenant, is_true, wait},
};

const KNOWN: usize = 6;
const LATE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_a_backup_come_back_in_an_empty_cluster_and_pay_nothing() {
    let keys = Keys::new();
    let (one, two, mut ledger) = tokio::join!(Site::new(&keys), Site::new(&keys), Ledger::new());
    ledger.believe(&one).await;
    let mut bed = Bed::with(one, ledger).await;
    let known = pay(&bed.tenant, "known", KNOWN).await;
    let copy = bed.ledger.snapshot().await;
    // The document is younger than the copy of the ledger, as when that one turns out to be damaged.
    let late = pay(&bed.tenant, "late", LATE).await;
    let objects = Objects::new();
    let kept = objects.store(&bed.site, "nightly").await;
    // Platform, Tenant, two Wallets and the Payment that brought money in.
    assert_eq!(kept as usize, KNOWN + LATE + 5);
    bed.operator.process.kill();

    bed.ledger.restore(&copy, "r-1").await;
    let restored = bed.books().transfers().await;
    let (_, began) = bed.books().epoch().await;
    eventually("ten seconds after the restore", async || {
        (began + 11 < jiff::Timestamp::now().as_second()).then_some(())
    })
    .await;
    let operator = Operator::start(&two, &["--leader-elect=false"]);
    two.found(&bed.ledger).await;
    objects.fetch("nightly");
    assert!(!objects.apply(&two), "there is no namespace for a tenant's objects yet");
    let tenants = kube::Api::<Tenant>::all(two.client.clone());
    wait(&tenants, &bed.tenant.name, "is ready", |tenant| is_true(tenant, "Ready")).await;
    assert!(objects.apply(&two), "the second time everything has its place");

    let twin = TestTenant { name: bed.tenant.name.clone(), client: two.client.clone() };
    for (name, id) in &known {
        assert_eq!(twin.completed(name).await, *id, "{name} met another payment");
        assert!(is_true(&twin.settled(name).await, "Replayed"), "{name}");
    }
    for name in late.keys() {
        wait(&twin.payments(), name, "is flagged", |payment| {
            payment.status.as_ref().is_some_and(|status| status.state == PaymentState::Lost)
        })
        .await;
    }
    assert_eq!(bed.books().transfers().await, restored, "something was paid again");
    drop(operator);
    println!("{kept} objects applied into an empty cluster: {KNOWN} known, {LATE} flagged, 0 paid");
}

/// Pays so many dollars, and gives the ledger's ids by name.
async fn pay(tenant: &TestTenant, what: &str, count: usize) -> BTreeMap<String, String> {
    let mut paid = BTreeMap::new();
    for number in 0..count {
        let name = format!("{what}-{number}");
        tenant.pay(&name).await;
        let id = tenant.completed(&name).await;
        paid.insert(name, id);
    }
    paid
}
