//! The only place where an error becomes a status. Messages say what to do; details are for programs:
//! `google.rpc.BadRequest` with field paths, `ErrorInfo` with a reason, `RetryInfo` where trying again makes sense.

use std::time::Duration;

use http::HeaderMap;
use payplane_proto::v1 as proto;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::{
    auth::{AuthError, Role, TokenError},
    commit::CommitError,
    export::ExportError,
    store::StoreError,
    telemetry::Causes,
};

/// Domain of every `ErrorInfo`.
const DOMAIN: &str = "payplane.io";

/// When a caller may try again: about as long as the engine needs to notice that the database is back.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What clients take as headers of an answer is often no more than 8 KiB, and who gets more is told of a broken protocol
/// instead of what is wrong. The guard's own headers need some of it.
const HEADER_BYTES_MAX: usize = 7 * 1024;

/// Names the first of them, as many as there is room for, and one at least.
pub(super) fn bad_request(mut violations: Vec<FieldViolation>) -> Status {
    loop {
        let (status, count) = (naming(violations.clone()), violations.len());
        let bytes = header_bytes(&status);
        if count <= 1 || bytes <= HEADER_BYTES_MAX {
            return status;
        }
        violations.truncate((count * HEADER_BYTES_MAX / bytes).clamp(1, count - 1));
    }
}

