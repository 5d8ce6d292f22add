//! Thresholds: what is asked, and what was reached.

use std::collections::HashSet;

use payplane_billing::{METRICS, Measure, THRESHOLDS_MAX, Threshold, is_event_name};
use payplane_ledger::{Sequence, TenantId};
use payplane_proto::v1::{self as proto, billing_threshold::Bound};
use tonic::Status;

use crate::{
    engine::detached,
    grpc::{
        Api,
        decode::{Path, Violations},
        encode, page, status,
    },
    store::ReachedThreshold,
};

const NAME_CHARS_MAX: usize = 63;

impl Api {
    pub(super) async fn list_reached(
        &self,
        tenant: TenantId,
        request: proto::ListReachedThresholdsRequest,
    ) -> Result<proto::ListReachedThresholdsResponse, Status> {
        let mut violations = Violations::default();
        let size = page::size(request.page_size, &mut violations);
        let start = page::token(&request.page_token, page::place, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let start = start.map(|start| start.0);
        let found = detached(async move { store.reached_thresholds(tenant, start, size).await }).await;
        let (found, next) = found.map_err(|error| status::of_store(&error))?;
        let next_page_token = page::next(next.map(Sequence));
        let thresholds = found.iter().map(reached).collect();
        Ok(proto::ListReachedThresholdsResponse { thresholds, next_page_token })
    }
}

/// All that could be read; the others are among the violations.
pub(super) fn thresholds(given: &[proto::BillingThreshold], violations: &mut Violations) -> Vec<Threshold> {
    let root = Path::Root;
    if THRESHOLDS_MAX < given.len() {
        violations.add(root.at("thresholds"), "has too many entries: expected at most 8");
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut read = Vec::with_capacity(given.len());
    for (index, given) in given.iter().enumerate() {
        let at = root.entry("thresholds", index);
        if !names.insert(&given.name) {
            violations.add(at.at("name"), "is there before: expected each name once");
        }
        read.extend(threshold(at, given, violations));
    }
    read
}

fn threshold(
    at: Path<'_>,
    given: &proto::BillingThreshold,
    violations: &mut Violations,
) -> Option<Threshold> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=NAME_CHARS_MAX).contains(&given.name.len()) || !given.name.bytes().all(is_inner) {
        violations.add(at.at("name"), "is malformed: expected 1 to 63 characters of a-z, 0-9 and '-'");
    }
    let (field, measure, bound) = match &given.bound {
        Some(Bound::Accrued(bound)) => ("accrued", Some(Measure::Accrued), bound),
        Some(Bound::Metric(of)) => {
            let metric = METRICS.into_iter().find(|metric| *metric as i32 == of.metric);
            ("metric", metric.map(Measure::Metric), &of.quantity)
        }
        Some(Bound::Event(of)) => {
            let event = Some(&of.event).filter(|event| is_event_name(event));
            ("event", event.cloned().map(Measure::Event), &of.quantity)
        }
        None => {
            violations.add(at, "has no bound: expected accrued, metric or event");
            return None;
        }
    };
    let Some(measure) = measure else {
        violations.add(at.at(field), "is unknown: expected a BillingMetric or the name of an event");
        return None;
    };
    let read = Threshold::new(&given.name, measure, bound);
    read.map_err(|problem| violations.add(at.at(field), problem)).ok()
}

pub(super) fn reached(fact: &ReachedThreshold) -> proto::ReachedThreshold {
    let quantity = fact.bound.clone();
    let bound = match &fact.measure {
        Measure::Accrued => Bound::Accrued(quantity),
        Measure::Metric(metric) => Bound::Metric(proto::MetricBound { metric: *metric as i32, quantity }),
        Measure::Event(event) => Bound::Event(proto::EventBound { event: event.clone(), quantity }),
    };
    proto::ReachedThreshold {
        id: fact.id.to_string(),
        threshold: Some(proto::BillingThreshold { name: fact.name.clone(), bound: Some(bound) }),
        value: fact.value.clone(),
        currency: fact.currency.code().to_owned(),
        start_time: Some(encode::timestamp(fact.period.start)),
        end_time: Some(encode::timestamp(fact.period.end)),
        through_seal: fact.seal,
        reach_time: Some(encode::timestamp(fact.at)),
    }
}
