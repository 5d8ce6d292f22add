//! Where a Cluster stores its log and its copies, and where another one finds them: Barman's, in a bucket.
//!
//! This is the store that CloudNativePG has in itself (`barmanObjectStore`), not the plugin that is to follow it
//! (`barman-cloud.cloudnative-pg.io`): every version that we write for has it, nothing else has to be installed, and its
//! condition and its Backups tell all that we pass on. CloudNativePG means to take it away in a later version.

use serde::{Deserialize, Serialize};

/// What is stored, and where.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackupConfiguration {
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barman_object_store: Option<Store>,
}

/// A folder of a bucket.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Store {
    /// As s3://BUCKET/PREFIX.
    pub destination_path: String,
    /// The authority of the server's certificate.
    #[serde(rename = "endpointCA", skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<EntryReference>,
    /// The server.
    #[serde(rename = "endpointURL")]
    pub endpoint_url: String,
    /// How it is asked.
    pub s3_credentials: S3Credentials,
    /// The folder below the prefix: one for each ledger.
    pub server_name: String,
    /// How copies are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFiles>,
    /// How the log is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal: Option<Wal>,
}

/// How copies are stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataFiles {
    /// How they are compressed.
    pub compression: String,
    /// Does not wait for the next checkpoint.
    pub immediate_checkpoint: bool,
}

/// How the log is stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Wal {
    /// How segments are compressed.
    pub compression: String,
}

/// How a bucket is asked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct S3Credentials {
    /// Who asks.
    pub access_key_id: EntryReference,
    /// By which secret.
    pub secret_access_key: EntryReference,
    /// Of credentials for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<EntryReference>,
}

/// An entry of a Secret of the same namespace.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct EntryReference {
    /// The Secret.
    pub name: String,
    /// The entry.
    pub key: String,
}

/// A ledger that is not this Cluster's own, as far as it is stored.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExternalCluster {
    /// By which it is referred to.
    pub name: String,
    /// Where it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barman_object_store: Option<Store>,
}
