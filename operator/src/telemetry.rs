//! Logs and metrics. Neither ever holds an amount, a password or a token.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::args::LogFormat;

mod backups;

pub use backups::{BackupGauges, Measured};

const PREFIX: &str = "payplane_operator";
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Starts logging. The level follows `RUST_LOG`, by default `info`.
pub fn init_logs(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_span_list(false)).init();
        }
        LogFormat::Text => registry.with(fmt::layer()).init(),
    }
}

/// Objects of ours that somebody else had changed and that were brought back, by kind. One for the process: it is counted
/// where children are written, which knows nothing else of metrics.
static DRIFT_REPAIRED: LazyLock<Result<IntCounterVec, prometheus::Error>> = LazyLock::new(|| {
    let help = "Children that others had changed, brought back.";
    // Metrics of a registry get its prefix.
    IntCounterVec::new(Opts::new("drift_repaired_total", help), &["kind"])
});

/// Counts one object that was brought back.
pub fn drift_repaired(kind: &str) {
    if let Ok(counter) = &*DRIFT_REPAIRED {
        counter.with_label_values(&[kind]).inc();
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}

/// Every metric, registered once. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Reconciles, by kind and result.
    pub reconciles: IntCounterVec,
    /// Seconds of a reconcile, by kind.
    pub reconcile_duration: HistogramVec,
    /// Failed reconciles, by kind and category.
    pub errors: IntCounterVec,
    /// Status writes, by kind and result.
    pub status_patches: IntCounterVec,
    /// Unix time of the last event of a watch, by kind.
    pub watch_last_event: IntGaugeVec,
    /// Failures of a watch, by kind.
    pub watch_failures: IntCounterVec,
    /// Events that were dropped because too many waited.
    pub events_dropped: IntCounter,
    /// 1 while this process acts.
    pub leader: IntGauge,
    /// Of BackupSchedules.
    pub backups: BackupGauges,
    /// Holds past their deadline that wait for a decision, by TimeoutPolicy.
    pub holds_awaiting: IntGaugeVec,
    /// Open objects that a restored ledger does not know, by kind.
    pub lost_by_restore: IntGaugeVec,
    unpaid_invoices: IntGaugeVec,
    unpaid_minor: IntGaugeVec,
    /// What each TenantBilling adds to these, so that it can be taken off again.
    unpaid: Arc<Mutex<BTreeMap<(String, String), Unpaid>>>,
    synced: Arc<AtomicBool>,
    stands_by: Arc<AtomicBool>,
    last_reconcile: Arc<AtomicU64>,
}

