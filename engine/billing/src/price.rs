//! What a quantity of one metric costs, and which prices are none.
//!
//! The cost of a line is exact until its one rounding: an integer of minor units times ten to [`RATE_DECIMALS`].

use serde::{Deserialize, Serialize};

use crate::{Fault, Metric, RATE_DECIMALS, Rate};

/// How many metrics have a price at most: each at most once.
pub const PRICES_MAX: usize = 7;

/// How many tiers a price has at most.
pub const TIERS_MAX: usize = 16;

/// How a quantity becomes a cost. Quantities are counts or, of [`Metric::Volume`], minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Every unit costs the same.
    Flat(Rate),
    /// Each unit costs what its own tier says.
    Graduated(Vec<Tier>),
    /// All units cost what the tier says that the whole quantity falls into.
    Volume(Vec<Tier>),
    /// Packages, the last one paid in full however little of it is used.
    Package {
        /// How much one package holds, more than zero.
        size: i64,
        /// What it costs, in minor units.
        minor: i64,
    },
}

/// A step of a price: quantities above the tier before, up to and including `up_to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The last quantity of the tier; only the last tier has none.
    pub up_to: Option<i64>,
    /// What each unit costs: of a count per piece, of an amount per unit of the currency.
    pub unit: Rate,
    /// What the tier costs as soon as it is reached, in minor units.
    pub flat_minor: i64,
}

impl Model {
    /// What is wrong with it, if anything; `field` is where it stands in the plan.
    pub(crate) fn faults(&self, field: &str, faults: &mut Vec<Fault>) {
        match self {
            Self::Flat(_) => {}
            Self::Graduated(tiers) | Self::Volume(tiers) => tier_faults(tiers, field, faults),
            Self::Package { size, minor } => {
                if *size < 1 {
                    faults.push(Fault::new(
                        format_args!("{field}.size"),
                        "is out of range: expected more than zero",
                    ));
                }
                if *minor < 0 {
                    faults.push(Fault::new(
                        format_args!("{field}.price"),
                        "is negative: expected zero or more",
                    ));
                }
            }
        }
    }

    /// The exact cost of a quantity in minor units times ten to [`RATE_DECIMALS`]; nothing if it leaves 128 bits.
    pub(crate) fn cost(&self, quantity: i64, metric: Metric, exponent: u8) -> Option<i128> {
        let times = |units: i64, unit: Rate| unit_cost(units, unit, metric, exponent);
        match self {
            Self::Flat(unit) => times(quantity, *unit),
            Self::Graduated(tiers) => {
                let mut cost = 0_i128;
                for (tier, units) in steps(tiers, quantity) {
                    let flat = i128::from(tier.flat_minor).checked_mul(Rate::ONE)?;
                    cost = cost.checked_add(times(units, tier.unit)?)?.checked_add(flat)?;
                }
                Some(cost)
            }
            Self::Volume(tiers) => {
                let Some((tier, _)) = steps(tiers, quantity).last() else { return Some(0) };
                let flat = i128::from(tier.flat_minor).checked_mul(Rate::ONE)?;
                times(quantity, tier.unit)?.checked_add(flat)
            }
            Self::Package { size, minor } => {
                let packages = i128::from(quantity).checked_add(i128::from(*size) - 1)? / i128::from(*size);
                packages.checked_mul(i128::from(*minor))?.checked_mul(Rate::ONE)
            }
        }
    }
}

/// An amount is priced per unit of the currency, so its minor units cost minor units; a count has to become some.
fn unit_cost(units: i64, unit: Rate, metric: Metric, exponent: u8) -> Option<i128> {
    let cost = i128::from(units).checked_mul(unit.scaled())?;
    let scale = if metric.is_amount() { 1 } else { 10_i128.pow(u32::from(exponent)) };
    cost.checked_mul(scale)
}

/// The tiers that a quantity reaches, each with its part of the quantity. Nothing used reaches no tier.
fn steps(tiers: &[Tier], quantity: i64) -> impl Iterator<Item = (&Tier, i64)> {
    let mut below = 0;
    tiers.iter().map_while(move |tier| {
        if quantity <= below {
            return None;
        }
        let end = tier.up_to.unwrap_or(i64::MAX).min(quantity);
        let units = end - below;
        below = end;
        Some((tier, units))
    })
}

