//! Medians, quantiles, and what can be said about a ratio from a few pairs of runs.
//!
//! Runs that follow each other meet the same moods of a shared machine, so the ratio within a pair says more than either
//! rate. Ratios multiply, so their logarithms are averaged: the mean ratio is the geometric one. Its one-sided 95 % bound
//! is Student's: mean -/+ t(0.95, n - 1) * s / sqrt(n), on the logarithms. Nothing is bounded by one pair.

/// The least, the middle and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first().copied(), values.last().copied()) else {
            return Self { min: f64::NAN, median: f64::NAN, max: f64::NAN };
        };
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Self { min, median, max }
    }
}

/// What n paired ratios say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) spread: Spread,
    /// Geometric.
    pub(crate) mean: f64,
    /// With 95 % confidence the mean is not below this.
    pub(crate) lower: f64,
    /// With 95 % confidence the mean is not above this.
    pub(crate) upper: f64,
}

impl Ratio {
    /// The first of each pair over the second.
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let ratios = pairs.iter().map(|(ours, theirs)| ours / theirs);
        let logarithms: Vec<f64> = ratios.clone().map(f64::ln).collect();
        let count = logarithms.len() as f64;
        let mean = logarithms.iter().sum::<f64>() / count;
        let squares: f64 = logarithms.iter().map(|value| (value - mean).powi(2)).sum();
        // One pair tells nothing about spread: 0 / 0 makes both bounds "not a number".
        let margin = student(logarithms.len()) * (squares / (count - 1.0) / count).sqrt();
        Self {
            spread: Spread::of(ratios),
            mean: mean.exp(),
            lower: (mean - margin).exp(),
            upper: (mean + margin).exp(),
        }
    }
}

/// The 95 % quantile of Student's distribution with `count - 1` degrees of freedom. From 30 on the last is used, which
/// makes bounds a little too careful.
fn student(count: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761,
        1.753, 1.746, 1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701,
        1.699, 1.697,
    ];
    QUANTILES[count.saturating_sub(2).min(QUANTILES.len() - 1)]
}

/// The value that `thousandths` of all values do not exceed. Sorted values only; zero if there are none.
pub(crate) fn quantile(sorted: &[f64], thousandths: usize) -> f64 {
    let rank = (sorted.len() * thousandths).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Known samples with known results. A program without a test harness checks itself before it measures: a wrong bound
/// would not show in any other way.
pub(crate) fn check() {
    let near = |is: f64, expected: f64| assert!((is - expected).abs() < 1e-3, "{is} is not {expected}");
    assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
    near(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
    let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
    near(quantile(&hundred, 500), 50.0);
    near(quantile(&hundred, 990), 99.0);
    near(quantile(&hundred, 1_000), 100.0);
    near(quantile(&[7.0], 990), 7.0);
    near(quantile(&[], 990), 0.0);
    // Equal ratios leave no doubt.
    let same = Ratio::of(&[(2.0, 1.0), (4.0, 2.0), (6.0, 3.0)]);
    near(same.mean, 2.0);
    near(same.lower, 2.0);
    near(same.upper, 2.0);
    // ln 1, ln 2, ln 4: mean ln 2, s = ln 2, margin = 2.920 * ln 2 / sqrt 3 = 1.1686.
    let three = Ratio::of(&[(1.0, 1.0), (2.0, 1.0), (4.0, 1.0)]);
    near(three.mean, 2.0);
    near(three.lower, 2.0 * (-1.168_551_f64).exp());
    near(three.upper, 2.0 * 1.168_551_f64.exp());
    near(three.spread.median, 2.0);
    // 1.1, 1.2, ... 2.0, as calculated elsewhere: s = 0.200186, margin 1.833 * s / sqrt 10 = 0.116037.
    let ten: Vec<(f64, f64)> = (11..=20).map(|tenths| (f64::from(tenths), 10.0)).collect();
    near(Ratio::of(&ten).mean, 1.522_776);
    near(Ratio::of(&ten).lower, 1.355_945);
    assert!(Ratio::of(&[(1.0, 1.0)]).lower.is_nan(), "one pair bounds nothing");
}
