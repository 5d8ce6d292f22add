//! How long to wait before the next attempt: twice as long each time, up to a bound, and never the same for two engines.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

const FIRST_MS: u64 = 250;
const LAST_MS: u64 = 15_000;

/// Attempts that failed one after the other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// Something worked.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Something failed: how long to wait, between half of the step and all of it.
    pub(super) fn failed(&mut self) -> Duration {
        let step = FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(LAST_MS);
        self.failures = self.failures.saturating_add(1);
        // Each state hashes differently: enough of a die for this.
        let die = RandomState::new().hash_one(self.failures);
        Duration::from_millis(step / 2 + die % (step / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut pace = Pace::default();
        for failure in 0_u32..40 {
            let step = FIRST_MS.saturating_mul(1 << failure.min(16)).min(LAST_MS);
            let wait = u64::try_from(pace.failed().as_millis()).unwrap();
            assert!((step / 2..=step).contains(&wait), "{wait} ms after {failure} failures");
        }
        let waits: std::collections::HashSet<_> = (0..20).map(|_| pace.failed()).collect();
        assert!(1 < waits.len(), "no jitter");
        pace.reset();
        assert!(pace.failed() <= Duration::from_millis(FIRST_MS));
    }
}
