//! Proto to domain. Each function adds what is wrong to [`Violations`] and goes on, so one answer names every field
//! that is wrong, what is wrong with it, and what is expected.

use payplane_ledger::{AccountId, AccountRef, Currency, Origin, Sign, TenantId, parse_amount};
use payplane_proto::v1 as proto;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

use super::status;

const KEY_CHARS_MAX: usize = 255;
const ORIGIN_REF_CHARS_MAX: usize = 128;
const TEXT_CHARS_MAX: usize = 256;
const WALLET_NAME_CHARS_MAX: usize = 253;

/// A request that is wrong in a thousand ways is answered with the first few.
const VIOLATIONS_MAX: usize = 32;

/// What is wrong with a request so far.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        if self.0.len() < VIOLATIONS_MAX {
            self.0.push(FieldViolation::new(field, description));
        }
    }

    /// Turns whatever was found into a status.
    pub(super) fn check(self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(status::bad_request(self.0)) }
    }

    /// The value, if nothing is wrong with the request. A missing value without a violation does not occur.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Status> {
        self.check()?;
        value.ok_or_else(|| Status::internal("a field was neither read nor refused"))
    }
}

/// Whose names a reference is resolved with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) tenant: TenantId,
    pub(super) origin: Origin,
}

pub(super) fn idempotency_key(key: &str, violations: &mut Violations) {
    if key.is_empty() || !is_printable_ascii(key, KEY_CHARS_MAX) {
        violations.add("idempotency_key", "is malformed: expected 1 to 255 printable ASCII characters");
    }
}

pub(super) fn origin_ref(text: &str, violations: &mut Violations) {
    if !is_printable_ascii(text, ORIGIN_REF_CHARS_MAX) {
        violations.add("origin_ref", "is malformed: expected at most 128 printable ASCII characters");
    }
}

/// Text for people: any alphabet, one line.
pub(super) fn text(field: &str, text: &str, violations: &mut Violations) {
    if TEXT_CHARS_MAX < text.chars().count() || text.chars().any(char::is_control) {
        violations.add(field, "is malformed: expected at most 256 characters without control characters");
    }
}

pub(super) fn wallet_name(field: &str, name: &str, violations: &mut Violations) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    let is_right = !name.is_empty() && name.len() <= WALLET_NAME_CHARS_MAX && name.bytes().all(allowed);
    if !is_right {
        violations.add(field, "is malformed: expected 1 to 253 characters of [a-z0-9._/-]");
    }
    is_right
}

pub(super) fn currency(field: &str, code: &str, violations: &mut Violations) -> Option<Currency> {
    let currency = Currency::parse(code);
    if currency.is_err() {
        violations.add(field, "is unknown: expected an active ISO 4217 code in capitals, such as \"USD\"");
    }
    currency.ok()
}

/// An amount and its currency, with the paths of both fields under `field`.
pub(super) fn money(
    field: &str,
    money: Option<&proto::Money>,
    sign: Sign,
    violations: &mut Violations,
) -> Option<(i64, Currency)> {
    let Some(money) = money else {
        violations.add(field, "is missing: expected an amount and a currency");
        return None;
    };
    let currency = currency(&format!("{field}.currency"), &money.currency, violations);
    // An unknown currency must not hide an amount that no currency allows.
    let widest = currency.or_else(|| Currency::parse("CLF").ok())?;
    match parse_amount(&money.amount, widest, sign) {
        Ok(minor) => Some((minor, currency?)),
        Err(error) => {
            violations.add(format!("{field}.amount"), error.to_string());
            None
        }
    }
}

pub(super) fn uuid(field: &str, text: &str, violations: &mut Violations) -> Option<Uuid> {
    let id = parse_uuid(text);
    if id.is_none() {
        violations.add(field, "is malformed: expected a UUID");
    }
    id
}

/// Only the form that we print: 36 characters with dashes.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

/// Resolves a reference to ids. `currency` is that of the payment; without one, only a settlement reference fails,
/// and its violation was added where the currency was read.
pub(super) fn wallet_ref(
    field: &str,
    reference: Option<&proto::WalletRef>,
    currency: Option<Currency>,
    scope: Scope,
    violations: &mut Violations,
) -> Option<AccountRef> {
    use proto::wallet_ref::Ref;
    match reference.and_then(|reference| reference.r#ref.as_ref()) {
        None => {
            violations.add(field, "is missing: expected one of name, id and settlement");
            None
        }
        Some(Ref::Name(name)) => {
            wallet_name(&format!("{field}.name"), name, violations).then(|| named(scope, name))
        }
        Some(Ref::Id(id)) => {
            let id = uuid(&format!("{field}.id"), id, violations)?;
            Some(AccountRef::id(AccountId::from_uuid(id)))
        }
        Some(Ref::Settlement(_)) => {
            Some(AccountRef::id(AccountId::settlement(scope.tenant, currency?.code())))
        }
    }
}

/// The caller's own name first, then the same name of the other origin: callers of the API may pay into a wallet of a
/// custom resource and the other way round.
fn named(scope: Scope, name: &str) -> AccountRef {
    let id = |origin| AccountId::wallet(scope.tenant, origin, name);
    AccountRef { first: id(scope.origin), fallback: Some(id(scope.origin.other())) }
}

pub(super) fn is_printable_ascii(text: &str, chars_max: usize) -> bool {
    text.len() <= chars_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
