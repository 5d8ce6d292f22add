//! What a tenant pays: checked once, so that nobody bills by a plan that makes no sense.

use std::collections::BTreeSet;

use payplane_ledger::{Currency, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Fault, METRICS, Metric, Model, PRICES_MAX, RESERVED, Rate};

/// How many taxes are added at most.
const TAXES_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 64;

/// How many metrics of others are priced at most.
pub const EVENTS_MAX: usize = 16;

/// What somebody offers as a plan. Amounts are minor units of the currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Tells one state of the plan from another; every invoice names it.
    pub version: String,
    /// Of all amounts.
    pub currency: Currency,
    /// What each period costs, whatever is used.
    pub base_fee: i64,
    /// At most one per metric.
    pub prices: Vec<Price>,
    /// Of usage that others record, at most one per name.
    pub events: Vec<EventPrice>,
    /// What a period costs at least, before discount and tax.
    pub minimum: i64,
    /// Taken off the sum of the lines.
    pub discount: Option<Discount>,
    /// Periods, and parts of periods, that begin from then on have no discount; in microseconds since 1970. Nothing for always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_until_us: Option<i64>,
    /// Each is added to the discounted sum.
    pub taxes: Vec<TaxRate>,
}

/// What one metric costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of what.
    pub metric: Metric,
    /// How much of it costs nothing: a count or, of an amount, minor units.
    pub free: i64,
    /// How what is beyond that is priced.
    pub model: Model,
}

/// What usage of one name costs that others record. It is always a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPrice {
    /// What the events call it.
    pub name: String,
    /// How much of it costs nothing.
    pub free: i64,
    /// How what is beyond that is priced.
    pub model: Model,
}

/// What is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discount {
    /// Minor units, at most what there is.
    Amount(i64),
    /// Of the sum of the lines.
    Percent(Rate),
}

/// A tax on the discounted sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRate {
    /// What it is called on the invoice.
    pub name: String,
    /// Of the discounted sum.
    pub percent: Rate,
}

/// Terms without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    terms: Terms,
}

impl Plan {
    /// Takes the terms, or names every field that is wrong.
    pub fn new(mut terms: Terms) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        own_faults(&terms, &mut faults);
        price_faults(&terms.prices, &mut faults);
        event_faults(&terms, &mut faults);
        tax_faults(&terms.taxes, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        terms.prices.sort_by_key(|price| price.metric);
        terms.events.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { terms })
    }

    /// What holds for a period, or a part of one, that begins at a moment: the discount may have ended.
    pub fn holding_from(&self, start: Timestamp) -> Self {
        let mut terms = self.terms.clone();
        if terms.discount_until_us.is_some_and(|until| until <= start.0) {
            terms.discount = None;
        }
        Self { terms }
    }

    /// What was agreed, the prices in the order of [`METRICS`], those of events by name.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

fn own_faults(terms: &Terms, faults: &mut Vec<Fault>) {
    if !is_name(&terms.version) {
        faults.push(Fault::new(
            "version",
            "is malformed: expected 1 to 64 characters without control characters",
        ));
    }
    for (field, minor) in [("base_fee", terms.base_fee), ("minimum", terms.minimum)] {
        if minor < 0 {
            faults.push(Fault::new(field, "is negative: expected zero or more"));
        }
    }
    match terms.discount {
        Some(Discount::Amount(minor)) if minor < 1 => {
            faults.push(Fault::new("discount.amount", "is out of range: expected more than zero"));
        }
        Some(Discount::Percent(percent)) if percent == Rate::default() || percent.is_above_hundred() => {
            let problem = "is out of range: expected more than zero and at most 100";
            faults.push(Fault::new("discount.percent", problem));
        }
        _ => {}
    }
    if terms.discount.is_none() && terms.discount_until_us.is_some() {
        faults.push(Fault::new(
            "discount.end_time",
            "is given without a discount: expected an amount or a percentage",
        ));
    }
}

fn price_faults(prices: &[Price], faults: &mut Vec<Fault>) {
    debug_assert_eq!(METRICS.len(), PRICES_MAX);
    let mut seen = BTreeSet::new();
    for (index, price) in prices.iter().enumerate() {
        let at = format!("prices[{index}]");
        if !seen.insert(price.metric) {
            faults.push(Fault::new(
                format_args!("{at}.metric"),
                "is listed twice: expected one price per metric",
            ));
        }
        if price.free < 0 {
            faults.push(Fault::new(format_args!("{at}.free"), "is negative: expected zero or more"));
        }
        model_faults(&price.model, &at, faults);
    }
}

fn model_faults(model: &Model, at: &str, faults: &mut Vec<Fault>) {
    let name = match model {
        Model::Flat(_) => "flat",
        Model::Graduated(_) => "graduated",
        Model::Volume(_) => "volume",
        Model::Package { .. } => "package",
    };
    model.faults(&format!("{at}.{name}"), faults);
}

/// On the wire they come after the prices of the ledger's own metrics, in one list.
fn event_faults(terms: &Terms, faults: &mut Vec<Fault>) {
    if EVENTS_MAX < terms.events.len() {
        let problem = format_args!("has too many events: expected at most {EVENTS_MAX}").to_string();
        faults.push(Fault::new("prices", problem));
    }
    let mut seen = BTreeSet::new();
    for (index, price) in (terms.prices.len()..).zip(&terms.events) {
        let at = format!("prices[{index}]");
        if !is_event_name(&price.name) {
            let problem = "is malformed: expected 1 to 64 characters of a-z, 0-9, '.', '_' and '-'";
            faults.push(Fault::new(format_args!("{at}.event"), problem));
        } else if price.name.starts_with(RESERVED) {
            let problem = "is reserved: expected a name that does not begin with \"payplane.\"";
            faults.push(Fault::new(format_args!("{at}.event"), problem));
        } else if !seen.insert(&price.name) {
            let problem = "is listed twice: expected one price per event";
            faults.push(Fault::new(format_args!("{at}.event"), problem));
        }
        if price.free < 0 {
            faults.push(Fault::new(format_args!("{at}.free"), "is negative: expected zero or more"));
        }
        model_faults(&price.model, &at, faults);
    }
}

/// Whether usage of others can be called so.
pub fn is_event_name(name: &str) -> bool {
    let is_known =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_known)
}

fn tax_faults(taxes: &[TaxRate], faults: &mut Vec<Fault>) {
    if TAXES_MAX < taxes.len() {
        faults.push(Fault::new("taxes", format_args!("has too many entries: expected at most {TAXES_MAX}")));
    }
    let mut seen = BTreeSet::new();
    for (index, tax) in taxes.iter().enumerate() {
        let at = format!("taxes[{index}]");
        if !is_name(&tax.name) {
            let problem = "is malformed: expected 1 to 64 characters without control characters";
            faults.push(Fault::new(format_args!("{at}.name"), problem));
        } else if !seen.insert(&tax.name) {
            faults.push(Fault::new(format_args!("{at}.name"), "is listed twice: expected one rate per name"));
        }
        if tax.percent.is_above_hundred() {
            faults.push(Fault::new(format_args!("{at}.percent"), "is out of range: expected at most 100"));
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
