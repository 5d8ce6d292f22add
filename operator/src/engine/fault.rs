//! Why a call gave no outcome, and what that means for whoever asked.

use payplane_crds::condition::reason::{CURRENCY_CHANGED, INVALID, TOO_MANY_CHANGES, VERSION_TAKEN};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Agreed, convert};

/// How the engine says that a namespace is registered for another tenant.
const NAMESPACE_TAKEN: &str = "NAMESPACE_TAKEN";
/// How the engine says that the tenant has nothing of this id. A proxy's bare code does not count.
const NOT_FOUND: &str = "NOT_FOUND";

/// How the engine says that nothing was agreed by which it could bill.
const NO_PLAN: &str = "NO_PLAN";

/// How the engine says that a period is not over, grace included.
const PERIOD_OPEN: &str = "PERIOD_OPEN";

/// A call without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request can never be valid as it stands.
    #[error("{field}: {message}")]
    Invalid {
        /// Field of the spec that is to blame; empty if the engine names none.
        field: String,
        /// One sentence for people.
        message: String,
    },
    /// Something of this name belongs to somebody else.
    #[error("{message}")]
    Taken {
        /// One sentence for people.
        message: String,
    },
    /// No plan was agreed with the tenant.
    #[error("no plan was agreed with the tenant")]
    NoPlan,
    /// The engine does not accept the operator's token.
    #[error("the engine refuses the operator's token ({code:?})")]
    Denied {
        /// What kind of refusal.
        code: Code,
    },
    /// No answer, or an answer that another try may improve.
    #[error("the engine gave no answer ({code:?}: {message})")]
    Unavailable {
        /// What kind of failure.
        code: Code,
        /// What the transport or the engine says.
        message: String,
    },
    /// An answer that cannot be read.
    #[error("the engine's answer cannot be read: {0}")]
    Answer(&'static str),
    /// The engine's address or certificate cannot be used.
    #[error("no connection can be made")]
    Address(#[from] tonic::transport::Error),
}

impl EngineError {
    /// A word for metrics, from a small fixed set.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "engine_invalid",
            Self::Taken { .. } => "engine_taken",
            Self::NoPlan => "engine_no_plan",
            Self::Denied { .. } => "engine_denied",
            Self::Unavailable { .. } => "engine_unavailable",
            Self::Answer(_) => "engine_answer",
            Self::Address(_) => "engine_address",
        }
    }

    /// One sentence for a condition. It does not vary from try to try, so that retries write nothing.
    pub fn advice(&self) -> String {
        match self {
            Self::Invalid { field, message } if field.is_empty() => message.clone(),
            Self::Invalid { field, message } => format!("{field}: {message}"),
            Self::Taken { message } => message.clone(),
            Self::NoPlan => "No plan was agreed with the tenant.".into(),
            Self::Denied { .. } => "The engine refuses the operator's token; trying again.".into(),
            Self::Unavailable { .. } => "The engine does not answer; trying again with the same key.".into(),
            Self::Answer(_) => {
                "The engine's answer cannot be read; are operator and engine of one release?".into()
            }
            Self::Address(_) => "The engine's address or certificate cannot be used; trying again.".into(),
        }
    }
}

/// Sorts a call's status. Only what the engine states in its details ends the asking: a request counts as invalid when
/// a field is named, for a payment that fails for good must not do so over a misunderstanding.
pub(super) fn from_status(status: Status) -> EngineError {
    match status.code() {
        Code::InvalidArgument => invalid(&status).unwrap_or_else(|| unavailable(&status)),
        Code::AlreadyExists | Code::FailedPrecondition if reason(&status) == NAMESPACE_TAKEN => {
            EngineError::Taken { message: status.message().into() }
        }
        Code::FailedPrecondition if reason(&status) == NO_PLAN => EngineError::NoPlan,
        code @ (Code::Unauthenticated | Code::PermissionDenied) => EngineError::Denied { code },
        _ => unavailable(&status),
    }
}

