//! Invoices from the journal: what is counted, that every operation is in exactly one invoice, and who may see them.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod agreed;
mod close;
mod collect;
mod example;
mod metered;
mod recorded;
pub(crate) mod threshold;
mod turns;
pub(crate) mod wire;

use crate::support;
