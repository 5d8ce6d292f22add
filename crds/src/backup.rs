//! Backup: one copy of a Platform's ledger that was restored and proved before it counts.

use k8s_openapi::apimachinery::pkg::{
    api::resource::Quantity,
    apis::meta::v1::{Condition, Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{bucket::Bucket, encryption::Encryption, restore::BackupName, timeout_policy::PlatformName};

/// One copy of a Platform's ledger. It is taken from the running database, restored into a scratch server and verified
/// there: sums, balances, holds and the hash chain up to the head that the ledger had when the copy began. Only then has it
/// succeeded. The custom resources of the Platform and of its Tenants are kept beside it. Deleting the object keeps the copy.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Backup",
    plural = "backups",
    shortname = "bak",
    category = "payplane",
    namespaced,
    status = "BackupStatus",
    selectable = ".status.state",
    derive = "PartialEq",
    doc = "One copy of a Platform's ledger that was restored and proved before it counts.",
    validation = Rule::new("size(self.metadata.name) <= 52").message("metadata.name can have at most 52 characters"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".spec.platformRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Operations", type_ = "integer", json_path = ".status.operations", description = "Operations that were verified in the restored copy"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type", description = "Full, or Incremental: only what its parent has not"),
    printcolumn(name = "Bytes", type_ = "integer", json_path = ".status.bytes", description = "Size of what was stored for it"),
    printcolumn(name = "Total", type_ = "integer", json_path = ".status.totalBytes", description = "Size of all that a restore of it reads"),
    printcolumn(name = "Objects", type_ = "integer", json_path = ".status.objects.count", description = "Custom resources that are kept with the copy"),
    printcolumn(name = "Parent", type_ = "string", json_path = ".status.parent", description = "The Backup that it builds on", priority = 1),
    printcolumn(name = "Sealed for", type_ = "string", json_path = ".status.sealedFor[*]", description = "Ids of the keys that open it", priority = 1),
    printcolumn(name = "Taken", type_ = "date", json_path = ".status.startedAt", description = "Payments that were acknowledged before are in it"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Succeeded\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a Backup cannot change; create another one"),
    validation = Rule::new("!has(self.bucket) || !has(self.volume.claimName)")
        .message("bucket and volume.claimName are two places: give one of them"),
    validation = Rule::new("!has(self.bucket) || !self.bucket.endpoint.startsWith('http://') || has(self.encryption)")
        .message("by http:// everybody on the way can read the copies: use https://, or seal them with encryption")
)]
pub struct BackupSpec {
    /// Whose ledger: a Platform in the same namespace whose PostgreSQL is managed, or run by CloudNativePG with
    /// `spec.postgres.operator.archive`: then `bucket` is the one of that.
    pub platform_ref: PlatformName,
    /// The volume that the copy is kept in, unless it is kept in a bucket.
    #[serde(default)]
    pub volume: BackupVolume,
    /// The bucket that the copy is kept in. Default: it is kept in the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Seals the copy. Default: it is stored as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The Backup to build on, in the same place: only files that it and those that it builds on do not have are stored, and all of
    /// them are needed for a restore. If nothing can build on it the copy is a full one, and status.fullBecause says why.
    /// Default: a full copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<BackupName>,
    /// How long it may take, restoring and verifying included. What takes longer has failed.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 60, max = 86_400))]
    pub deadline_seconds: i64,
}

/// The volume that copies are kept in, each in a directory of its Backup's name.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.claimName) || !has(self.storageClassName)")
        .message("storageClassName is for the volume that is made; a claim that exists has its own")
)]
pub struct BackupVolume {
    /// A PersistentVolumeClaim in the same namespace. Default: `<platform>-backups`, which is made and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: Option<String>,
    /// Size of the volume that is made. One that exists keeps its size.
    #[serde(default = "ten_gibibytes")]
    pub size: Quantity,
    /// Its StorageClass. Default: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl Default for BackupVolume {
    fn default() -> Self {
        Self { claim_name: None, size: ten_gibibytes(), storage_class_name: None }
    }
}

/// How far a Backup is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum BackupState {
    /// Nothing was done yet.
    #[default]
    New,
    /// It is being taken, restored and verified.
    Running,
    /// The copy is there, and its ledger is sound.
    Succeeded,
    /// There is no copy that could be relied on.
    Failed,
}

/// What a copy stores.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum BackupType {
    /// All of the database.
    Full,
    /// What changed since its parent.
    Incremental,
}

/// What is known about a Backup.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// How far it is.
    #[serde(default)]
    pub state: BackupState,
    /// When it began. Every payment that was acknowledged before is in the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// The end of the ledger's hash chain when it began, as SEAL:LINK. The copy was found to contain it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub head: Option<String>,
    /// Where the copy is, as CLAIM/DIRECTORY or s3://BUCKET/NAME.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub location: Option<String>,
    /// What the copy stores.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<BackupType>,
    /// The Backup that it builds on, which it needs. Absent if it is a full one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 52))]
    pub parent: Option<String>,
    /// Why it is a full one though spec.parentRef names a Backup to build on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub full_because: Option<String>,
    /// Size of what was stored for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Size of all that a restore of it reads: its own, and that of the copies that it builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<i64>,
    /// Ids of the keys that open the copy: any of them. Empty if it is not sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 16)))]
    pub sealed_for: Vec<String>,
    /// Operations that were verified in the restored copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<i64>,
    /// The custom resources that are kept with the copy. Absent if there are none: condition ObjectsCopied says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<CopiedObjects>,
    /// What CloudNativePG says of the copy, where it runs the database and takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operated: Option<OperatedCopy>,
    /// How long it took from the finished copy to a verified ledger: the recovery time, as it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_seconds: Option<i64>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled; Settled and Succeeded when it has ended; ObjectsCopied when it has succeeded.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// The custom resources that are kept with a copy: one document that can be applied again.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiedObjects {
    /// Objects in the document.
    pub count: i64,
    /// Its size.
    pub bytes: i64,
    /// SHA-256 of the document, in lower-case hex.
    #[schemars(length(max = 64))]
    pub sha256: String,
}

/// A copy that CloudNativePG took. Every text is its own, as its Backup of the same name has it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperatedCopy {
    /// How far it is, such as `running` or `completed`.
    #[schemars(length(max = 64))]
    pub phase: String,
    /// Where in the bucket, as s3://BUCKET/PREFIX.
    #[schemars(length(max = 320))]
    pub destination: String,
    /// The folder there, one for each ledger.
    #[schemars(length(max = 128))]
    pub server_name: String,
    /// The folder in that.
    #[schemars(length(max = 64))]
    pub backup_id: String,
    /// The server that it was taken from.
    #[schemars(length(max = 253))]
    pub instance: String,
    /// Where in the log it begins.
    #[schemars(length(max = 32))]
    pub begin_lsn: String,
    /// Where in the log it ends: it is whole with the log up to there.
    #[schemars(length(max = 32))]
    pub end_lsn: String,
    /// The first segment of the log that it needs.
    #[schemars(length(max = 64))]
    pub begin_wal: String,
    /// The last segment of the log that it needs.
    #[schemars(length(max = 64))]
    pub end_wal: String,
    /// When CloudNativePG had taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
}

fn an_hour() -> i64 {
    3_600
}

fn ten_gibibytes() -> Quantity {
    Quantity("10Gi".into())
}

impl BackupState {
    /// States after which nothing more happens. Their objects leave the operator's cache.
    pub const SETTLED: [&'static str; 2] = ["Succeeded", "Failed"];
}
