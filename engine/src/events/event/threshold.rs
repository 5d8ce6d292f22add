//! The event of a reached threshold. A pure function of the fact, so that it is the same whenever it is sent.

use payplane_billing::{Measure, Metric};
use payplane_ledger::PlatformId;
use serde::Serialize;

use super::{Event, envelope, time};
use crate::store::ThresholdRow;

/// What a consumer learns. Fields are only ever added; quantities are decimal texts.
#[derive(Serialize)]
struct Body<'a> {
    threshold: Threshold<'a>,
    period: Period,
}

#[derive(Serialize)]
struct Threshold<'a> {
    name: &'a str,
    measure: &'static str,
    /// Whose usage it is, if others record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    bound: &'a str,
    /// What there was when it was noticed.
    value: &'a str,
    currency: &'a str,
}

#[derive(Serialize)]
struct Period {
    start: String,
    end: String,
    /// Counted up to this seal.
    seal: i64,
}

/// The event; nothing for a moment that no calendar has.
pub fn event_of_threshold(platform: PlatformId, row: &ThresholdRow) -> Option<Event> {
    let reached = &row.reached;
    let (measure, event) = match &reached.measure {
        Measure::Accrued => ("ACCRUED", None),
        Measure::Metric(metric) => (word(*metric), None),
        Measure::Event(name) => ("EVENT", Some(name.as_str())),
    };
    let data = Body {
        threshold: Threshold {
            name: &reached.name,
            measure,
            event,
            bound: &reached.bound,
            value: &reached.value,
            currency: reached.currency.code(),
        },
        period: Period {
            start: time(reached.period.start)?,
            end: time(reached.period.end)?,
            seal: reached.seal,
        },
    };
    let letter = row.letter(None);
    envelope(platform, &row.tenant_name, (letter, "billing.threshold-reached", reached.at), data)
}

const fn word(metric: Metric) -> &'static str {
    match metric {
        Metric::Payments => "PAYMENTS",
        Metric::Volume => "VOLUME",
        Metric::Holds => "HOLDS",
        Metric::Refunds => "REFUNDS",
        Metric::ActiveWallets => "ACTIVE_WALLETS",
        Metric::ApiCalls => "API_CALLS",
        Metric::Storage => "STORAGE",
    }
}
