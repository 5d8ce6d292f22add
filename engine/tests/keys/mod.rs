//! Who may call from outside the cluster: API keys and tokens of tenants' own issuers.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod api_keys;
mod https;
mod issuers;
