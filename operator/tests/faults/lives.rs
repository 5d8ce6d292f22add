//! K1 for every kind but payments and holds, which `kills.rs` has: the operator is killed at its writes and calls in the life
//! of a Refund with its Approval, a Wallet, a Tenant, a TimeoutPolicy, a TenantBilling and a StandingOrder.
//!
//! Order: each kind lives once undisturbed, and its writes and calls are counted: those are the points where it can be
//! killed. Then it lives again for each chosen point, and is killed there. A normal run kills each kind once, at a point that
//! the printed seed chooses (`PAYPLANE_SEED` repeats it); `make prove` kills at every point, before and after it is done. Of a
//! StandingOrder's calls only the one that is certainly its own counts: settled Payments are looked at again meanwhile.
//! People go on meanwhile and wait a minute for each answer. In the end the ledger has one fact of each life.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    bed::{Bed, Fault, Operator, Rule, switch::Switch},
    people::{Life, People},
};

/// Writes and calls that every StandingOrder has. In a normal run none lives undisturbed: each waits for a minute to come. What
/// was counted in one such minute was 44 calls, most of them looks at Payments that were settled long ago.
const OF_AN_ORDER: [u64; 2] = [3, 1];

/// Where the operator is killed.
#[derive(Clone, Copy, Debug)]
struct Point {
    life: Life,
    /// At a call to the engine, or else at a write.
    is_call: bool,
    /// Which of them, from one.
    number: u64,
    fault: Fault,
}

impl Point {
    fn switch<'a>(&self, bed: &'a Bed) -> &'a Switch {
        if self.is_call { &bed.site.to_engine.switch } else { &bed.site.to_api.switch }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_life_of_any_kind_the_operator_leaves_one_fact() {
    let seed = seed();
    println!("PAYPLANE_SEED={seed}");
    let mut bed = Bed::new().await;
    People::settle_in(&bed).await;
    people(&bed).misfits_are_named("misfit").await;
    let (mut lived, mut killed) = (Vec::new(), BTreeMap::<(Life, &str), u64>::new());
    for life in Life::ALL {
        let counts = match life {
            Life::StandingOrder if !is_proving() => OF_AN_ORDER,
            Life::StandingOrder => [undisturbed(&bed, life, &mut lived).await[0], OF_AN_ORDER[1]],
            _ => undisturbed(&bed, life, &mut lived).await,
        };
        println!("{life:?}: {} writes and {} calls", counts[0], counts[1]);
        assert!(counts.iter().all(|count| 0 < *count), "{life:?} has {counts:?} writes and calls");
        // Where looks coincide there are fewer writes and calls than before: then the first call, which is always there.
        let first = Point { life, is_call: true, number: 1, fault: Fault::HoldAnswer };
        let points = chosen(life, counts, seed);
        for (number, point) in points.iter().copied().chain([first]).enumerate() {
            if number == points.len() && killed.keys().any(|(killed, _)| *killed == life) {
                break;
            }
            let name = format!("{}-{number}", word(life));
            let end = until_killed(&mut bed, point, &name).await;
            if end.was_killed {
                let what = if point.is_call { "calls" } else { "writes" };
                *killed.entry((life, what)).or_default() += 1;
                println!("  killed at {point:?}");
            }
            lived.push((life, name, end.id));
        }
    }
    let people = people(&bed);
    for (life, name, id) in &lived {
        assert_eq!(people.fact(*life, name).await, *id, "{life:?} {name}: another fact than the object told");
    }
    bed.books().transfers().await;
    println!("{} lives, one fact each; killed {killed:?}", lived.len());
    for life in Life::ALL {
        assert!(killed.keys().any(|(killed, _)| *killed == life), "{life:?} was never killed");
    }
}

fn people(bed: &Bed) -> People<'_> {
    People { site: &bed.site, ledger: &bed.ledger, tenant: &bed.tenant }
}

/// Lives once, and tells how many writes and calls that took.
async fn undisturbed(bed: &Bed, life: Life, lived: &mut Vec<(Life, String, String)>) -> [u64; 2] {
    let name = format!("{}-whole", word(life));
    let people = people(bed);
    people.prepare(life, &name).await;
    let switches = [&bed.site.to_api.switch, &bed.site.to_engine.switch];
    let before = switches.map(|switch| switch.strikes());
    let here = name.clone();
    // No time at all: what is struck is only counted.
    let counted = Fault::Delay(Duration::ZERO);
    switches[0].set(vec![Rule::every(counted, move |call| life.writes(&here, call))]);
    switches[1].set(vec![Rule::every(counted, move |call| life.calls(call))]);
    let id = people.live(life, &name).await;
    let after = switches.map(|switch| switch.strikes());
    switches.iter().for_each(|switch| switch.heal());
    lived.push((life, name, id));
    [after[0] - before[0], after[1] - before[1]]
}

/// A life's end: the ledger's id as the object told it, and whether the operator was killed on the way.
struct End {
    id: String,
    was_killed: bool,
}

/// Lives, and is killed on the way. What the people do goes on.
async fn until_killed(bed: &mut Bed, point: Point, name: &str) -> End {
    people(bed).prepare(point.life, name).await;
    let (life, here) = (point.life, name.to_owned());
    let strikes = point.switch(bed).strikes();
    let rule = match point.is_call {
        true => Rule::nth(point.number, point.fault, move |call| life.calls(call)),
        false => Rule::nth(point.number, point.fault, move |call| life.writes(&here, call)),
    };
    point.switch(bed).set(vec![rule]);
    let Bed { site, ledger, operator, tenant } = bed;
    let switch = if point.is_call { &site.to_engine.switch } else { &site.to_api.switch };
    let people = People { site: &*site, ledger: &*ledger, tenant: &*tenant };
    let mut living = Box::pin(people.live(life, name));
    let lived = tokio::select! {
        () = switch.struck(strikes + 1) => None,
        id = &mut living => Some(id),
    };
    // What a write says can be seen before its answer is held.
    let was_killed = switch.is_spent();
    if was_killed {
        switch.struck(strikes + 1).await;
    }
    operator.process.kill();
    switch.heal();
    *operator = Operator::start(site, &["--leader-elect=false"]);
    let id = match lived {
        Some(id) => id,
        None => living.await,
    };
    End { id, was_killed }
}

/// All points under `make prove`, otherwise the one that the seed chooses.
fn chosen(life: Life, [writes, calls]: [u64; 2], seed: u64) -> Vec<Point> {
    // After it was done is the dangerous moment; before, nothing has happened yet.
    let all = [Fault::HoldAnswer, Fault::HoldRequest].into_iter().flat_map(move |fault| {
        let point = move |is_call| move |number| Point { life, is_call, number, fault };
        (1..=writes).map(point(false)).chain((1..=calls).map(point(true)))
    });
    let all: Vec<_> = all.collect();
    if is_proving() {
        return all;
    }
    let place = usize::try_from(mixed(seed, life as u64) % (writes + calls)).unwrap();
    all.get(place).copied().into_iter().collect()
}

fn is_proving() -> bool {
    std::env::var_os("PAYPLANE_PROVE").is_some()
}

fn seed() -> u64 {
    let told =
        std::env::var("PAYPLANE_SEED").ok().map(|text| text.parse().expect("PAYPLANE_SEED is a number"));
    told.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// Neighbouring seeds and kinds lead far apart.
fn mixed(seed: u64, kind: u64) -> u64 {
    let mut value = seed.wrapping_add(kind.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// For names of objects.
fn word(life: Life) -> String {
    format!("{life:?}").to_lowercase()
}
