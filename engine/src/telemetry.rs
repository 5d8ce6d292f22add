//! Structured logs on standard output. No amounts and no secrets in them; identities and correlation ids are.

use std::{error::Error, fmt};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Prints an error with everything that caused it, in one line.
pub struct Causes<'a, E: ?Sized>(pub &'a E);

impl<E: Error + ?Sized> fmt::Display for Causes<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Starts logging. `RUST_LOG` chooses what is logged; `info` if it is not set.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start in one process is harmless: the first one stays.
    let _ = match format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Text => logs.try_init(),
    };
}
