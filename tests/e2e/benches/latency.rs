//! How long a Payment takes from `kubectl apply` to its final status under light load, and what the pods weigh.
//!
//! Applies one payment at a time, a tenth of a second apart, and measures from the moment before the request is sent
//! to the moment at which a watch shows `Settled=True`. PAYMENTS sets how many (default 300).

#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a benchmark fails by panicking")]

use std::{collections::BTreeMap, env, fs, time::Duration};

use futures::StreamExt;
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};
use payplane_e2e::cluster::{is_true, pods};
use payplane_e2e::{TestTenant, client};
use tokio::time::{Instant, MissedTickBehavior, interval};

#[tokio::main]
async fn main() {
    let count: usize = env::var("PAYMENTS").map_or(300, |text| text.parse().unwrap());
    let tenant = TestTenant::new(&client().await, "latency").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100000.00").await;
    let settled = tokio::spawn(watch_settled(tenant.payments(), count));

    let mut sent = BTreeMap::new();
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..count {
        ticks.tick().await;
        let name = format!("pay-{number:04}");
        sent.insert(name.clone(), Instant::now());
        tenant.pay(&name, "alice", "bob", "1.00").await;
    }
    let settled = settled.await.unwrap();
    let mut millis: Vec<u128> = sent.iter().map(|(name, at)| (settled[name] - *at).as_millis()).collect();
    millis.sort_unstable();
    let at = |percent: usize| millis[(millis.len() - 1) * percent / 100];
    println!(
        "{count} payments, creation to final status: p50 {} ms, p90 {} ms, p99 {} ms, max {} ms",
        at(50),
        at(90),
        at(99),
        at(100)
    );
    for pod in pods(&tenant.client, "").await {
        println!("{:<45} {:>6} KiB resident", pod.name_any(), resident(pod.uid().as_deref().unwrap()));
    }
    tenant.clean_up().await;
}

/// When the watch first showed each payment as settled.
async fn watch_settled(api: kube::Api<payplane_crds::Payment>, count: usize) -> BTreeMap<String, Instant> {
    let mut seen = BTreeMap::new();
    let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while let Some(event) = events.next().await {
        let Ok(payment) = event else { continue };
        let conditions = payment.status.as_ref().map(|status| status.conditions.as_slice());
        if payment.name_any().starts_with("pay-") && is_true(conditions, "Settled") {
            seen.entry(payment.name_any()).or_insert_with(Instant::now);
        }
        if seen.len() == count {
            break;
        }
    }
    seen
}

/// Resident memory of a pod's processes on this machine, without the one that holds its namespaces.
fn resident(pod_uid: &str) -> u64 {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .filter(|entry| {
            fs::read_to_string(entry.path().join("cgroup")).is_ok_and(|text| text.contains(pod_uid))
        })
        .filter(|entry| {
            fs::read_to_string(entry.path().join("comm")).is_ok_and(|text| text.trim() != "pause")
        })
        .filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok())
        .filter_map(|text| {
            text.lines()
                .find(|line| line.starts_with("VmRSS:"))?
                .split_whitespace()
                .nth(1)?
                .parse::<u64>()
                .ok()
        })
        .sum()
}
