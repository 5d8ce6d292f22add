//! Sharing an amount out without losing or making a minor unit.

use std::cmp::Reverse;

/// Shares `whole` out in proportion to the weights: each part is its exact share rounded down, what is left over goes,
/// one unit each, to the largest remainders, the earlier part first where they are equal. Parts sum to `whole`. Nothing
/// if a number is negative, or if there is something to share and no weight.
pub fn apportion(whole: i64, weights: &[i64]) -> Option<Vec<i64>> {
    let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if whole < 0 || weights.iter().any(|weight| *weight < 0) || (total == 0 && whole != 0) {
        return None;
    }
    if whole == 0 {
        return Some(vec![0; weights.len()]);
    }
    // Both are below 2 to the 63rd, so the product fits.
    let share = |part: usize| i128::from(whole) * i128::from(weights[part]);
    let mut parts = Vec::with_capacity(weights.len());
    for part in 0..weights.len() {
        parts.push(i64::try_from(share(part) / total).ok()?);
    }
    let left = i128::from(whole) - parts.iter().map(|part| i128::from(*part)).sum::<i128>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|part| Reverse(share(*part) % total));
    for part in order.into_iter().take(usize::try_from(left).ok()?) {
        parts[part] += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (i64, &'a [i64], Option<&'a [i64]>);

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        let cases: [Case<'_>; 8] = [
            (100, &[1, 1, 1], Some(&[34, 33, 33])),
            (101, &[1, 1, 1], Some(&[34, 34, 33])),
            (5, &[3, 3, 4], Some(&[2, 1, 2])),
            (7, &[0, 1, 0], Some(&[0, 7, 0])),
            (0, &[0, 0], Some(&[0, 0])),
            (i64::MAX, &[i64::MAX, i64::MAX], Some(&[i64::MAX / 2 + 1, i64::MAX / 2])),
            (1, &[0, 0], None),
            (1, &[2, -1], None),
        ];
        for (whole, weights, parts) in cases {
            assert_eq!(apportion(whole, weights).as_deref(), parts, "{whole} by {weights:?}");
        }
    }
}
