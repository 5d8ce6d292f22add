//! Counters and histograms for Prometheus. Every label has a fixed set of values.

use std::time::Duration;

use payplane_ledger::{Outcome, Reason, Verdict};
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use crate::{
    background::Swept,
    store::{EventStatus, Recorded},
};

const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// From a second to a week, for what is late by people's clocks.
const DELAYS: [f64; 9] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 604_800.0];
const ITEMS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 32.0, 100.0, 320.0, 1000.0];

/// All metrics of the engine.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    payments: IntCounterVec,
    refusals: IntCounterVec,
    batch_items: Histogram,
    batch_seconds: Histogram,
    doubts: IntCounter,
    memory_misses: IntCounter,
    swept: IntCounterVec,
    sweep_lag: Gauge,
    queue_depth: IntGauge,
    database_up: Gauge,
    commits_failing: Gauge,
    requests: HistogramVec,
    events_published: IntCounter,
    event_errors: IntCounter,
    event_letters: IntGauge,
    event_lag: Gauge,
    event_lag_seals: IntGauge,
    redis_up: IntGauge,
    cache_reads: IntCounterVec,
    cache_errors: IntCounter,
    rate_refusals: IntCounter,
    billing_close: Histogram,
    billing_close_delay: Histogram,
    usage_events: IntCounterVec,
    usage_event_age: Histogram,
    usage_lag: Histogram,
}

