//! What the Redis operator of Opstree is given, one builder each. Pure: the same Platform gives the same objects, byte for byte.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, SecurityContext};
use payplane_crds::{
    Platform,
    platform::{OperatedRedis, Resources},
};

use crate::{
    meta::{owned, short_hash},
    platform::{
        build::{
            container::{pod_security, resources, security, variable},
            redis::{REDIS, hash, maximum, reached_at, users},
        },
        foreign::{
            SecretKey,
            redis_operator::{
                InitContainer, KubernetesConfig, RedisConfig, RedisReplication, RedisReplicationSpec,
                SecretVolume, Tls, Users,
            },
        },
        names::Names,
    },
};

/// The password of the operator's user, in the engines' Secret.
pub const OPERATOR_PASSWORD: &str = "operator-password";

/// Who nobody is in the list of a managed server.
const NOBODY: &str = "user default off\n";
/// The user of the operator's images.
const USER: i64 = 1000;
/// Makes new pods where it changes.
const RESTART: &str = "PAYPLANE_RESTART";

/// The objects.
pub struct OperatedParts {
    /// Settings of the servers.
    pub settings: ConfigMap,
    /// The servers.
    pub replication: RedisReplication,
}

/// Builds what is not secret. `certificate` makes new pods when it changes: it is read at the start only.
pub fn parts(platform: &Platform, spec: &OperatedRedis, names: &Names, certificate: &str) -> OperatedParts {
    let settings = settings(&spec.resources);
    let restart = short_hash([certificate.as_bytes(), settings.as_bytes()]);
    OperatedParts {
        settings: ConfigMap {
            metadata: owned(platform, names.redis_set(), REDIS),
            data: Some(BTreeMap::from([("redis-additional.conf".into(), settings)])),
            ..ConfigMap::default()
        },
        replication: RedisReplication {
            metadata: owned(platform, names.redis_set(), REDIS),
            spec: replication(spec, names, restart),
            status: None,
        },
    }
}

/// How engines reach the primary and as whom, and the servers' list of users. Unlike a managed server they have one user more:
/// the operator, which may do anything, and as which they follow each other.
pub fn login(
    platform: &Platform,
    names: &Names,
    (password, operator): (&str, String),
    ca_pem: &str,
) -> Secret {
    let default = format!("user default on #{} ~* &* +@all\n", hash(&operator));
    let servers = [("user.acl", users(password).replace(NOBODY, &default)), (OPERATOR_PASSWORD, operator)];
    reached_at(platform, names, &names.redis_primary(), (password, ca_pem), servers)
}

/// As of a managed server: bounded, nothing is kept, and who comes needs no certificate. The operator's own setting takes one
/// of who has one, and turns its servers away from each other, whose certificates are for servers.
fn settings(resources: &Resources) -> String {
    let maximum = maximum(resources);
    format!(
        "maxmemory {maximum}\nmaxmemory-policy allkeys-lru\nmaxclients 1000\nsave \"\"\nappendonly no\n\
         tls-auth-clients no\n"
    )
}

fn replication(spec: &OperatedRedis, names: &Names, restart: String) -> RedisReplicationSpec {
    RedisReplicationSpec {
        tls: Tls {
            ca: "ca.crt".into(),
            cert: "tls.crt".into(),
            key: "tls.key".into(),
            secret: SecretVolume { secret_name: names.redis_set_tls() },
        },
        acl: Users { secret: SecretVolume { secret_name: names.redis() } },
        cluster_size: spec.instances,
        env: vec![variable(RESTART, restart)],
        init_container: InitContainer {
            enabled: false,
            image: spec.image.clone(),
            security_context: security(),
        },
        kubernetes_config: KubernetesConfig {
            image: spec.image.clone(),
            image_pull_policy: "IfNotPresent".into(),
            redis_secret: SecretKey { key: OPERATOR_PASSWORD.into(), name: names.redis() },
            resources: resources(&spec.resources, "50m", "64Mi"),
        },
        pod_security_context: pod_security(USER),
        redis_config: RedisConfig { additional_redis_config: names.redis_set() },
        // Its images write their settings beside their programs when they start.
        security_context: SecurityContext { read_only_root_filesystem: None, ..security() },
    }
}

#[cfg(test)]
mod tests;
