//! A head of the chain that was kept outside the database: `SEAL:LINK`, the link in hexadecimal digits.

use std::{fmt::Write as _, str::FromStr};

use payplane_ledger::Root;

use super::report::Check;
use crate::store::{Violation, Violations};

/// What the chain must be at one seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The seal's number.
    pub seal: i64,
    /// The link at that number.
    pub link: Root,
}

/// The text is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is a number, a colon and 64 hexadecimal digits")]
pub struct ExpectedHeadError;

impl FromStr for ExpectedHead {
    type Err = ExpectedHeadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seal, link) = text.split_once(':').ok_or(ExpectedHeadError)?;
        // Exactly as it is printed: no sign, no zeros in front.
        let number = seal.parse().ok().filter(|number: &i64| 0 <= *number && number.to_string() == seal);
        let seal = number.ok_or(ExpectedHeadError)?;
        Ok(Self { seal, link: unhex(link).ok_or(ExpectedHeadError)? })
    }
}

/// Compares with the link that the chain has at that number, if it has one.
pub(super) fn check(expected: ExpectedHead, found: Option<Root>) -> Check {
    let problem = match found {
        Some(link) if link == expected.link => None,
        Some(_) => Some(format!("seal {} has another link", expected.seal)),
        None => Some(format!("the chain ends before seal {}", expected.seal)),
    };
    let mut violations = Violations::default();
    if let Some(problem) = problem {
        violations.add(Violation { problem, ..Violation::default() });
    }
    let proves =
        "the chain still holds the head that was kept outside, so nothing before it was changed or dropped";
    Check::new("expected_head", proves, 1, violations)
}

pub(crate) fn hex(link: &Root) -> String {
    link.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Root> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut link = Root::default();
    for (index, byte) in link.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let link: Root = std::array::from_fn(|index| index as u8 * 8);
        let text = format!("7:{}", hex(&link));
        assert_eq!(text.parse(), Ok(ExpectedHead { seal: 7, link }));
        let digits = "0".repeat(64);
        let bad = ["", "7", ":", "7:", "x:y", "-1:", &format!("-1:{digits}"), &format!("7:{digits}0")];
        for text in bad.into_iter().map(str::to_owned).chain([format!("7:+{}", "0".repeat(63))]) {
            assert_eq!(text.parse::<ExpectedHead>(), Err(ExpectedHeadError), "{text}");
        }
    }
}
