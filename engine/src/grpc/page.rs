//! Pages of lists.

use payplane_ledger::Sequence;

use super::decode::{self, Path, Violations};
use crate::store::TimeRange;

const PAGE_SIZE_DEFAULT: usize = 100;
const PAGE_SIZE_MAX: i32 = 1_000;

/// How many entries to answer: zero means the default.
pub(super) fn size(requested: i32, violations: &mut Violations) -> usize {
    size_of("page_size", requested, violations)
}

pub(super) fn size_of(field: &'static str, requested: i32, violations: &mut Violations) -> usize {
    match requested {
        0 => PAGE_SIZE_DEFAULT,
        1..=PAGE_SIZE_MAX => usize::try_from(requested).unwrap_or(PAGE_SIZE_DEFAULT),
        _ => {
            violations.add(Path::Root.at(field), "is out of range: expected 0 to 1000");
            PAGE_SIZE_DEFAULT
        }
    }
}

/// A token is what the former page ended with; empty means the first page.
pub(super) fn token<T>(
    text: &str,
    read: impl FnOnce(&str) -> Option<T>,
    violations: &mut Violations,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let token = read(text);
    if token.is_none() {
        violations
            .add(Path::Root.at("page_token"), "is unknown: expected next_page_token of a former answer");
    }
    token
}

/// The token of a page that starts at a place in the journal, exactly as [`next`] writes it.
pub(super) fn place(text: &str) -> Option<Sequence> {
    let place = text.parse().ok().filter(|number| 0 < *number).map(Sequence);
    place.filter(|place| next(Some(*place)) == text)
}

/// Empty after the last page.
pub(super) fn next(next: Option<Sequence>) -> String {
    next.map(|next| next.0.to_string()).unwrap_or_default()
}

/// The times that a list is restricted to.
pub(super) fn times(
    start: Option<&prost_types::Timestamp>,
    end: Option<&prost_types::Timestamp>,
    violations: &mut Violations,
) -> TimeRange {
    let mut read = |field, time: Option<&_>| {
        time.and_then(|time| decode::time(Path::Root.at(field), time, &mut *violations))
    };
    TimeRange { start: read("start_time", start), end: read("end_time", end) }
}
