//! Payments per second, end to end, beside what PostgreSQL can do at best: one run, one server, in turns.
//!
//! The engine is the release binary as a process of its own, called over loopback gRPC with tokens. Its rivals are
//! pgbench with the realistic transfer, a raw program that commits the same rows in batches without any engine, and, for
//! the cost of the transport, an authenticated call with nothing to do. All are measured on one durable PostgreSQL
//! (`fsync` and `synchronous_commit` are on) in rounds; each round runs every side once. After every run of the engine,
//! rows must equal acknowledgements and the books must balance.
//!
//! It prints progress and tables, and writes docs/performance.md between its markers and docs/performance.svg. What can
//! be chosen is in `settings.rs`.
// A benchmark fails by panicking, and its figures are no money.
#![allow(clippy::float_arithmetic, clippy::panic, clippy::unwrap_used)]

mod cases;
mod chart;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "shared with other benchmarks, which use the rest")]
mod common;
mod measure;
mod overload;
mod report;
mod rivals;
mod settings;
#[path = "../../tests/support/mod.rs"]
mod support;

use cases::{Case, Measured};
use common::{drawing, engine, grpc, load, machine, page, process, requests, statistics, world};
use machine::Machine;
use measure::Side;
use rivals::raw::Shape;
use settings::Settings;
use support::postgres::Postgres;
use world::World;

/// Beyond the settings of every test: memory and log as a server of some size has them, and room for all clients.
const POSTGRES: [&str; 4] =
    ["shared_buffers = 1GB", "min_wal_size = 4GB", "max_wal_size = 4GB", "max_connections = 300"];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    statistics::check();
    let settings = Settings::from_environment();
    let machine = Machine::look(&std::env::temp_dir());
    println!("{machine:#?}\n{settings:#?}");
    let postgres = Postgres::start(&POSTGRES);
    let mut measured = Vec::new();
    let is_wanted = |case: &Case| settings.wants(&case.name);
    let needs_raw = cases::all(Shape::Rows).iter().any(|case| is_wanted(case) && case.needs_raw());
    let found = if needs_raw { Some(raw_shape(&postgres, &settings).await) } else { None };
    let raw = found.unwrap_or(Shape::Rows);
    for case in cases::all(raw).into_iter().filter(is_wanted) {
        let world = with_rivals(&postgres, &settings).await;
        measured.push(measure_case(&postgres, &world, &settings, case).await);
        world.remove(&postgres).await;
    }
    let overload = match settings.wants("overload") {
        true => Some(overload::measure(&postgres, &settings).await),
        false => None,
    };
    for payments in settings.growth.clone() {
        measured.extend(grown(&postgres, &settings, raw, payments).await);
    }
    let report = report::Report { machine, settings, raw: found, measured, overload };
    println!("\n{}", report.markdown());
    report.write();
}

/// A world, and the tables of the rivals with as many accounts.
async fn with_rivals(postgres: &Postgres, settings: &Settings) -> World {
    let world = World::new(postgres, settings.connections).await;
    rivals::create(&mut world.database.superuser().await).await;
    world.settle().await;
    world
}

/// Prints what the case said as soon as it is over.
async fn measure_case(postgres: &Postgres, world: &World, settings: &Settings, case: Case) -> Measured {
    if case.rivals.iter().any(|rival| matches!(rival.side, Side::Empty(_))) {
        world.check_empty_call().await;
    }
    let measured = cases::measure(postgres, world, settings, case).await;
    for rival in 0..measured.case.rivals.len() {
        println!("{}", report::verdict(&measured, rival));
    }
    measured
}

/// The raw program in its better form.
async fn raw_shape(postgres: &Postgres, settings: &Settings) -> Shape {
    let world = with_rivals(postgres, settings).await;
    let shape = cases::faster_shape(postgres, &world, settings).await;
    world.remove(postgres).await;
    shape
}

/// The cases of throughput again, with this many payments stored before on every side that they have.
async fn grown(postgres: &Postgres, settings: &Settings, raw: Shape, payments: u64) -> Vec<Measured> {
    let mut measured = Vec::new();
    let is_wanted = |case: &Case| settings.wants(&case.name) && case.name != "lone";
    let cases: Vec<Case> = cases::all(raw).into_iter().filter(is_wanted).collect();
    let world = with_rivals(postgres, settings).await;
    println!("storing {payments} payments on every side");
    world.preload(payments).await;
    let sides = cases.iter().flat_map(|case| &case.rivals).map(|rival| rival.side).collect::<Vec<_>>();
    rivals::preload(&world, &mut world.database.superuser().await, payments, &sides).await;
    world.settle().await;
    for mut case in cases {
        case.name = format!("{}-at-{}M", case.name, payments / 1_000_000);
        measured.push(measure_case(postgres, &world, settings, case).await);
    }
    world.remove(postgres).await;
    measured
}
