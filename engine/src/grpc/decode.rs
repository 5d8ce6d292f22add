//! Proto to domain, the small parts: keys, texts, amounts, ids, times. Each function adds what is wrong to
//! [`Violations`] and goes on, so one answer names every field that is wrong, what is wrong with it, and what is
//! expected.

use std::{collections::BTreeMap, collections::HashMap, fmt};

use payplane_ledger::{Currency, Origin, Sign, Timestamp, parse_amount};
use payplane_proto::v1 as proto;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

use super::status;

const KEY_CHARS_MAX: usize = 255;
const ORIGIN_REF_CHARS_MAX: usize = 128;
const TEXT_CHARS_MAX: usize = 256;
const WALLET_NAME_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 64;
const PAYMENT_LABELS_MAX: usize = 16;

/// Of any label.
pub(super) const LABEL_VALUE_CHARS_MAX: usize = 256;

/// How many labels a list can be filtered by.
pub(super) const LABEL_FILTERS_MAX: usize = 8;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A request that is wrong in a thousand ways is answered with the first few.
const VIOLATIONS_MAX: usize = 32;

/// Where a field stands in the request. Lives on the stack and is only written out for a field that is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// The request itself.
    Root,
    /// A field of a message.
    Field(&'a Self, &'static str),
    /// An entry of a list.
    Entry(&'a Self, &'static str, usize),
}

impl Path<'_> {
    pub(super) const fn at<'b>(&'b self, field: &'static str) -> Path<'b> {
        Path::Field(self, field)
    }

    pub(super) const fn entry<'b>(&'b self, list: &'static str, index: usize) -> Path<'b> {
        Path::Entry(self, list, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parent, field) = match self {
            Self::Root => return Ok(()),
            Self::Field(parent, field) | Self::Entry(parent, field, _) => (parent, field),
        };
        if !matches!(parent, Self::Root) {
            write!(f, "{parent}.")?;
        }
        f.write_str(field)?;
        match self {
            Self::Entry(_, _, index) => write!(f, "[{index}]"),
            Self::Root | Self::Field(..) => Ok(()),
        }
    }
}

/// What is wrong with a request so far.
#[derive(Debug, Default)]
pub(super) struct Violations {
    fields: Vec<FieldViolation>,
    /// What the caller may not do, although it is well formed.
    denied: Option<Box<Status>>,
}

impl Violations {
    pub(super) fn add(&mut self, field: Path<'_>, description: impl Into<String>) {
        if self.fields.len() < VIOLATIONS_MAX {
            self.fields.push(FieldViolation::new(field.to_string(), description));
        }
    }

    /// The same for a path that somebody else has written.
    pub(super) fn add_at(&mut self, field: String, description: &str) {
        if self.fields.len() < VIOLATIONS_MAX {
            self.fields.push(FieldViolation::new(field, description));
        }
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> usize {
        self.fields.len()
    }

    /// Refuses the request for want of a role. Said only if nothing is malformed; the first one counts.
    pub(super) fn deny(&mut self, status: Status) {
        self.denied.get_or_insert_with(|| Box::new(status));
    }

    /// Turns whatever was found into a status.
    pub(super) fn check(self) -> Result<(), Status> {
        if !self.fields.is_empty() {
            return Err(status::bad_request(self.fields));
        }
        self.denied.map_or(Ok(()), |status| Err(*status))
    }

    /// The value, if nothing is wrong with the request. A missing value without a violation does not occur.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Status> {
        self.check()?;
        value.ok_or_else(|| Status::internal("a field was neither read nor refused"))
    }
}

/// Until `chars_max` printable ASCII characters, at least one.
pub(super) fn key(field: Path<'_>, key: &str, chars_max: usize, violations: &mut Violations) {
    if key.is_empty() || !is_printable_ascii(key, chars_max) {
        violations.add(field, format!("is malformed: expected 1 to {chars_max} printable ASCII characters"));
    }
}

pub(super) fn idempotency_key(field: Path<'_>, text: &str, violations: &mut Violations) {
    key(field, text, KEY_CHARS_MAX, violations);
}