fn tier_faults(tiers: &[Tier], field: &str, faults: &mut Vec<Fault>) {
    if tiers.is_empty() || TIERS_MAX < tiers.len() {
        let problem = format!("has a wrong number of entries: expected 1 to {TIERS_MAX}");
        faults.push(Fault::new(format_args!("{field}.tiers"), problem));
        return;
    }
    let mut below = 0;
    for (index, tier) in tiers.iter().enumerate() {
        let at = format!("{field}.tiers[{index}]");
        let is_last = index + 1 == tiers.len();
        match tier.up_to {
            None if is_last => {}
            None => faults
                .push(Fault::new(format_args!("{at}.up_to"), "is missing: only the last tier has no end")),
            Some(_) if is_last => {
                faults
                    .push(Fault::new(format_args!("{at}.up_to"), "is superfluous: the last tier has no end"));
            }
            Some(up_to) if up_to <= below => {
                let problem = "overlaps the tier before: expected more than its up_to, and more than zero";
                faults.push(Fault::new(format_args!("{at}.up_to"), problem));
            }
            Some(up_to) => below = up_to,
        }
        if tier.flat_minor < 0 {
            faults.push(Fault::new(format_args!("{at}.flat_fee"), "is negative: expected zero or more"));
        }
    }
}

/// Minor units, from a cost.
pub(crate) fn in_minor(cost: i128) -> Option<i64> {
    debug_assert_eq!(Rate::ONE, 10_i128.pow(RATE_DECIMALS));
    i64::try_from(crate::rate::rounded(cost, Rate::ONE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    fn tier(up_to: Option<i64>, unit: &str, flat_minor: i64) -> Tier {
        Tier { up_to, unit: rate(unit), flat_minor }
    }

    #[test]
    fn each_model_by_hand() {
        let tiers = vec![tier(Some(100), "0.05", 0), tier(Some(1_000), "0.03", 500), tier(None, "0.01", 0)];
        let (graduated, volume) = (Model::Graduated(tiers.clone()), Model::Volume(tiers));
        let package = Model::Package { size: 100, minor: 250 };
        // Cents.
        let cases = [
            (&Model::Flat(rate("0.015")), 0, 0),
            (&Model::Flat(rate("0.015")), 1, 2),
            (&Model::Flat(rate("0.015")), 3, 5),
            (&graduated, 0, 0),
            (&graduated, 100, 500),
            (&graduated, 101, 500 + 3 + 500),
            (&graduated, 1_000, 500 + 2_700 + 500),
            (&graduated, 1_500, 500 + 2_700 + 500 + 500),
            (&volume, 0, 0),
            (&volume, 100, 500),
            (&volume, 101, 303 + 500),
            (&volume, 1_001, 1_001),
            (&package, 0, 0),
            (&package, 1, 250),
            (&package, 100, 250),
            (&package, 101, 500),
        ];
        for (model, quantity, minor) in cases {
            let cost = model.cost(quantity, Metric::Payments, 2).and_then(in_minor);
            assert_eq!(cost, Some(minor), "{quantity} by {model:?}");
        }
    }

    #[test]
    fn amounts_are_priced_per_unit_of_the_currency() {
        // A quarter of a percent of 1,234.56 in cents, of 1,234 in yen, and of 1.234 in thousandths.
        for (quantity, exponent, minor) in [(123_456, 2, 309), (1_234, 0, 3), (1_234, 3, 3)] {
            let cost = Model::Flat(rate("0.0025")).cost(quantity, Metric::Volume, exponent);
            assert_eq!(cost.and_then(in_minor), Some(minor), "{quantity}");
        }
    }

    #[test]
    fn what_is_no_price_is_named() {
        let faults = |model: Model| {
            let mut found = Vec::new();
            model.faults("prices[0].graduated", &mut found);
            found.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        let overlapping = vec![tier(Some(10), "1", 0), tier(Some(10), "1", 0), tier(None, "1", -1)];
        let endless = vec![tier(None, "1", 0), tier(Some(5), "1", 0)];
        assert_eq!(
            faults(Model::Graduated(overlapping)),
            ["prices[0].graduated.tiers[1].up_to", "prices[0].graduated.tiers[2].flat_fee"]
        );
        assert_eq!(
            faults(Model::Volume(endless)),
            ["prices[0].graduated.tiers[0].up_to", "prices[0].graduated.tiers[1].up_to"]
        );
        assert_eq!(faults(Model::Graduated(Vec::new())), ["prices[0].graduated.tiers"]);
        assert_eq!(
            faults(Model::Package { size: 0, minor: -1 }),
            ["prices[0].graduated.size", "prices[0].graduated.price"]
        );
    }

    #[test]
    fn what_leaves_its_bits_is_no_cost() {
        let dear = rate("9999999999.99999999");
        assert_eq!(Model::Flat(dear).cost(i64::MAX, Metric::Payments, 4), None);
        assert_eq!(Model::Flat(dear).cost(i64::MAX, Metric::Volume, 4).and_then(in_minor), None);
    }
}
