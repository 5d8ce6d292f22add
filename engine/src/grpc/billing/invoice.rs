//! Invoices to proto.

use payplane_billing::{Item, Line, METRICS, Metric, State, Statement, Tax};
use payplane_ledger::{Currency, Timestamp, format_minor};
use payplane_proto::v1::{self as proto, invoice_line};

use crate::{
    billing::document::percent,
    grpc::encode,
    store::{InvoiceRow, PartRow},
};

pub(super) fn invoice(row: &InvoiceRow) -> proto::Invoice {
    let Statement { currency, plan_version, lines, subtotal, discount, taxes, total } =
        &row.document.statement;
    let currency = *currency;
    let money = |minor: i64| Some(encode::money(minor, currency));
    let usage = METRICS.map(|metric| proto::MetricUsage {
        metric: number(metric),
        quantity: quantity(row.document.usage.of(metric), metric, currency),
        event: String::new(),
    });
    let events = row.document.usage.events.iter().map(|(name, count)| proto::MetricUsage {
        metric: 0,
        quantity: count.to_string(),
        event: name.clone(),
    });
    let used = |used: &payplane_billing::Use| proto::PrepaidUse {
        idempotency_key: used.key.clone(),
        amount: money(used.minor),
    };
    proto::Invoice {
        number: row.number,
        start_time: Some(encode::timestamp(row.period.start)),
        end_time: Some(encode::timestamp(row.period.end)),
        after_seal: row.after_seal,
        through_seal: row.through_seal,
        plan_version: plan_version.clone(),
        lines: lines.iter().map(|line| self::line(line, currency)).collect(),
        subtotal: money(*subtotal),
        discount: money(*discount),
        taxes: taxes.iter().map(|tax| self::tax(tax, currency)).collect(),
        total: money(*total),
        usage: usage.into_iter().chain(events).collect(),
        issue_time: row.issued_at.map(encode::timestamp),
        collection: row.issued_at.map(|_| collection(row, currency)),
        prepaid: row.document.prepaid.iter().map(used).collect(),
        parts: row.document.parts.iter().map(part).collect(),
    }
}

fn part(part: &PartRow) -> proto::InvoicePart {
    proto::InvoicePart {
        plan_version: part.version.clone(),
        start_time: Some(encode::timestamp(Timestamp(part.start_us))),
        end_time: Some(encode::timestamp(Timestamp(part.end_us))),
        through_seal: part.through_seal,
    }
}

fn collection(row: &InvoiceRow, currency: Currency) -> proto::InvoiceCollection {
    let standing = &row.standing;
    let money = |minor: i64| Some(encode::money(minor, currency));
    let refusal = row.last_attempt.and_then(|attempt| attempt.refusal);
    let (refusal, field) =
        refusal.map_or((0, ""), |(reason, field)| (encode::reason(reason).into(), field.path()));
    proto::InvoiceCollection {
        state: state(standing.state()).into(),
        prepaid: money(standing.prepaid),
        credited: money(standing.credited),
        collected: money(standing.collected - standing.returned),
        due: money(standing.due()),
        to_return: money(standing.to_return()),
        attempts: standing.attempts,
        last_attempt_time: row.last_attempt.map(|attempt| encode::timestamp(attempt.at)),
        refusal,
        refusal_field: field.to_owned(),
    }
}

const fn state(state: State) -> proto::InvoiceState {
    match state {
        State::Issued => proto::InvoiceState::Issued,
        State::PartlyPaid => proto::InvoiceState::PartlyPaid,
        State::Paid => proto::InvoiceState::Paid,
        State::Uncollected => proto::InvoiceState::Uncollected,
    }
}

fn line(line: &Line, currency: Currency) -> proto::InvoiceLine {
    let text = |count: i64| match line.item {
        Item::Usage(metric) => quantity(count, metric, currency),
        Item::BaseFee | Item::Minimum | Item::Event(_) => count.to_string(),
    };
    let item = match &line.item {
        Item::BaseFee => invoice_line::Item::BaseFee(proto::BaseFeeItem {}),
        Item::Usage(metric) => invoice_line::Item::Metric(number(*metric)),
        Item::Event(name) => invoice_line::Item::Event(name.clone()),
        Item::Minimum => invoice_line::Item::Minimum(proto::MinimumItem {}),
    };
    proto::InvoiceLine {
        item: Some(item),
        quantity: text(line.quantity),
        free: text(line.free),
        amount: Some(encode::money(line.amount, currency)),
        discount: Some(encode::money(line.discount, currency)),
        tax: Some(encode::money(line.tax, currency)),
        plan_version: line.version.clone(),
    }
}

fn tax(tax: &Tax, currency: Currency) -> proto::InvoiceTax {
    let amount = Some(encode::money(tax.amount, currency));
    proto::InvoiceTax { name: tax.name.clone(), percent: percent(tax.percent), amount }
}

fn quantity(count: i64, metric: Metric, currency: Currency) -> String {
    if metric.is_amount() { format_minor(count, currency) } else { count.to_string() }
}

/// The numbers are the same.
const fn number(metric: Metric) -> i32 {
    metric as i32
}

#[cfg(test)]
mod tests {
    use payplane_billing::Rate;

    use super::*;

    #[test]
    fn metrics_have_the_numbers_of_the_wire() {
        for metric in METRICS {
            let wire = proto::BillingMetric::try_from(number(metric)).unwrap();
            let name = format!("{metric:?}").to_uppercase();
            assert_eq!(wire.as_str_name().trim_start_matches("BILLING_METRIC_").replace('_', ""), name);
        }
        assert!(proto::BillingMetric::try_from(1 + METRICS.len() as i32).is_err());
    }

    #[test]
    fn percentages_are_written_without_useless_zeros() {
        for text in ["0", "7.7", "8.1", "100", "0.00000001", "20.5"] {
            assert_eq!(percent(Rate::parse(text).unwrap()), text);
        }
    }
}
