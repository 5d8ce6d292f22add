//! Plans and invoices.

use jiff::Timestamp;
use payplane_crds::{
    money,
    tenant_billing::{BilledUsage, BillingDiscount, BillingMetric, BillingPeriod, BillingUnit, PlanTerms},
    tenant_billing::{
        BillingThreshold, DocumentLocale, EventPrice, FlatPrice, MetricPrice, PackagePrice, TieredPrice,
    },
};
use payplane_proto::v1 as proto;
use proto::{billing_discount::Discount, billing_threshold::Bound, metric_price::Model};

use crate::engine::{
    Agreed, Amount, BillingRequest, CollectRequest, DebtMeasures, EngineError, Invoice, Preview, Standing,
    WantedPlan,
};

pub(in crate::engine) fn preview_request(request: &BillingRequest) -> proto::PreviewInvoiceRequest {
    proto::PreviewInvoiceRequest {
        plan: request.plan.as_ref().map(plan),
        cycle: Some(cycle(request)),
        thresholds: request.thresholds.iter().map(threshold).collect(),
    }
}

pub(in crate::engine) fn close_request(
    request: &BillingRequest,
    start: Timestamp,
) -> proto::CloseInvoiceRequest {
    proto::CloseInvoiceRequest {
        plan: request.plan.as_ref().map(plan),
        cycle: Some(cycle(request)),
        start_time: Some(moment(start)),
        grace: Some(prost_types::Duration { seconds: request.grace_seconds, nanos: 0 }),
        thresholds: request.thresholds.iter().map(threshold).collect(),
    }
}

fn threshold(threshold: &BillingThreshold) -> proto::BillingThreshold {
    let BillingThreshold { name, accrued, metric, event, quantity } = threshold;
    let quantity = quantity.as_ref().map(|quantity| quantity.0.clone()).unwrap_or_default();
    // The schema lets exactly one through.
    let bound = match (accrued, metric, event) {
        (Some(bound), ..) => Some(Bound::Accrued(bound.0.clone())),
        (None, Some(metric), _) => {
            Some(Bound::Metric(proto::MetricBound { metric: wire_metric(*metric).into(), quantity }))
        }
        (None, None, Some(event)) => Some(Bound::Event(proto::EventBound { event: event.clone(), quantity })),
        (None, None, None) => None,
    };
    proto::BillingThreshold { name: name.clone(), bound }
}

pub(in crate::engine) fn agree_request(
    request: &BillingRequest,
    wanted: &WantedPlan,
    is_now: bool,
) -> proto::AgreePlanRequest {
    let start = if is_now { proto::PlanStart::Now } else { proto::PlanStart::NextPeriod };
    proto::AgreePlanRequest { plan: Some(plan(wanted)), cycle: Some(cycle(request)), start: start.into() }
}

pub(in crate::engine) fn agreed(answer: proto::AgreePlanResponse) -> Result<Agreed, EngineError> {
    let from = super::time(answer.effective_time);
    from.map(Agreed::From).ok_or(EngineError::Answer("an agreement without its time"))
}

pub(in crate::engine) fn measures(measures: &DebtMeasures) -> proto::PutBillingSuspensionRequest {
    let DebtMeasures { suspended, payment_maximum } = measures;
    let money = |Amount { amount, currency }: &Amount| proto::Money {
        amount: amount.clone(),
        currency: currency.clone(),
    };
    proto::PutBillingSuspensionRequest {
        suspended: *suspended,
        payment_maximum: payment_maximum.as_ref().map(money),
    }
}

fn plan(wanted: &WantedPlan) -> proto::BillingPlan {
    let WantedPlan { terms, version } = wanted;
    let PlanTerms { currency, base_fee, prices, events, minimum, discount, taxes } = terms;
    let in_currency = |amount: &money::Amount| coins(&amount.0, currency);
    let tax = |tax: &payplane_crds::tenant_billing::TaxRate| proto::TaxRate {
        name: tax.name.clone(),
        percent: tax.percent.0.clone(),
    };
    proto::BillingPlan {
        version: version.clone(),
        currency: currency.0.clone(),
        base_fee: base_fee.as_ref().map(in_currency),
        prices: prices
            .iter()
            .map(|price| self::price(price, currency))
            .chain(events.iter().map(|price| event(price, currency)))
            .collect(),
        minimum: minimum.as_ref().map(in_currency),
        discount: discount.as_ref().map(|discount| self::discount(discount, currency)),
        taxes: taxes.iter().map(tax).collect(),
    }
}

