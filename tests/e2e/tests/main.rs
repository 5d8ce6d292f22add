//! End-to-end tests: the chart is installed on a real cluster, and everything goes through objects and gRPC.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod api_keys;
mod approvals;
mod backups;
mod bad_input;
mod billing;
mod buckets;
mod chart;
mod cloudnative_pg;
mod cloudnative_pg_backups;
mod events;
mod faults;
mod fees;
mod holds;
mod identity;
mod isolation;
mod money;
mod payment_approvals;
mod platforms;
mod redis_operator;
mod refunds;
mod restores;
mod scaling;
mod standing_orders;
mod tenants;
mod upgrades;
mod wallets;
