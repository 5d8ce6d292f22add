//! K4: a leader that is paused in the middle of a payment for longer than its Lease, and its heir; a Lease that is deleted; and
//! two that act at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};

use super::{
    Paid,
    bed::{Bed, Fault, Operator, Rule, SYSTEM, eventually},
    settle_up, sized,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_sleeps_is_followed_and_ends_when_it_wakes() {
    let mut bed = Bed::new().await;
    bed.operator.process.kill();
    let api = bed.site.to_api.switch.clone();
    api.set(vec![Rule::every(Fault::Answer(500), |call| call.kind == "leases")]);
    let mut sleeper = Operator::start(&bed.site, &["--identity=sleeper"]);
    api.struck(api.strikes() + 1).await;
    assert!(sleeper.get("/livez").await.is_some(), "a process that waits for the Lease lives");
    assert!(sleeper.get("/readyz").await.is_none(), "ready before it leads or sees who does");
    api.heal();
    sleeper.leads().await;
    let heir = Operator::start(&bed.site, &["--identity=heir"]);
    heir.is_ready().await;
    let metrics = heir.get("/metrics").await.unwrap();
    assert!(metrics.contains("payplane_operator_leader 0"), "a standby is ready without leading");
    let mut paid = Paid::default();

    // One call is in the air, and its answer comes when the sleeper wakes.
    let engine = bed.site.to_engine.switch.clone();
    let late = Fault::Delay(Duration::from_millis(500));
    engine.set(vec![Rule::first(1, late, |call| call.kind == "AuthorizePayment")]);
    bed.tenant.hold("in-the-air").await;
    engine.struck(1).await;
    sleeper.process.signal("STOP");
    let stopped = Instant::now();
    paid.holds.push("in-the-air".into());
    for number in 0..10 {
        let name = format!("asleep-{number}");
        bed.tenant.pay(&name).await;
        paid.dollars.push(name);
    }
    heir.leads().await;
    let led = stopped.elapsed();
    settle_up(&bed.tenant, &bed.books(), &paid).await;
    let rest = Duration::from_secs(sized(0, 40) as u64).saturating_sub(stopped.elapsed());
    // The fault itself: a pause of so many seconds.
    tokio::time::sleep(rest).await;

    sleeper.process.signal("CONT");
    for number in 0..10 {
        let name = format!("awake-{number}");
        bed.tenant.pay(&name).await;
        paid.dollars.push(name);
    }
    let ended = eventually("the former leader ends", async || sleeper.process.ended()).await;
    assert_eq!(ended.code(), Some(1), "it ends because it lost the Lease");
    let leases = Api::<Lease>::namespaced(bed.site.client.clone(), SYSTEM);
    leases.delete("payplane-operator", &DeleteParams::default()).await.unwrap();
    side_by_side(&bed, &heir, &mut paid).await;
    let payments = settle_up(&bed.tenant, &bed.books(), &paid).await;
    println!("paused {:?}, followed after {led:?}, {payments} payments, each once", stopped.elapsed());
    assert!(led < Duration::from_secs(30), "the heir leads after {led:?}");
    let said = heir.process.said();
    assert!(said.contains("leading"), "{said}");
}

/// One more that acts although another leads, as after a network that was cut in two: a Lease does not fence, keys do.
async fn side_by_side(bed: &Bed, heir: &Operator, paid: &mut Paid) {
    let twin = Operator::start(&bed.site, &["--leader-elect=false"]);
    twin.is_ready().await;
    for number in 0..sized(10, 100) {
        let (name, hold) = (format!("doubly-{number}"), format!("doubly-{number}-hold"));
        bed.tenant.pay(&name).await;
        bed.tenant.hold(&hold).await;
        paid.dollars.push(name);
        paid.holds.push(hold);
    }
    settle_up(&bed.tenant, &bed.books(), paid).await;
    let (ours, theirs) = (heir.looked().await, twin.looked().await);
    println!("two at once: {ours} and {theirs} looks at Payments");
    assert!(0 < ours && 0 < theirs, "only one of two acted: {ours} and {theirs}");
}