fn price(price: &MetricPrice, currency: &money::Currency) -> proto::MetricPrice {
    let MetricPrice { metric, free, flat, graduated, volume, packages } = price;
    proto::MetricPrice {
        metric: wire_metric(*metric).into(),
        free: free.as_ref().map(|free| free.0.clone()).unwrap_or_default(),
        model: model((flat, graduated, volume, packages), currency),
        ..Default::default()
    }
}

/// Events come after metrics.
fn event(price: &EventPrice, currency: &money::Currency) -> proto::MetricPrice {
    let EventPrice { event, free, flat, graduated, volume, packages } = price;
    proto::MetricPrice {
        event: event.clone(),
        free: free.clone().unwrap_or_default(),
        model: model((flat, graduated, volume, packages), currency),
        ..Default::default()
    }
}

type Models<'a> =
    (&'a Option<FlatPrice>, &'a Option<TieredPrice>, &'a Option<TieredPrice>, &'a Option<PackagePrice>);

fn model((flat, graduated, volume, packages): Models<'_>, currency: &money::Currency) -> Option<Model> {
    let flat =
        flat.iter().map(|flat| Model::Flat(proto::FlatPrice { unit_price: flat.unit_price.0.clone() }));
    let graduated = graduated.iter().map(|tiered| Model::Graduated(tiers(tiered, currency)));
    let volume = volume.iter().map(|tiered| Model::Volume(tiers(tiered, currency)));
    let package = packages.iter().map(|package| {
        let price = Some(coins(&package.price.0, currency));
        Model::Package(proto::PackagePrice { size: package.size.0.clone(), price })
    });
    // The schema lets exactly one through.
    flat.chain(graduated).chain(volume).chain(package).next()
}

fn tiers(tiered: &TieredPrice, currency: &money::Currency) -> proto::TieredPrice {
    let tier = |tier: &payplane_crds::tenant_billing::PriceTier| proto::PriceTier {
        up_to: tier.up_to.as_ref().map(|up_to| up_to.0.clone()).unwrap_or_default(),
        unit_price: tier.unit_price.0.clone(),
        flat_fee: tier.flat_fee.as_ref().map(|fee| coins(&fee.0, currency)),
    };
    proto::TieredPrice { tiers: tiered.tiers.iter().map(tier).collect() }
}

fn discount(discount: &BillingDiscount, currency: &money::Currency) -> proto::BillingDiscount {
    let amount = discount.amount.iter().map(|amount| Discount::Amount(coins(&amount.0, currency)));
    let percent = discount.percent.iter().map(|percent| Discount::Percent(percent.0.clone()));
    let end_time = discount.until.as_ref().map(|until| moment(until.0));
    proto::BillingDiscount { discount: amount.chain(percent).next(), end_time }
}

fn cycle(request: &BillingRequest) -> proto::BillingCycle {
    let BillingPeriod { unit, time_zone, anchor, start: _ } = &request.period;
    let unit = match unit {
        BillingUnit::Day => proto::BillingUnit::Day,
        BillingUnit::Week => proto::BillingUnit::Week,
        BillingUnit::Month => proto::BillingUnit::Month,
    };
    proto::BillingCycle {
        unit: unit.into(),
        time_zone: time_zone.clone(),
        anchor: anchor.clone().unwrap_or_default(),
        start_time: Some(moment(request.begin)),
    }
}

const fn wire_metric(metric: BillingMetric) -> proto::BillingMetric {
    match metric {
        BillingMetric::Payments => proto::BillingMetric::Payments,
        BillingMetric::Volume => proto::BillingMetric::Volume,
        BillingMetric::Holds => proto::BillingMetric::Holds,
        BillingMetric::Refunds => proto::BillingMetric::Refunds,
        BillingMetric::ActiveWallets => proto::BillingMetric::ActiveWallets,
        BillingMetric::ApiCalls => proto::BillingMetric::ApiCalls,
        BillingMetric::Storage => proto::BillingMetric::Storage,
    }
}

fn coins(amount: &str, currency: &money::Currency) -> proto::Money {
    proto::Money { amount: amount.into(), currency: currency.0.clone() }
}

/// Whole seconds, as every time in a spec.
pub(super) fn moment(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: 0 }
}

