//! Kafka of a Platform: where the engine publishes the journal.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    platform::{OperatedKafka, Resources, Storage},
    reference::SecretReference,
};

/// Kafka: exactly one of `managed`, `operator` and `external`.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.operator), has(self.external)].filter(given, given).size() == 1")
        .message("give exactly one of managed, operator and external"),
    validation = Rule::new("!has(oldSelf.managed) || has(self.managed)")
        .message("managed Kafka cannot be taken away: its server and volume would stay behind"),
    validation = Rule::new("!has(oldSelf.operator) || has(self.operator)")
        .message("Kafka that Strimzi runs cannot be taken away: its nodes and volumes would stay behind")
)]
pub struct KafkaSpec {
    /// One node run by this operator, or three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,
    /// Several nodes run by Strimzi, which has to be installed. For production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatedKafka>,
    /// Kafka that somebody else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,
}

/// Nodes run by this operator, each broker and controller.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.replicas != 2").message("replicas is 1 or 3: two nodes outlive no failure of one"),
    validation = Rule::new("self.replicas == oldSelf.replicas")
        .message("replicas cannot change: who votes for the controller is fixed when Kafka is made. Back the ledger up and \
         restore it into another Platform, which publishes the journal again")
)]
pub struct ManagedKafka {
    /// How many nodes: one, for small and demonstration use, or three. Of three each has every event, and two have it before
    /// it counts as published.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 3))]
    pub replicas: i32,
    /// Image with Kafka in /opt/kafka and a user of number 1000, such as the official one. Default: the operator's
    /// setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The volume of each node's log.
    #[serde(default)]
    pub storage: Storage,
    /// Requests and limits of each node. Half of the memory is its heap.
    #[serde(default)]
    pub resources: Resources,
    /// Who may read events, besides nobody. One that is taken out of the list can neither log in nor read from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub users: Vec<KafkaReader>,
}

impl Default for ManagedKafka {
    fn default() -> Self {
        Self {
            replicas: one(),
            image: None,
            storage: Storage::default(),
            resources: Resources::default(),
            users: Vec::new(),
        }
    }
}

fn one() -> i32 {
    1
}

/// A consumer: it may read the topic of events, as a member of its groups, and nothing else.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.name != 'payplane-engine'").message("name payplane-engine is the engine's own: choose another")
)]
pub struct KafkaReader {
    /// The name in Kafka. How it logs in is in the Secret `PLATFORM-kafka-user-NAME`; deleting that makes a new password.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The groups that it may be a member of, which keep how far it has read. Default: one with the user's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 200), regex(pattern = r"^[a-zA-Z0-9._-]+$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub groups: Vec<String>,
}

/// Kafka that somebody else runs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Secret with the key `brokers` (`host:port`, separated by commas); `username` and `password` for SCRAM-SHA-512;
    /// `ca.crt` where connections are encrypted; `topic-prefix` where topics are not to begin with `payplane.`.
    pub secret_ref: SecretReference,
}
