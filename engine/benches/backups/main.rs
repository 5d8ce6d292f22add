//! What copies and the stored log cost payments, how much a loss of the data directory would lose, and how long it lasts.
//!
//! One server, durable, that hands its log over as a managed one does: the operator's own scripts, and the engine's `store-log`
//! as a process of its own that seals segments into a directory. The engine is the release binary, called over loopback gRPC.
//!
//! 1. As many payments are stored as are asked for.
//! 2. Pairs of halves: payers pay with and without the log being stored; then during a copy (`pack.sh` and `store-copy`) and for
//!    as long without one. Every other pair runs in reverse.
//! 3. Payers pay as fast as they can, then one payment at a time with pauses; ten times in a second it is looked how long
//!    ago the last moment was of which everything is stored (the recovery point objective, RPO).
//! 4. While payers pay the server is killed and its data directory deleted. The steps of a Restore bring copy and log back, the
//!    ledger is made one of its own and verified, an engine is started and pays (the recovery time objective, RTO). What was
//!    acknowledged before the first lost payment was, has to be there.
//!
//! Prints tables and writes them into docs/performance.md between their markers; which variables choose less or more is
//! in `settings.rs`.
// A benchmark fails by panicking, and its figures are no money.
#![allow(clippy::float_arithmetic, clippy::panic, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "shared with other benchmarks, which use the rest")]
mod common;
mod cost;
mod place;
mod programs;
mod recovery;
mod report;
mod restore;
mod settings;
#[path = "../../tests/support/mod.rs"]
mod support;
mod tape;

use std::sync::Arc;

use common::{engine, grpc, load, machine, page, requests, statistics, world};
use place::Place;
use settings::Settings;
use support::postgres::Postgres;
use world::World;

/// HTTP/2 connections that the payers share.
const CONNECTIONS: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    statistics::check();
    let settings = Settings::from_environment();
    let machine = machine::Machine::look(&std::env::temp_dir());
    println!("{machine:#?}\n{settings:#?}");
    let place = Arc::new(Place::new());
    let postgres = Postgres::start(&place.settings(settings.every).each_ref().map(String::as_str));
    place.connect(&postgres);
    let _store_log = place.store_log();
    let mut world = World::new(&postgres, CONNECTIONS).await;
    let stored = world.preload(settings.payments).await;
    world.settle().await;
    println!("{stored} payments stored");
    let log = cost::log(&world, &place, &settings).await;
    let copies = cost::copies(&world, &place, &settings).await;
    let points = tape::measure(&world, &settings).await;
    let recovered = recovery::measure(&postgres, &place, &mut world, &settings).await;
    world.remove(&postgres).await;
    let text = report::markdown(&machine, &settings, (stored, &log, &copies), &points, &recovered);
    println!("\n{text}");
    if settings.writes_docs {
        page::write("bench-backups", &text);
    }
}
