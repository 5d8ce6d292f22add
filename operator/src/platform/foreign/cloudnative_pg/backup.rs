//! `Backup` of CloudNativePG, `postgresql.cnpg.io/v1`: what is written of it, and what is read of its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::LocalReference;

/// What is wanted of a copy.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "postgresql.cnpg.io",
    version = "v1",
    kind = "Backup",
    plural = "backups",
    root = "OperatedBackup",
    namespaced,
    schema = "disabled",
    status = "OperatedBackupStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct OperatedBackupSpec {
    /// Of which Cluster.
    pub cluster: LocalReference,
    /// By which means.
    pub method: String,
    /// Of which server.
    pub target: String,
}

/// What CloudNativePG says of a copy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperatedBackupStatus {
    /// How far it is.
    pub phase: String,
    /// What went wrong, for people.
    pub error: String,
    /// What the program that failed said.
    pub command_error: String,
    /// The copy's name in the store.
    pub backup_id: String,
    /// Where the store is.
    pub destination_path: String,
    /// The folder in it.
    pub server_name: String,
    /// Where in the log it begins.
    #[serde(rename = "beginLSN")]
    pub begin_lsn: String,
    /// Where in the log it ends.
    #[serde(rename = "endLSN")]
    pub end_lsn: String,
    /// The first segment that it needs.
    pub begin_wal: String,
    /// The last segment that it needs.
    pub end_wal: String,
    /// The server that it was taken from.
    #[serde(rename = "instanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<Instance>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
}

/// A server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Instance {
    /// Its pod.
    pub pod_name: String,
}
