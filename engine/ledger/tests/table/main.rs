//! The rule book as tables: one line per event, in the order of precedence. `language` says how to read them.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod approvals;
mod gateways;
mod holds;
mod language;
mod limits;
mod linked;
mod payments;
mod refunds;
mod repeats;
mod reversals;
mod suspension;
mod wallets;
