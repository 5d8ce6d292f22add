//! K4: a leader that is paused in the middle of a payment for longer than its Lease, and its heir.

use std::time::{Duration, Instant};

use super::{
    Paid,
    bed::{Bed, Fault, Operator, Rule, eventually},
    settle_up, sized,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_sleeps_is_followed_and_ends_when_it_wakes() {
    let mut bed = Bed::new().await;
    bed.operator.process.kill();
    let mut sleeper = Operator::start(&bed.site, &["--identity=sleeper"]);
    sleeper.leads().await;
    let heir = Operator::start(&bed.site, &["--identity=heir"]);
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
    let payments = settle_up(&bed.tenant, &bed.books(), &paid).await;
    println!("paused {:?}, followed after {led:?}, {payments} payments, each once", stopped.elapsed());
    assert!(led < Duration::from_secs(30), "the heir leads after {led:?}");
    let said = heir.process.said();
    assert!(said.contains("leading"), "{said}");
}
