//! K3 and K7: etcd is restored to before fifty payments, and stands still.

use std::time::Duration;

use super::{
    Paid,
    bed::{
        Bed, eventually,
        site::{dollar, is_true},
    },
    sized,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_etcd_forgets_the_ledger_remembers() {
    let mut bed = Bed::new().await;
    // Open when the copy is made, settled when it comes back.
    let mut spec = dollar();
    spec["to"] = json!({"name": "carol"});
    bed.tenant.create("Payment", "open", spec).await;
    let copy = bed.site.api.snapshot().await;

    let lost = Paid::dollars((0..50).map(|number| format!("pay-{number}")));
    let listed = bed.site.to_api.switch.calls("LIST", "payments");
    bed.tenant.wallet("carol").await;
    let open = bed.tenant.completed("open").await;
    for name in &lost.dollars {
        bed.tenant.pay(name).await;
    }
    for name in &lost.dollars {
        bed.tenant.completed(name).await;
    }
    let transfers = bed.books().transfers().await;

    bed.site.api.restore(&copy).await;
    let again =
        eventually("the restored API server", async || bed.tenant.payments().get_opt("pay-0").await.ok());
    assert!(again.await.is_none(), "the copy is from before the payments");
    // Git applies everything again; what was open finds what became of it.
    bed.tenant.wallet("carol").await;
    for name in &lost.dollars {
        bed.tenant.pay(name).await;
    }
    for name in &lost.dollars {
        bed.tenant.completed(name).await;
        assert!(is_true(&bed.tenant.settled(name).await, "Replayed"), "{name}");
    }
    assert_eq!(bed.tenant.completed("open").await, open);
    assert_eq!(bed.books().transfers().await, transfers, "a restored cluster moved money");
    let facts = bed.books().payments().await;
    assert_eq!(facts.len(), 52, "fifty payments, the open one, and the funding");
    let listed = bed.site.to_api.switch.calls("LIST", "payments") - listed;
    println!("restored once, 50 payments lost and found, the operator listed {listed} times again");
    assert!(0 < listed);
    stands_still(&bed).await;
}

/// A disk that does not answer for a while.
async fn stands_still(bed: &Bed) {
    let paid = Paid::dollars((0..50).map(|number| format!("pay-{number}")));
    for round in 0..sized(1, 5) {
        bed.site.api.etcd().signal("STOP");
        let name = format!("slow-{round}");
        let applied = bed.tenant.pay(&name);
        let wake = async {
            // The fault itself: etcd does not answer for so long.
            tokio::time::sleep(Duration::from_secs(sized(4, 8) as u64)).await;
            bed.site.api.etcd().signal("CONT");
        };
        tokio::join!(applied, wake);
        bed.tenant.completed(&name).await;
    }
    let facts = bed.books().payments().await;
    assert_eq!(facts.len(), paid.dollars.len() + 2 + sized(1, 5));
    println!("etcd stood still {} times", sized(1, 5));
}