pub(in crate::engine) fn preview(answer: proto::PreviewInvoiceResponse) -> Result<Preview, EngineError> {
    let is_over = answer.is_over;
    let found = answer.invoice.ok_or(EngineError::Answer("a preview without an invoice"))?;
    let quantity = |metric: proto::BillingMetric| {
        let mut usage = found.usage.iter().filter(|usage| usage.metric() == metric);
        usage.next().map(|usage| usage.quantity.clone()).unwrap_or_default()
    };
    // Not counted unless it is priced, and then there may be none.
    let if_any = |metric| Some(quantity(metric)).filter(|count| !matches!(count.as_str(), "" | "0"));
    let usage = BilledUsage {
        payments: quantity(proto::BillingMetric::Payments),
        volume: quantity(proto::BillingMetric::Volume),
        holds: quantity(proto::BillingMetric::Holds),
        refunds: quantity(proto::BillingMetric::Refunds),
        active_wallets: quantity(proto::BillingMetric::ActiveWallets),
        api_calls: if_any(proto::BillingMetric::ApiCalls),
        storage: if_any(proto::BillingMetric::Storage),
    };
    let reached = answer.reached.into_iter().filter_map(|reached| Some(reached.threshold?.name)).collect();
    let forecast = answer.forecast.map(|forecast| forecast.amount);
    Ok(Preview { invoice: invoice(found)?, usage, reached, is_over, forecast })
}

pub(in crate::engine) fn closed(answer: proto::CloseInvoiceResponse) -> Result<Invoice, EngineError> {
    invoice(answer.invoice.ok_or(EngineError::Answer("a closed period without an invoice"))?)
}

/// What the ledger calls a language.
pub(in crate::engine) const fn locale(locale: DocumentLocale) -> &'static str {
    match locale {
        DocumentLocale::En => "en",
        DocumentLocale::De => "de",
        DocumentLocale::DeCh => "de-CH",
        DocumentLocale::Fr => "fr",
    }
}

pub(in crate::engine) fn invoice(found: proto::Invoice) -> Result<Invoice, EngineError> {
    let total = found.total.ok_or(EngineError::Answer("an invoice without a total"))?;
    let time = |time| super::time(time).ok_or(EngineError::Answer("an invoice without its period"));
    let standing = found.collection.map(standing);
    Ok(Invoice {
        number: found.number,
        start: time(found.start_time)?,
        end: time(found.end_time)?,
        total: Amount { amount: total.amount, currency: total.currency },
        plan_version: found.plan_version,
        issued_at: super::time(found.issue_time),
        standing,
    })
}

fn standing(found: proto::InvoiceCollection) -> Standing {
    let refusal = found.refusal();
    let state = match found.state() {
        proto::InvoiceState::Unspecified | proto::InvoiceState::Issued => "Issued",
        proto::InvoiceState::PartlyPaid => "PartlyPaid",
        proto::InvoiceState::Paid => "Paid",
        proto::InvoiceState::Uncollected => "Uncollected",
    };
    let is_something = |money: &Option<proto::Money>| {
        money.as_ref().is_some_and(|money| money.amount.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
    };
    Standing {
        state: state.into(),
        is_due: is_something(&found.due),
        is_to_return: is_something(&found.to_return),
        due: found.due.map(|due| due.amount).unwrap_or_default(),
        attempts: found.attempts,
        last_attempt: super::time(found.last_attempt_time),
        refusal: (refusal != proto::RefusalReason::Unspecified).then(|| refusal_word(refusal)),
    }
}

/// `REFUSAL_REASON_INSUFFICIENT_FUNDS` as conditions write it: `InsufficientFunds`.
fn refusal_word(refusal: proto::RefusalReason) -> String {
    let words = refusal.as_str_name().trim_start_matches("REFUSAL_REASON_").split('_');
    let capital = |word: &str| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        initial.to_owned() + &rest.to_lowercase()
    };
    words.map(capital).collect()
}

pub(in crate::engine) fn collect_request(
    request: &CollectRequest,
    invoice: &Invoice,
) -> proto::CollectInvoiceRequest {
    let CollectRequest { namespace: _, wallet, receiver, revenue, tax } = request;
    proto::CollectInvoiceRequest {
        number: invoice.number,
        wallet: wallet.clone(),
        receiver: Some(proto::CollectionReceiver {
            tenant: receiver.clone(),
            revenue_wallet: revenue.clone(),
            tax_wallet: tax.clone(),
        }),
        known_attempts: invoice.standing.as_ref().map_or(0, |standing| standing.attempts),
    }
}

