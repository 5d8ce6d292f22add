//! Platform: one engine with the database that it keeps its ledger in.

mod operated;
mod redis;
mod upgrade;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    backup::BackupVolume, bucket::Bucket, encryption::Encryption, kafka::KafkaSpec,
    reference::SecretReference,
};

pub use operated::{DeletionPolicy, OperatedKafka, OperatedPostgres, OperatedRedis};
pub use redis::{ExternalRedis, ManagedRedis, RedisSpec};
pub use upgrade::MajorUpgrade;

/// A payment platform: the engine, its PostgreSQL, and the certificates between them. Deleting it keeps the volume
/// with the ledger.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Platform",
    plural = "platforms",
    shortname = "plat",
    category = "payplane",
    namespaced,
    status = "PlatformStatus",
    derive = "PartialEq",
    doc = "A payment platform: the engine, its PostgreSQL, and the certificates between them.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("metadata.name can have at most 40 characters"),
    validation = Rule::new("!has(oldSelf.spec.kafka) || !has(oldSelf.spec.kafka.managed) || has(self.spec.kafka)")
        .message("managed Kafka cannot be taken away: its server and volume would stay behind"),
    validation = Rule::new("!has(oldSelf.spec.kafka) || !has(oldSelf.spec.kafka.operator) || has(self.spec.kafka)")
        .message("Kafka that Strimzi runs cannot be taken away: its nodes and volumes would stay behind"),
    printcolumn(name = "Engines", type_ = "integer", json_path = ".status.readyReplicas", description = "Engine pods that answer"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct PlatformSpec {
    /// Where the ledger is kept.
    pub postgres: PostgresSpec,
    /// The engine that moves the money.
    #[serde(default)]
    pub engine: EngineSpec,
    /// Where the engine publishes the journal. Without it, nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// Redis that the engines share. Default: none; then a tenant's rate holds for each engine by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisSpec>,
    /// What happens after the ledger was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestorePolicy>,
}

/// What happens after the ledger was restored.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestorePolicy {
    /// What becomes of Payments, captures and Refunds that are older than the restore and that the ledger does not know.
    /// `Flag`, the default: they are not done again; each says `LostByRestore` and can be consented to. `Replay`: all of
    /// them are done again, once, under their keys.
    #[serde(default)]
    pub payments: LostPayments,
}

/// What becomes of what a restore lost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LostPayments {
    /// It waits for somebody's consent.
    #[default]
    Flag,
    /// It is done again.
    Replay,
}

/// PostgreSQL: exactly one of `managed`, `operator` and `external`.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.operator), has(self.external)].filter(given, given).size() == 1")
        .message("give exactly one of managed, operator and external"),
    validation = Rule::new("has(self.managed) == has(oldSelf.managed) && has(self.operator) == has(oldSelf.operator)")
        .message("the mode cannot change: the ledger would stay behind in the old database")
)]
pub struct PostgresSpec {
    /// One PostgreSQL server run by this operator, for small and demonstration use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPostgres>,
    /// Several PostgreSQL servers with synchronous standbys, run by CloudNativePG, which has to be installed. For production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatedPostgres>,
    /// A database that somebody else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgres>,
}

/// One PostgreSQL server run by this operator.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.rotation >= oldSelf.rotation").message("rotation only grows: it counts changes")
)]
pub struct ManagedPostgres {
    /// Image with PostgreSQL's binaries on the PATH, such as the official one. Default: the operator's setting. The server stays at its
    /// major version, which the tag begins with, unless `upgrade` consents to another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Consent to bring the ledger to the later major version of `image`. Payments wait meanwhile, the ledger of before is kept on the
    /// volume, which needs room for both, and a failure leaves everything as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<MajorUpgrade>,
    /// The volume of the ledger.
    #[serde(default)]
    pub storage: Storage,
    /// Requests and limits of the server.
    #[serde(default)]
    pub resources: Resources,
    /// Stores the server's log as it is written, so that a Restore can go to any moment after a Backup. Off by default: it
    /// needs room for it. When it cannot be stored payments go on, and a BackupSchedule says so (`ArchiveCurrent`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// Counts changes of the database's logins. A higher number makes a new login with a new password, brings it to the
    /// engines one by one, and then ends the one of before and gives the database's owner a new password.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rotation: i32,
}

/// Where the log is stored, and how often at least.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.bucket) || !has(self.volume.claimName)")
        .message("bucket and volume.claimName are two places: give one of them"),
    validation = Rule::new("!has(self.bucket) || !self.bucket.endpoint.startsWith('http://') || has(self.encryption)")
        .message("by http:// everybody on the way can read the copies: use https://, or seal them with encryption")
)]
pub struct Archive {
    /// The volume, in a folder `wal`, unless a bucket is named. By default the one that Backups use.
    #[serde(default)]
    pub volume: BackupVolume,
    /// The bucket, below `wal`. A Restore finds the log only in the place of its Backup. Default: the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// A segment of the log is stored when it is full, or this long after its first change.
    #[serde(default = "a_minute")]
    #[schemars(range(min = 5, max = 3600))]
    pub every_seconds: i32,
    /// Seals each segment. Default: they are compressed and stored as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

fn a_minute() -> i32 {
    60
}

/// A persistent volume.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
        .message("a volume can only grow: to shrink, back the ledger up and restore it into a smaller Platform"),
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && \
         (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName cannot change: back the ledger up and restore it into another Platform")
)]
pub struct Storage {
    /// How large. It can grow where the StorageClass allows it, and never shrink.
    pub size: Quantity,
    /// Which StorageClass. Default: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: Quantity("8Gi".into()), storage_class_name: None }
    }
}

/// Requests and limits of a container.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the pod is guaranteed, such as `{cpu: 100m, memory: 128Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, Quantity>,
    /// What the pod may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, Quantity>,
}

/// A database that somebody else runs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPostgres {
    /// Secret with the keys `host`, `port`, `dbname`, `username` and `password` of the database's owner, and `ca.crt`
    /// where the server's certificate has a private authority.
    pub secret_ref: SecretReference,
}

/// The engine that moves the money.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineSpec {
    /// How many engines run at once.
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 64))]
    pub replicas: i32,
    /// Image of the engine. Default: the operator's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Requests and limits of each engine.
    #[serde(default)]
    pub resources: Resources,
}

impl Default for EngineSpec {
    fn default() -> Self {
        Self { replicas: two(), image: None, resources: Resources::default() }
    }
}

fn two() -> i32 {
    2
}

/// What is known about a Platform.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformStatus {
    /// Host and port of the engine's gRPC API inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub endpoint: Option<String>,
    /// Engine pods that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Name of the ledger on the managed database's volume. Another one after each Restore into it and after a major upgrade; both
    /// name it as consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub ledger: Option<String>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, PostgresReady, Migrated, EngineReady; KafkaReady and RedisReady where the spec asks for them,
    /// CredentialsRotated after a change of logins, Upgrading during and after a major upgrade of PostgreSQL, RolledBack, Restoring and
    /// Paused while that is so.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
