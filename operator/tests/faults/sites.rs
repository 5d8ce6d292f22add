//! K5: the same manifests in two clusters before one ledger.

use super::{
    Paid,
    bed::{Bed, Ledger, Operator, Site, api_server::Keys, site::is_true},
    settle_up, sized,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_with_the_same_manifests_pay_once() {
    let keys = Keys::new();
    let (one, two, mut ledger) = tokio::join!(Site::new(&keys), Site::new(&keys), Ledger::new());
    ledger.believe(&one).await;
    let bed = Bed::with(one, ledger).await;
    let _operator = Operator::start(&two, &["--leader-elect=false"]);
    two.found(&bed.ledger).await;
    let twin = two.tenant("acme").await;
    twin.fund("1000000.00").await;

    let count = sized(20, 200);
    let paid = Paid {
        dollars: (0..count).map(|number| format!("pay-{number}")).collect(),
        holds: (0..count / 4).map(|number| format!("hold-{number}")).collect(),
    };
    // Side by side, so that either may be first.
    for name in &paid.dollars {
        tokio::join!(bed.tenant.pay(name), twin.pay(name));
    }
    for name in &paid.holds {
        tokio::join!(bed.tenant.hold(name), twin.hold(name));
    }
    settle_up(&bed.tenant, &bed.books(), &paid).await;
    let payments = settle_up(&twin, &bed.books(), &paid).await;
    let (mut first, mut second) = (0, 0);
    for name in paid.names() {
        let replayed = async |tenant: &super::TestTenant| is_true(&tenant.settled(name).await, "Replayed");
        let (here, there) = (replayed(&bed.tenant).await, replayed(&twin).await);
        assert!(here != there, "{name}: exactly one of the two objects came later, not {here} and {there}");
        first += usize::from(there);
        second += usize::from(here);
    }
    println!("{payments} payments in two clusters, each once; first here {first}, first there {second}");
    assert!(0 < first + second);
}
