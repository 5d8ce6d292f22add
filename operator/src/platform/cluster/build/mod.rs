//! The Cluster, as CloudNativePG reads it. Pure: the same Platform gives the same object, byte for byte.

use std::collections::BTreeMap;

use payplane_crds::{Platform, platform::OperatedPostgres};

use super::QUORUM;
use crate::platform::{
    build::{POSTGRES, tuning},
    credentials::{DATABASE, OWNER},
    foreign::{
        self,
        cloudnative_pg::{
            Bootstrap, Cluster, ClusterSpec, ClusterStorage, Initdb, LocalReference, Postgresql, Synchronous,
        },
    },
    names::Names,
};

/// What a server is sized for when nobody says how much memory it has.
const MEMORY: u64 = 512 << 20;

/// The Cluster, where the Platform asks for one.
pub fn cluster(platform: &Platform, names: &Names) -> Option<Cluster> {
    let spec = platform.spec.postgres.operator.as_ref()?;
    Some(Cluster {
        metadata: foreign::metadata(platform, names.postgres(), POSTGRES, spec.deletion_policy),
        spec: ClusterSpec {
            backup: None,
            bootstrap: Bootstrap { initdb: Some(initdb(names)), recovery: None },
            enable_superuser_access: false,
            env: Vec::new(),
            external_clusters: Vec::new(),
            image_name: spec.image.clone(),
            instances: spec.instances,
            postgresql: Postgresql {
                parameters: parameters(spec),
                // CloudNativePG's own last line would let passwords and balances pass in the clear.
                pg_hba: vec!["hostnossl all all all reject".into()],
                synchronous: synchronous(),
            },
            resources: foreign::resources(&spec.resources),
            storage: ClusterStorage {
                size: spec.storage.size.0.clone(),
                storage_class: spec.storage.storage_class_name.clone(),
            },
        },
        status: None,
    })
}

/// As in a database that is managed here: the same owner, who also makes the engine's logins.
fn initdb(names: &Names) -> Initdb {
    Initdb {
        data_checksums: true,
        database: DATABASE.into(),
        encoding: "UTF8".into(),
        locale_collate: "C.UTF-8".into(),
        locale_c_type: "C.UTF-8".into(),
        owner: OWNER.into(),
        post_init_sql: vec![format!("alter role {OWNER} createrole")],
        secret: LocalReference { name: names.database_owner() },
    }
}

/// A payment that was answered is on a standby's disk, too. When none is there payments wait, and one that may lack some is
/// never promoted.
fn synchronous() -> Synchronous {
    Synchronous {
        data_durability: "required".into(),
        failover_quorum: true,
        method: "any".into(),
        number: QUORUM,
    }
}

fn parameters(spec: &OperatedPostgres) -> BTreeMap<String, String> {
    let own = [
        ("max_connections", "100".into()),
        // Said aloud, though it is the default: it is what the standbys wait with.
        ("synchronous_commit", "on".into()),
        ("timezone", "UTC".into()),
    ];
    let tuned = tuning::of_memory(&spec.resources, MEMORY);
    own.into_iter().chain(tuned).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
