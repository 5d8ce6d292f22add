//! Every test of the engine on a real PostgreSQL, in one program: each suite is a module, and all of them share one server
//! and what they stand on. A program per suite would compile and link that again for each.
//!
//! Apart stand `parsers`, which needs no server, and `simulation`, which fills all processors by itself.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod access;
mod attacks;
mod billing;
mod buckets;
mod clocks;
mod commit;
mod crash;
mod database;
mod epoch;
mod events;
mod export;
mod holds;
mod incremental;
mod items;
mod keys;
mod order;
mod payment_approvals;
mod payments;
mod posture;
mod races;
mod redis;
mod refunds;
mod sealed;
mod sealing;
mod serving;
mod settings;
mod standbys;
mod storms;
mod support;
mod suspension;
mod upgrade;
mod verify;
mod wallets;
mod watch;
