//! Dependencies that another operator runs for a Platform: PostgreSQL by CloudNativePG, Kafka by Strimzi, Redis by the Redis
//! operator of Opstree. For production.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Archive, Resources, Storage};

/// PostgreSQL that CloudNativePG runs: one primary, and standbys of which one has to have a payment before it is answered.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.rotation >= oldSelf.rotation").message("rotation only grows: it counts changes"),
    validation = Rule::new("!has(self.archive) || has(self.archive.bucket)")
        .message("CloudNativePG stores the log in a bucket only: give archive.bucket"),
    validation = Rule::new("!has(self.archive) || !has(self.archive.encryption)")
        .message("CloudNativePG cannot seal what it stores: leave archive.encryption out, and let the bucket encrypt what is in it"),
    validation = Rule::new("!has(self.archive) || !has(self.archive.bucket) || self.archive.bucket.pathStyle")
        .message("CloudNativePG names the bucket in paths: leave archive.bucket.pathStyle out")
)]
pub struct OperatedPostgres {
    /// How many servers, the primary included. With two, payments wait while one of them is away; with three, while two are.
    #[serde(default = "three")]
    #[schemars(range(min = 2, max = 9))]
    pub instances: i32,
    /// Image for CloudNativePG, which has its own requirements. Default: CloudNativePG's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The volume of each server.
    #[serde(default)]
    pub storage: Storage,
    /// Requests and limits of each server.
    #[serde(default)]
    pub resources: Resources,
    /// Has CloudNativePG store the server's log as it is written, in a bucket, where it keeps its copies too: Backups need it.
    /// The image has to have Barman's programs (`barman-cloud-backup` and its kin). Off by default. Switching it on restarts the
    /// servers, one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// What becomes of the Cluster, and with it of the ledger, when the Platform is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Counts changes of the engine's login. A higher number makes a new login with a new password, brings it to the
    /// engines one by one, and then ends the one of before.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rotation: i32,
}

/// What becomes of what another operator runs when the Platform is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// It goes on, with its volumes: applying the Platform again finds it.
    #[default]
    Retain,
    /// It is deleted, with its volumes.
    Delete,
}

/// Kafka that Strimzi runs: as many nodes as asked for, each broker and controller.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.nodes % 2 == 1").message("nodes is odd: one more would outlive no more failures"),
    validation = Rule::new("self.nodes == oldSelf.nodes")
        .message("nodes cannot change: who votes for the controller is fixed when Kafka is made")
)]
pub struct OperatedKafka {
    /// How many nodes. With three or more each event is on three of them, and two have it before it counts as published.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 9))]
    pub nodes: i32,
    /// Version of Kafka, such as `4.1.0`. Default: Strimzi's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+$"))]
    pub version: Option<String>,
    /// The volume of each node.
    #[serde(default)]
    pub storage: Storage,
    /// Requests and limits of each node.
    #[serde(default)]
    pub resources: Resources,
    /// What becomes of Kafka when the Platform is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Redis that the Redis operator of Opstree runs: a primary, which engines use, and replicas of it.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatedRedis {
    /// How many servers, the primary included.
    #[serde(default = "two")]
    #[schemars(range(min = 2, max = 9))]
    pub instances: i32,
    /// Image for the Redis operator, which has its own requirements.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Requests and limits of each server. It uses three quarters of the memory and forgets what was used longest ago.
    #[serde(default)]
    pub resources: Resources,
}

fn two() -> i32 {
    2
}

fn three() -> i32 {
    3
}