/// As HTTP/2 counts them.
fn header_bytes(status: &Status) -> usize {
    let mut headers = HeaderMap::new();
    // What cannot be a header is left out by the transport, too.
    let _ = status.add_header(&mut headers);
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

fn naming(violations: Vec<FieldViolation>) -> Status {
    let fields: Vec<String> =
        violations.iter().map(|violation| format!("{} {}", violation.field, violation.description)).collect();
    let message = fields.join("; ");
    Status::with_error_details(Code::InvalidArgument, message, ErrorDetails::with_bad_request(violations))
}

pub(super) fn not_found(what: &str) -> Status {
    with_reason(Code::NotFound, format!("no such {what} in this tenant"), "NOT_FOUND", None)
}

pub(super) fn no_such_tenant() -> Status {
    with_reason(Code::NotFound, "no such tenant".to_owned(), "NOT_FOUND", None)
}

pub(super) fn unknown_method() -> Status {
    with_reason(Code::PermissionDenied, "nobody may call this method".to_owned(), "UNKNOWN_METHOD", None)
}

pub(super) fn role_required(has: Role, needs: Role) -> Status {
    let message = format!("the {} role is required, the caller has {}", needs.name(), has.name());
    with_reason(Code::PermissionDenied, message, "ROLE_REQUIRED", None)
}

pub(super) fn treasury_required() -> Status {
    let message = "debiting one of the tenant's own accounts (settlement, clearing, fee, suspense) needs the treasury role".to_owned();
    with_reason(Code::PermissionDenied, message, "ROLE_REQUIRED", None)
}

pub(super) fn namespace_required() -> Status {
    let message =
        "the platform role must name a tenant's namespace in metadata \"payplane-namespace\"".to_owned();
    with_reason(Code::InvalidArgument, message, "NAMESPACE_REQUIRED", None)
}

pub(super) fn on_behalf_of_not_allowed() -> Status {
    let message = "metadata \"payplane-on-behalf-of\" is for the platform role only: everybody else acts for themselves";
    with_reason(Code::PermissionDenied, message.to_owned(), "ON_BEHALF_OF_NOT_ALLOWED", None)
}

pub(super) fn approved_by_not_allowed() -> Status {
    let message = "approved_by is for the platform role only: have the payment approved as a Payment object";
    with_reason(Code::PermissionDenied, message.to_owned(), "APPROVED_BY_NOT_ALLOWED", None)
}

pub(super) fn on_behalf_of_required() -> Status {
    let message = "the platform role decides about refunds on behalf of a person only: name the person in metadata \
                   \"payplane-on-behalf-of\"";
    with_reason(Code::PermissionDenied, message.to_owned(), "ON_BEHALF_OF_REQUIRED", None)
}

pub(super) fn bad_metadata(name: &str, expected: &str) -> Status {
    let description = format!("is malformed: expected {expected}");
    bad_request(vec![FieldViolation { field: format!("metadata {name}"), description, ..Default::default() }])
}

pub(super) fn deadline_exceeded() -> Status {
    let message = "the deadline passed; the same idempotency key gives the outcome".to_owned();
    with_reason(Code::DeadlineExceeded, message, "OUTCOME_UNKNOWN", None)
}

pub(super) fn too_many_watches() -> Status {
    let message = "this engine serves as many watches as it can".to_owned();
    with_reason(Code::ResourceExhausted, message, "TOO_MANY_WATCHES", Some(RETRY_AFTER))
}

pub(super) fn rate_exceeded(calls_per_second: u32, wait: Duration) -> Status {
    let message = format!("the tenant calls more often than {calls_per_second} times per second");
    with_reason(Code::ResourceExhausted, message, "RATE_EXCEEDED", Some(wait))
}

pub(super) fn too_many_revocations() -> Status {
    let message =
        "as many tokens are revoked as engines remember: end some, or withdraw the key that signs them";
    with_reason(Code::ResourceExhausted, message.to_owned(), "TOO_MANY_REVOCATIONS", None)
}

pub(super) fn too_many_api_keys(of_tenant: bool) -> Status {
    let message = match of_tenant {
        true => "the tenant has as many API keys as a tenant can have: end some",
        false => "all tenants together have as many API keys as engines remember: end some",
    };
    with_reason(Code::ResourceExhausted, message.to_owned(), "TOO_MANY_API_KEYS", None)
}

pub(super) fn too_many_issuers() -> Status {
    let message = "as many tenants have an issuer as engines remember".to_owned();
    with_reason(Code::ResourceExhausted, message, "TOO_MANY_ISSUERS", None)
}

pub(super) fn api_key_taken() -> Status {
    let message = "the id is another API key's, or the key has ended: make a new key".to_owned();
    with_reason(Code::AlreadyExists, message, "API_KEY_TAKEN", None)
}

pub(super) fn no_such_api_key() -> Status {
    with_reason(Code::NotFound, "the tenant has no such API key".to_owned(), "NOT_FOUND", None)
}

pub(super) fn already_verifying() -> Status {
    let message = "this engine is verifying the ledger already".to_owned();
    with_reason(Code::ResourceExhausted, message, "ALREADY_VERIFYING", Some(RETRY_AFTER))
}

pub(super) fn already_exporting() -> Status {
    let message = "this engine is exporting a tenant already".to_owned();
    with_reason(Code::ResourceExhausted, message, "ALREADY_EXPORTING", Some(RETRY_AFTER))
}

pub(super) fn of_export(error: &ExportError) -> Status {
    match error {
        ExportError::Store(error) => of_store(error),
        ExportError::NoTenant => no_such_tenant(),
        ExportError::Unreadable { .. } | ExportError::Form(_) | ExportError::Gone => {
            tracing::error!(reason = %Causes(error), "the export failed");
            with_reason(Code::Internal, "internal error".to_owned(), "INTERNAL", None)
        }
    }
}

pub(super) fn stream_expired() -> Status {
    let message = "streams last five minutes: open another one, so that access is checked again".to_owned();
    with_reason(Code::Unavailable, message, "STREAM_EXPIRED", Some(Duration::ZERO))
}

pub(super) fn not_sealed_yet(newest: i64) -> Status {
    let message = format!("the last seal is {newest}: a watch starts at most one after it");
    with_reason(Code::OutOfRange, message, "NOT_SEALED_YET", None)
}

pub(super) fn not_published_yet() -> Status {
    let message =
        "a replay starts at most one seal after the last published one: see GetEventStatus".to_owned();
    with_reason(Code::OutOfRange, message, "NOT_PUBLISHED_YET", None)
}

pub(super) fn letter_is_settled() -> Status {
    let message = "somebody has decided about the dead letter already: see ListDeadLetters".to_owned();
    with_reason(Code::FailedPrecondition, message, "DEAD_LETTER_DECIDED", None)
}

pub(super) fn too_many_settings(max: i64) -> Status {
    let message = format!("the tenant would have more than {max} settings");
    with_reason(Code::FailedPrecondition, message, "TOO_MANY_SETTINGS", None)
}

pub(super) fn period_open() -> Status {
    let message = "the period is open: close it after its end and its grace".to_owned();
    with_reason(Code::FailedPrecondition, message, "PERIOD_OPEN", None)
}

pub(super) fn period_out_of_order() -> Status {
    let message = "the next invoice is of another period: preview it, and close that one".to_owned();
    with_reason(Code::FailedPrecondition, message, "PERIOD_OUT_OF_ORDER", None)
}

pub(super) fn no_plan() -> Status {
    let message = "no plan was agreed with the tenant: agree on one with AgreePlan, or give one".to_owned();
    with_reason(Code::FailedPrecondition, message, "NO_PLAN", None)
}

pub(super) fn version_taken() -> Status {
    let message =
        "the version had other terms when it was agreed: give the change a version of its own".to_owned();
    with_reason(Code::FailedPrecondition, message, "VERSION_TAKEN", None)
}

pub(super) fn currency_changed() -> Status {
    let message = "a period has one currency: agree on the plan from the next period on".to_owned();
    with_reason(Code::FailedPrecondition, message, "CURRENCY_CHANGED", None)
}

pub(super) fn too_many_changes() -> Status {
    let message = "the open period was cut three times: agree on the plan from the next period on".to_owned();
    with_reason(Code::FailedPrecondition, message, "TOO_MANY_CHANGES", None)
}

pub(super) fn no_collection_grant() -> Status {
    let message =
        "the receiver's wallets do not collect: the receiver grants it with PutCollector".to_owned();
    with_reason(Code::FailedPrecondition, message, "NO_GRANT", None)
}

pub(super) fn collection_declined(why: &str) -> Status {
    let message = format!("the collection was refused without a trace: {why}");
    with_reason(Code::FailedPrecondition, message, "COLLECTION_REFUSED", None)
}

pub(super) fn collected_too_often() -> Status {
    let message = "it was tried a thousand times: settle it by a credit note".to_owned();
    with_reason(Code::FailedPrecondition, message, "TOO_MANY_ATTEMPTS", None)
}

pub(super) fn credit_exceeds_invoice() -> Status {
    let message = "the invoice has less left to be credited".to_owned();
    with_reason(Code::FailedPrecondition, message, "CREDIT_EXCEEDS_INVOICE", None)
}

pub(super) fn key_is_taken() -> Status {
    let message = "the idempotency key belongs to something else".to_owned();
    with_reason(Code::AlreadyExists, message, "IDEMPOTENCY_CONFLICT", None)
}

pub(super) fn too_much_to_bill() -> Status {
    let message = "an amount of the invoice exceeds 9223372036854775807 minor units".to_owned();
    with_reason(Code::FailedPrecondition, message, "AMOUNT_TOO_LARGE", None)
}

pub(super) fn no_outcome() -> Status {
    with_reason(Code::Internal, "internal error".to_owned(), "INTERNAL", None)
}

/// What a status says, for one item among others.
pub(super) fn item_error(status: &Status) -> proto::ItemOutcome {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let violation = |found: &FieldViolation| proto::ItemViolation {
        field: found.field.clone(),
        description: found.description.clone(),
    };
    let error = proto::ItemError {
        code: status.code().into(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        violations: violations.iter().map(violation).collect(),
    };
    proto::ItemOutcome { outcome: Some(proto::item_outcome::Outcome::Error(error)) }
}

pub(super) fn no_guard() -> Status {
    Status::internal("the call was not checked")
}

pub(super) fn of_auth(error: &AuthError) -> Status {
    let message = error.to_string();
    match error {
        AuthError::NoIssuer | AuthError::NoToken => {
            with_reason(Code::Unauthenticated, message, "NO_TOKEN", None)
        }
        AuthError::Token(TokenError::KeysUnavailable) => {
            with_reason(Code::Unavailable, message, "KEYS_UNAVAILABLE", Some(RETRY_AFTER))
        }
        AuthError::Token(_) | AuthError::ApiKey => {
            with_reason(Code::Unauthenticated, message, "INVALID_TOKEN", None)
        }
        AuthError::Revoked => with_reason(Code::Unauthenticated, message, "TOKEN_REVOKED", None),
        AuthError::Unregistered(_) => with_reason(Code::PermissionDenied, message, "UNREGISTERED", None),
        AuthError::NamespaceNotAllowed => {
            with_reason(Code::PermissionDenied, message, "NAMESPACE_NOT_ALLOWED", None)
        }
        AuthError::UnknownNamespace(_) => {
            with_reason(Code::FailedPrecondition, message, "UNKNOWN_NAMESPACE", Some(RETRY_AFTER))
        }
        AuthError::Store(error) => of_store(error),
    }
}

pub(super) fn of_commit(error: CommitError) -> Status {
    let message = error.to_string();
    let retry = Some(RETRY_AFTER);
    match error {
        CommitError::QueueFull => with_reason(Code::ResourceExhausted, message, "QUEUE_FULL", retry),
        CommitError::Draining => with_reason(Code::Unavailable, message, "DRAINING", Some(Duration::ZERO)),
        CommitError::Unavailable => with_reason(Code::Unavailable, message, "DATABASE_UNAVAILABLE", retry),
        CommitError::Busy => with_reason(Code::Aborted, message, "BUSY", retry),
        CommitError::Unknown => with_reason(Code::Unavailable, message, "OUTCOME_UNKNOWN", retry),
        CommitError::Internal => with_reason(Code::Internal, message, "INTERNAL", None),
    }
}

pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_)
        | StoreError::Away
        | StoreError::ReadOnly
        | StoreError::OldSchema { .. }
        | StoreError::OtherEpoch { .. } => {
            with_reason(Code::Unavailable, error.to_string(), "DATABASE_UNAVAILABLE", Some(RETRY_AFTER))
        }
        StoreError::Busy(_) | StoreError::Conflict(_) | StoreError::Stale(_) | StoreError::Outdated => {
            with_reason(Code::Aborted, error.to_string(), "BUSY", Some(RETRY_AFTER))
        }
        StoreError::NamespaceTaken(_) => {
            with_reason(Code::FailedPrecondition, error.to_string(), "NAMESPACE_TAKEN", None)
        }
        StoreError::Rejected(_) | StoreError::Corrupt(_) | StoreError::Ended | StoreError::Statement(_) => {
            // What the database says stays in the log: it may hold other people's values.
            tracing::error!(reason = %Causes(error), "call failed");
            with_reason(Code::Internal, "internal error".to_owned(), "INTERNAL", None)
        }
    }
}

fn with_reason(code: Code, message: String, reason: &str, retry: Option<Duration>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, std::collections::HashMap::<String, String>::new());
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 32 violations with texts of this many words an answer names.
    fn named(words: usize) -> usize {
        let violation = |index| {
            let field = format!("items[{index}].labels[\u{20ac}]");
            FieldViolation::new(field, "is wrong\u{2026} ".repeat(words))
        };
        let status = bad_request((0..32).map(violation).collect());
        let fields = status.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(fields[0].field, "items[0].labels[\u{20ac}]", "in their order");
        assert!(fields.len() == 1 || header_bytes(&status) <= HEADER_BYTES_MAX, "{}", fields.len());
        fields.len()
    }

    #[test]
    fn however_much_is_wrong_every_client_can_read_it() {
        assert_eq!(named(1), 32);
        assert!((5..15).contains(&named(10)));
        assert_eq!(named(1_000), 1);
    }
}
