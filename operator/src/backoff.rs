//! How long each object waits before its next try: doubling, with jitter, remembered per object until it succeeds.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Kind, namespace and name.
pub type Key = (&'static str, String, String);

/// Failures in a row, by object. Objects that succeed or disappear are forgotten, so memory follows open trouble.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: Mutex<HashMap<Key, u32>>,
    random: RandomState,
}

impl Backoff {
    /// Counts one more failure and tells how long to wait: between half and all of `base * 2^failures`, at most `cap`.
    pub fn next(&self, key: &Key, base: Duration, cap: Duration) -> Duration {
        let failures = self.count(key);
        let full = base.saturating_mul(2u32.saturating_pow(failures)).min(cap);
        let half = full / 2;
        half + self.part(half, (key, failures))
    }

    /// Forgets an object's failures.
    pub fn forget(&self, key: &Key) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Whether the object has not failed since its last success.
    pub fn is_new(&self, key: &Key) -> bool {
        !self.attempts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// `period` with up to a tenth more or less, so that objects made together do not come back together.
    pub fn spread(&self, key: &Key, period: Duration) -> Duration {
        period - period / 10 + self.part(period / 5, key)
    }

    fn count(&self, key: &Key) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = attempts.entry(key.clone()).or_default();
        let before = *failures;
        *failures = before.saturating_add(1);
        before
    }

    /// A part of `whole` that differs by seed and by process.
    fn part(&self, whole: Duration, seed: impl std::hash::Hash) -> Duration {
        let thousandths = u32::try_from(self.random.hash_one(seed) % 1001).unwrap_or(0);
        whole / 1000 * thousandths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_success() {
        let backoff = Backoff::default();
        let key = ("Payment", "ns".to_owned(), "a".to_owned());
        let (base, cap) = (Duration::from_millis(200), Duration::from_secs(15));
        let waits: Vec<_> = (0..40).map(|_| backoff.next(&key, base, cap)).collect();
        for (n, wait) in waits.iter().enumerate() {
            let full = base.saturating_mul(2u32.saturating_pow(n as u32)).min(cap);
            assert!(*wait >= full / 2 && *wait <= full, "try {n} waits {wait:?} of {full:?}");
        }
        backoff.forget(&key);
        assert!(backoff.next(&key, base, cap) <= base);
    }

    #[test]
    fn a_resync_is_spread_by_a_tenth() {
        let backoff = Backoff::default();
        let period = Duration::from_secs(600);
        for n in 0..100 {
            let wait = backoff.spread(&("Wallet", "ns".into(), n.to_string()), period);
            assert!(wait >= Duration::from_secs(540) && wait <= Duration::from_secs(660), "{wait:?}");
        }
    }
}
