//! Usage that others record.

use std::time::Duration;

use payplane_billing::{Period, RESERVED, is_event_name};
use payplane_ledger::{TenantId, Timestamp};
use payplane_proto::v1 as proto;
use tonic::Status;

use super::plan;
use crate::{
    engine::detached,
    grpc::{
        Api,
        decode::{self, Path, Violations},
        encode, status,
    },
    store::{Recorded, UsageEvent, UsageSum},
};

const EVENTS_MAX: usize = 8_000;
const ID_CHARS_MAX: usize = 128;

/// A million events of this size still have a sum.
const QUANTITY_MAX: i64 = 1_000_000_000_000_000;

/// The clocks of those who count may go a little wrong; what happens tomorrow did not happen.
const AHEAD_US_MAX: i64 = 3_600 * 1_000_000;

const WINDOWS_MAX: i64 = 1_000;
const WINDOW_DAYS_MAX: i64 = 366;

/// How many sums an answer has at most.
const SUMS_MAX: usize = 10_000;

impl Api {
    pub(super) async fn record(
        &self,
        tenant: TenantId,
        request: proto::RecordUsageRequest,
    ) -> Result<proto::RecordUsageResponse, Status> {
        let mut violations = Violations::default();
        let root = Path::Root;
        let refuse_late = match request.late() {
            proto::LateUsage::NextInvoice => false,
            proto::LateUsage::Refuse => true,
            proto::LateUsage::Unspecified => {
                violations.add(root.at("late"), "is unknown: expected a value of LateUsage");
                false
            }
        };
        if request.events.is_empty() || EVENTS_MAX < request.events.len() {
            violations.add(root.at("events"), "has a wrong number of entries: expected 1 to 8000");
            return Err(violations.check().err().unwrap_or_else(status::no_outcome));
        }
        let store = self.engine.store.clone();
        let now =
            detached(async move { store.now().await }).await.map_err(|error| status::of_store(&error))?;
        let mut events = Vec::with_capacity(request.events.len());
        for (index, given) in request.events.into_iter().enumerate() {
            events.extend(event(root.entry("events", index), given, now, &mut violations));
        }
        violations.check()?;
        let oldest = events.iter().map(|event| now.0 - event.at.0).max().unwrap_or_default();
        let store = self.engine.store.clone();
        let done = detached(async move { store.record_usage(tenant, &events, refuse_late).await }).await;
        let done = done.map_err(|error| status::of_store(&error))?;
        let oldest = Duration::from_micros(u64::try_from(oldest).unwrap_or_default());
        self.engine.metrics.observe_usage(&done, oldest);
        Ok(proto::RecordUsageResponse { results: done.into_iter().map(|each| result(each).into()).collect() })
    }

    pub(super) async fn query(
        &self,
        tenant: TenantId,
        request: proto::QueryUsageRequest,
    ) -> Result<proto::QueryUsageResponse, Status> {
        let mut violations = Violations::default();
        let root = Path::Root;
        if !is_event_name(&request.metric) {
            violations.add(root.at("metric"), METRIC);
        }
        let start = plan::time("start_time", request.start_time.as_ref(), &mut violations);
        let end = plan::time("end_time", request.end_time.as_ref(), &mut violations);
        let (start, end) = (start.unwrap_or(Timestamp(0)), end.unwrap_or(Timestamp(1)));
        if end <= start {
            violations.add(root.at("end_time"), "is out of range: expected a time after start_time");
        }
        let length = end.0.saturating_sub(start.0).max(1);
        let window = request
            .window
            .as_ref()
            .and_then(|window| decode::duration(root.at("window"), window, WINDOW_DAYS_MAX, &mut violations));
        let window = window.unwrap_or(length);
        if WINDOWS_MAX < length / window {
            violations.add(root.at("window"), "is too short: expected at most 1000 windows");
        }
        violations.check()?;
        let (store, range) = (self.engine.store.clone(), Period { start, end });
        let (groups, wanted) = ((window, request.by_source), SUMS_MAX as i64 + 1);
        let work =
            detached(
                async move { store.usage_in_windows(tenant, &request.metric, range, groups, wanted).await },
            );
        let sums = work.await.map_err(|error| status::of_store(&error))?;
        let window = |sum: &UsageSum| proto::UsageWindow {
            start_time: Some(encode::timestamp(sum.start)),
            end_time: Some(encode::timestamp(Timestamp(sum.start.0.saturating_add(window).min(end.0)))),
            quantity: sum.quantity,
            events: sum.events,
            source: sum.source.clone(),
        };
        let has_more = SUMS_MAX < sums.len();
        let windows = sums.iter().take(SUMS_MAX).map(window).collect();
        Ok(proto::QueryUsageResponse { windows, has_more })
    }
}

const METRIC: &str = "is malformed: expected 1 to 64 characters of a-z, 0-9, '.', '_' and '-'";

fn event(
    at: Path<'_>,
    given: proto::UsageEvent,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<UsageEvent> {
    let proto::UsageEvent { source, id, metric, quantity, time } = given;
    if source.is_empty() {
        violations.add(at.at("source"), "is missing: expected 1 to 64 characters of [a-z0-9._/-]");
    }
    decode::wallet_class(at.at("source"), &source, violations);
    decode::key(at.at("id"), &id, ID_CHARS_MAX, violations);
    if !is_event_name(&metric) {
        violations.add(at.at("metric"), METRIC);
    }
    if metric.starts_with(RESERVED) {
        let problem = "is reserved: expected a name that does not begin with \"payplane.\"";
        violations.add(at.at("metric"), problem);
    }
    if !(0..=QUANTITY_MAX).contains(&quantity) {
        violations.add(at.at("quantity"), "is out of range: expected 0 to 1000000000000000");
    }
    let Some(time) = &time else {
        // The time of arrival would make each repetition another event.
        violations.add(at.at("time"), "is missing: expected when it happened");
        return None;
    };
    let time = decode::time(at.at("time"), time, violations)?;
    if now.0.saturating_add(AHEAD_US_MAX) < time.0 {
        violations.add(at.at("time"), "is in the future: expected a time until an hour from now");
    }
    Some(UsageEvent { source, id, metric, quantity, at: time })
}

const fn result(recorded: Recorded) -> proto::UsageResult {
    match recorded {
        Recorded::Now => proto::UsageResult::Recorded,
        Recorded::Before => proto::UsageResult::Repeated,
        Recorded::Conflict => proto::UsageResult::Conflict,
        Recorded::Late => proto::UsageResult::Late,
    }
}
