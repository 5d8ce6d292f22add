//! `Cluster` of CloudNativePG, `postgresql.cnpg.io/v1`: what is written of it, and what is read of its status. Written
//! for 1.28 and newer, which has `failoverQuorum`. What it stores is in `store`, its own kind of Backup in `backup`.

pub mod backup;
pub mod store;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVar;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Told;
pub use store::{BackupConfiguration, EntryReference, ExternalCluster, S3Credentials, Store};

/// What is wanted of a Cluster.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Cluster",
    plural = "clusters",
    namespaced,
    schema = "disabled",
    status = "ClusterStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Where the log and copies are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupConfiguration>,
    /// How the first server begins; never looked at again.
    pub bootstrap: Bootstrap,
    /// No password for the superuser: nobody needs one.
    pub enable_superuser_access: bool,
    /// Of the servers' environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Where the first server begins with somebody's copy: whose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_clusters: Vec<ExternalCluster>,
    /// Image of the servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// How many servers.
    pub instances: i32,
    /// Settings of the servers.
    pub postgresql: Postgresql,
    /// Requests and limits of each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// The volume of each server.
    pub storage: ClusterStorage,
}

/// How the first server begins.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Bootstrap {
    /// With an empty database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initdb: Option<Initdb>,
    /// With a copy, and the log after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// A copy, the log after it, and the owner of the database in it, who gets another password.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Recovery {
    /// Which of the external clusters.
    pub source: String,
    /// Which copy, and up to where.
    pub recovery_target: RecoveryTarget,
    /// Name of the database.
    pub database: String,
    /// Its owner.
    pub owner: String,
    /// User name and password of the owner.
    pub secret: LocalReference,
}

/// Which copy, and up to where: without more, to the end of the stored log.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RecoveryTarget {
    /// The copy.
    #[serde(rename = "backupID")]
    pub backup_id: String,
    /// What was committed up to this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_time: Option<String>,
    /// Only as far as the copy needs to be whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_immediate: Option<bool>,
}

/// An empty database and its owner.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Initdb {
    /// Damage on the disk is noticed when it is read.
    pub data_checksums: bool,
    /// Name of the database.
    pub database: String,
    /// Its encoding.
    pub encoding: String,
    /// `LC_COLLATE`.
    #[serde(rename = "localeCollate")]
    pub locale_collate: String,
    /// `LC_CTYPE`.
    #[serde(rename = "localeCType")]
    pub locale_c_type: String,
    /// Its owner.
    pub owner: String,
    /// Run once, by the superuser, after the owner was made.
    #[serde(rename = "postInitSQL")]
    pub post_init_sql: Vec<String>,
    /// User name and password of the owner.
    pub secret: LocalReference,
}

/// An object of the same namespace.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct LocalReference {
    /// Its name.
    pub name: String,
}

/// Settings of the servers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Postgresql {
    /// Of `postgresql.conf`.
    pub parameters: BTreeMap<String, String>,
    /// Of `pg_hba.conf`, before CloudNativePG's last line.
    #[serde(rename = "pg_hba")]
    pub pg_hba: Vec<String>,
    /// What a commit waits for.
    pub synchronous: Synchronous,
}

/// What a commit waits for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Synchronous {
    /// `required`: commits wait while too few standbys are there. The other value would let them pass.
    pub data_durability: String,
    /// Promotes a standby only if the ones that can be asked must include one that has every commit.
    pub failover_quorum: bool,
    /// `any`: the quickest standbys count.
    pub method: String,
    /// How many standbys.
    pub number: i32,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterStorage {
    /// How large.
    pub size: String,
    /// Of which class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

/// What CloudNativePG says of a Cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterStatus {
    /// `Ready` among others.
    pub conditions: Vec<Told>,
    /// The server that is written to.
    pub current_primary: String,
    /// The server that is to be written to.
    pub target_primary: String,
    /// Names of servers by how they are, such as `healthy`.
    pub instances_status: BTreeMap<String, Vec<String>>,
    /// The image that the servers run.
    pub image: String,
    /// How many servers are ready.
    pub ready_instances: i32,
    /// In words, for people.
    pub phase: String,
    /// Why, for people.
    pub phase_reason: String,
}