/// Of a call that closes a period: that it is open still, or why there was no answer.
pub(super) fn not_due<T>(status: Status) -> Result<Option<T>, EngineError> {
    if status.code() == Code::FailedPrecondition && reason(&status) == PERIOD_OPEN {
        return Ok(None);
    }
    Err(from_status(status))
}

/// Of a call that agrees on a plan: why what was agreed before stays, or why there was no answer.
pub(super) fn not_agreed(status: Status) -> Result<Agreed, EngineError> {
    let known = [
        ("VERSION_TAKEN", VERSION_TAKEN),
        ("CURRENCY_CHANGED", CURRENCY_CHANGED),
        ("TOO_MANY_CHANGES", TOO_MANY_CHANGES),
    ];
    let said = reason(&status);
    let found = known.iter().find(|(name, _)| status.code() == Code::FailedPrecondition && *name == said);
    match (found, from_status(status.clone())) {
        (Some((_, reason)), _) => Ok(Agreed::Refused { reason, message: status.message().into() }),
        // A new version that makes no sense is no reason not to bill by the one before.
        (None, error @ EngineError::Invalid { .. }) => {
            Ok(Agreed::Refused { reason: INVALID, message: error.advice() })
        }
        (None, error) => Err(error),
    }
}

/// Of a call that collects: why it was not even tried, or why there was no answer.
pub(super) fn not_tried(status: Status) -> Result<String, EngineError> {
    let known = ["NO_GRANT", "COLLECTION_REFUSED", "TOO_MANY_ATTEMPTS"];
    if status.code() == Code::FailedPrecondition && known.contains(&reason(&status).as_str()) {
        return Ok(status.message().into());
    }
    Err(from_status(status))
}

/// Of a call that looks something up: that it is not there, or why there was no answer.
pub(super) fn absent<T>(status: Status) -> Result<Option<T>, EngineError> {
    if status.code() == Code::NotFound && reason(&status) == NOT_FOUND {
        return Ok(None);
    }
    Err(from_status(status))
}

fn invalid(status: &Status) -> Option<EngineError> {
    let violation = status.get_details_bad_request()?.field_violations.into_iter().next()?;
    let field = convert::spec_field(&violation.field);
    Some(EngineError::Invalid { field, message: violation.description })
}

fn unavailable(status: &Status) -> EngineError {
    EngineError::Unavailable { code: status.code(), message: status.message().into() }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_bad_request_names_the_field_of_the_spec() {
        let details = ErrorDetails::with_bad_request_violation("amount.amount", "has too many digits");
        let status = Status::with_error_details(Code::InvalidArgument, "invalid", details);
        let EngineError::Invalid { field, message } = from_status(status) else { panic!("not invalid") };
        assert_eq!((field.as_str(), message.as_str()), ("amount", "has too many digits"));
    }

    #[test]
    fn a_taken_namespace_is_known_by_its_reason() {
        let with = |reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "payplane.io", HashMap::new());
            from_status(Status::with_error_details(Code::FailedPrecondition, "", details)).category()
        };
        assert_eq!(with("NAMESPACE_TAKEN"), "engine_taken");
        assert_eq!(with("UNKNOWN_NAMESPACE"), "engine_unavailable", "a registration that is on its way");
    }

    #[test]
    fn only_the_engine_itself_says_that_something_is_absent() {
        let details = ErrorDetails::with_error_info("NOT_FOUND", "payplane.io", HashMap::new());
        let told = Status::with_error_details(Code::NotFound, "", details);
        assert!(absent::<()>(told).unwrap().is_none());
        let category = absent::<()>(Status::new(Code::NotFound, "no route")).unwrap_err().category();
        assert_eq!(category, "engine_unavailable");
    }

    #[test]
    fn no_bare_code_ends_the_asking() {
        for code in (0..=16).map(Code::from_i32) {
            let category = from_status(Status::new(code, "")).category();
            let expected = match code {
                Code::Unauthenticated | Code::PermissionDenied => "engine_denied",
                _ => "engine_unavailable",
            };
            assert_eq!(category, expected, "{code:?}");
        }
    }
}
