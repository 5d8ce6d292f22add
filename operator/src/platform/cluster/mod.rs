//! PostgreSQL that CloudNativePG runs for a Platform: a `Cluster` of several servers with synchronous standbys.
//!
//! CloudNativePG makes the servers, their certificates and the Service of the primary, and moves the primary. Ours are the
//! owner's password and the engine's login, as with a database that is managed here, and the Cluster's spec. The Cluster
//! is kept when the Platform goes, unless the spec says otherwise, and one that somebody else made is left alone.

pub mod archive;
pub mod build;
pub mod observe;
pub mod report;
pub mod validate;

use k8s_openapi::api::core::v1::Secret;

use super::{
    names::{Names, POSTGRES_PORT},
    validate::Database,
};

/// What has to be installed.
pub const VENDOR: &str = "CloudNativePG 1.28 or newer";
/// How many standbys have a commit before it is answered.
pub const QUORUM: i32 = 1;

impl Names {
    /// Service of the primary, which CloudNativePG makes.
    pub fn cluster_primary(&self) -> String {
        format!("{}-rw", self.postgres())
    }

    /// Secret of the authority that signs the servers' certificates, which CloudNativePG makes.
    pub fn cluster_ca(&self) -> String {
        format!("{}-ca", self.postgres())
    }
}

/// How the primary is reached. Pure.
pub fn database(names: &Names, ca_pem: Option<String>) -> Database {
    Database {
        host: names.host(&names.cluster_primary()),
        port: POSTGRES_PORT.to_string(),
        dbname: super::credentials::DATABASE.into(),
        ca_pem,
    }
}

/// Whether the database can be used: without its authority nobody could tell it from somebody else. Pure.
pub fn answers(observed: &observe::ObservedCluster, owner: Option<&Secret>) -> bool {
    observed.live.as_ref().is_some_and(report::serves) && validate::authority(observed, owner).is_some()
}
