//! The composition root of `serve`: listeners, layers, health, and an orderly end.

mod accept;
mod gathering;
mod http;
mod serve;
mod tls;

pub use gathering::Gathering;
pub use serve::{ServeError, Server, serve};
