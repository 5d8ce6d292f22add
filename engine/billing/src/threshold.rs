//! Bounds that somebody wants to be told of: of what a period comes to, or of what was used in it. Nothing is limited by them.

use payplane_ledger::{Currency, format_minor};

use crate::{Metric, RATE_DECIMALS, Statement, Usage};

/// How many there may be of one tenant.
pub const THRESHOLDS_MAX: usize = 8;

/// As long as a bound is written at most; so it fits into 128 bits with all decimals.
const CHARS_MAX: usize = 20;

/// What is compared with a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// What the period comes to, taxes included, in the plan's currency.
    Accrued,
    /// What was used of a metric.
    Metric(Metric),
    /// Usage of this name that others recorded and the plan prices.
    Event(String),
}

/// A bound under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    name: String,
    measure: Measure,
    bound: String,
    /// The bound times ten to [`RATE_DECIMALS`].
    scaled: i128,
}

impl Threshold {
    /// A bound is a decimal above zero with at most 8 decimals, and a whole number of what is no money.
    ///
    /// # Errors
    /// What is wrong with the bound.
    pub fn new(name: &str, measure: Measure, bound: &str) -> Result<Self, &'static str> {
        let is_money = match &measure {
            Measure::Accrued => true,
            Measure::Metric(metric) => metric.is_amount(),
            Measure::Event(_) => false,
        };
        if !is_money && bound.contains('.') {
            return Err("is malformed: expected a whole number, because it is no money");
        }
        let scaled = scaled(bound).filter(|scaled| 0 < *scaled);
        let scaled = scaled.ok_or("is malformed: expected a decimal above zero, such as \"100.00\"")?;
        Ok(Self { name: name.to_owned(), measure, bound: bound.to_owned(), scaled })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is compared.
    pub const fn measure(&self) -> &Measure {
        &self.measure
    }

    /// The bound as it was given.
    pub fn bound(&self) -> &str {
        &self.bound
    }

    /// The bound in units that are the same however it is written.
    pub const fn scaled(&self) -> i128 {
        self.scaled
    }

    /// What there is as text, if it meets the bound. Events that are not in the usage are none.
    pub fn reached(&self, statement: &Statement, usage: &Usage) -> Option<String> {
        let (value, money) = match &self.measure {
            Measure::Accrued => (statement.total, Some(statement.currency)),
            Measure::Metric(metric) => {
                (usage.of(*metric), Some(statement.currency).filter(|_| metric.is_amount()))
            }
            Measure::Event(name) => (usage.events.get(name).copied().unwrap_or_default(), None),
        };
        let decimals = RATE_DECIMALS - money.map_or(0, |currency| u32::from(currency.exponent()));
        let is_reached = self.scaled <= i128::from(value) * 10_i128.pow(decimals);
        is_reached.then(|| text(value, money))
    }
}

fn text(value: i64, money: Option<Currency>) -> String {
    money.map_or_else(|| value.to_string(), |currency| format_minor(value, currency))
}

fn scaled(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if CHARS_MAX < text.len() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let missing = (RATE_DECIMALS as usize).checked_sub(fraction.len())?;
    let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing));
    Some(digits.fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(total: i64, currency: &str) -> Statement {
        Statement {
            currency: Currency::parse(currency).unwrap(),
            plan_version: "1".to_owned(),
            lines: Vec::new(),
            subtotal: total,
            discount: 0,
            taxes: Vec::new(),
            total,
        }
    }

    #[test]
    fn thresholds_are_of_money_of_the_ledgers_counts_and_of_those_of_others() {
        let usage = Usage {
            payments: 10,
            volume: 1_250,
            events: [("calls".to_owned(), 7)].into(),
            ..Usage::default()
        };
        let metric = Measure::Metric;
        let event = |name: &str| Measure::Event(name.to_owned());
        let cases: [(Measure, &str, Option<&str>); 13] = [
            (Measure::Accrued, "100", Some("100.00")),
            (Measure::Accrued, "100.00", Some("100.00")),
            (Measure::Accrued, "99.999", Some("100.00")),
            (Measure::Accrued, "100.01", None),
            (Measure::Accrued, "9999999999999999999", None),
            (metric(Metric::Payments), "9", Some("10")),
            (metric(Metric::Payments), "11", None),
            (metric(Metric::Volume), "12.5", Some("12.50")),
            (metric(Metric::Volume), "12.51", None),
            (metric(Metric::ApiCalls), "1", None),
            (event("calls"), "7", Some("7")),
            (event("calls"), "8", None),
            (event("others"), "1", None),
        ];
        for (measure, bound, expected) in cases {
            let threshold = Threshold::new("t", measure, bound).unwrap();
            let found = threshold.reached(&statement(10_000, "USD"), &usage);
            assert_eq!(found.as_deref(), expected, "{threshold:?}");
        }
        // A currency without decimals.
        let yen = Threshold::new("t", Measure::Accrued, "99.5").unwrap();
        assert_eq!(yen.reached(&statement(99, "JPY"), &usage), None);
        assert_eq!(yen.reached(&statement(100, "JPY"), &usage).as_deref(), Some("100"));
    }

    #[test]
    fn a_bound_that_is_none_is_refused() {
        for bound in ["", "0", "0.00", "-1", "1.", ".5", "1e3", "0.000000001", "123456789012345678901", "1,5"]
        {
            assert!(Threshold::new("t", Measure::Accrued, bound).is_err(), "{bound}");
        }
        assert!(Threshold::new("t", Measure::Metric(Metric::Payments), "1.5").is_err());
        let same = |bound| Threshold::new("t", Measure::Accrued, bound).unwrap().scaled();
        assert_eq!(same("100"), same("100.00"));
    }
}
