//! From usage to what is due, in this order: lines, a line up to the minimum, the discount, the taxes, the total.

use payplane_ledger::Currency;
use serde::{Deserialize, Serialize};

use crate::{
    Discount, EventPrice, Metric, Model, Plan, Rate, TaxRate, Usage, apportion, price::in_minor,
    prorate::Share, rate::rounded,
};

/// What is due for a period. Amounts are minor units of the currency; none is negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Of all amounts.
    pub currency: Currency,
    /// The version of the plan that it was made by; of a period that was cut all of them, in order, with ", " between.
    pub plan_version: String,
    /// The base fee, one line per priced metric, and what is missing to the minimum; of each part if the period was cut.
    pub lines: Vec<Line>,
    /// The sum of the lines' amounts.
    pub subtotal: i64,
    /// The sum of the lines' discounts.
    pub discount: i64,
    /// On `subtotal - discount`.
    pub taxes: Vec<Tax>,
    /// `subtotal - discount` and all taxes.
    pub total: i64,
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// What the period costs anyhow.
    BaseFee,
    /// What was used of a metric.
    Usage(Metric),
    /// What others recorded under a name.
    Event(String),
    /// What is missing to the minimum.
    Minimum,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is about.
    pub item: Item,
    /// What was used: a count or, of an amount, minor units; one for a fee.
    pub quantity: i64,
    /// How much of it was free.
    pub free: i64,
    /// What it costs, rounded once.
    pub amount: i64,
    /// Its share of the discount.
    pub discount: i64,
    /// Its share of all taxes.
    pub tax: i64,
    /// The version of the plan that it follows from, if the period was cut; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// What was used in a part of a period, and the plan that holds in it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// As it is for a whole period.
    pub plan: &'a Plan,
    /// How long the part is, in a unit that is the same for all parts; more than zero.
    pub length: i64,
    /// What was used in it.
    pub usage: &'a Usage,
}

/// One tax.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// What it is called.
    pub name: String,
    /// Of the discounted sum.
    pub percent: Rate,
    /// Rounded once, half up.
    pub amount: i64,
}

/// An amount leaves 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount exceeds 9223372036854775807 minor units")]
pub struct Overflow;

impl Plan {
    /// What the usage of one period costs.
    pub fn bill(&self, usage: &Usage) -> Result<Statement, Overflow> {
        Statement::of_parts(&[Part { plan: self, length: 1, usage }])
    }

    fn lines(&self, usage: &Usage) -> Option<Vec<Line>> {
        let terms = self.terms();
        let mut lines = Vec::new();
        if terms.base_fee != 0 {
            lines.push(fee(Item::BaseFee, terms.base_fee));
        }
        for price in &terms.prices {
            let (item, used) = (Item::Usage(price.metric), usage.of(price.metric));
            let kind = (price.metric, terms.currency);
            lines.push(usage_line(item, (&price.model, price.free), used, kind)?);
        }
        for EventPrice { name, free, model } in &terms.events {
            let used = usage.events.get(name).copied().unwrap_or_default();
            lines.push(usage_line(Item::Event(name.clone()), (model, *free), used, (COUNT, terms.currency))?);
        }
        let subtotal = sum(lines.iter().map(|line| line.amount))?;
        if subtotal < terms.minimum {
            lines.push(fee(Item::Minimum, terms.minimum - subtotal));
        }
        Some(lines)
    }
}

impl Statement {
    /// What is due for a period in which one plan after the other held, all in one currency: each part has lines and a
    /// discount of its own, by its share of the time (see `prorate.rs`), and a tax is rounded once for all of them.
    pub fn of_parts(parts: &[Part<'_>]) -> Result<Self, Overflow> {
        let lengths: Vec<i64> = parts.iter().map(|part| part.length).collect();
        let Some(currency) = parts.first().map(|part| part.plan.terms().currency) else {
            return Err(Overflow);
        };
        let mut lines = Vec::new();
        let mut ends = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            debug_assert_eq!(part.plan.terms().currency, currency);
            let share = Share::new(&lengths, number).ok_or(Overflow)?;
            lines.extend(part_lines(*part, share).ok_or(Overflow)?);
            ends.push(lines.len());
        }
        let subtotal = sum(lines.iter().map(|line| line.amount)).ok_or(Overflow)?;
        let discount = sum(lines.iter().map(|line| line.discount)).ok_or(Overflow)?;
        let taxes = taxes(parts, &ends, &mut lines).ok_or(Overflow)?;
        let due = [subtotal - discount].into_iter().chain(taxes.iter().map(|tax| tax.amount));
        let total = sum(due).ok_or(Overflow)?;
        let versions: Vec<&str> = parts.iter().map(|part| part.plan.terms().version.as_str()).collect();
        let plan_version = versions.join(", ");
        Ok(Self { currency, plan_version, lines, subtotal, discount, taxes, total })
    }
}

