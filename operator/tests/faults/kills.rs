//! K1: the operator is killed at each of its writes and calls in the life of a payment and of a hold.

use super::{
    Paid,
    bed::{
        Bed, Fault, Operator, Rule,
        switch::{Call, Switch},
    },
    settle_up, sized,
};

/// More writes and calls than the two payments cause: beyond it the search for the end has gone wrong.
const STEPS_MAX: u64 = 40;

/// A write that belongs to the payments' life.
fn is_write(call: &Call) -> bool {
    call.is_write() && call.namespace == "acme"
}

/// A call that belongs to it; the refresher's does not.
fn is_call(call: &Call) -> bool {
    call.namespace == "acme" && call.kind != "ListWallets"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_write_and_each_call_the_operator_pays_once() {
    let mut bed = Bed::new().await;
    let (api, engine) = (bed.site.to_api.switch.clone(), bed.site.to_engine.switch.clone());
    let mut paid = Paid::default();
    let mut kills = Vec::new();
    // After the answer was made is the dangerous moment; before, nothing has happened yet.
    let faults = [Fault::HoldAnswer, Fault::HoldRequest];
    for fault in &faults[..sized(1, 2)] {
        kills.push(each(&mut bed, &api, *fault, is_write, "write", &mut paid).await);
        kills.push(each(&mut bed, &engine, *fault, is_call, "call", &mut paid).await);
    }
    let payments = settle_up(&bed.tenant, &bed.books(), &paid).await;
    println!("kills: {kills:?} at writes and calls, {payments} payments, each once; {}", engine.table());
    // A status of each, and Create, Authorize and Capture. Events come besides, when they come.
    let least = [2, 3];
    let is_enough = kills.iter().zip(least.iter().cycle()).all(|(count, least)| least <= count);
    assert!(is_enough, "a payment and a hold have at least {least:?} writes and calls: {kills:?}");
}

/// Kills at the first, the second and every further such call, until the payments are through before it comes.
async fn each(
    bed: &mut Bed,
    switch: &Switch,
    fault: Fault,
    which: fn(&Call) -> bool,
    what: &str,
    paid: &mut Paid,
) -> u64 {
    let word = format!("{fault:?}").to_lowercase();
    for number in 1..=STEPS_MAX {
        let strikes = switch.strikes();
        switch.set(vec![Rule::nth(number, fault, which)]);
        let (dollar, hold) = (format!("{word}-{what}-{number}"), format!("{word}-{what}-{number}-hold"));
        bed.tenant.pay(&dollar).await;
        bed.tenant.hold(&hold).await;
        tokio::select! {
            () = switch.struck(strikes + 1) => {}
            () = async { bed.tenant.completed(&dollar).await; bed.tenant.completed(&hold).await; } => {}
        }
        // What a write says can be seen before its answer is held.
        let struck = switch.is_spent();
        if struck {
            switch.struck(strikes + 1).await;
        }
        bed.operator.process.kill();
        switch.heal();
        bed.operator = Operator::start(&bed.site, &["--leader-elect=false"]);
        bed.tenant.completed(&dollar).await;
        bed.tenant.completed(&hold).await;
        paid.dollars.push(dollar);
        paid.holds.push(hold);
        if !struck {
            return number - 1;
        }
    }
    panic!("more than {STEPS_MAX} writes or calls for two payments");
}
