//! The operator under faults: killed, cut off, lied to and doubled, beside a ledger that pays once.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

#[path = "../bed/mod.rs"]
mod bed;

mod kills;
