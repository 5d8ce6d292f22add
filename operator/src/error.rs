//! What can end a reconcile early, and what happens then.
//!
//! A business answer such as a refused payment is not an error: it becomes status. Errors are what a later try may
//! repair, or what only a person can.

use std::time::Duration;

use crate::engine::EngineError;

/// Why a reconcile ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or failed.
    #[error("cannot {operation}: {}", brief(cause))]
    Api {
        /// What was tried, as a verb and its object.
        operation: &'static str,
        /// Why not.
        cause: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("cannot {operation}: no answer from the API server in time")]
    Timeout {
        /// What was tried.
        operation: &'static str,
    },
    /// The engine did not answer, or could not.
    #[error("cannot {operation}")]
    Engine {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: EngineError,
    },
    /// Somebody else was faster: what to do is judged afresh.
    #[error("cannot {operation}: somebody else was faster")]
    Raced {
        /// What was tried.
        operation: &'static str,
    },
    /// Something that nobody tells about is missing.
    #[error("something is missing that is not watched")]
    Missing,
    /// A Secret that was made once has lost a value that cannot be made again.
    #[error("Secret {name} has lost a value that cannot be made again")]
    BrokenSecret {
        /// Its name.
        name: String,
    },
    /// The ledger knows no such wallet yet.
    #[error("the ledger knows no such wallet yet")]
    WalletNotFound,
    /// The ledger knows no such payment yet.
    #[error("the ledger knows no such payment yet")]
    PaymentNotFound,
    /// The ledger refuses a step for a reason that may pass, such as a frozen wallet.
    #[error("the ledger refuses a step for now")]
    RefusedForNow,
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// No randomness for a password.
    #[error("the system gives no random bytes")]
    Random,
    /// An object of ours cannot be written as JSON, which would be a defect.
    #[error("cannot write an object as JSON")]
    Json(#[from] serde_json::Error),
    /// The object could not be read as its kind.
    #[error("the object cannot be read as its kind")]
    Malformed,
}

/// What becomes of an object after an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Only a change of the object helps.
    Terminal,
    /// Try again, first after `base`, then after ever longer times up to `cap`.
    Retry {
        /// The first wait.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
}

const SOON: Class = Class::Retry { base: Duration::from_millis(200), cap: Duration::from_secs(15) };
const PATIENT: Class = Class::Retry { base: Duration::from_secs(1), cap: Duration::from_secs(300) };

/// The API server's own sentence; kube would add everything else that it said.
fn brief(cause: &kube::Error) -> String {
    match cause {
        kube::Error::Api(status) => status.message.clone(),
        other => crate::telemetry::chain(other),
    }
}

impl Error {
    /// The API server's own words, if it will not have what was sent, however often.
    ///
    /// # Errors
    /// Any other error is given back.
    pub fn rejection(self) -> Result<String, Self> {
        match &self {
            Self::Api { cause, .. } => match &**cause {
                kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => {
                    Ok(status.message.clone())
                }
                _ => Err(self),
            },
            _ => Err(self),
        }
    }

    /// A word for metrics, from a small fixed set.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api { .. } => "api",
            Self::Timeout { .. } => "api_timeout",
            Self::Engine { source, .. } => source.category(),
            Self::Raced { .. } => "raced",
            Self::Missing => "missing",
            Self::BrokenSecret { .. } => "broken_secret",
            Self::WalletNotFound => "wallet_not_found",
            Self::PaymentNotFound => "payment_not_found",
            Self::RefusedForNow => "refused_for_now",
            Self::Certificate(_) => "certificate",
            Self::Random => "random",
            Self::Json(_) => "json",
            Self::Malformed => "malformed",
        }
    }

    /// Whether and how fast to try again.
    pub fn class(&self) -> Class {
        match self {
            Self::Api { .. } | Self::Timeout { .. } | Self::Engine { .. } | Self::Raced { .. } => SOON,
            Self::WalletNotFound
            | Self::PaymentNotFound
            | Self::RefusedForNow
            | Self::Certificate(_)
            | Self::Random
            | Self::Missing
            | Self::BrokenSecret { .. } => PATIENT,
            Self::Json(_) | Self::Malformed => Class::Terminal,
        }
    }
}
