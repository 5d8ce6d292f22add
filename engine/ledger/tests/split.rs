//! Splits of any amount by any weights.

use payplane_ledger::split;

/// A million where money is proved, fewer where tests run often.
fn cases() -> u32 {
    if std::env::var_os("PAYPLANE_PROVE").is_some() { 1_000_000 } else { 100_000 }
}

#[test]
fn parts_sum_to_the_whole_and_are_fair() {
    let mut random = SplitMix(7);
    let (cases, mut refused) = (cases(), 0);
    for _ in 0..cases {
        let minor = match random.below(4) {
            0 => i64::MAX,
            1 => (random.next() >> 1) as i64,
            _ => random.below(1_000) as i64,
        };
        let weights: Vec<u32> = (0..random.below(9)).map(|_| random.weight()).collect();
        refused += u32::from(!check(minor, &weights));
    }
    // Both happened, and often: sums that can be split, and weights that cannot.
    println!("splits: {cases} random ones, {refused} refused for want of weights");
    assert!(cases / 20 < refused && refused < cases / 2, "{refused}");
}

/// Whether there was anything to split by.
fn check(minor: i64, weights: &[u32]) -> bool {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let Some(parts) = split(minor, weights) else {
        assert_eq!(whole, 0);
        return false;
    };
    assert_eq!(parts.len(), weights.len());
    assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(minor));
    for (index, (part, weight)) in parts.iter().zip(weights).enumerate() {
        // Less than one unit away from the exact share, on either side; nothing without weight.
        let error = i128::from(*part) * whole - i128::from(minor) * i128::from(*weight);
        assert!(-whole < error && error < whole, "part {index} of {parts:?}");
        assert!(*weight != 0 || *part == 0);
        // The same weight later gets the same or one unit less; of the same parts none depends on anything else.
        for (later, later_weight) in parts.iter().zip(weights).skip(index + 1) {
            assert!(weight != later_weight || (0..=1).contains(&(part - later)), "{parts:?} by {weights:?}");
        }
    }
    assert_eq!(split(minor, weights), Some(parts));
    true
}

/// The usual small generator; a fixed seed makes every run the same.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn weight(&mut self) -> u32 {
        match self.below(6) {
            0 => u32::MAX,
            1 => self.next() as u32,
            2 => 0,
            _ => self.below(10) as u32,
        }
    }
}