impl Metrics {
    /// Fails only if two metrics have the same name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("payplane_engine".to_owned()), None)?;
        let counters = |name, help, label| IntCounterVec::new(Opts::new(name, help), &[label]);
        let histogram = |name, help, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        let requests =
            HistogramOpts::new("grpc_request_seconds", "Duration of gRPC calls.").buckets(SECONDS.to_vec());
        let build = Opts::new("build_info", "Always 1.").const_label("version", env!("CARGO_PKG_VERSION"));
        let metrics = Self {
            payments: counters("payments_total", "Operations by what became of them.", "outcome")?,
            refusals: counters("refusals_total", "Refused operations by reason.", "reason")?,
            batch_items: histogram("batch_items", "Requests per batch.", &ITEMS)?,
            batch_seconds: histogram("batch_seconds", "Duration of a batch.", &SECONDS)?,
            doubts: IntCounter::new("commit_doubts_total", "Commits that were not answered.")?,
            memory_misses: IntCounter::new(
                "memory_misses_total",
                "Batches that were decided on old facts first.",
            )?,
            swept: counters("swept_holds_total", "Holds that a sweep ended, by how.", "outcome")?,
            sweep_lag: Gauge::new(
                "sweep_lag_seconds",
                "How long the oldest hold of the last sweep was due.",
            )?,
            queue_depth: IntGauge::new("queue_depth", "Requests that wait for a batch.")?,
            database_up: Gauge::new("database_up", "Whether the database answers.")?,
            commits_failing: Gauge::new(
                "commits_failing_seconds",
                "How long nothing was committed although it was tried.",
            )?,
            requests: HistogramVec::new(requests, &["method", "code"])?,
            events_published: IntCounter::new("events_published_total", "Events that Kafka acknowledged.")?,
            event_errors: IntCounter::new(
                "event_errors_total",
                "How often publishing stopped and began anew.",
            )?,
            event_letters: IntGauge::new(
                "event_dead_letters",
                "Events that Kafka refused and nobody decided about.",
            )?,
            event_lag: Gauge::new("event_lag_seconds", "How long the oldest seal waits to be published.")?,
            event_lag_seals: IntGauge::new("event_lag_seals", "Seals that wait to be published.")?,
            redis_up: IntGauge::new("redis_up", "Whether Redis answers; 0 also where none is configured.")?,
            cache_reads: counters(
                "cache_reads_total",
                "Payments looked up in Redis, by what was found.",
                "result",
            )?,
            cache_errors: IntCounter::new("cache_errors_total", "Questions that Redis did not answer.")?,
            rate_refusals: IntCounter::new("rate_refusals_total", "Calls refused by a tenant's rate.")?,
            billing_close: histogram("billing_close_seconds", "Duration of issuing an invoice.", &SECONDS)?,
            billing_close_delay: histogram(
                "billing_close_delay_seconds",
                "How long after its period an invoice was issued.",
                &DELAYS,
            )?,
            usage_events: counters("usage_events_total", "Usage events by what became of them.", "result")?,
            usage_event_age: histogram(
                "usage_event_age_seconds",
                "How long ago the oldest event of a request happened.",
                &DELAYS,
            )?,
            usage_lag: histogram(
                "billing_usage_lag_seconds",
                "How long the oldest sealed operation that an invoice or a preview had to count was sealed.",
                &DELAYS,
            )?,
            registry,
        };
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        metrics.registry.register(Box::new(build))?;
        metrics.register()?;
        Ok(metrics)
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn render(&self, queue_depth: usize) -> String {
        self.queue_depth.set(i64::try_from(queue_depth).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    pub(crate) fn observe_batch(&self, items: usize, took: Duration) {
        self.batch_items.observe(items as f64);
        self.batch_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn count_outcome(&self, outcome: &Outcome) {
        let (word, refusal) = match outcome {
            Outcome::Decided { decision, replayed } => match (&decision.verdict, replayed) {
                (_, true) => ("replayed", None),
                (Verdict::Done { .. }, false) => ("completed", None),
                (Verdict::Refused(refusal), false) => ("refused", Some(refusal)),
            },
            Outcome::Declined(refusal) => ("refused", Some(refusal)),
        };
        self.payments.with_label_values(&[word]).inc();
        if let Some(refusal) = refusal {
            self.refusals.with_label_values(&[reason_label(refusal.reason)]).inc();
        }
    }

    pub(crate) fn count_memory_miss(&self) {
        self.memory_misses.inc();
    }

    pub(crate) fn observe_sweep(&self, swept: &Swept) {
        let Swept { expired, captured, refused, lag_us } = *swept;
        for (word, holds) in [("expired", expired), ("captured", captured), ("refused", refused)] {
            self.swept.with_label_values(&[word]).inc_by(holds);
        }
        let lag = u64::try_from(lag_us).unwrap_or_default();
        self.sweep_lag.set(Duration::from_micros(lag).as_secs_f64());
    }

    pub(crate) fn count_doubt(&self) {
        self.doubts.inc();
    }

    pub(crate) fn set_redis_up(&self, up: bool) {
        self.redis_up.set(i64::from(up));
    }

    /// What was found: hit, miss, forged or away.
    pub(crate) fn count_cache(&self, result: &str) {
        self.cache_reads.with_label_values(&[result]).inc();
    }

    pub(crate) fn count_cache_error(&self) {
        self.cache_errors.inc();
    }

    pub(crate) fn count_rate_refusal(&self) {
        self.rate_refusals.inc();
    }

    pub(crate) fn set_database_up(&self, up: bool) {
        self.database_up.set(f64::from(u8::from(up)));
    }

    pub(crate) fn set_commits_failing(&self, since: Duration) {
        self.commits_failing.set(since.as_secs_f64());
    }

    pub(crate) fn observe_request(&self, method: &str, code: &str, took: Duration) {
        self.requests.with_label_values(&[method, code]).observe(took.as_secs_f64());
    }

    pub(crate) fn count_published(&self, events: usize) {
        self.events_published.inc_by(u64::try_from(events).unwrap_or_default());
    }

    pub(crate) fn count_event_error(&self) {
        self.event_errors.inc();
    }

    pub(crate) fn observe_events(&self, status: &EventStatus) {
        self.event_letters.set(status.letters);
        self.event_lag.set(status.lag().as_secs_f64());
        self.event_lag_seals.set(status.newest.saturating_sub(status.seal));
    }

    /// An invoice that was issued: how long that took, and how long after the end of its period it was.
    pub(crate) fn observe_close(&self, took: Duration, delay: Duration) {
        self.billing_close.observe(took.as_secs_f64());
        self.billing_close_delay.observe(delay.as_secs_f64());
    }

    /// Something was counted for a tenant; nothing if there was nothing new.
    pub(crate) fn observe_usage_lag(&self, lag_us: i64) {
        if let Some(lag) = u64::try_from(lag_us).ok().filter(|lag| 0 < *lag) {
            self.usage_lag.observe(Duration::from_micros(lag).as_secs_f64());
        }
    }

    /// A request of usage events, the oldest of which happened so long ago.
    pub(crate) fn observe_usage(&self, events: &[Recorded], oldest: Duration) {
        for event in events {
            let word = match event {
                Recorded::Now => "recorded",
                Recorded::Before => "repeated",
                Recorded::Conflict => "conflict",
                Recorded::Late => "late",
            };
            self.usage_events.with_label_values(&[word]).inc();
        }
        self.usage_event_age.observe(oldest.as_secs_f64());
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(self.payments.clone()))?;
        self.registry.register(Box::new(self.refusals.clone()))?;
        self.registry.register(Box::new(self.batch_items.clone()))?;
        self.registry.register(Box::new(self.batch_seconds.clone()))?;
        self.registry.register(Box::new(self.doubts.clone()))?;
        self.registry.register(Box::new(self.memory_misses.clone()))?;
        self.registry.register(Box::new(self.swept.clone()))?;
        self.registry.register(Box::new(self.sweep_lag.clone()))?;
        self.registry.register(Box::new(self.queue_depth.clone()))?;
        self.registry.register(Box::new(self.database_up.clone()))?;
        self.registry.register(Box::new(self.commits_failing.clone()))?;
        self.registry.register(Box::new(self.requests.clone()))?;
        self.registry.register(Box::new(self.events_published.clone()))?;
        self.registry.register(Box::new(self.event_errors.clone()))?;
        self.registry.register(Box::new(self.event_letters.clone()))?;
        self.registry.register(Box::new(self.event_lag.clone()))?;
        self.registry.register(Box::new(self.event_lag_seals.clone()))?;
        self.registry.register(Box::new(self.redis_up.clone()))?;
        self.registry.register(Box::new(self.cache_reads.clone()))?;
        self.registry.register(Box::new(self.cache_errors.clone()))?;
        self.registry.register(Box::new(self.rate_refusals.clone()))?;
        self.registry.register(Box::new(self.billing_close.clone()))?;
        self.registry.register(Box::new(self.billing_close_delay.clone()))?;
        self.registry.register(Box::new(self.usage_events.clone()))?;
        self.registry.register(Box::new(self.usage_event_age.clone()))?;
        self.registry.register(Box::new(self.usage_lag.clone()))
    }
}

pub(crate) const fn reason_label(reason: Reason) -> &'static str {
    match reason {
        Reason::IdempotencyConflict => "idempotency_conflict",
        Reason::WalletNotFound => "wallet_not_found",
        Reason::PaymentNotFound => "payment_not_found",
        Reason::RefundNotFound => "refund_not_found",
        Reason::SameWallet => "same_wallet",
        Reason::CurrencyMismatch => "currency_mismatch",
        Reason::ApproverIsRequester => "approver_is_requester",
        Reason::PaymentApprovalRequired => "payment_approval_required",
        Reason::LostByRestore => "lost_by_restore",
        Reason::NotDue => "not_due",
        Reason::LinkedItemDeclined => "linked_item_declined",
        Reason::TenantSuspended => "tenant_suspended",
        Reason::WalletClosed => "wallet_closed",
        Reason::WalletFrozen => "wallet_frozen",
        Reason::WalletNotEmpty => "wallet_not_empty",
        Reason::HoldExpired => "hold_expired",
        Reason::WrongState => "wrong_state",
        Reason::CaptureExceedsHold => "capture_exceeds_hold",
        Reason::RefundExceedsCaptured => "refund_exceeds_captured",
        Reason::RefundWindowClosed => "refund_window_closed",
        Reason::ConditionNotMet => "condition_not_met",
        Reason::LimitExceeded => "limit_exceeded",
        Reason::SettlementCapExceeded => "settlement_cap_exceeded",
        Reason::InsufficientFunds => "insufficient_funds",
        Reason::MaximumExceeded => "maximum_exceeded",
        Reason::BalanceOverflow => "balance_overflow",
        Reason::LinkedItemRefused => "linked_item_refused",
    }
}