pub(super) fn origin_ref(field: Path<'_>, text: &str, violations: &mut Violations) {
    if !is_printable_ascii(text, ORIGIN_REF_CHARS_MAX) {
        violations.add(field, "is malformed: expected at most 128 printable ASCII characters");
    }
}

/// Text for people: any alphabet, one line.
pub(super) fn text(field: Path<'_>, text: &str, violations: &mut Violations) {
    text_of(field, text, TEXT_CHARS_MAX, violations);
}

fn text_of(field: Path<'_>, text: &str, chars_max: usize, violations: &mut Violations) {
    // A character has at least one byte: most texts need no counting.
    let is_long = chars_max < text.len() && chars_max < text.chars().count();
    if is_long || text.chars().any(char::is_control) {
        let expected = format!("expected at most {chars_max} characters without control characters");
        violations.add(field, format!("is malformed: {expected}"));
    }
}

pub(super) fn wallet_name(field: Path<'_>, name: &str, violations: &mut Violations) -> bool {
    let is_right = !name.is_empty() && is_name(name, WALLET_NAME_CHARS_MAX);
    if !is_right {
        violations.add(field, "is malformed: expected 1 to 253 characters of [a-z0-9._/-]");
    }
    is_right
}

/// A class of wallets; empty for none.
pub(super) fn wallet_class(field: Path<'_>, class: &str, violations: &mut Violations) {
    if !is_name(class, LABEL_CHARS_MAX) {
        violations.add(field, "is malformed: expected at most 64 characters of [a-z0-9._/-]");
    }
}

/// Labels, sorted.
pub(super) fn labels(
    field: Path<'_>,
    labels: HashMap<String, String>,
    (entries_max, value_chars_max): (usize, usize),
    violations: &mut Violations,
) -> BTreeMap<String, String> {
    if entries_max < labels.len() {
        violations.add(field, format!("has too many entries: expected at most {entries_max}"));
        return BTreeMap::new();
    }
    for (name, value) in &labels {
        if name.is_empty() || !is_name(name, LABEL_CHARS_MAX) {
            violations.add(field, "has a malformed key: expected 1 to 64 characters of [a-z0-9._/-]");
        }
        text_of(field, value, value_chars_max, violations);
    }
    labels.into_iter().collect()
}

/// Labels of a payment.
/// An origin to choose by; nothing for all.
pub(super) fn origin(field: Path<'_>, number: i32, violations: &mut Violations) -> Option<Origin> {
    match proto::Origin::try_from(number) {
        Ok(proto::Origin::Api) => Some(Origin::Api),
        Ok(proto::Origin::Resource) => Some(Origin::Resource),
        Ok(proto::Origin::Unspecified) => None,
        Err(_) => {
            violations.add(field, "is unknown: expected a value of Origin");
            None
        }
    }
}

/// The engine's own tasks are called so; nobody else is.
const OWN_ACTORS: &str = "payplane:";

/// The longest name of a person.
pub(super) const PERSON_CHARS_MAX: usize = 256;

/// Whether somebody can be called so.
pub(super) fn is_person(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(OWN_ACTORS) && is_printable_ascii(name, PERSON_CHARS_MAX)
}

/// Who did or approved something, where the platform says so.
pub(super) fn person(field: Path<'_>, name: &str, violations: &mut Violations) {
    if !is_person(name) {
        violations.add(
            field,
            "is malformed: expected 1 to 256 printable ASCII characters that do not begin with \"payplane:\"",
        );
    }
}

pub(super) fn payment_labels(
    field: Path<'_>,
    given: HashMap<String, String>,
    violations: &mut Violations,
) -> BTreeMap<String, String> {
    labels(field, given, (PAYMENT_LABELS_MAX, LABEL_VALUE_CHARS_MAX), violations)
}

fn is_name(text: &str, chars_max: usize) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    text.len() <= chars_max && text.bytes().all(allowed)
}

pub(super) fn currency(field: Path<'_>, code: &str, violations: &mut Violations) -> Option<Currency> {
    let currency = Currency::parse(code);
    if currency.is_err() {
        violations.add(field, "is unknown: expected an active ISO 4217 code in capitals, such as \"USD\"");
    }
    currency.ok()
}

