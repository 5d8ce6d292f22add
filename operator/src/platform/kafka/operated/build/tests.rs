use serde::Serialize;

use super::*;
use crate::platform::fixture;

fn built(operator: Value) -> OperatedParts {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": {"operator": operator}}));
    parts(&platform, &fixture::names()).unwrap()
}

fn told(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

/// Metadata of what belongs to the Kafka.
fn member(name: &str) -> Value {
    let mut labels = fixture::labels("kafka");
    labels["strimzi.io/cluster"] = json!("main-kafka");
    json!({"name": name, "namespace": "pay", "labels": labels})
}

#[test]
fn nothing_is_written_where_the_platform_asks_for_no_such_kafka() {
    for kafka in [Value::Null, json!({"managed": {}}), json!({"external": {"secretRef": {"name": "bus"}}})] {
        let platform = fixture::platform(json!({"postgres": {"managed": {}}, "kafka": kafka}));
        assert!(parts(&platform, &fixture::names()).is_none());
    }
}

#[test]
fn the_objects_field_by_field() {
    let OperatedParts { kafka, pool, topic, user } = built(json!({}));
    assert_eq!(
        told(&kafka),
        json!({
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "Kafka",
            "metadata": {"name": "main-kafka", "namespace": "pay", "labels": fixture::labels("kafka")},
            "spec": {
                "entityOperator": {"topicOperator": {}, "userOperator": {}},
                "kafka": {
                    "authorization": {"type": "simple"},
                    "config": {
                        "auto.create.topics.enable": false,
                        "default.replication.factor": 3,
                        "min.insync.replicas": 2,
                        "offsets.topic.replication.factor": 3,
                        "transaction.state.log.min.isr": 2,
                        "transaction.state.log.replication.factor": 3,
                    },
                    "listeners": [{
                        "name": "tls", "port": 9093, "type": "internal", "tls": true,
                        "authentication": {"type": "scram-sha-512"},
                    }],
                },
            },
        })
    );
    let name = fixture::names().kafka_pool();
    assert_eq!(told(&pool)["metadata"], member(&name));
    assert_eq!(
        told(&pool)["spec"],
        json!({
            "replicas": 3,
            "roles": ["controller", "broker"],
            "storage": {"type": "jbod", "volumes": [{
                "id": 0, "type": "persistent-claim", "size": "8Gi", "deleteClaim": false, "kraftMetadata": "shared",
            }]},
        })
    );
    assert_eq!(told(&topic)["metadata"], member("main-kafka-events"));
    assert_eq!(
        told(&topic)["spec"],
        json!({
            "topicName": "payplane.events", "partitions": 12, "replicas": 3,
            "config": {"min.insync.replicas": 2, "retention.bytes": 357_913_941},
        })
    );
    assert_eq!(told(&user)["metadata"], member("main-kafka-engine"));
    assert_eq!(
        told(&user)["spec"],
        json!({
            "authentication": {"type": "scram-sha-512", "password": {"valueFrom": {
                "secretKeyRef": {"name": "main-kafka-client", "key": "password"},
            }}},
            "authorization": {"type": "simple", "acls": [{
                "resource": {"type": "topic", "name": "payplane.events", "patternType": "literal"},
                "operations": ["Describe", "DescribeConfigs", "Write"],
            }]},
        })
    );
}

#[test]
fn the_copies_fit_the_nodes() {
    for (nodes, copies, in_sync) in [(1, 1, 1), (3, 3, 2), (5, 3, 2)] {
        let spec = built(json!({"nodes": nodes}));
        assert_eq!(spec.pool.spec.replicas, nodes);
        assert_eq!(spec.topic.spec.replicas, copies, "{nodes}");
        assert_eq!(spec.topic.spec.config["min.insync.replicas"], json!(in_sync), "{nodes}");
    }
}

#[test]
fn volumes_go_only_where_the_spec_says_so() {
    let parts = built(json!({"deletionPolicy": "Delete", "version": "4.1.0"}));
    assert_eq!(told(&parts.kafka)["metadata"], fixture::owned("main-kafka", "kafka"));
    assert_eq!(parts.kafka.spec.kafka.version.as_deref(), Some("4.1.0"));
    assert!(parts.pool.spec.storage.volumes[0].delete_claim);
    assert!(parts.pool.metadata.owner_references.is_some());
}

#[test]
fn nodes_are_hosts_so_their_names_are_short_whatever_the_platform_is_called() {
    let names = Names { namespace: "pay".into(), platform: "x".repeat(40) };
    let node = format!("{}-{}-{}", names.kafka(), names.kafka_pool(), 8);
    assert!(node.len() <= 63, "{node}");
}
