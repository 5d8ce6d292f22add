//! Strimzi's objects, one builder each. Pure: the same Platform gives the same objects, byte for byte.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use payplane_crds::{
    Platform,
    platform::{DeletionPolicy, OperatedKafka},
};
use serde_json::{Value, json};

use crate::platform::{
    foreign::{
        self, SecretKey,
        strimzi::{
            Acl, AclResource, Authentication, Authorization, CLUSTER, Jbod, Kafka, KafkaCluster,
            KafkaNodePool, KafkaNodePoolSpec, KafkaSpec, KafkaTopic, KafkaTopicSpec, KafkaUser,
            KafkaUserSpec, Listener, Password, Typed, ValueFrom, Volume,
        },
    },
    kafka::{
        KAFKA_PORT, TOPIC,
        build::{KAFKA, PARTITIONS, retention},
    },
    names::Names,
};

const SCRAM: &str = "scram-sha-512";
/// On how many nodes each event is, where there are as many.
const COPIES: i32 = 3;

/// Strimzi's objects.
pub struct OperatedParts {
    /// The brokers.
    pub kafka: Kafka,
    /// Their nodes.
    pub pool: KafkaNodePool,
    /// The topic of all events.
    pub topic: KafkaTopic,
    /// The engine as a user.
    pub user: KafkaUser,
}

/// Builds them where the Platform asks for them.
pub fn parts(platform: &Platform, names: &Names) -> Option<OperatedParts> {
    let spec = platform.spec.kafka.as_ref()?.operator.as_ref()?;
    let metadata = |name: String| foreign::metadata(platform, name, KAFKA, spec.deletion_policy);
    let member = |name: String| ObjectMeta {
        labels: metadata(String::new()).labels.map(|mut labels| {
            labels.insert(CLUSTER.into(), names.kafka());
            labels
        }),
        ..metadata(name)
    };
    Some(OperatedParts {
        kafka: Kafka { metadata: metadata(names.kafka()), spec: kafka(spec), status: None },
        pool: KafkaNodePool { metadata: member(names.kafka_pool()), spec: pool(spec), status: None },
        topic: KafkaTopic { metadata: member(names.kafka_topic()), spec: topic(spec), status: None },
        user: KafkaUser { metadata: member(names.kafka_user()), spec: user(names), status: None },
    })
}

fn copies(spec: &OperatedKafka) -> i32 {
    COPIES.min(spec.nodes)
}

/// An event counts as published when all copies but one have it, so that one node can be away.
fn in_sync(spec: &OperatedKafka) -> i32 {
    (copies(spec) - 1).max(1)
}

fn kafka(spec: &OperatedKafka) -> KafkaSpec {
    let typed = |type_: &str| Typed { type_: type_.into() };
    KafkaSpec {
        kafka: KafkaCluster {
            authorization: typed("simple"),
            config: settings(spec),
            listeners: vec![Listener {
                authentication: typed(SCRAM),
                name: "tls".into(),
                port: KAFKA_PORT,
                tls: true,
                type_: "internal".into(),
            }],
            version: spec.version.clone(),
        },
        ..KafkaSpec::default()
    }
}

fn settings(spec: &OperatedKafka) -> BTreeMap<String, Value> {
    let (copies, in_sync) = (copies(spec), in_sync(spec));
    let settings = [
        ("auto.create.topics.enable", json!(false)),
        ("default.replication.factor", json!(copies)),
        ("min.insync.replicas", json!(in_sync)),
        ("offsets.topic.replication.factor", json!(copies)),
        ("transaction.state.log.min.isr", json!(in_sync)),
        ("transaction.state.log.replication.factor", json!(copies)),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn pool(spec: &OperatedKafka) -> KafkaNodePoolSpec {
    KafkaNodePoolSpec {
        replicas: spec.nodes,
        resources: foreign::resources(&spec.resources),
        roles: vec!["controller".into(), "broker".into()],
        storage: Jbod {
            type_: "jbod".into(),
            volumes: vec![Volume {
                class: spec.storage.storage_class_name.clone(),
                delete_claim: spec.deletion_policy == DeletionPolicy::Delete,
                id: 0,
                kraft_metadata: "shared".into(),
                size: spec.storage.size.0.clone(),
                type_: "persistent-claim".into(),
            }],
        },
    }
}

fn topic(spec: &OperatedKafka) -> KafkaTopicSpec {
    let config =
        [("min.insync.replicas", json!(in_sync(spec))), ("retention.bytes", json!(retention(&spec.storage)))];
    KafkaTopicSpec {
        config: config.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        partitions: PARTITIONS,
        replicas: copies(spec),
        topic_name: TOPIC.into(),
    }
}

/// It may write events, look how large they can be, and nothing else: it reads none, and makes no topic.
fn user(names: &Names) -> KafkaUserSpec {
    KafkaUserSpec {
        authentication: Authentication {
            password: Password {
                value_from: ValueFrom {
                    secret_key_ref: SecretKey { key: "password".into(), name: names.kafka_client() },
                },
            },
            type_: SCRAM.into(),
        },
        authorization: Authorization {
            acls: vec![Acl {
                operations: ["Describe", "DescribeConfigs", "Write"].map(String::from).into(),
                resource: AclResource {
                    name: TOPIC.into(),
                    pattern_type: "literal".into(),
                    type_: "topic".into(),
                },
            }],
            type_: "simple".into(),
        },
    }
}

#[cfg(test)]
mod tests;
