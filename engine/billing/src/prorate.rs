//! A plan for a part of a period: what it says for a whole one, by the part's share of the time.
//!
//! - The base fee, the minimum, a discount that is an amount, what is free, and what a tier costs once it is reached are
//!   shared out over the parts by largest remainder. So the parts of one amount sum to it, wherever the period is cut.
//! - The bounds of tiers are shared too, each rounded down; a tier of which nothing is left is left out.
//! - Prices per unit, packages, percentages and taxes are what they are: usage is counted in the part in which it was.

use crate::{Discount, EventPrice, Model, Plan, Price, Terms, Tier, apportion};

/// Which part of a whole: how long every part is, and which one.
#[derive(Clone, Copy)]
pub(crate) struct Share<'a> {
    lengths: &'a [i64],
    part: usize,
}

impl<'a> Share<'a> {
    /// Nothing if there is no such part, or if a length is not more than zero.
    pub(crate) fn new(lengths: &'a [i64], part: usize) -> Option<Self> {
        let is_real = part < lengths.len() && lengths.iter().all(|length| 0 < *length);
        is_real.then_some(Self { lengths, part })
    }

    /// Whether there is more than one part.
    pub(crate) const fn is_of_many(self) -> bool {
        1 < self.lengths.len()
    }

    /// The part's share of an amount; the shares of all parts sum to it.
    fn of(self, whole: i64) -> Option<i64> {
        apportion(whole, self.lengths)?.get(self.part).copied()
    }

    /// The part's share of a bound, rounded down: what was in order stays so, which remainders would not warrant.
    fn below(self, bound: i64) -> Option<i64> {
        let total: i128 = self.lengths.iter().map(|length| i128::from(*length)).sum();
        let exact = i128::from(bound).checked_mul(i128::from(*self.lengths.get(self.part)?))?;
        i64::try_from(exact / total).ok()
    }
}

impl Plan {
    /// What holds for a part of a period. Nothing if an amount leaves its bits, which a plan without faults cannot.
    pub(crate) fn for_part(&self, share: Share<'_>) -> Option<Self> {
        if !share.is_of_many() {
            return Some(self.clone());
        }
        let Terms { version, currency, base_fee, prices, events, minimum, discount, taxes, .. } =
            self.terms();
        let price = |price: &Price| {
            let model = model(&price.model, share)?;
            Some(Price { metric: price.metric, free: share.of(price.free)?, model })
        };
        let event = |price: &EventPrice| {
            let model = model(&price.model, share)?;
            Some(EventPrice { name: price.name.clone(), free: share.of(price.free)?, model })
        };
        let discount = match discount {
            // Too short a part for a minor unit of it has none.
            Some(Discount::Amount(minor)) => {
                Some(share.of(*minor)?).filter(|minor| 0 < *minor).map(Discount::Amount)
            }
            other => *other,
        };
        let terms = Terms {
            version: version.clone(),
            currency: *currency,
            base_fee: share.of(*base_fee)?,
            prices: prices.iter().map(price).collect::<Option<_>>()?,
            events: events.iter().map(event).collect::<Option<_>>()?,
            minimum: share.of(*minimum)?,
            discount,
            // Whether it holds was decided by the whole plan.
            discount_until_us: None,
            taxes: taxes.clone(),
        };
        Self::new(terms).ok()
    }
}

fn model(model: &Model, share: Share<'_>) -> Option<Model> {
    Some(match model {
        Model::Flat(_) | Model::Package { .. } => model.clone(),
        Model::Graduated(tiers) => Model::Graduated(self::tiers(tiers, share)?),
        Model::Volume(tiers) => Model::Volume(self::tiers(tiers, share)?),
    })
}