/// What a TenantBilling's tenant owes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unpaid {
    /// ISO 4217 code.
    pub currency: String,
    /// How many invoices.
    pub invoices: i64,
    /// What they lack, in minor units: never a float before Prometheus makes one of it.
    pub minor: i64,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When two metrics have one name, which a test rules out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some(PREFIX.into()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let reconciles = counter("reconcile_total", "Reconciles by kind and result.", &["kind", "result"])?;
        let errors = counter("errors_total", "Failed reconciles by category.", &["kind", "category"])?;
        let status_patches =
            counter("status_patches_total", "Status writes by result.", &["kind", "result"])?;
        let watch_failures = counter("watch_failures_total", "Failures of watches.", &["kind"])?;
        let backups = BackupGauges::new(&registry)?;
        let by_currency = |name: &str, help: &str| -> Result<IntGaugeVec, prometheus::Error> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["currency"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let unpaid_invoices = by_currency("billing_unpaid_invoices", "Invoices that are not paid.")?;
        let unpaid_minor =
            by_currency("billing_unpaid_minor_units", "What they lack, in minor units of the currency.")?;
        let durations = HistogramOpts::new("reconcile_duration_seconds", "Time of one reconcile.");
        let reconcile_duration = HistogramVec::new(durations.buckets(BUCKETS.to_vec()), &["kind"])?;
        let watch_last_event = IntGaugeVec::new(
            Opts::new("watch_last_event_timestamp_seconds", "When a watch last gave an event."),
            &["kind"],
        )?;
        let events_dropped =
            IntCounter::new("events_dropped_total", "Events that too many others crowded out.")?;
        let holds_awaiting = IntGaugeVec::new(
            Opts::new("holds_awaiting_decision", "Holds past their deadline that nobody gives back."),
            &["namespace", "policy"],
        )?;
        registry.register(Box::new(holds_awaiting.clone()))?;
        let lost_by_restore = IntGaugeVec::new(
            Opts::new("lost_by_restore", "Objects that the restored ledger does not know."),
            &["kind"],
        )?;
        registry.register(Box::new(lost_by_restore.clone()))?;
        let leader = IntGauge::new("leader", "1 while this process holds the Lease and acts.")?;
        let build =
            IntGaugeVec::new(Opts::new("build_info", "Always 1; labels tell the build."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(reconcile_duration.clone()))?;
        registry.register(Box::new(watch_last_event.clone()))?;
        registry.register(Box::new(events_dropped.clone()))?;
        registry.register(Box::new(leader.clone()))?;
        registry.register(Box::new(build))?;
        if let Ok(counter) = &*DRIFT_REPAIRED {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(Self {
            registry,
            reconciles,
            reconcile_duration,
            errors,
            status_patches,
            watch_last_event,
            watch_failures,
            events_dropped,
            leader,
            backups,
            holds_awaiting,
            lost_by_restore,
            unpaid_invoices,
            unpaid_minor,
            unpaid: Arc::default(),
            synced: Arc::default(),
            stands_by: Arc::default(),
            last_reconcile: Arc::default(),
        })
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// A number that tells this reconcile's log lines from others'.
    pub fn next_reconcile(&self) -> u64 {
        self.last_reconcile.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts one reconcile.
    pub fn reconciled(&self, kind: &str, took: Duration, error: Option<&crate::error::Error>) {
        self.reconcile_duration.with_label_values(&[kind]).observe(took.as_secs_f64());
        let result = if error.is_some() { "error" } else { "ok" };
        self.reconciles.with_label_values(&[kind, result]).inc();
        if let Some(error) = error {
            self.errors.with_label_values(&[kind, error.category()]).inc();
        }
    }

    /// How many holds of a TimeoutPolicy wait for a decision; None forgets it.
    pub fn set_holds_awaiting(&self, namespace: &str, policy: &str, count: Option<i64>) {
        match count {
            Some(count) => self.holds_awaiting.with_label_values(&[namespace, policy]).set(count),
            // One that was never measured is no error.
            None => drop(self.holds_awaiting.remove_label_values(&[namespace, policy])),
        }
    }

    /// Says what the tenant of a TenantBilling owes; nothing if it owes nothing, or if the object is gone.
    pub fn set_unpaid(&self, namespace: &str, name: &str, unpaid: Option<Unpaid>) {
        let mut all = self.unpaid.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let before = match &unpaid {
            Some(unpaid) => all.insert(key, unpaid.clone()),
            None => all.remove(&key),
        };
        for (sign, part) in [(1, unpaid), (-1, before)] {
            let Some(Unpaid { currency, invoices, minor }) = part else { continue };
            self.unpaid_invoices.with_label_values(&[&currency]).add(sign * invoices);
            self.unpaid_minor.with_label_values(&[&currency]).add(sign * minor);
        }
    }

    /// Says that every cache is filled.
    pub fn set_synced(&self) {
        self.synced.store(true, Ordering::Relaxed);
    }

    /// Says whether the last look at the Lease showed that another leads.
    pub fn set_stands_by(&self, follows: bool) {
        self.stands_by.store(follows, Ordering::Relaxed);
    }

    /// Whether the last look at the Lease showed that another leads.
    pub fn stands_by(&self) -> bool {
        self.stands_by.load(Ordering::Relaxed)
    }

    /// Whether every cache is filled.
    pub fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_names_are_these() {
        let metrics = Metrics::new().unwrap();
        metrics.reconciles.with_label_values(&["Payment", "ok"]).inc();
        metrics.reconcile_duration.with_label_values(&["Payment"]).observe(0.1);
        metrics.errors.with_label_values(&["Payment", "api"]).inc();
        metrics.status_patches.with_label_values(&["Payment", "patched"]).inc();
        metrics.watch_last_event.with_label_values(&["Payment"]).set(1);
        metrics.watch_failures.with_label_values(&["Payment"]).inc();
        let known = Measured {
            copy_bytes: Some(2),
            drill_seconds: Some(3),
            drill_at: 4,
            objective_met: true,
            objects_copied: true,
            operations: Some(5),
            recoverable_to: 7,
            segments_behind: Some(6),
            ..Measured::default()
        };
        metrics.backups.set(["pay", "hourly"], Some(known));
        // Nothing is known of the size and the log of one, and another one was deleted.
        metrics.backups.set(["pay", "new"], Some(known));
        metrics.backups.set(["pay", "new"], Some(Measured::default()));
        metrics.backups.set(["pay", "gone"], Some(known));
        metrics.backups.set(["pay", "gone"], None);
        let unpaid =
            |currency: &str, invoices, minor| Some(Unpaid { currency: currency.to_owned(), invoices, minor });
        // Two tenants owe, one of them less than before; a third one has paid, and a fourth one's object is gone.
        for (name, owes) in [
            ("a", unpaid("USD", 3, 9_000)),
            ("b", unpaid("USD", 1, 500)),
            ("a", unpaid("USD", 2, 7_000)),
            ("c", unpaid("JPY", 1, 1)),
            ("c", None),
            ("d", unpaid("USD", 9, 9)),
            ("d", None),
            ("d", None),
        ] {
            metrics.set_unpaid("pay", name, owes);
        }
        drift_repaired("Telemetry");
        let text = metrics.text().unwrap();
        for name in [
            "payplane_operator_backup_archive_current{namespace=\"pay\",schedule=\"hourly\"} 0",
            "payplane_operator_backup_copy_bytes{namespace=\"pay\",schedule=\"hourly\"} 2",
            "payplane_operator_backup_drill_seconds{namespace=\"pay\",schedule=\"hourly\"} 3",
            "payplane_operator_backup_drill_timestamp_seconds{namespace=\"pay\",schedule=\"hourly\"} 4",
            "payplane_operator_backup_drill_timestamp_seconds{namespace=\"pay\",schedule=\"new\"} 0",
            "payplane_operator_backup_objective_met{namespace=\"pay\",schedule=\"hourly\"} 1",
            "payplane_operator_backup_objects_copied{namespace=\"pay\",schedule=\"hourly\"} 1",
            "payplane_operator_backup_operations{namespace=\"pay\",schedule=\"hourly\"} 5",
            "payplane_operator_backup_recoverable_timestamp_seconds{namespace=\"pay\",schedule=\"hourly\"} 7",
            "payplane_operator_backup_segments_behind{namespace=\"pay\",schedule=\"hourly\"} 6",
            "payplane_operator_billing_unpaid_invoices{currency=\"JPY\"} 0",
            "payplane_operator_billing_unpaid_invoices{currency=\"USD\"} 3",
            "payplane_operator_billing_unpaid_minor_units{currency=\"USD\"} 7500",
            "payplane_operator_build_info{version=",
            "payplane_operator_drift_repaired_total{kind=\"Telemetry\"} 1",
            "payplane_operator_errors_total{category=\"api\",kind=\"Payment\"} 1",
            "payplane_operator_events_dropped_total 0",
            "payplane_operator_leader 0",
            "payplane_operator_reconcile_duration_seconds_bucket{kind=\"Payment\"",
            "payplane_operator_reconcile_total{kind=\"Payment\",result=\"ok\"} 1",
            "payplane_operator_status_patches_total{kind=\"Payment\",result=\"patched\"} 1",
            "payplane_operator_watch_failures_total{kind=\"Payment\"} 1",
            "payplane_operator_watch_last_event_timestamp_seconds{kind=\"Payment\"} 1",
        ] {
            assert!(text.contains(name), "{name} is missing in:\n{text}");
        }
        for name in ["schedule=\"gone\"", "backup_copy_bytes{namespace=\"pay\",schedule=\"new\"}"] {
            assert!(!text.contains(name), "{name} is there in:\n{text}");
        }
    }
}