/// The lines of a part, with their discounts.
fn part_lines(part: Part<'_>, share: Share<'_>) -> Option<Vec<Line>> {
    let plan = part.plan.for_part(share)?;
    let mut lines = plan.lines(part.usage)?;
    let subtotal = sum(lines.iter().map(|line| line.amount))?;
    share_discount(&mut lines, discount(plan.terms().discount, subtotal)?)?;
    if share.is_of_many() {
        lines.iter_mut().for_each(|line| line.version.clone_from(&plan.terms().version));
    }
    Some(lines)
}

fn fee(item: Item, amount: i64) -> Line {
    Line { item, quantity: 1, free: 0, amount, discount: 0, tax: 0, version: String::new() }
}

/// Events are counted, and priced like any other count.
const COUNT: Metric = Metric::Payments;

fn usage_line(
    item: Item,
    (model, free): (&Model, i64),
    quantity: i64,
    (metric, currency): (Metric, Currency),
) -> Option<Line> {
    let free = free.min(quantity);
    let amount = in_minor(model.cost(quantity - free, metric, currency.exponent())?)?;
    Some(Line { item, quantity, free, amount, discount: 0, tax: 0, version: String::new() })
}

/// Never more than there is.
fn discount(discount: Option<Discount>, subtotal: i64) -> Option<i64> {
    match discount {
        None => Some(0),
        Some(Discount::Amount(minor)) => Some(minor.min(subtotal)),
        Some(Discount::Percent(percent)) => share_of(subtotal, percent),
    }
}

fn share_discount(lines: &mut [Line], discount: i64) -> Option<()> {
    let amounts: Vec<i64> = lines.iter().map(|line| line.amount).collect();
    for (line, part) in lines.iter_mut().zip(apportion(discount, &amounts)?) {
        line.discount = part;
    }
    Some(())
}

/// Each rate of any part once, on the lines of the parts that have it. `ends` says where each part's lines end.
fn taxes(parts: &[Part<'_>], ends: &[usize], lines: &mut [Line]) -> Option<Vec<Tax>> {
    let mut rates: Vec<&TaxRate> = Vec::new();
    for rate in parts.iter().flat_map(|part| &part.plan.terms().taxes) {
        if !rates.contains(&rate) {
            rates.push(rate);
        }
    }
    let mut taxes = Vec::with_capacity(rates.len());
    for rate in rates {
        let nets = taxed(parts, ends, lines, rate);
        let amount = share_of(sum(nets.iter().copied())?, rate.percent)?;
        for (line, part) in lines.iter_mut().zip(apportion(amount, &nets)?) {
            line.tax = line.tax.checked_add(part)?;
        }
        taxes.push(Tax { name: rate.name.clone(), percent: rate.percent, amount });
    }
    Some(taxes)
}

/// What a tax is on, by line: nothing of a part that does not have it.
fn taxed(parts: &[Part<'_>], ends: &[usize], lines: &[Line], rate: &TaxRate) -> Vec<i64> {
    let net = |(index, line): (usize, &Line)| {
        let part = ends.iter().position(|end| index < *end).and_then(|part| parts.get(part));
        let has_it = part.is_some_and(|part| part.plan.terms().taxes.contains(rate));
        if has_it { line.amount - line.discount } else { 0 }
    };
    lines.iter().enumerate().map(net).collect()
}

/// A percentage of an amount.
fn share_of(minor: i64, percent: Rate) -> Option<i64> {
    let share = i128::from(minor).checked_mul(percent.scaled())?;
    i64::try_from(rounded(share, 100 * Rate::ONE)).ok()
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0_i64, i64::checked_add)
}
