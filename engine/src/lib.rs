//! The engine: the ledger made durable by PostgreSQL and reachable by gRPC. Modules in the order of a call's way in.

pub mod config;

pub mod mounted;

pub mod server;

mod grpc;

pub mod thread;

pub mod auth;

pub mod engine;

pub mod background;

pub mod calls;

pub mod events;

pub mod commit;

pub mod cache;

pub mod billing;

pub mod verify;

pub mod export;

pub mod age;

pub mod copies;

pub mod store;

pub mod metrics;

pub mod telemetry;

#[cfg(any(test, fuzzing))]
#[path = "../tests/support/fuzz.rs"]
mod fuzz;

// In tests too, so that it compiles when somebody fuzzes.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
