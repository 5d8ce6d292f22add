//! What the end-to-end tests share: a platform, tenants of their own, and faults.
//!
//! Everything here waits on conditions with a deadline, never for a fixed time, and panics with the object's last state
//! when the deadline passes. Tests share one Platform, `e2e`, beside the demo's; each makes a Tenant of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

pub mod chart;
pub mod cluster;
pub mod faults;
pub mod ledger;
pub mod tenant;
pub mod traffic;

pub use cluster::{client, platform};
pub use tenant::TestTenant;
