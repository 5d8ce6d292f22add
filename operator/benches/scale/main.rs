//! How the operator does with ten thousand Payments, beside a raw client that only creates objects and patches their
//! status, on one real API server.
//!
//! Order: a bed as in the tests of faults, but with the operator connected straight to both servers; single payments for
//! the latency; then rounds, each side once, every other round in reverse, each on an empty namespace; after the last
//! round the objects stay for what an idle operator and a new one cost. What the API server was asked for is counted by
//! the API server itself. The ledger is asked at the end: one fact per payment, or there are no figures.

#![allow(
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../../tests/bed/mod.rs"]
mod bed;

mod load;
mod report;

use std::time::{Duration, Instant};

use bed::{Bed, Operator, eventually, process::Running};
use load::{Counts, Load};
use report::Figures;

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[tokio::main]
async fn main() {
    let size = setting("PAYPLANE_BENCH_PAYMENTS", 10_000);
    let rounds = setting("PAYPLANE_BENCH_PAIRS", 3);
    let mut bed = Bed::new().await;
    bed.operator.process.kill();
    let _engine = bed.connect_directly().await;
    bed.operator = Operator::start_directly(&bed.site, &["--leader-elect=false"]);
    bed.operator.is_ready().await;

    let load = Load::new(&bed);
    let mut figures = Figures { size, ..Figures::default() };
    figures.latencies = load.lone_payments("lone", setting("PAYPLANE_BENCH_LONE", 300)).await;
    let mut paid = figures.latencies.len() as u64;
    for round in 0..rounds {
        for side in if round % 2 == 0 { [true, false] } else { [false, true] } {
            load.empty().await;
            match side {
                true => {
                    figures.operator.push(operator_side(&mut bed, &load, round, size).await);
                    paid += size + 1;
                }
                false => figures.raw.push(raw_side(&mut bed, &load, round, size).await),
            }
        }
    }
    if rounds.is_multiple_of(2) {
        load.empty().await;
        figures.operator.push(operator_side(&mut bed, &load, rounds, size).await);
        paid += size + 1;
    }
    figures.restart = restart(&mut bed).await;
    figures.idle = idle(&bed, Duration::from_secs(setting("PAYPLANE_BENCH_IDLE_SECONDS", 600))).await;
    assert_eq!(bed.books().payments().await.len() as u64, paid + 1, "one fact per payment, and the funding");
    assert_eq!(bed.books().balance("bob").await.0, format!("{paid}.00"));
    figures.facts = paid;
    report::write(&figures);
}

/// From the first object to the last final status. The operator is a new one, so its memory is of this round.
async fn operator_side(bed: &mut Bed, load: &Load, round: u64, size: u64) -> report::Run {
    bed.operator.process.kill();
    bed.operator = Operator::start_directly(&bed.site, &["--leader-elect=false"]);
    bed.operator.is_ready().await;
    // It knows its engine when a payment is through.
    load.lone_payments(&format!("probe-{round}"), 1).await;
    let (before, started, work) = (Counts::read(bed).await, Instant::now(), busy(bed));
    load.create(round, size).await;
    let created = started.elapsed();
    let operator = &bed.operator;
    load::patient("all payments are final", Duration::from_secs(600), async || {
        // Its own count first, because a list of ten thousand objects costs what is measured.
        (size < operator.patched().await && load.are_final(size + 1).await).then_some(())
    })
    .await;
    let (took, cost) = (started.elapsed(), busy(bed) - work);
    // Events and wallets follow a moment later, and are counted with what they belong to.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (resident, peak) = bed.operator.process.resident();
    report::Run { took, created, writes: Counts::read(bed).await - before, peak, resident, cost }
}

/// The same objects with the same status, written by nobody but a client. The operator is away.
async fn raw_side(bed: &mut Bed, load: &Load, round: u64, size: u64) -> report::Run {
    bed.operator.process.kill();
    let (before, started) = (Counts::read(bed).await, Instant::now());
    load.create_and_patch(round, size).await;
    let took = started.elapsed();
    let run =
        report::Run { took, created: took, writes: Counts::read(bed).await - before, ..Default::default() };
    load.empty().await;
    bed.operator = Operator::start_directly(&bed.site, &["--leader-elect=false"]);
    bed.operator.is_ready().await;
    run
}

/// A new operator among settled objects.
async fn restart(bed: &mut Bed) -> (Duration, u64) {
    bed.operator.process.kill();
    let (before, started) = (Counts::read(bed).await, Instant::now());
    bed.operator = Operator::start_directly(&bed.site, &["--leader-elect=false"]);
    bed.operator.leads().await; // a process that does not lead yet says that it is ready
    let took = started.elapsed();
    // Whatever it writes at first sight comes now.
    tokio::time::sleep(Duration::from_secs(10)).await;
    (took, (Counts::read(bed).await - before).all())
}

/// Share of a core, and writes, over a time in which nothing happens.
async fn idle(bed: &Bed, time: Duration) -> report::Idle {
    let (before, work) = (Counts::read(bed).await, busy(bed));
    // Time is what is measured here.
    tokio::time::sleep(time).await;
    let share = (busy(bed) - work) / time.as_secs_f64();
    let (resident, _) = bed.operator.process.resident();
    report::Idle { time, share, writes: (Counts::read(bed).await - before).all(), resident }
}

/// Seconds of processor time that the operator has used.
fn busy(bed: &Bed) -> f64 {
    bed.operator.process.processor_time() as f64 / 100.0
}

impl Bed {
    /// A second engine on the same ledger with the certificate that the operator made, as in a cluster.
    async fn connect_directly(&self) -> Running {
        let (certificate, key) = self.site.engine_certificate().await;
        let engine = self.ledger.start_engine_with_tls(&certificate, &key, self.site.direct_engine_port);
        eventually("an engine that listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.site.direct_engine_port)).await.ok()
        })
        .await;
        engine
    }
}