fn tiers(tiers: &[Tier], share: Share<'_>) -> Option<Vec<Tier>> {
    let mut below = 0;
    let mut left = Vec::with_capacity(tiers.len());
    for tier in tiers {
        let up_to = match tier.up_to {
            Some(up_to) => Some(share.below(up_to)?),
            None => None,
        };
        if up_to.is_none_or(|up_to| below < up_to) {
            left.push(Tier { up_to, unit: tier.unit, flat_minor: share.of(tier.flat_minor)? });
        }
        below = up_to.unwrap_or(below);
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use payplane_ledger::Currency;
    use proptest::prelude::*;

    use super::*;
    use crate::{Metric, Part, Rate, Statement, TaxRate, Usage};

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    fn tier(up_to: Option<i64>, unit: &str, flat_minor: i64) -> Tier {
        Tier { up_to, unit: rate(unit), flat_minor }
    }

    fn terms(version: &str) -> Terms {
        Terms {
            version: version.to_owned(),
            currency: Currency::parse("USD").unwrap(),
            base_fee: 0,
            prices: Vec::new(),
            events: Vec::new(),
            minimum: 0,
            discount: None,
            discount_until_us: None,
            taxes: vec![TaxRate { name: "VAT".to_owned(), percent: rate("8.1") }],
        }
    }

    fn gold() -> Plan {
        let tiers = vec![tier(Some(1_000), "0.05", 300), tier(None, "0.02", 0)];
        let price = Price { metric: Metric::Payments, free: 100, model: Model::Graduated(tiers) };
        Plan::new(Terms { base_fee: 4_900, prices: vec![price], ..terms("gold@1") }).unwrap()
    }

    fn dearer() -> Plan {
        let price = Price { metric: Metric::Payments, free: 0, model: Model::Flat(rate("0.04")) };
        Plan::new(Terms { base_fee: 9_900, prices: vec![price], ..terms("gold@2") }).unwrap()
    }

    fn payments(payments: i64) -> Usage {
        Usage { payments, ..Usage::default() }
    }

    fn bill(parts: &[(&Plan, i64, i64)]) -> Statement {
        let usages: Vec<Usage> = parts.iter().map(|(_, _, count)| payments(*count)).collect();
        let parts: Vec<Part<'_>> = parts
            .iter()
            .zip(&usages)
            .map(|((plan, length, _), usage)| Part { plan, length: *length, usage })
            .collect();
        Statement::of_parts(&parts).unwrap()
    }

    /// The example of docs/billing.md.
    #[test]
    fn a_month_that_is_cut_after_ten_days_by_hand() {
        let statement = bill(&[(&gold(), 10, 433), (&dearer(), 20, 50)]);
        let lines: Vec<_> = statement
            .lines
            .iter()
            .map(|line| (line.version.as_str(), line.quantity, line.free, line.amount))
            .collect();
        // 49.00 / 3 = 16.33; 433 - 33 free = 400, of which 333 cost 0.05 and 67 cost 0.02, and 3.00 / 3 once.
        // 99.00 * 2 / 3 = 66.00; 50 cost 0.04.
        assert_eq!(
            lines,
            [
                ("gold@1", 1, 0, 1_633),
                ("gold@1", 433, 33, 1_665 + 134 + 100),
                ("gold@2", 1, 0, 6_600),
                ("gold@2", 50, 0, 200),
            ]
        );
        // One tax on all of it: 103.32 * 8.1 % = 8.36892.
        let taxes: Vec<_> = statement.taxes.iter().map(|tax| tax.amount).collect();
        assert_eq!((statement.subtotal, taxes, statement.total), (10_332, vec![837], 11_169));
        assert_eq!(statement.plan_version, "gold@1, gold@2");
    }

    #[test]
    fn a_whole_period_has_its_plan_as_it_is() {
        assert_eq!(bill(&[(&gold(), 10, 433)]), gold().bill(&payments(433)).unwrap());
        assert!(gold().bill(&payments(1)).unwrap().lines.iter().all(|line| line.version.is_empty()));
    }

    #[test]
    fn tiers_of_which_nothing_is_left_are_left_out() {
        let steps = [tier(Some(2), "3", 0), tier(Some(3), "2", 0), tier(None, "1", 0)];
        let share = |lengths: &[i64]| tiers(&steps, Share::new(lengths, 0).unwrap()).unwrap();
        assert_eq!(share(&[1, 1]), [tier(Some(1), "3", 0), tier(None, "1", 0)]);
        assert_eq!(share(&[1, 9]), [tier(None, "1", 0)]);
        assert!(Share::new(&[1], 1).is_none() && Share::new(&[1, 0], 0).is_none());
    }

    #[test]
    fn discounts_and_minimums_have_their_share() {
        let plan = |discount| {
            let minimum = 1_000;
            Plan::new(Terms { base_fee: 300, minimum, discount: Some(discount), ..terms("1") }).unwrap()
        };
        let cases = [
            (Discount::Amount(100), 100),
            // Ten per cent of 3.34 and of 6.66, each rounded once.
            (Discount::Percent(rate("10")), 33 + 67),
        ];
        for (discount, off) in cases {
            let plan = plan(discount);
            let statement = bill(&[(&plan, 1, 0), (&plan, 2, 0)]);
            assert_eq!((statement.subtotal, statement.discount), (1_000, off), "{discount:?}");
        }
    }

    prop_compose! {
        fn lengths()(lengths in prop::collection::vec(1_i64..4_000_000_000_000, 2..5)) -> Vec<i64> { lengths }
    }

    proptest! {
        #[test]
        fn parts_of_what_one_plan_says_sum_to_it(
            fee in 0..=i64::MAX / 4, free in 0_i64..1_000_000, minimum in 0_i64..1_000_000,
            off in 1_i64..1_000_000, flat in 0_i64..1_000_000, lengths in lengths(),
        ) {
            let tiers = vec![tier(Some(i64::MAX / 2), "1", flat), tier(None, "1", 0)];
            let price = Price { metric: Metric::Holds, free, model: Model::Volume(tiers) };
            let whole = Plan::new(Terms {
                base_fee: fee, minimum, prices: vec![price], discount: Some(Discount::Amount(off)), ..terms("1")
            }).unwrap();
            let parts: Vec<Plan> = (0..lengths.len())
                .map(|part| whole.for_part(Share::new(&lengths, part).unwrap()).unwrap())
                .collect();
            let sum = |of: fn(&Terms) -> i64| parts.iter().map(|part| of(part.terms())).sum::<i64>();
            prop_assert_eq!(sum(|terms| terms.base_fee), fee);
            prop_assert_eq!(sum(|terms| terms.minimum), minimum);
            prop_assert_eq!(sum(|terms| terms.prices[0].free), free);
            prop_assert_eq!(sum(|terms| match terms.discount { Some(Discount::Amount(off)) => off, _ => 0 }), off);
            prop_assert_eq!(sum(|terms| match &terms.prices[0].model {
                Model::Volume(tiers) => tiers.iter().map(|tier| tier.flat_minor).sum(),
                _ => 0,
            }), flat);
            // On the invoice too.
            let (usage, plan) = (Usage::default(), Plan::new(Terms { base_fee: fee, ..terms("1") }).unwrap());
            let cut: Vec<Part<'_>> =
                lengths.iter().map(|length| Part { plan: &plan, length: *length, usage: &usage }).collect();
            prop_assert_eq!(Statement::of_parts(&cut).unwrap().total, plan.bill(&usage).unwrap().total);
        }

        #[test]
        fn however_a_period_is_cut_the_invoice_adds_up(
            lengths in lengths(), counts in prop::collection::vec(0_i64..100_000, 4), swap in any::<bool>(),
        ) {
            let plans = if swap { [dearer(), gold()] } else { [gold(), dearer()] };
            let parts: Vec<(&Plan, i64, i64)> = lengths
                .iter()
                .zip(&counts)
                .enumerate()
                .map(|(part, (length, count))| (&plans[part % 2], *length, *count))
                .collect();
            let statement = bill(&parts);
            let sum = |of: fn(&crate::Line) -> i64| statement.lines.iter().map(of).sum::<i64>();
            prop_assert_eq!(sum(|line| line.amount), statement.subtotal);
            prop_assert_eq!(sum(|line| line.discount), statement.discount);
            let taxes: i64 = statement.taxes.iter().map(|tax| tax.amount).sum();
            prop_assert_eq!(sum(|line| line.tax), taxes);
            prop_assert_eq!(statement.total, statement.subtotal - statement.discount + taxes);
            let used: i64 = parts.iter().map(|(_, _, count)| count).sum();
            let billed = statement.lines.iter().filter(|line| matches!(line.item, crate::Item::Usage(_)));
            prop_assert_eq!(billed.map(|line| line.quantity).sum::<i64>(), used);
        }
    }
}
