//! When something was asked first, and whether it may be done again: what a call says in case the ledger was restored.
//!
//! A restored ledger does not know what was done after the copy was made. Whoever keeps what it asked for, such as the
//! operator with its custom resources, says since when that is there; the ledger then answers what it knows, and declines
//! what it does not know if that is from before the epoch began. A consent names the epoch, so that it means one restore.
//! Both only take away: no role is needed to say them.

use std::sync::Arc;

use http::HeaderMap;
use tonic::Status;

use super::status;
use crate::store::LedgerEpoch;

const ASKED_AT: &str = "payplane-asked-at";
const REPLAY_EPOCH: &str = "payplane-replay-epoch";

/// A thousand years are enough.
const DIGITS_MAX: usize = 11;
const EPOCH_CHARS_MAX: usize = 64;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// How far the clock of whoever says since when may be ahead of the database's. What was asked so soon after a restore is
/// taken for older.
const SKEW_US: i64 = 10 * MICROS_PER_SECOND;

/// What a call says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    at_us: Option<i64>,
    replay: Option<Arc<str>>,
}

impl Asked {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Status> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let at_us = text(ASKED_AT).map(|text| {
            seconds(text).ok_or_else(|| status::bad_metadata(ASKED_AT, "seconds since 1970, in digits"))
        });
        // A text that names no epoch is no consent, whatever it is.
        let replay = text(REPLAY_EPOCH).filter(|text| text.len() <= EPOCH_CHARS_MAX).map(Arc::from);
        Ok(Self { at_us: at_us.transpose()?, replay })
    }

    /// Whether the ledger may have known it before it was restored, and nobody consents to do it again.
    pub(super) fn is_lost(&self, epoch: Option<LedgerEpoch>) -> bool {
        let Some(at_us) = self.at_us else { return false };
        // Nothing can be decided before the epoch is known; if it could, then nothing new.
        let Some(epoch) = epoch else { return true };
        let is_older = epoch.began.is_some_and(|began| at_us < began.0.saturating_add(SKEW_US));
        is_older && self.replay.as_deref() != Some(&*epoch.name())
    }
}

fn seconds(text: &str) -> Option<i64> {
    let is_right = text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = text.parse().ok().filter(|_| is_right)?;
    seconds.checked_mul(MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use payplane_ledger::Timestamp;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_is_older_than_the_epoch_is_lost_unless_somebody_consents_to_this_epoch() {
        let second = |second: i64| Timestamp(second * MICROS_PER_SECOND);
        let restored = LedgerEpoch { number: 2, began: Some(second(1_000_000)) };
        let name = "2-19700112t134640z";
        assert_eq!(restored.name(), name);
        let cases: [(&[(&'static str, &str)], bool); 8] = [
            (&[], false),
            (&[(ASKED_AT, "1000009")], true),
            // So far clocks may differ, and no further.
            (&[(ASKED_AT, "1000010")], false),
            (&[(ASKED_AT, "0")], true),
            (&[(ASKED_AT, "0"), (REPLAY_EPOCH, name)], false),
            (&[(ASKED_AT, "0"), (REPLAY_EPOCH, "1-19700112t134640z")], true),
            (&[(ASKED_AT, "0"), (REPLAY_EPOCH, "2")], true),
            (&[(ASKED_AT, "0"), (REPLAY_EPOCH, "")], true),
        ];
        for (pairs, is_lost) in cases {
            let asked = Asked::read(&headers(pairs)).unwrap();
            assert_eq!(asked.is_lost(Some(restored)), is_lost, "{pairs:?}");
            let first = LedgerEpoch { number: 1, began: None };
            assert!(!asked.is_lost(Some(first)), "a ledger that was never restored lost nothing");
        }
    }

    #[test]
    fn a_time_is_digits() {
        for text in ["", "x", "-1", "+1", "1.5", "123456789012"] {
            assert!(Asked::read(&headers(&[(ASKED_AT, text)])).is_err(), "{text:?}");
        }
    }
}
