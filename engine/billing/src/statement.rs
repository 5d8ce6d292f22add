//! From usage to what is due, in this order: lines, a line up to the minimum, the discount, the taxes, the total.

use payplane_ledger::Currency;
use serde::{Deserialize, Serialize};

use crate::{
    Discount, EventPrice, Metric, Model, Plan, Rate, TaxRate, Usage, apportion, price::in_minor,
    rate::rounded,
};

/// What is due for a period. Amounts are minor units of the currency; none is negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Of all amounts.
    pub currency: Currency,
    /// The version of the plan that it was made by.
    pub plan_version: String,
    /// The base fee, one line per priced metric, and what is missing to the minimum.
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
        let terms = self.terms();
        let mut lines = self.lines(usage).ok_or(Overflow)?;
        let subtotal = sum(lines.iter().map(|line| line.amount)).ok_or(Overflow)?;
        let discount = discount(terms.discount, subtotal).ok_or(Overflow)?;
        share_discount(&mut lines, discount).ok_or(Overflow)?;
        let taxes = taxes(&terms.taxes, subtotal - discount, &mut lines).ok_or(Overflow)?;
        let due = [subtotal - discount].into_iter().chain(taxes.iter().map(|tax| tax.amount));
        let total = sum(due).ok_or(Overflow)?;
        let (currency, plan_version) = (terms.currency, terms.version.clone());
        Ok(Statement { currency, plan_version, lines, subtotal, discount, taxes, total })
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

fn fee(item: Item, amount: i64) -> Line {
    Line { item, quantity: 1, free: 0, amount, discount: 0, tax: 0 }
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
    Some(Line { item, quantity, free, amount, discount: 0, tax: 0 })
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

fn taxes(rates: &[TaxRate], net: i64, lines: &mut [Line]) -> Option<Vec<Tax>> {
    let nets: Vec<i64> = lines.iter().map(|line| line.amount - line.discount).collect();
    let mut taxes = Vec::with_capacity(rates.len());
    for rate in rates {
        let amount = share_of(net, rate.percent)?;
        for (line, part) in lines.iter_mut().zip(apportion(amount, &nets)?) {
            line.tax = line.tax.checked_add(part)?;
        }
        taxes.push(Tax { name: rate.name.clone(), percent: rate.percent, amount });
    }
    Some(taxes)
}

/// A percentage of an amount.
fn share_of(minor: i64, percent: Rate) -> Option<i64> {
    let share = i128::from(minor).checked_mul(percent.scaled())?;
    i64::try_from(rounded(share, 100 * Rate::ONE)).ok()
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0_i64, i64::checked_add)
}
