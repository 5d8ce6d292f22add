//! Splitting an amount by weights without losing or making a minor unit.

/// Splits `minor` in proportion to the weights. Each part is its exact share rounded down; what is left over goes, one
/// minor unit each, to the largest remainders, the earlier part first where they are equal. The parts always sum to
/// `minor`, and a part without weight gets nothing. Nothing if there is no weight at all or `minor` is negative.
pub fn split(minor: i64, weights: &[u32]) -> Option<Vec<i64>> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if whole == 0 || minor < 0 {
        return None;
    }
    let share = |weight: &u32| i128::from(minor) * i128::from(*weight);
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weights {
        parts.push(i64::try_from(share(weight) / whole).ok()?);
    }
    let left = i128::from(minor) - parts.iter().map(|part| i128::from(*part)).sum::<i128>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|part| std::cmp::Reverse(share(&weights[*part]) % whole));
    for part in order.into_iter().take(usize::try_from(left).ok()?) {
        parts[part] += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        let cases: [(i64, &[u32], &[i64]); 8] = [
            (100, &[1, 1, 1], &[34, 33, 33]),
            (101, &[1, 1, 1], &[34, 34, 33]),
            (100, &[1, 2], &[33, 67]),
            (5, &[3, 3, 4], &[2, 1, 2]),
            (1, &[1, 1], &[1, 0]),
            (7, &[0, 1, 0], &[0, 7, 0]),
            (0, &[1, 2], &[0, 0]),
            (i64::MAX, &[u32::MAX, u32::MAX], &[i64::MAX / 2 + 1, i64::MAX / 2]),
        ];
        for (minor, weights, parts) in cases {
            assert_eq!(split(minor, weights).as_deref(), Some(parts), "{minor} by {weights:?}");
        }
    }

    #[test]
    fn nothing_is_split_by_nothing() {
        assert_eq!(split(1, &[]), None);
        assert_eq!(split(1, &[0, 0]), None);
        assert_eq!(split(-1, &[1]), None);
    }
}
