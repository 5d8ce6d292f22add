//! Proto to plan and cycle. Like all readers, these add what is wrong to the violations and go on; what is wrong with a
//! plan as a whole is said by [`Plan::new`], with the same paths.

use payplane_billing::{
    Cycle, CycleError, Discount, EVENTS_MAX, EventPrice, METRICS, Metric, Model, PRICES_MAX, Plan, Price,
    Rate, TIERS_MAX, TaxRate, Terms, Tier, Unit,
};
use payplane_ledger::{Currency, Sign, Timestamp, parse_amount};
use payplane_proto::v1::{self as proto, billing_discount, metric_price};

use crate::grpc::decode::{self, Path, Violations};

const TAXES_MAX: usize = 8;

/// Counts have as many digits as 64 bits surely hold.
const COUNT_DIGITS_MAX: usize = 18;

pub(super) fn plan(plan: Option<&proto::BillingPlan>, violations: &mut Violations) -> Option<Plan> {
    let root = Path::Root;
    let at = root.at("plan");
    let Some(plan) = plan else {
        violations.add(at, "is missing: expected a plan");
        return None;
    };
    let terms = terms(at, plan, violations)?;
    match Plan::new(terms) {
        Ok(plan) => Some(plan),
        Err(faults) => {
            faults
                .iter()
                .for_each(|fault| violations.add_at(format!("plan.{}", fault.field), &fault.problem));
            None
        }
    }
}

/// The plan or, without one, nothing: what was agreed. Nothing at all if the plan could not be read.
pub(super) fn pricing(
    plan: Option<&proto::BillingPlan>,
    violations: &mut Violations,
) -> Option<Option<Plan>> {
    match plan {
        None => Some(None),
        given => self::plan(given, violations).map(Some),
    }
}

pub(super) fn cycle(
    cycle: Option<&proto::BillingCycle>,
    violations: &mut Violations,
) -> Option<(Cycle, Timestamp)> {
    let root = Path::Root;
    let at = root.at("cycle");
    let Some(cycle) = cycle else {
        violations.add(at, "is missing: expected a unit, a time zone and a start");
        return None;
    };
    let begin = match &cycle.start_time {
        Some(time) => decode::time(at.at("start_time"), time, violations),
        None => {
            violations.add(at.at("start_time"), "is missing: expected where billing begins");
            None
        }
    };
    let unit = match cycle.unit() {
        proto::BillingUnit::Day => Unit::Day,
        proto::BillingUnit::Week => Unit::Week,
        proto::BillingUnit::Month => Unit::Month,
        proto::BillingUnit::Unspecified => {
            violations.add(at.at("unit"), "is unknown: expected a value of BillingUnit");
            return None;
        }
    };
    match Cycle::new(unit, &cycle.anchor, &cycle.time_zone) {
        Ok(cycle) => Some((cycle, begin?)),
        Err(error) => {
            let field = if error == CycleError::UnknownZone { "time_zone" } else { "anchor" };
            violations.add(at.at(field), error.to_string());
            None
        }
    }
}

pub(super) fn time(
    field: &'static str,
    time: Option<&prost_types::Timestamp>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let Some(time) = time else {
        violations.add(Path::Root.at(field), "is missing: expected the first moment of a period");
        return None;
    };
    decode::time(Path::Root.at(field), time, violations)
}

/// Nothing if a field could not be read; then that is among the violations.
fn terms(at: Path<'_>, plan: &proto::BillingPlan, violations: &mut Violations) -> Option<Terms> {
    let currency = decode::currency(at.at("currency"), &plan.currency, violations)?;
    let mut reader = Reader { currency, violations, is_complete: true };
    let base_fee = reader.money(at.at("base_fee"), plan.base_fee.as_ref());
    let minimum = reader.money(at.at("minimum"), plan.minimum.as_ref());
    let discount = plan.discount.as_ref().and_then(|discount| reader.discount(at.at("discount"), discount));
    let until = plan.discount.as_ref().and_then(|discount| discount.end_time.as_ref());
    let discount_until_us = until.and_then(|until| reader.time(at.at("discount").at("end_time"), until));
    let is_event = |price: &proto::MetricPrice| !price.event.is_empty();
    let events_from = plan.prices.iter().position(is_event).unwrap_or(plan.prices.len());
    let (of_metrics, of_events) = plan.prices.split_at(events_from);
    reader.bound(at.at("prices"), of_metrics.len(), PRICES_MAX)?;
    reader.bound(at.at("prices"), of_events.len(), EVENTS_MAX)?;
    reader.bound(at.at("taxes"), plan.taxes.len(), TAXES_MAX)?;
    let mut prices = Vec::with_capacity(of_metrics.len());
    for (index, price) in of_metrics.iter().enumerate() {
        prices.extend(reader.price(at.entry("prices", index), price));
    }
    let mut events = Vec::with_capacity(of_events.len());
    for (index, price) in (events_from..).zip(of_events) {
        events.extend(reader.event(at.entry("prices", index), price));
    }
    let mut taxes = Vec::with_capacity(plan.taxes.len());
    for (index, tax) in plan.taxes.iter().enumerate() {
        let percent = reader.rate(at.entry("taxes", index).at("percent"), &tax.percent);
        taxes.push(TaxRate { name: tax.name.clone(), percent });
    }
    let is_complete = reader.is_complete;
    let version = plan.version.clone();
    is_complete.then_some(Terms {
        version,
        currency,
        base_fee,
        prices,
        events,
        minimum,
        discount,
        discount_until_us,
        taxes,
    })
}