/// An amount and its currency.
pub(super) fn money(
    field: Path<'_>,
    money: Option<&proto::Money>,
    sign: Sign,
    violations: &mut Violations,
) -> Option<(i64, Currency)> {
    let Some(money) = money else {
        violations.add(field, "is missing: expected an amount and a currency");
        return None;
    };
    let currency = currency(field.at("currency"), &money.currency, violations);
    // An unknown currency must not hide an amount that no currency allows.
    let widest = currency.or_else(|| Currency::parse("CLF").ok())?;
    match parse_amount(&money.amount, widest, sign) {
        Ok(minor) => Some((minor, currency?)),
        Err(error) => {
            violations.add(field.at("amount"), error.to_string());
            None
        }
    }
}

/// An amount that has to be of a known currency.
pub(super) fn money_in(
    field: Path<'_>,
    money: Option<&proto::Money>,
    (sign, wanted): (Sign, Option<Currency>),
    violations: &mut Violations,
) -> Option<i64> {
    let (minor, currency) = self::money(field, money, sign, violations)?;
    if wanted.is_some_and(|wanted| wanted != currency) {
        violations.add(field.at("currency"), "differs: expected the same currency throughout");
    }
    Some(minor)
}

pub(super) fn uuid(field: Path<'_>, text: &str, violations: &mut Violations) -> Option<Uuid> {
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

/// Microseconds since 1970; finer parts are cut off.
pub(super) fn time(
    field: Path<'_>,
    time: &prost_types::Timestamp,
    violations: &mut Violations,
) -> Option<Timestamp> {
    // The years 1970 to 9999, as google.protobuf.Timestamp has them, without those before the epoch.
    const SECONDS: std::ops::Range<i64> = 0..253_402_300_800;
    let is_right = SECONDS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if !is_right {
        violations.add(field, "is out of range: expected a time of the years 1970 to 9999");
        return None;
    }
    Some(Timestamp(time.seconds * MICROS_PER_SECOND + i64::from(time.nanos) / 1_000))
}

/// Microseconds, more than zero and at most `days_max`.
pub(super) fn duration(
    field: Path<'_>,
    duration: &prost_types::Duration,
    days_max: i64,
    violations: &mut Violations,
) -> Option<i64> {
    const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
    let is_defined = (0..1_000_000_000).contains(&duration.nanos);
    let micros = duration.seconds.checked_mul(MICROS_PER_SECOND).filter(|_| is_defined);
    let micros = micros.and_then(|micros| micros.checked_add(i64::from(duration.nanos) / 1_000));
    let micros = micros.filter(|micros| (1..=days_max * MICROS_PER_DAY).contains(micros));
    if micros.is_none() {
        let expected = format!("expected at least a microsecond and at most {days_max} days");
        violations.add(field, format!("is out of range: {expected}"));
    }
    micros
}

pub(super) fn is_printable_ascii(text: &str, chars_max: usize) -> bool {
    text.len() <= chars_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_the_fields_lead() {
        let item = Path::Root.entry("items", 3);
        assert_eq!(Path::Root.at("amount").at("currency").to_string(), "amount.currency");
        assert_eq!(item.at("create_payment").at("amount").to_string(), "items[3].create_payment.amount");
        assert_eq!(item.entry("items", 0).to_string(), "items[3].items[0]");
    }

    #[test]
    fn times_and_durations_stay_in_their_range() {
        let at = |seconds, nanos| {
            time(Path::Root, &prost_types::Timestamp { seconds, nanos }, &mut Violations::default())
        };
        assert_eq!(at(1, 1_999), Some(Timestamp(1_000_001)));
        assert_eq!([at(-1, 0), at(0, -1), at(0, 1_000_000_000), at(i64::MAX, 0)], [None; 4]);
        let lasts = |seconds, nanos| {
            duration(Path::Root, &prost_types::Duration { seconds, nanos }, 1, &mut Violations::default())
        };
        assert_eq!((lasts(0, 1_000), lasts(86_400, 0)), (Some(1), Some(86_400_000_000)));
        assert_eq!([lasts(0, 999), lasts(-1, 0), lasts(86_400, 1_000), lasts(i64::MAX, 0)], [None; 4]);
    }
}
