//! ConfigMaps of a Platform. Nothing in them is secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use payplane_crds::Platform;

use super::{ENGINE, POSTGRES};
use crate::{meta::owned, platform::names::Names};

/// Who may connect to PostgreSQL.
pub const HBA: &str = include_str!("pg_hba.conf");
/// How the volume is prepared.
pub const INITIALISE: &str = include_str!("initialise.sh");
/// How a segment of the log is stored.
pub const ARCHIVE: &str = include_str!("archive.sh");

/// How a segment is handed over to be sealed and stored.
pub const SPOOL: &str = include_str!("spool.sh");

/// The authority's certificate, for whoever calls the engine.
pub fn authority(platform: &Platform, names: &Names, ca_pem: &str) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names.ca(), ENGINE),
        data: Some(BTreeMap::from([("ca.crt".into(), ca_pem.into())])),
        ..ConfigMap::default()
    }
}

/// What PostgreSQL starts with.
pub fn postgres(platform: &Platform, names: &Names) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names.postgres(), POSTGRES),
        data: Some(BTreeMap::from([
            ("archive.sh".into(), ARCHIVE.into()),
            ("initialise.sh".into(), INITIALISE.into()),
            ("pg_hba.conf".into(), HBA.into()),
            ("spool.sh".into(), SPOOL.into()),
        ])),
        ..ConfigMap::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::fixture, *};

    #[test]
    fn the_database_accepts_encrypted_connections_only() {
        let rules: Vec<&str> = HBA.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            rules,
            [
                "hostssl all all all scram-sha-256",
                "hostssl replication payplane_owner all scram-sha-256",
                "local all all scram-sha-256"
            ],
            "another rule would open another way in"
        );
    }

    #[test]
    fn postgres_finds_its_files_by_these_names() {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
        assert_eq!(
            serde_json::to_value(postgres(&platform, &fixture::names())).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": fixture::owned("main-postgres", "postgres"),
                "data": {"archive.sh": ARCHIVE, "initialise.sh": INITIALISE, "pg_hba.conf": HBA, "spool.sh": SPOOL},
            })
        );
        assert_eq!(
            serde_json::to_value(authority(&platform, &fixture::names(), "PEM")).unwrap()["data"],
            json!({"ca.crt": "PEM"})
        );
    }
}
