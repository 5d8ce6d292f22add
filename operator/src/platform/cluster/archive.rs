//! The bucket in which CloudNativePG stores a Cluster's log and copies, as a Cluster names it. Pure.
//!
//! Each ledger has a folder of its own there (`serverName`), which it keeps for its life: CloudNativePG refuses to mix the logs
//! of two servers, and a ledger that was restored goes on beside the one that it was made of. What the Secret with the
//! credentials has is named only if it is there, because CloudNativePG stores nothing while an entry is missing.

use k8s_openapi::api::core::v1::{EnvVar, Secret};
use kube::{Resource, ResourceExt};
use payplane_crds::{Platform, bucket::Bucket, platform::Archive};

use super::observe::ObservedCluster;
use crate::platform::{
    container::variable,
    foreign::cloudnative_pg::{
        BackupConfiguration, Cluster, EntryReference, S3Credentials, Store,
        store::{DataFiles, Wal},
    },
    names::Names,
    validate::optional,
};

/// Entries of the Secret without which nobody is let in.
pub const NEEDED: [&str; 2] = ["access-key-id", "secret-access-key"];
/// The authority of the bucket's server.
const AUTHORITY: &str = "ca.crt";
/// Of credentials for a time.
const SESSION: &str = "session-token";
/// What every version of Barman that CloudNativePG's images have can do.
const COMPRESSION: &str = "gzip";

/// Adds the archive that the Platform asks for to the Cluster.
pub fn add(cluster: Option<&mut Cluster>, platform: &Platform, names: &Names, observed: &ObservedCluster) {
    let (Some(cluster), Some((archive, bucket)), Some(secret)) =
        (cluster, wanted(platform), &observed.credentials)
    else {
        return;
    };
    let folder = folder(platform, names, observed.live.as_ref());
    let stored = Store {
        data: Some(DataFiles { compression: COMPRESSION.into(), immediate_checkpoint: true }),
        wal: Some(Wal { compression: COMPRESSION.into() }),
        ..store(bucket, folder, secret)
    };
    cluster.spec.backup = Some(BackupConfiguration { barman_object_store: Some(stored) });
    cluster.spec.env = environment(bucket);
    let parameters = &mut cluster.spec.postgresql.parameters;
    parameters.insert("archive_timeout".into(), format!("{}s", archive.every_seconds));
}

/// A Cluster goes on as it began: what a Restore made says so, and would have two beginnings otherwise.
pub fn keep_beginning(cluster: Option<&mut Cluster>, observed: &ObservedCluster) {
    let live = observed.live.as_ref().filter(|live| live.spec.bootstrap.recovery.is_some());
    if let Some((cluster, live)) = cluster.zip(live) {
        cluster.spec.bootstrap = live.spec.bootstrap.clone();
        cluster.spec.external_clusters = live.spec.external_clusters.clone();
    }
}

/// The archive of a Platform whose PostgreSQL CloudNativePG runs. The API server lets none pass without a bucket.
pub fn wanted(platform: &Platform) -> Option<(&Archive, &Bucket)> {
    let archive = platform.spec.postgres.operator.as_ref()?.archive.as_ref()?;
    Some((archive, archive.bucket.as_ref()?))
}

/// The folder of a bucket in which a ledger is stored.
pub fn store(bucket: &Bucket, server_name: String, secret: &Secret) -> Store {
    let entry = |key: &str| EntryReference { name: bucket.credentials_ref.name.clone(), key: key.into() };
    let given = |key: &str| optional(secret, key).map(|_| entry(key));
    let [access_key_id, secret_access_key] = NEEDED.map(entry);
    Store {
        destination_path: destination(bucket),
        endpoint_ca: given(AUTHORITY),
        endpoint_url: bucket.endpoint.trim_end_matches('/').into(),
        s3_credentials: S3Credentials { access_key_id, secret_access_key, session_token: given(SESSION) },
        server_name,
        ..Store::default()
    }
}

/// As Barman has it.
pub fn destination(bucket: &Bucket) -> String {
    let parts = [bucket.name.as_str(), bucket.prefix.as_str()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("s3://{}", parts.join("/"))
}

/// What the library has to be told that Barman uses. Newer ones send checksums that not every server knows, unless they are asked
/// not to, as CloudNativePG's documentation does.
pub fn environment(bucket: &Bucket) -> Vec<EnvVar> {
    vec![
        variable("AWS_DEFAULT_REGION", bucket.region.clone()),
        variable("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required".into()),
        variable("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".into()),
    ]
}

/// The one that the Cluster has, or else a new one: a name alone may have been another ledger's before.
fn folder(platform: &Platform, names: &Names, live: Option<&Cluster>) -> String {
    let known = live.and_then(|live| {
        let store = live.spec.backup.as_ref()?.barman_object_store.as_ref()?;
        Some(store.server_name.clone()).filter(|name| !name.is_empty())
    });
    let whose = live.and_then(|live| live.meta().uid.clone()).or_else(|| platform.uid());
    known.unwrap_or_else(|| format!("{}-{}", names.postgres(), whose.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
