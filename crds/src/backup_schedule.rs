//! BackupSchedule: Backups by a schedule, deleted by age and number, and held to objectives.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{backup::BackupVolume, bucket::Bucket, encryption::Encryption, timeout_policy::PlatformName};

/// Backups of a Platform by a schedule. Each scheduled time makes one Backup named after it, which is restored and verified
/// before it counts: every one is a drill. Copies beyond `retention` are deleted with their Backups, nobody else's ever.
/// Deleting the schedule deletes the Backup objects, and keeps the copies.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "BackupSchedule",
    plural = "backupschedules",
    shortname = "bs",
    category = "payplane",
    namespaced,
    status = "BackupScheduleStatus",
    derive = "PartialEq",
    doc = "Backups of a Platform by a schedule, deleted by age and number, and held to objectives.",
    validation = Rule::new("size(self.metadata.name) <= 37").message("metadata.name can have at most 37 characters: each Backup's name adds its time"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".spec.platformRef.name"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Safe", type_ = "string", json_path = ".status.conditions[?(@.type==\"ObjectiveMet\")].status", description = "Whether the objectives are met now"),
    printcolumn(name = "RPO now", type_ = "date", json_path = ".status.recoverableTo", description = "What a restore would lose now"),
    printcolumn(name = "RTO", type_ = "integer", json_path = ".status.lastSuccess.restoreSeconds", description = "Seconds that the last restore took"),
    printcolumn(name = "Last good", type_ = "string", json_path = ".status.lastSuccess.backup"),
    printcolumn(name = "Kept", type_ = "integer", json_path = ".status.kept", description = "Good copies that are kept"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduledTime"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"ObjectiveMet\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.platformRef == oldSelf.platformRef").message("platformRef cannot change; create another BackupSchedule"),
    validation = Rule::new("self.volume == oldSelf.volume").message("volume cannot change: copies that exist would stay behind; create another BackupSchedule"),
    validation = Rule::new("has(self.bucket) == has(oldSelf.bucket) && (!has(self.bucket) || \
         (self.bucket.endpoint == oldSelf.bucket.endpoint && self.bucket.name == oldSelf.bucket.name && \
          self.bucket.prefix == oldSelf.bucket.prefix))")
        .message("the bucket cannot change: copies that exist would stay behind; create another BackupSchedule. Its region, pathStyle and credentialsRef can"),
    validation = Rule::new("!has(self.bucket) || !has(self.volume.claimName)")
        .message("bucket and volume.claimName are two places: give one of them"),
    validation = Rule::new("!has(self.bucket) || !self.bucket.endpoint.startsWith('http://') || has(self.encryption)")
        .message("by http:// everybody on the way can read the copies: use https://, or seal them with encryption")
)]
pub struct BackupScheduleSpec {
    /// Whose ledger: a Platform in the same namespace whose PostgreSQL is managed, or run by CloudNativePG with
    /// `spec.postgres.operator.archive`: then `bucket` is the one of that.
    pub platform_ref: PlatformName,
    /// When, as a cron expression of five fields: minute, hour, day of the month, month, day of the week. "0 * * * *" is
    /// every hour.
    #[schemars(
        length(min = 9, max = 128),
        regex(pattern = r"^[0-9A-Za-z*,/#+?-]+( +[0-9A-Za-z*,/#+?-]+){4}$")
    )]
    pub schedule: String,
    /// On whose clock, as a name of the IANA time zone database.
    #[serde(default = "utc")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$")
    )]
    pub time_zone: String,
    /// `true` takes no more copies. What is due meanwhile is never taken; copies that exist are kept.
    #[serde(default)]
    pub suspend: bool,
    /// The volume that copies are kept in, unless they are kept in a bucket.
    #[serde(default)]
    pub volume: BackupVolume,
    /// The bucket that copies are kept in. Default: they are kept in the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Seals new copies. Default: they are stored as they are. Copies that exist stay as they were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// How long one may take, from its creation to the verified copy. What takes longer has failed.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 60, max = 86_400))]
    pub deadline_seconds: i64,
    /// Lets copies build on the one before them, and store what changed only. Default: every copy is a full one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Incremental>,
    /// Which copies are kept.
    #[serde(default)]
    pub retention: Retention,
    /// What is wanted of them.
    #[serde(default)]
    pub objectives: Objectives,
}

fn utc() -> String {
    "Etc/UTC".into()
}

fn an_hour() -> i64 {
    3_600
}

/// Copies that build on the one before them. After a run that failed, or whose copy nothing can build on, comes a full one.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Incremental {
    /// One of so many copies is a full one; the others build on it and on each other. A restore reads as many at most, and needs
    /// each of them.
    #[serde(default = "seven")]
    #[schemars(range(min = 2, max = 30))]
    pub full_every: i32,
}

/// Which copies are kept: those that one of the two keeps, and those that they build on. The newest good one always is.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// So many good ones.
    #[serde(default = "seven")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_last: i32,
    /// All that are younger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 315_360_000))]
    pub keep_within_seconds: Option<i64>,
}

fn seven() -> i32 {
    7
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_last: seven(), keep_within_seconds: None }
    }
}

/// What is wanted: condition `ObjectiveMet` tells whether it is so.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// The recovery point: a restore loses at most what was paid in so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub rpo_seconds: Option<i64>,
    /// The recovery time: from the copy to a verified ledger in at most so many seconds, as the last Backup measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub rto_seconds: Option<i64>,
}

/// What is known about a BackupSchedule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupScheduleStatus {
    /// The newest Backup that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<LastSuccess>,
    /// Every payment that was acknowledged before this moment comes back with a restore: its age is the recovery point that
    /// holds now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recoverable_to: Option<Time>,
    /// Good copies of this schedule.
    #[serde(default)]
    pub kept: i64,
    /// The Backup that is being taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub running: Option<String>,
    /// When the next one is due. Absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_scheduled_time: Option<Time>,
    /// The last scheduled time that was served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scheduled_time: Option<Time>,
    /// How the stored log stands, where the Platform keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveStatus>,
    /// The schedule that is followed. Absent while it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<crate::standing_order::InForce>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Suspended, ObjectiveMet, ObjectsCopied, Pruned, ArchiveCurrent.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A Backup that succeeded.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSuccess {
    /// Its name.
    #[schemars(length(max = 63))]
    pub backup: String,
    /// When it began.
    pub started_at: Time,
    /// Size of the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Operations that were verified in the restored copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<i64>,
    /// Custom resources that are kept with the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<i64>,
    /// How long restoring and verifying it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<i64>,
}

/// How the stored log stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveStatus {
    /// When a segment was last stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_at: Option<Time>,
    /// Segments that are full and not stored yet.
    #[serde(default)]
    pub segments_behind: i64,
    /// How often storing one failed since the server began to count.
    #[serde(default)]
    pub failures: i64,
}
