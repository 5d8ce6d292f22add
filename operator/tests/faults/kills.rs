//! The operator is killed after each of its writes and calls in the life of a payment.

use super::bed::Bed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bed_pays() {
    let bed = Bed::new().await;
    bed.tenant.pay("one").await;
    bed.tenant.hold("two").await;
    bed.tenant.completed("one").await;
    bed.tenant.completed("two").await;
    println!("{}\n{}", bed.site.to_api.switch.table(), bed.site.to_engine.switch.table());
    println!("{:?} {:?}", bed.books().payments().await.keys(), bed.books().balance("bob").await);
}
