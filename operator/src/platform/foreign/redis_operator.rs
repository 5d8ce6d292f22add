//! `RedisReplication` of the Redis operator of Opstree, `redis.redis.opstreelabs.in/v1beta2`: what is written of it, and what is
//! read of its status. Written for 0.23, which has a Service of the primary and says who that is.

use k8s_openapi::api::core::v1::{EnvVar, PodSecurityContext, ResourceRequirements, SecurityContext};
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::SecretKey;

/// What is wanted of a RedisReplication.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "redis.redis.opstreelabs.in",
    version = "v1beta2",
    kind = "RedisReplication",
    plural = "redisreplications",
    namespaced,
    schema = "disabled",
    status = "RedisReplicationStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct RedisReplicationSpec {
    /// How the servers are reached.
    #[serde(rename = "TLS")]
    pub tls: Tls,
    /// Who may do what.
    pub acl: Users,
    /// How many servers.
    pub cluster_size: i32,
    /// Of the servers' environment.
    pub env: Vec<EnvVar>,
    /// What writes the servers' settings, where that is not done by the servers' image.
    pub init_container: InitContainer,
    /// How the servers run.
    pub kubernetes_config: KubernetesConfig,
    /// Of each pod.
    pub pod_security_context: PodSecurityContext,
    /// Settings of the servers.
    pub redis_config: RedisConfig,
    /// Of each server.
    pub security_context: SecurityContext,
}

/// Names of files in a Secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Tls {
    /// The authority.
    pub ca: String,
    /// The servers' certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// The Secret.
    pub secret: SecretVolume,
}

/// A Secret as files.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretVolume {
    /// Its name.
    pub secret_name: String,
}

/// Who may do what: the file `user.acl` of a Secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Users {
    /// The Secret.
    pub secret: SecretVolume,
}

/// What runs before a server. `enabled` is about one of ours, which there is not; the rest is about the operator's too.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InitContainer {
    /// Whether there is one of ours.
    pub enabled: bool,
    /// Image of ours.
    pub image: String,
    /// Of the operator's too.
    pub security_context: SecurityContext,
}

/// How the servers run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubernetesConfig {
    /// Image of the servers.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: String,
    /// The password of the operator's user and of the servers among each other.
    pub redis_secret: SecretKey,
    /// Requests and limits of each server.
    pub resources: ResourceRequirements,
}

/// Settings of the servers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RedisConfig {
    /// ConfigMap whose `redis-additional.conf` is read last.
    pub additional_redis_config: String,
}

/// What the operator says of a RedisReplication.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RedisReplicationStatus {
    /// Pod of the primary, while replicas follow one.
    pub master_node: String,
}
