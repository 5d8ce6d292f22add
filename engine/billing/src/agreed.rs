//! Which plan holds when: from what was agreed to the parts of a period.

use payplane_ledger::Timestamp;

use crate::{Period, Plan};

/// How many parts a period has at most: it can be cut so many times less one.
pub const PARTS_MAX: usize = 4;

/// That a plan holds from a moment on, until another one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// What was agreed.
    pub plan: Plan,
    /// From when on.
    pub effective: Timestamp,
    /// Whether it begins within a period. Otherwise it begins with the first period that begins then or later.
    pub cuts: bool,
}

/// Divides a period by what was agreed, in the order in which that was: each part with its plan. Parts follow each other
/// without gaps and none is empty. The last agreement that is effective by a period's start holds then; after that only
/// agreements that cut count. Nothing if no plan holds at the start.
pub fn divide(period: Period, agreements: &[Agreement]) -> Option<Vec<(Period, Plan)>> {
    let first = agreements.iter().rposition(|agreement| agreement.effective <= period.start)?;
    let mut parts = vec![(period, agreements[first].plan.clone())];
    for agreement in agreements[first + 1..].iter().filter(|agreement| agreement.cuts) {
        let Some((last, _)) = parts.last_mut() else { continue };
        if last.start < agreement.effective && agreement.effective < last.end {
            last.end = agreement.effective;
            parts.push((Period { start: agreement.effective, end: period.end }, agreement.plan.clone()));
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use payplane_ledger::Currency;

    use super::*;
    use crate::Terms;

    fn agreement(version: &str, effective: i64, cuts: bool) -> Agreement {
        let terms = Terms {
            version: version.to_owned(),
            currency: Currency::parse("USD").unwrap(),
            base_fee: 0,
            prices: Vec::new(),
            events: Vec::new(),
            minimum: 0,
            discount: None,
            discount_until_us: None,
            taxes: Vec::new(),
        };
        Agreement { plan: Plan::new(terms).unwrap(), effective: Timestamp(effective), cuts }
    }

    #[test]
    fn a_period_is_divided_by_what_was_agreed() {
        // Agreements, a period, and its parts: version, start, end.
        type Case<'a> = (&'a [(&'a str, i64, bool)], (i64, i64), &'a [(&'a str, i64, i64)]);
        let cases: [Case<'_>; 10] = [
            (&[], (100, 200), &[]),
            (&[("1", 0, false)], (100, 200), &[("1", 100, 200)]),
            // From the next period on: not before it begins.
            (&[("1", 0, false), ("2", 200, false)], (100, 200), &[("1", 100, 200)]),
            (&[("1", 0, false), ("2", 200, false)], (200, 300), &[("2", 200, 300)]),
            // A cycle that changed meanwhile does not make a cut of it.
            (&[("1", 0, false), ("2", 150, false)], (100, 200), &[("1", 100, 200)]),
            // Now.
            (&[("1", 0, false), ("2", 150, true)], (100, 200), &[("1", 100, 150), ("2", 150, 200)]),
            (&[("1", 0, false), ("2", 150, true)], (200, 300), &[("2", 200, 300)]),
            // At the very start of a period nothing is cut.
            (&[("1", 0, false), ("2", 100, true)], (100, 200), &[("2", 100, 200)]),
            // What was agreed last holds, whatever was to come.
            (
                &[("1", 0, false), ("2", 200, false), ("3", 120, true), ("4", 150, true)],
                (100, 200),
                &[("1", 100, 120), ("3", 120, 150), ("4", 150, 200)],
            ),
            (&[("1", 0, false), ("2", 200, false), ("3", 120, true)], (200, 300), &[("3", 200, 300)]),
        ];
        for (agreements, (start, end), expected) in cases {
            let agreed: Vec<Agreement> =
                agreements.iter().map(|(version, at, cuts)| agreement(version, *at, *cuts)).collect();
            let period = Period { start: Timestamp(start), end: Timestamp(end) };
            let parts = divide(period, &agreed).unwrap_or_default();
            let parts: Vec<_> = parts
                .iter()
                .map(|(part, plan)| (plan.terms().version.as_str(), part.start.0, part.end.0))
                .collect();
            assert_eq!(parts, expected, "{agreements:?} {start}");
        }
    }
}
