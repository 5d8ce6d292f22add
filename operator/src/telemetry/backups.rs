//! Gauges of BackupSchedules, by namespace and name: what alerts and the dashboard go by.

use prometheus::{IntGaugeVec, Opts, Registry};

/// Its name, what it means, and what it shows.
type Gauge = (&'static str, &'static str, fn(&Measured) -> Option<i64>);

const GAUGES: [Gauge; 9] = [
    ("backup_archive_current", "0 while the log is not stored as it is written.", |known| {
        Some(known.archive_current.into())
    }),
    (
        "backup_copy_bytes",
        "Size of the newest good copy; of an incremental one, of what it added.",
        |known| known.copy_bytes,
    ),
    ("backup_drill_seconds", "How long restoring and verifying the newest good copy took.", |known| {
        known.drill_seconds
    }),
    (
        "backup_drill_timestamp_seconds",
        "When the newest copy that was restored and verified began; 0 before.",
        |known| Some(known.drill_at),
    ),
    ("backup_objective_met", "0 while the objectives are not met.", |known| Some(known.objective_met.into())),
    ("backup_objects_copied", "0 while the newest good copy is without custom resources.", |known| {
        Some(known.objects_copied.into())
    }),
    ("backup_operations", "Operations that were verified in the newest good copy.", |known| known.operations),
    (
        "backup_recoverable_timestamp_seconds",
        "Up to when a restore would bring everything back; 0 before the first good copy.",
        |known| Some(known.recoverable_to),
    ),
    ("backup_segments_behind", "Segments of the log that are full and not stored yet.", |known| {
        known.segments_behind
    }),
];

/// What is known of a BackupSchedule. What is None is not shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Whether the log is stored as it is written.
    pub archive_current: bool,
    /// Of the newest good copy.
    pub copy_bytes: Option<i64>,
    /// How long restoring and verifying it took.
    pub drill_seconds: Option<i64>,
    /// When it began, in Unix time; 0 before there is one.
    pub drill_at: i64,
    /// Whether the objectives are met.
    pub objective_met: bool,
    /// Whether it has the custom resources.
    pub objects_copied: bool,
    /// Operations that were verified in it.
    pub operations: Option<i64>,
    /// Unix time up to which a restore would bring everything back; 0 before the first good copy.
    pub recoverable_to: i64,
    /// Segments that are full and not stored yet.
    pub segments_behind: Option<i64>,
}

/// The gauges, in the order of [`GAUGES`].
#[derive(Clone, Debug)]
pub struct BackupGauges(Vec<IntGaugeVec>);

impl BackupGauges {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let register = |(name, help, _): Gauge| -> Result<IntGaugeVec, prometheus::Error> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["namespace", "schedule"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self(GAUGES.into_iter().map(register).collect::<Result<_, _>>()?))
    }

    /// Shows what is known of one; nothing of one that was deleted, or alerts would go on.
    pub fn set(&self, labels: [&str; 2], measured: Option<Measured>) {
        for (gauge, (_, _, shown)) in self.0.iter().zip(GAUGES) {
            match measured.as_ref().and_then(shown) {
                Some(value) => gauge.with_label_values(&labels).set(value),
                // One that was never measured is no error.
                None => drop(gauge.remove_label_values(&labels)),
            }
        }
    }
}
