//! One Redis server: with a password, encrypted, bounded in memory, without a disk.
//!
//! Works with any image that has redis-server and redis-cli on its PATH and lets them run as number 999. What it holds goes
//! with its pod, which is why it is a Deployment.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{Container, ContainerPort, ExecAction, PodSpec, PodTemplateSpec, Probe, Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use payplane_crds::{
    Platform,
    platform::{ManagedRedis, Resources},
};
use sha2::{Digest, Sha256};

use super::{
    container::{mount, pod_security, resources, scratch, secret_volume, security},
    secret, service,
};
use crate::{
    context::Settings,
    meta::{RESTART, labels, owned, selector, short_hash},
    platform::{
        names::{Names, REDIS_PORT},
        quantity,
    },
};

/// Component label of Redis' objects.
pub const REDIS: &str = "redis";
/// The engines' user.
pub const USERNAME: &str = "payplane";

/// What the engines' user may do: the commands that engines use, on keys and channels of theirs.
const USERS: &str = include_str!("users.acl");
/// The user `redis` of Debian-based images.
const USER: i64 = 999;
const LOGIN_DIR: &str = "/etc/payplane/redis";
const TLS_DIR: &str = "/etc/payplane/tls";
const MIB: u64 = 1 << 20;
/// What the server is sized for when nobody says how much memory it has.
const MEMORY: u64 = 64 * MIB;

/// Redis' objects.
pub struct RedisParts {
    /// Its name in the network.
    pub service: Service,
    /// The server.
    pub deployment: Deployment,
}

/// Builds what is not secret. `certificate` restarts the server when it changes: it is read at the start only.
pub fn parts(
    platform: &Platform,
    spec: &ManagedRedis,
    settings: &Settings,
    names: &Names,
    certificate: &str,
) -> RedisParts {
    let ports = vec![service::port(REDIS, REDIS_PORT, REDIS)];
    RedisParts {
        service: service::service(owned(platform, names.redis(), REDIS), names, REDIS, ports, None),
        deployment: deployment(platform, spec, settings, names, certificate),
    }
}

/// How engines reach the server and as whom, and the server's list of users, which has a hash of the password only.
pub fn login(platform: &Platform, names: &Names, password: &str, ca_pem: &str) -> Secret {
    let users = [("users.acl", users(password))];
    reached_at(platform, names, &names.redis(), (password, ca_pem), users)
}

/// The Secret by which engines reach the Redis behind a Service, and what its servers have to know beside that.
pub fn reached_at<const N: usize>(
    platform: &Platform,
    names: &Names,
    service: &str,
    (password, ca_pem): (&str, &str),
    servers: [(&'static str, String); N],
) -> Secret {
    let engines = [
        ("host", names.host(service)),
        ("port", REDIS_PORT.to_string()),
        ("username", USERNAME.to_owned()),
        ("password", password.to_owned()),
        ("ca.crt", ca_pem.to_owned()),
    ];
    let values: Vec<(&'static str, String)> = engines.into_iter().chain(servers).collect();
    secret::opaque(owned(platform, names.redis(), REDIS), &values)
}

/// The engines' user as the only one.
pub fn users(password: &str) -> String {
    USERS.replace("{password}", &hash(password))
}

/// As a list of users has a password.
pub fn hash(password: &str) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How much a server may remember, as `maxmemory` has it: three quarters of what it has.
pub fn maximum(resources: &Resources) -> String {
    format!("{}mb", (quantity::memory(resources, MEMORY) / 4 * 3 / MIB).max(1))
}

fn deployment(
    platform: &Platform,
    spec: &ManagedRedis,
    settings: &Settings,
    names: &Names,
    certificate: &str,
) -> Deployment {
    let restart = short_hash([certificate.as_bytes(), USERS.as_bytes()]);
    Deployment {
        metadata: owned(platform, names.redis(), REDIS),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(1),
            selector: LabelSelector {
                match_labels: Some(selector(&names.platform, REDIS)),
                ..LabelSelector::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    annotations: Some(BTreeMap::from([(RESTART.into(), restart)])),
                    labels: Some(labels(&names.platform, REDIS)),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    automount_service_account_token: Some(false),
                    containers: vec![server(spec, settings)],
                    enable_service_links: Some(false),
                    security_context: Some(pod_security(USER)),
                    volumes: Some(vec![
                        scratch("data"),
                        secret_volume("redis", names.redis()),
                        secret_volume("tls", names.redis_tls()),
                    ]),
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn server(spec: &ManagedRedis, settings: &Settings) -> Container {
    Container {
        name: REDIS.into(),
        command: Some(vec!["redis-server".into()]),
        args: Some(arguments(spec)),
        image: Some(spec.image.clone().unwrap_or_else(|| settings.redis_image.clone())),
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![ContainerPort {
            name: Some(REDIS.into()),
            container_port: REDIS_PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(probe(3)),
        liveness_probe: Some(probe(12)),
        resources: Some(resources(&spec.resources, "50m", "64Mi")),
        security_context: Some(security()),
        volume_mounts: Some(vec![
            mount("data", "/data", false),
            mount("redis", LOGIN_DIR, true),
            mount("tls", TLS_DIR, true),
        ]),
        ..Container::default()
    }
}

fn arguments(spec: &ManagedRedis) -> Vec<String> {
    let port = REDIS_PORT.to_string();
    let file = |directory: &str, name: &str| format!("{directory}/{name}");
    let maximum = maximum(&spec.resources);
    let settings = [
        ("--port", "0"),
        ("--tls-port", &port),
        ("--tls-auth-clients", "no"),
        ("--tls-cert-file", &file(TLS_DIR, "tls.crt")),
        ("--tls-key-file", &file(TLS_DIR, "tls.key")),
        ("--tls-ca-cert-file", &file(TLS_DIR, "ca.crt")),
        ("--aclfile", &file(LOGIN_DIR, "users.acl")),
        ("--maxmemory", &maximum),
        ("--maxmemory-policy", "allkeys-lru"),
        ("--maxclients", "1000"),
        // Nothing is kept: what is remembered is in the database too.
        ("--save", ""),
        ("--appendonly", "no"),
        ("--dir", "/data"),
    ];
    settings.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]).collect()
}

/// Whether it answers: that a caller without a password is turned away is an answer too.
fn probe(failures: i32) -> Probe {
    let ca = format!("{TLS_DIR}/ca.crt");
    let command = ["redis-cli", "--tls", "--cacert", &ca, "-h", "localhost", "ping"];
    Probe {
        exec: Some(ExecAction { command: Some(command.map(String::from).to_vec()) }),
        period_seconds: Some(5),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

#[cfg(test)]
mod tests;
