//! In which order prepaid credits are used, and how much of each.

use payplane_ledger::Timestamp;
use serde::{Deserialize, Serialize};

/// What is left of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The grant's key.
    pub key: String,
    /// What was granted, in minor units.
    pub granted: i64,
    /// What invoices used of it, at most that.
    pub used: i64,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
    /// When it was granted.
    pub since: Timestamp,
}

/// How much an invoice uses of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The grant's key.
    pub key: String,
    /// What was used of it before.
    pub before: i64,
    /// More than zero.
    pub minor: i64,
}

/// Uses credits for what is due of a period that ends at `end`: what expires first, then what was granted first, then by
/// key. What expires before the period's end is left out, whenever the period is closed, so that closing late uses the
/// same. Never uses more than is due, or more of a credit than is left.
pub fn consume(due: i64, credits: &[Credit], end: Timestamp) -> Vec<Use> {
    let lives = |credit: &&Credit| credit.expires.is_none_or(|expires| end <= expires);
    let mut order: Vec<&Credit> = credits.iter().filter(lives).collect();
    order.sort_by_key(|credit| {
        (credit.expires.map_or(i64::MAX, |expires| expires.0), credit.since, credit.key.as_str())
    });
    let mut left = due;
    let take = |credit: &Credit| {
        let minor = credit.granted.saturating_sub(credit.used).min(left);
        left -= minor.max(0);
        (0 < minor).then(|| Use { key: credit.key.clone(), before: credit.used, minor })
    };
    order.into_iter().filter_map(take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_first_is_used_first() {
        let credit = |key: &str, granted, used, expires: Option<i64>, since| Credit {
            key: key.to_owned(),
            granted,
            used,
            expires: expires.map(Timestamp),
            since: Timestamp(since),
        };
        let credits = [
            credit("for-ever", 100, 0, None, 1),
            credit("soon", 30, 10, Some(100), 9),
            credit("gone", 50, 0, Some(99), 1),
            credit("later-b", 10, 0, Some(200), 5),
            credit("later-a", 10, 0, Some(200), 5),
            credit("used", 10, 10, Some(150), 1),
        ];
        let cases = [
            (0, vec![]),
            (15, vec![("soon", 10, 15)]),
            (35, vec![("soon", 10, 20), ("later-a", 0, 10), ("later-b", 0, 5)]),
            (500, vec![("soon", 10, 20), ("later-a", 0, 10), ("later-b", 0, 10), ("for-ever", 0, 100)]),
        ];
        for (due, expected) in cases {
            let used = consume(due, &credits, Timestamp(100));
            let used: Vec<_> = used.iter().map(|each| (each.key.as_str(), each.before, each.minor)).collect();
            assert_eq!(used, expected, "{due}");
        }
    }
}
