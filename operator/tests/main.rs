//! Every test of the operator on a real API server, in one program: each suite is a module, and all of them share the
//! server of their own and what they stand on. A program per suite would compile and link that again for each.
//!
//! The tests of faults stand apart: they start all of their servers themselves and need no cluster.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

mod admission;
mod apply;
mod backups;
mod billing;
mod health;
mod in_place;
mod lease;
mod objects;
#[path = "support/own.rs"]
mod own;
mod platform;
mod scaling;
mod standing_orders;
mod status;
mod support;
mod tenant;
mod upgrade;
