//! Faults that come again and again while callers go on: commits without an answer, engines and server processes that are
//! killed, callers who go away. Each test keeps the history of what its callers were told, looks at the sum of all money
//! twenty times a second meanwhile, asks for every key again when all is quiet, and ends with the proof of the ledger.
//!
//! `PAYPLANE_PROVE=1` asks for the full size.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod answers;
mod backends;
mod callers;
mod engines;
mod history;
mod snapshots;

use crate::support;

use support::world::World;

/// What alice has before a storm, and may give to bob a dollar at a time.
const FUNDS: &str = "900000.00";

async fn ready(world: &World) {
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", FUNDS).await;
}
