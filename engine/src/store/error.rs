//! What a failure of the database means. SQLSTATEs are looked at here and nowhere else.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;

/// What a key violates that was decided meanwhile.
const KEY_IS_NEW: &str = "journal_pkey";

/// Why the database did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, went away, or does not answer.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// It was away a moment ago, so it was not asked.
    #[error("the database is not available")]
    Away,
    /// A lock was waited for too long.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// Somebody else was quicker; the same again may succeed.
    #[error("the transaction met another one")]
    Conflict(#[source] sqlx::Error),
    /// The engine's idea of time or of settings is wrong.
    #[error("decided with old facts")]
    Stale(#[source] sqlx::Error),
    /// Settings changed while a batch was being read; the same again may succeed.
    #[error("settings changed meanwhile")]
    Outdated,
    /// A namespace belongs to another tenant.
    #[error("namespace {0:?} belongs to another tenant")]
    NamespaceTaken(String),
    /// The database's own checks refuse what the engine decided: a defect, or a manipulated engine.
    #[error("the database refuses the batch")]
    Rejected(#[source] sqlx::Error),
    /// It answers, but as a standby.
    #[error("the database is read-only")]
    ReadOnly,
    /// It has not been migrated yet.
    #[error("the database has schema {found}, this binary needs {wanted}")]
    OldSchema {
        /// The newest migration of the database.
        found: i64,
        /// The newest migration of this binary.
        wanted: i64,
    },
    /// The ledger was restored since this engine began: what the engine remembers may never have been.
    #[error("the ledger has epoch {found}, this engine began with {known}: it was restored, start again")]
    OtherEpoch {
        /// What the engine began with.
        known: String,
        /// What the database has.
        found: String,
    },
    /// A row makes no sense.
    #[error("a stored {0} is unknown")]
    Corrupt(&'static str),
    /// The transaction is over already.
    #[error("the transaction has ended")]
    Ended,
    /// Anything else.
    #[error("the database refuses the statement")]
    Statement(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Self::Unavailable(error),
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(error)
            }
            sqlx::Error::Database(database) => {
                let state = database.code().unwrap_or_default().into_owned();
                let detail = database.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::message);
                let detail = detail.unwrap_or_default().to_owned();
                if state == "23505" && database.constraint() == Some(KEY_IS_NEW) {
                    return Self::Conflict(error);
                }
                Self::from_state(&state, detail, error)
            }
            _ => Self::Statement(error),
        }
    }
}

impl StoreError {
    fn from_state(state: &str, message: String, error: sqlx::Error) -> Self {
        match state {
            // Serialization failure, deadlock, and an account that was changed meanwhile.
            "40001" | "40P01" | "PP001" => Self::Conflict(error),
            "PP004" => Self::Stale(error),
            // Lock and statement timeouts, too many connections.
            "55P03" | "57014" | "53300" => Self::Busy(error),
            _ if lacks_room(state) => Self::Unavailable(error),
            "PP002" => Self::Rejected(error),
            "PP003" => Self::NamespaceTaken(message),
            // Not migrated yet: no such schema, table, function, or no right to it.
            "3F000" | "42P01" | "42883" | "42501" => Self::Unavailable(error),
            "25006" => Self::ReadOnly,
            // The server shuts down, crashed, starts, or the database or login is not there yet.
            _ if state.starts_with("57P") || state.starts_with("08") || state.starts_with("28") => {
                Self::Unavailable(error)
            }
            "3D000" => Self::Unavailable(error),
            _ => Self::Statement(error),
        }
    }

    /// Whether the connection itself is at fault, so a fresh one may do better.
    pub fn is_broken_connection(&self) -> bool {
        match self {
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|state| state.starts_with("57P") || state.starts_with("08"))
            }
            Self::Unavailable(_) => true,
            _ => false,
        }
    }

    /// Whether the server refused the statement and goes on: what was sent with it was rolled back.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Stale(_) | Self::Busy(_) | Self::Rejected(_) => true,
            Self::Statement(error) => error.as_database_error().is_some(),
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|state| lacks_room(&state))
            }
            _ => false,
        }
    }

    /// A step took longer than its bound.
    pub(crate) fn timed_out(step: &'static str) -> Self {
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, step);
        Self::Unavailable(sqlx::Error::Io(late))
    }
}

/// A network that swallows packets answers nothing, so each step of a connection has a bound on this side too.
pub(super) async fn bounded<T>(
    step: &'static str,
    limit: Duration,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let done = tokio::time::timeout(limit, query).await;
    Ok(done.map_err(|_| StoreError::timed_out(step))??)
}

/// No room on the disk or in memory, or the disk fails. Nothing that is wrong with the statement, which was rolled back.
fn lacks_room(state: &str) -> bool {
    state.starts_with("53") || state.starts_with("58")
}