pub(in crate::engine) fn collected(answer: proto::CollectInvoiceResponse) -> Result<Invoice, EngineError> {
    invoice(answer.invoice.ok_or(EngineError::Answer("a collection without an invoice"))?)
}

/// A field of a billing request under the name that it has in the spec; None for a field of something else.
pub(in crate::engine) fn spec_field(field: &str) -> Option<String> {
    let field = match field.split_once('.') {
        Some(("receiver", "revenue_wallet")) => "collection.receiver.wallet".into(),
        Some(("receiver", "tenant")) => "collection.receiver.tenantRef".into(),
        Some(("receiver", rest)) => format!("collection.receiver.{rest}"),
        Some(("cycle", rest)) => format!("period.{}", rest.replace("start_time", "start")),
        Some(("plan", "currency")) => field.to_owned(),
        // A discount has an amount of its own, in which an amount is.
        Some(("plan", "discount.amount.amount" | "discount.amount.currency")) => {
            "plan.discount.amount".into()
        }
        Some(("plan", "discount.amount")) => field.to_owned(),
        Some(("plan", "discount.end_time")) => "plan.discount.until".into(),
        Some(("plan", _)) => {
            field.trim_end_matches(".amount").trim_end_matches(".currency").replace(".package.", ".packages.")
        }
        // Names are those of the spec.
        _ if field.starts_with("thresholds") => field.to_owned(),
        _ => return (field == "grace").then(|| "graceSeconds".into()),
    };
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    Some(words.fold(first, |text, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        text + &initial.to_uppercase() + rest
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> BillingRequest {
        let plan = json!({
            "currency": "USD", "baseFee": "49.00", "minimum": "20.00",
            "prices": [
                {"metric": "Payments", "free": "1000", "graduated": {"tiers": [
                    {"upTo": "10000", "unitPrice": "0.05", "flatFee": "1.00"}, {"unitPrice": "0.02"}]}},
                {"metric": "Volume", "flat": {"unitPrice": "0.0025"}},
                {"metric": "ActiveWallets", "packages": {"size": "100", "price": "5.00"}},
            ],
            "discount": {"percent": "10"},
            "taxes": [{"name": "VAT", "percent": "8.1"}],
            "events": [{"event": "calls", "free": "10", "flat": {"unitPrice": "0.015"}}],
        });
        BillingRequest {
            namespace: "acme".into(),
            plan: Some(WantedPlan { terms: serde_json::from_value(plan).unwrap(), version: "7".into() }),
            period: serde_json::from_value(
                json!({"unit": "Month", "timeZone": "UTC", "anchor": "2026-01-31"}),
            )
            .unwrap(),
            begin: Timestamp::from_second(1_000).unwrap(),
            grace_seconds: 60,
            thresholds: serde_json::from_value(json!([
                {"name": "half", "accrued": "50.00"}, {"name": "much", "metric": "Volume", "quantity": "1000"},
                {"name": "many", "event": "calls", "quantity": "9"},
            ]))
            .unwrap(),
        }
    }

    #[test]
    fn everything_of_a_plan_is_sent() {
        let sent = close_request(&request(), Timestamp::from_second(2_000).unwrap());
        let plan = sent.plan.unwrap();
        let dollars = |amount: &str| Some(proto::Money { amount: amount.into(), currency: "USD".into() });
        assert_eq!((plan.base_fee, plan.minimum), (dollars("49.00"), dollars("20.00")));
        let tiers = vec![
            proto::PriceTier { up_to: "10000".into(), unit_price: "0.05".into(), flat_fee: dollars("1.00") },
            proto::PriceTier { up_to: String::new(), unit_price: "0.02".into(), flat_fee: None },
        ];
        let models: Vec<_> = plan.prices.iter().map(|price| price.model.clone().unwrap()).collect();
        assert_eq!(
            models,
            [
                Model::Graduated(proto::TieredPrice { tiers }),
                Model::Flat(proto::FlatPrice { unit_price: "0.0025".into() }),
                Model::Package(proto::PackagePrice { size: "100".into(), price: dollars("5.00") }),
                Model::Flat(proto::FlatPrice { unit_price: "0.015".into() }),
            ]
        );
        assert_eq!((plan.prices[3].event.as_str(), plan.prices[3].free.as_str()), ("calls", "10"));
        assert_eq!((plan.prices[0].free.as_str(), plan.prices[1].free.as_str()), ("1000", ""));
        assert_eq!(plan.discount.unwrap().discount, Some(Discount::Percent("10".into())));
        assert_eq!(plan.taxes[0].percent, "8.1");
        let cycle = sent.cycle.unwrap();
        assert_eq!((cycle.unit(), cycle.anchor.as_str()), (proto::BillingUnit::Month, "2026-01-31"));
        assert_eq!((cycle.start_time.unwrap().seconds, sent.start_time.unwrap().seconds), (1_000, 2_000));
        assert_eq!(sent.grace.unwrap().seconds, 60);
    }

    #[test]
    fn thresholds_are_asked_with_each_look_and_with_each_close() {
        let metric = proto::BillingMetric::Volume.into();
        let bounds = [
            ("half", Bound::Accrued("50.00".into())),
            ("much", Bound::Metric(proto::MetricBound { metric, quantity: "1000".into() })),
            ("many", Bound::Event(proto::EventBound { event: "calls".into(), quantity: "9".into() })),
        ];
        let expected =
            bounds.map(|(name, bound)| proto::BillingThreshold { name: name.into(), bound: Some(bound) });
        assert_eq!(preview_request(&request()).thresholds, expected);
        assert_eq!(close_request(&request(), Timestamp::UNIX_EPOCH).thresholds, expected);
    }

    #[test]
    fn what_was_agreed_is_billed_without_a_plan() {
        let asked = request();
        let wanted = asked.plan.clone().unwrap();
        let sent = agree_request(&asked, &wanted, true);
        assert_eq!((sent.start(), sent.plan.unwrap().version.as_str()), (proto::PlanStart::Now, "7"));
        assert_eq!(agree_request(&asked, &wanted, false).start(), proto::PlanStart::NextPeriod);
        let agreed = BillingRequest { plan: None, ..asked };
        assert_eq!(preview_request(&agreed).plan, None);
        assert_eq!(close_request(&agreed, Timestamp::UNIX_EPOCH).plan, None);
    }

    #[test]
    fn how_an_invoice_stands_is_read_as_it_was_said() {
        let dollars = |amount: &str| Some(proto::Money { amount: amount.into(), currency: "USD".into() });
        let found = proto::InvoiceCollection {
            state: proto::InvoiceState::Uncollected.into(),
            due: dollars("108.10"),
            to_return: dollars("0.00"),
            attempts: 2,
            last_attempt_time: Some(prost_types::Timestamp { seconds: 9, nanos: 0 }),
            refusal: proto::RefusalReason::InsufficientFunds.into(),
            ..Default::default()
        };
        let read = standing(found);
        assert_eq!((read.state.as_str(), read.due.as_str(), read.attempts), ("Uncollected", "108.10", 2));
        assert!(read.is_due && !read.is_to_return);
        assert_eq!(read.refusal.as_deref(), Some("InsufficientFunds"));
        assert_eq!(read.last_attempt, Timestamp::from_second(9).ok());
    }

    #[test]
    fn a_field_has_the_name_that_it_has_in_the_spec() {
        let cases = [
            ("plan.base_fee.amount", Some("plan.baseFee")),
            ("plan.prices[0].graduated.tiers[1].up_to", Some("plan.prices[0].graduated.tiers[1].upTo")),
            ("plan.prices[0].flat.unit_price", Some("plan.prices[0].flat.unitPrice")),
            ("plan.prices[2].package.price.amount", Some("plan.prices[2].packages.price")),
            ("plan.currency", Some("plan.currency")),
            ("plan.discount.amount.currency", Some("plan.discount.amount")),
            ("plan.discount.amount", Some("plan.discount.amount")),
            ("plan.discount.end_time", Some("plan.discount.until")),
            ("cycle.time_zone", Some("period.timeZone")),
            ("cycle.start_time", Some("period.start")),
            ("grace", Some("graceSeconds")),
            ("thresholds[1].accrued", Some("thresholds[1].accrued")),
            ("receiver.revenue_wallet", Some("collection.receiver.wallet")),
            ("receiver.tax_wallet", Some("collection.receiver.taxWallet")),
            ("receiver.tenant", Some("collection.receiver.tenantRef")),
            ("amount.currency", None),
        ];
        for (field, name) in cases {
            assert_eq!(spec_field(field).as_deref(), name, "{field}");
        }
    }
}
