//! `Kafka`, `KafkaNodePool`, `KafkaTopic` and `KafkaUser` of Strimzi, `kafka.strimzi.io/v1`: what is written of them, and
//! what is read of their status. Strimzi has that version since 0.49, and no other since 1.0.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{SecretKey, Told};

/// Label that says which Kafka a pool, topic or user belongs to.
pub const CLUSTER: &str = "strimzi.io/cluster";

/// What is wanted of a Kafka.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "Kafka",
    plural = "kafkas",
    namespaced,
    schema = "disabled",
    status = "StrimziStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaSpec {
    /// Who makes topics and users.
    pub entity_operator: EntityOperator,
    /// The brokers.
    pub kafka: KafkaCluster,
}

/// Who makes topics and users: both, with Strimzi's own settings.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntityOperator {
    /// Makes topics.
    pub topic_operator: Empty,
    /// Makes users.
    pub user_operator: Empty,
}

/// An object without fields of ours.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Empty {}

/// The brokers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaCluster {
    /// Who may do what is asked: without it everybody who logs in might do everything.
    pub authorization: Typed,
    /// Of `server.properties`.
    pub config: BTreeMap<String, Value>,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Version of Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Something that has a type and no more.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Typed {
    /// Which type.
    #[serde(rename = "type")]
    pub type_: String,
}

/// Where clients connect.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Listener {
    /// How clients say who they are.
    pub authentication: Typed,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: i32,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// From where it is reached.
    #[serde(rename = "type")]
    pub type_: String,
}

/// What is wanted of a pool of nodes.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaNodePool",
    plural = "kafkanodepools",
    namespaced,
    schema = "disabled",
    status = "StrimziStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaNodePoolSpec {
    /// How many nodes.
    pub replicas: i32,
    /// Requests and limits of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// What each does.
    pub roles: Vec<String>,
    /// Their volumes.
    pub storage: Jbod,
}

/// Volumes of a node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Jbod {
    /// `jbod`: a list of volumes, to which more can be added.
    #[serde(rename = "type")]
    pub type_: String,
    /// The volumes.
    pub volumes: Vec<Volume>,
}

/// A volume of a node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// Of which class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Whether it goes with the Kafka.
    pub delete_claim: bool,
    /// Its number.
    pub id: i32,
    /// `shared`: the log of the controllers is here too.
    pub kraft_metadata: String,
    /// How large.
    pub size: String,
    /// `persistent-claim`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// What is wanted of a topic.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaTopic",
    plural = "kafkatopics",
    namespaced,
    schema = "disabled",
    status = "StrimziStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaTopicSpec {
    /// Of the topic.
    pub config: BTreeMap<String, Value>,
    /// How many parts.
    pub partitions: i32,
    /// On how many nodes each is.
    pub replicas: i32,
    /// Its name in Kafka.
    pub topic_name: String,
}

/// What is wanted of a user.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaUser",
    plural = "kafkausers",
    namespaced,
    schema = "disabled",
    status = "StrimziStatus",
    derive = "PartialEq"
)]
#[serde(default, rename_all = "camelCase")]
pub struct KafkaUserSpec {
    /// How it says who it is.
    pub authentication: Authentication,
    /// What it may do.
    pub authorization: Authorization,
}

/// How a user says who it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Authentication {
    /// Where its password is.
    pub password: Password,
    /// `scram-sha-512`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// Where a password is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Password {
    /// In a Secret.
    pub value_from: ValueFrom,
}

/// Where a value is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ValueFrom {
    /// In this key of a Secret.
    pub secret_key_ref: SecretKey,
}

/// What a user may do.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Authorization {
    /// Each right.
    pub acls: Vec<Acl>,
    /// `simple`: Kafka's own lists.
    #[serde(rename = "type")]
    pub type_: String,
}

/// A right.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Acl {
    /// To do what.
    pub operations: Vec<String>,
    /// With what.
    pub resource: AclResource,
}

/// What a right is about.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AclResource {
    /// Its name, or how its name begins.
    pub name: String,
    /// `literal` or `prefix`.
    pub pattern_type: String,
    /// `topic`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// What Strimzi says of any of them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StrimziStatus {
    /// `Ready`, or `NotReady` instead, and warnings.
    pub conditions: Vec<Told>,
    /// Which generation of the spec this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
