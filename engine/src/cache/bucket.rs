//! How often somebody may call: at a steady rate, with a burst after a pause. Pure: time is an argument.

/// How often a tenant may call, all its callers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Calls per second in the long run. Positive.
    pub calls_per_second: u32,
    /// Calls at once after a pause. Positive.
    pub burst: u32,
}

impl Rates {
    /// The pause after which one more call is allowed, in nanoseconds.
    const fn interval(self) -> u64 {
        1_000_000_000 / if self.calls_per_second == 0 { 1 } else { self.calls_per_second as u64 }
    }
}

/// Remembers one number: when the bucket will be full again, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Allows one call, or says how many nanoseconds from now the next one is.
    pub fn take(&mut self, now: u64, rates: Rates) -> Result<(), u64> {
        let interval = rates.interval();
        let after = self.full_at.max(now).saturating_add(interval);
        let latest = now.saturating_add(interval.saturating_mul(u64::from(rates.burst)));
        if latest < after {
            return Err(after - latest);
        }
        self.full_at = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_the_rate_then_a_burst_again() {
        let rates = Rates { calls_per_second: 10, burst: 3 };
        let mut bucket = Bucket::default();
        let start = 5 * SECOND;
        for _ in 0..3 {
            assert_eq!(bucket.take(start, rates), Ok(()));
        }
        assert_eq!(bucket.take(start, rates), Err(SECOND / 10), "the next call is one interval away");
        assert_eq!(bucket.take(start + SECOND / 10 - 1, rates), Err(1));
        assert_eq!(bucket.take(start + SECOND / 10, rates), Ok(()));
        assert!(bucket.take(start + SECOND / 10, rates).is_err());
        for _ in 0..3 {
            assert_eq!(bucket.take(start + SECOND, rates), Ok(()));
        }
        assert!(bucket.take(start + SECOND, rates).is_err(), "a pause fills it to the burst and no further");
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            calls_per_second in 1_u32..2_000, burst in 1_u32..50,
            pauses in proptest::collection::vec(0_u64..20_000_000, 1..400),
        ) {
            let rates = Rates { calls_per_second, burst };
            let (mut bucket, mut now, mut allowed) = (Bucket::default(), SECOND, 0_u64);
            for pause in pauses {
                now += pause;
                match bucket.take(now, rates) {
                    Ok(()) => allowed += 1,
                    Err(wait) => prop_assert!(
                        0 < wait && bucket.clone().take(now + wait, rates).is_ok(), "the wait is enough"
                    ),
                }
                let most = u64::from(burst) + (now - SECOND) / rates.interval();
                prop_assert!(allowed <= most, "{allowed} of {most}");
            }
        }
    }
}
