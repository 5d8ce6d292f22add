//! How the operator does with ten thousand Payments and a thousand Tenants, beside a raw client that only creates objects
//! and patches their status, on one real API server.
//!
//! A bed as in the tests of faults, but with the operator connected straight to both servers. Order: [`payments`], then
//! [`tenants`] on a bed of its own. What the API server was asked for is counted by the API server itself; processor time
//! and memory are the kernel's. Everything together is bounded: rounds end after eight minutes, Tenants after four, and
//! what was reached by then is told. What can be chosen is in [`settings`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::panic,
    reason = "a benchmark fails by panicking, and its figures are no money"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

#[path = "../../tests/bed/mod.rs"]
mod bed;
#[allow(dead_code, reason = "shared with the bench of the engine, which uses all of it")]
#[path = "../../../engine/benches/common/drawing.rs"]
mod drawing;
#[allow(dead_code, reason = "shared with the bench of the engine, which uses all of it")]
#[path = "../../../engine/benches/common/machine.rs"]
mod machine;
#[path = "../../../engine/benches/common/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the bench of the engine, which uses all of it")]
#[path = "../../../engine/benches/common/statistics.rs"]
mod statistics;

mod chart;
mod counts;
mod load;
mod payments;
mod report;
mod settings;
mod tenants;
mod world;

use std::{sync::LazyLock, time::Instant};

use settings::Settings;

#[tokio::main]
async fn main() {
    statistics::check();
    let settings = Settings::from_environment();
    say(&format!("{settings:?}"));
    let payments = payments::measure(&settings).await;
    let tenants = tenants::measure(&settings).await;
    report::write(&report::Report { settings, payments, tenants });
}

/// Progress, with the time since the beginning.
fn say(what: &str) {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    println!("{:5.0} s  {what}", BEGUN.elapsed().as_secs_f64());
}
