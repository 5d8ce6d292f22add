//! Gauges of BackupSchedules, by namespace and name: what alerts and the dashboard go by.

use prometheus::{IntGaugeVec, Opts, Registry};

/// Names and what they mean.
const GAUGES: [(&str, &str); 9] = [
    ("backup_archive_current", "0 while the log is not stored as it is written."),
    ("backup_copy_bytes", "Size of the newest good copy; of an incremental one, of what it added."),
    ("backup_drill_seconds", "How long restoring and verifying the newest good copy took."),
    (
        "backup_drill_timestamp_seconds",
        "When the newest copy that was restored and verified began; 0 before.",
    ),
    ("backup_objective_met", "0 while the objectives are not met."),
    ("backup_objects_copied", "0 while the newest good copy is without custom resources."),
    ("backup_operations", "Operations that were verified in the newest good copy."),
    (
        "backup_recoverable_timestamp_seconds",
        "Up to when a restore would bring everything back; 0 before the first good copy.",
    ),
    ("backup_segments_behind", "Segments of the log that are full and not stored yet."),
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

impl Measured {
    /// In the order of the gauges.
    fn values(&self) -> [Option<i64>; GAUGES.len()] {
        [
            Some(i64::from(self.archive_current)),
            self.copy_bytes,
            self.drill_seconds,
            Some(self.drill_at),
            Some(i64::from(self.objective_met)),
            Some(i64::from(self.objects_copied)),
            self.operations,
            Some(self.recoverable_to),
            self.segments_behind,
        ]
    }
}

/// The gauges, in the order of their names.
#[derive(Clone, Debug)]
pub struct BackupGauges(Vec<IntGaugeVec>);

impl BackupGauges {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let register = |(name, help): (&str, &str)| -> Result<IntGaugeVec, prometheus::Error> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["namespace", "schedule"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self(GAUGES.into_iter().map(register).collect::<Result<_, _>>()?))
    }

    /// Shows what is known of one; nothing of one that was deleted, or alerts would go on.
    pub fn set(&self, labels: [&str; 2], measured: Option<Measured>) {
        let values = measured.map_or([None; GAUGES.len()], |measured| measured.values());
        for (gauge, value) in self.0.iter().zip(values) {
            match value {
                Some(value) => gauge.with_label_values(&labels).set(value),
                // One that was never measured is no error.
                None => drop(gauge.remove_label_values(&labels)),
            }
        }
    }
}
