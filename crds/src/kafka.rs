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
    /// One broker run by this operator, for small and demonstration use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,
    /// Several nodes run by Strimzi, which has to be installed. For production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatedKafka>,
    /// Kafka that somebody else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,
}

/// One broker run by this operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// Image with Kafka in /opt/kafka and a user of number 1000, such as the official one. Default: the operator's
    /// setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// The volume of the log.
    #[serde(default)]
    pub storage: Storage,
    /// Requests and limits of the broker. Half of the memory is its heap.
    #[serde(default)]
    pub resources: Resources,
}

/// Kafka that somebody else runs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// Secret with the key `brokers` (`host:port`, separated by commas); `username` and `password` for SCRAM-SHA-512;
    /// `ca.crt` where connections are encrypted; `topic-prefix` where topics are not to begin with `payplane.`.
    pub secret_ref: SecretReference,
}
