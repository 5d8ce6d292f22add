//! Errors as PostgreSQL and its driver would give them, so that the production code that reads SQLSTATEs is part of the
//! simulation.

use std::{borrow::Cow, error::Error, fmt, io};

use payplane_engine::store::StoreError;
use sqlx::error::{DatabaseError, ErrorKind};

#[derive(Debug)]
struct Refusal {
    state: &'static str,
    message: String,
    constraint: Option<&'static str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.message)
    }
}

impl Error for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.state.into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn constraint(&self) -> Option<&str> {
        self.constraint
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// The server says no.
pub(crate) fn refused(state: &'static str, message: impl Into<String>) -> StoreError {
    sqlx::Error::Database(Box::new(Refusal { state, message: message.into(), constraint: None })).into()
}

/// A row breaks a rule of its table.
pub(crate) fn violated(state: &'static str, constraint: &'static str) -> StoreError {
    let message = format!("violates constraint \"{constraint}\"");
    sqlx::Error::Database(Box::new(Refusal { state, message, constraint: Some(constraint) })).into()
}

/// The network says nothing more.
pub(crate) fn broken(kind: io::ErrorKind) -> StoreError {
    sqlx::Error::Io(io::Error::new(kind, "simulated")).into()
}

/// The server's code, or what else an error is; two databases that refuse the same refuse it with the same word.
pub(crate) fn word(error: &StoreError) -> String {
    let source = error.source().and_then(|source| source.downcast_ref::<sqlx::Error>());
    match source {
        Some(sqlx::Error::Database(database)) => database.code().unwrap_or_default().into_owned(),
        Some(sqlx::Error::Io(io)) => format!("{:?}", io.kind()),
        _ => format!("{error:?}").chars().take(40).collect(),
    }
}
