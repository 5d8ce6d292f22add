//! Pages of lists.

use super::decode::Violations;

const PAGE_SIZE_DEFAULT: usize = 100;
const PAGE_SIZE_MAX: i32 = 1_000;

/// How many entries to answer: zero means the default.
pub(super) fn size(requested: i32, violations: &mut Violations) -> usize {
    match requested {
        0 => PAGE_SIZE_DEFAULT,
        1..=PAGE_SIZE_MAX => usize::try_from(requested).unwrap_or(PAGE_SIZE_DEFAULT),
        _ => {
            violations.add("page_size", "is out of range: expected 0 to 1000");
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
        violations.add("page_token", "is unknown: expected next_page_token of a former answer");
    }
    token
}