/// Reads fields of a plan. One that cannot be read counts as zero until all are read; then there is no plan.
struct Reader<'a> {
    currency: Currency,
    violations: &'a mut Violations,
    is_complete: bool,
}

impl Reader<'_> {
    fn wrong(&mut self, field: Path<'_>, problem: impl Into<String>) {
        self.violations.add(field, problem);
        self.is_complete = false;
    }

    fn bound(&mut self, field: Path<'_>, entries: usize, max: usize) -> Option<()> {
        if max < entries {
            self.wrong(field, format!("has too many entries: expected at most {max}"));
            return None;
        }
        Some(())
    }

    /// Unset means nothing.
    fn money(&mut self, field: Path<'_>, money: Option<&proto::Money>) -> i64 {
        let Some(money) = money else { return 0 };
        let sign = (Sign::NotNegative, Some(self.currency));
        let before = self.violations.count();
        let minor = decode::money_in(field, Some(money), sign, self.violations);
        self.is_complete &= before == self.violations.count();
        minor.unwrap_or_default()
    }

    fn rate(&mut self, field: Path<'_>, text: &str) -> Rate {
        Rate::parse(text).unwrap_or_else(|error| {
            self.wrong(field, error.to_string());
            Rate::default()
        })
    }

    /// A whole number or, of a metric that is money, an amount.
    fn quantity(&mut self, field: Path<'_>, text: &str, metric: Metric) -> i64 {
        if metric.is_amount() {
            return parse_amount(text, self.currency, Sign::NotNegative).unwrap_or_else(|error| {
                self.wrong(field, error.to_string());
                0
            });
        }
        let is_number = text.len() <= COUNT_DIGITS_MAX && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = text.parse().ok().filter(|number: &i64| is_number && number.to_string() == text);
        number.unwrap_or_else(|| {
            self.wrong(field, "is malformed: expected a whole number of at most 18 digits");
            0
        })
    }

    fn time(&mut self, field: Path<'_>, time: &prost_types::Timestamp) -> Option<i64> {
        let read = decode::time(field, time, self.violations);
        self.is_complete &= read.is_some();
        read.map(|time| time.0)
    }

    fn discount(&mut self, field: Path<'_>, discount: &proto::BillingDiscount) -> Option<Discount> {
        match &discount.discount {
            Some(billing_discount::Discount::Amount(money)) => {
                Some(Discount::Amount(self.money(field.at("amount"), Some(money))))
            }
            Some(billing_discount::Discount::Percent(text)) => {
                Some(Discount::Percent(self.rate(field.at("percent"), text)))
            }
            None => {
                self.wrong(field, "is empty: expected an amount or a percentage");
                None
            }
        }
    }

    fn price(&mut self, field: Path<'_>, price: &proto::MetricPrice) -> Option<Price> {
        let Some(metric) = METRICS.into_iter().find(|metric| *metric as i32 == price.metric) else {
            self.wrong(field.at("metric"), "is unknown: expected a value of BillingMetric");
            return None;
        };
        let (free, model) = self.free_and_model(field, price, metric)?;
        Some(Price { metric, free, model })
    }

    /// Usage of others is a count.
    fn event(&mut self, field: Path<'_>, price: &proto::MetricPrice) -> Option<EventPrice> {
        if price.event.is_empty() || price.metric != 0 {
            self.wrong(field, "has a metric and an event, or stands after events: metrics come first");
            return None;
        }
        let (free, model) = self.free_and_model(field, price, Metric::Payments)?;
        Some(EventPrice { name: price.event.clone(), free, model })
    }

    fn free_and_model(
        &mut self,
        field: Path<'_>,
        price: &proto::MetricPrice,
        metric: Metric,
    ) -> Option<(i64, Model)> {
        let free = match price.free.as_str() {
            "" => 0,
            text => self.quantity(field.at("free"), text, metric),
        };
        let model = match &price.model {
            Some(metric_price::Model::Flat(flat)) => {
                Model::Flat(self.rate(field.at("flat").at("unit_price"), &flat.unit_price))
            }
            Some(metric_price::Model::Graduated(tiered)) => {
                Model::Graduated(self.tiers(field.at("graduated"), tiered, metric)?)
            }
            Some(metric_price::Model::Volume(tiered)) => {
                Model::Volume(self.tiers(field.at("volume"), tiered, metric)?)
            }
            Some(metric_price::Model::Package(package)) => {
                let at = field.at("package");
                let size = self.quantity(at.at("size"), &package.size, metric);
                Model::Package { size, minor: self.money(at.at("price"), package.price.as_ref()) }
            }
            None => {
                self.wrong(field, "has no model: expected flat, graduated, volume or package");
                return None;
            }
        };
        Some((free, model))
    }

    fn tiers(&mut self, field: Path<'_>, tiered: &proto::TieredPrice, metric: Metric) -> Option<Vec<Tier>> {
        self.bound(field.at("tiers"), tiered.tiers.len(), TIERS_MAX)?;
        let mut tiers = Vec::with_capacity(tiered.tiers.len());
        for (index, tier) in tiered.tiers.iter().enumerate() {
            let at = field.entry("tiers", index);
            let up_to = match tier.up_to.as_str() {
                "" => None,
                text => Some(self.quantity(at.at("up_to"), text, metric)),
            };
            let unit = self.rate(at.at("unit_price"), &tier.unit_price);
            let flat_minor = self.money(at.at("flat_fee"), tier.flat_fee.as_ref());
            tiers.push(Tier { up_to, unit, flat_minor });
        }
        Some(tiers)
    }
}
