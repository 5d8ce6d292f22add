//! The small parts of requests under fuzz: what is taken is in its range, and is read again from what is written.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use payplane_ledger::{Currency, Sequence, Sign, Timestamp};
use payplane_proto::v1 as proto;
use proptest::prelude::any;

use super::{
    decode::{self, Path, Violations},
    encode, page,
};
use crate::fuzz::{fuzz, numbers, texts};

/// What was read, if nothing was wrong; and it is one or the other.
fn read<T>(parse: impl FnOnce(&mut Violations) -> Option<T>) -> Option<T> {
    let mut violations = Violations::default();
    let found = parse(&mut violations);
    let is_right = violations.check().is_ok();
    assert_eq!(found.is_some(), is_right, "neither read nor refused");
    found
}

/// Whether nothing was wrong.
fn is_right(check: impl FnOnce(&mut Violations)) -> bool {
    read(|violations| {
        let mut own = Violations::default();
        check(&mut own);
        own.check().map_err(|_| violations.add(Path::Root, "is wrong")).ok()
    })
    .is_some()
}

/// For whoever chooses inputs.
pub(crate) const LAWS: [fn(); 5] =
    [money, keys_names_and_texts, ids_and_page_tokens, times_and_durations, currencies_of_requests];

#[cfg_attr(test, test)]
pub(crate) fn money() {
    let currencies = texts("(USD|JPY|KWD|EUR|XXX|usd)");
    let inputs = (texts("(0|[1-9][0-9]{0,14})(\\.[0-9]{2,3})?"), currencies);
    fuzz("money", &inputs, |(amount, currency)| {
        let money = proto::Money { amount, currency };
        let found = read(|violations| decode::money(Path::Root, Some(&money), Sign::NotNegative, violations));
        let Some((minor, currency)) = found else { return false };
        assert_eq!((currency.code(), 0 <= minor), (&*money.currency, true));
        let written = proto::Money { amount: payplane_ledger::format_minor(minor, currency), ..money };
        let again =
            read(|violations| decode::money(Path::Root, Some(&written), Sign::NotNegative, violations));
        assert_eq!(again, Some((minor, currency)));
        true
    });
}

#[cfg_attr(test, test)]
pub(crate) fn keys_names_and_texts() {
    fuzz("keys", &texts("[ -~]{0,300}"), |text| {
        let taken = is_right(|violations| decode::idempotency_key(Path::Root, &text, violations));
        assert_eq!(
            taken,
            (1..=255).contains(&text.len()) && text.bytes().all(|byte| (32..127).contains(&byte))
        );
        taken
    });
    fuzz("names of wallets", &texts("[a-z0-9._/-]{0,300}"), |text| {
        let taken = is_right(|violations| {
            decode::wallet_name(Path::Root, &text, violations);
        });
        assert!(!taken || (1..=253).contains(&text.len()));
        taken
    });
    fuzz("texts", &texts("[a-zé\u{4e2d}]{0,300}"), |text| {
        let taken = is_right(|violations| decode::text(Path::Root, &text, violations));
        assert_eq!(taken, text.chars().count() <= 256 && !text.chars().any(char::is_control));
        taken
    });
}

#[cfg_attr(test, test)]
pub(crate) fn ids_and_page_tokens() {
    fuzz("ids", &texts("[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), |text| {
        let found = read(|violations| decode::uuid(Path::Root, &text, violations));
        found.inspect(|id| assert_eq!(id.to_string(), text.to_lowercase())).is_some()
    });
    fuzz("page tokens", &texts("[+0]?[1-9][0-9]{0,20}"), |text| {
        let found = page::place(&text);
        // A token is what a former answer ended with, to the letter.
        found.inspect(|place| assert_eq!(page::next(Some(*place)), text)).is_some()
    });
    fuzz("written page tokens", &numbers(), |number| {
        let read = page::place(&page::next(Some(Sequence(number))));
        assert_eq!(read, (0 < number).then_some(Sequence(number)));
        read.is_some()
    });
}

#[cfg_attr(test, test)]
pub(crate) fn times_and_durations() {
    fuzz("times", &(numbers(), -100_000_000..1_100_000_000_i32), |(seconds, nanos)| {
        let time = prost_types::Timestamp { seconds, nanos };
        let found = read(|violations| decode::time(Path::Root, &time, violations));
        let again = |found: &Timestamp| {
            let again = read(|violations| decode::time(Path::Root, &encode::timestamp(*found), violations));
            assert_eq!(again.as_ref(), Some(found));
        };
        found.inspect(again).is_some()
    });
    fuzz("durations", &(numbers(), any::<i32>()), |(seconds, nanos)| {
        let duration = prost_types::Duration { seconds, nanos };
        let found = read(|violations| decode::duration(Path::Root, &duration, 1, violations));
        // As google.protobuf.Duration defines it: less than a second in nanoseconds, with the sign of the seconds.
        let is_defined =
            |_: &i64| assert!(0 <= seconds && (0..1_000_000_000).contains(&nanos), "{duration:?}");
        found.inspect(|micros| assert!((1..=86_400_000_000).contains(micros))).inspect(is_defined).is_some()
    });
}

#[cfg_attr(test, test)]
pub(crate) fn currencies_of_requests() {
    fuzz("currencies of requests", &texts("(USD|JPY|KWD|CLF|[A-Z]{3})"), |text| {
        let found: Option<Currency> = read(|violations| decode::currency(Path::Root, &text, violations));
        found.is_some()
    });
}
