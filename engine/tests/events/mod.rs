//! The journal on its way through a real Kafka: all of it, in order per wallet, whoever is killed meanwhile. The oracle is
//! the journal itself.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod faults;
mod flow;
mod letters;
mod oracle;
mod quorum;
mod rights;
mod threshold;
mod traffic;

use crate::support;
