//! One Kafka broker, for small and demonstration use.
//!
//! Works with any image that has Kafka in /opt/kafka and a user of number 1000, such as the official one: programs are
//! started by their paths, never through an image's own entry point. The volume stays when the object goes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{
            Container, ContainerPort, EnvVar, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec,
            PodTemplateSpec, Probe, TCPSocketAction, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use payplane_crds::{Platform, kafka::ManagedKafka};

use super::{KAFKA, START};
use crate::{
    context::Settings,
    meta::{RESTART, labels, owned, selector, short_hash},
    platform::{
        container::{config_volume, mount, pod_security, resources, scratch, secret_volume, security},
        kafka::{KAFKA_PORT, MadeKafka},
        names::Names,
        quantity,
    },
};

/// The user `appuser` of the official image.
const USER: i64 = 1000;
const VOLUME_DIR: &str = "/var/lib/kafka/data";
/// Below the volume's root, which may hold things like `lost+found`.
const DATA_DIR: &str = "/var/lib/kafka/data/log";
const CONFIG_DIR: &str = "/etc/payplane/kafka";
const CLIENT_DIR: &str = "/etc/payplane/kafka-client";
const TLS_DIR: &str = "/etc/payplane/tls";
const GRACE_SECONDS: i64 = 60;
const MIB: u64 = 1 << 20;
/// What the broker is sized for when nobody says how much memory it has.
const MEMORY: u64 = 512 * MIB;
/// Of a topic that the engine makes; the volume is shared between them.
const PARTITIONS: u64 = 12;

/// Kafka's StatefulSet.
pub fn broker(
    platform: &Platform,
    spec: &ManagedKafka,
    settings: &Settings,
    names: &Names,
    made: &MadeKafka,
) -> StatefulSet {
    let restart = short_hash([START.as_bytes(), made.broker_hash.as_bytes()]);
    StatefulSet {
        metadata: owned(platform, names.kafka(), KAFKA),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            revision_history_limit: Some(3),
            selector: LabelSelector {
                match_labels: Some(selector(&names.platform, KAFKA)),
                ..LabelSelector::default()
            },
            service_name: Some(names.kafka()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    annotations: Some(BTreeMap::from([(RESTART.into(), restart)])),
                    labels: Some(labels(&names.platform, KAFKA)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(spec, settings, names)),
            },
            volume_claim_templates: Some(vec![volume(spec, names)]),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// Its fields can never change, so it carries only the labels that never do.
fn volume(spec: &ManagedKafka, names: &Names) -> PersistentVolumeClaim {
    let requests = BTreeMap::from([("storage".to_owned(), spec.storage.size.clone())]);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".into()),
            labels: Some(selector(&names.platform, KAFKA)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
            storage_class_name: spec.storage.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn pod(spec: &ManagedKafka, settings: &Settings, names: &Names) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![server(spec, settings, names)],
        // Variables named after Services could pass for settings.
        enable_service_links: Some(false),
        security_context: Some(pod_security(USER)),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        volumes: Some(vec![
            config_volume("config", names.kafka()),
            secret_volume("client", names.kafka_client()),
            secret_volume("tls", names.kafka_tls()),
            scratch("tmp"),
        ]),
        ..PodSpec::default()
    }
}

fn server(spec: &ManagedKafka, settings: &Settings, names: &Names) -> Container {
    Container {
        name: KAFKA.into(),
        command: Some(vec!["sh".into(), format!("{CONFIG_DIR}/start.sh")]),
        env: Some(environment(spec, names)),
        image: Some(spec.image.clone().unwrap_or_else(|| settings.kafka_image.clone())),
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![ContainerPort {
            name: Some("kafka".into()),
            container_port: KAFKA_PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        // Recovery after a crash reads the log, and must not be killed.
        startup_probe: Some(probe(2, 300)),
        liveness_probe: Some(probe(10, 6)),
        readiness_probe: Some(probe(5, 3)),
        resources: Some(resources(&spec.resources, "100m", "512Mi")),
        security_context: Some(security()),
        volume_mounts: Some(vec![
            mount("client", CLIENT_DIR, true),
            mount("config", CONFIG_DIR, true),
            mount("data", VOLUME_DIR, false),
            mount("tls", TLS_DIR, true),
            mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    }
}

fn environment(spec: &ManagedKafka, names: &Names) -> Vec<EnvVar> {
    let heap = memory(spec) / 2 / MIB;
    let values = [
        ("ADVERTISED_HOST", names.host(&names.kafka())),
        ("CLIENT_DIR", CLIENT_DIR.to_owned()),
        ("DATA_DIR", DATA_DIR.to_owned()),
        // The official script would write a log of its own into the image, which is read-only.
        ("EXTRA_ARGS", "-name kafkaServer".to_owned()),
        ("KAFKA_HEAP_OPTS", format!("-Xms{}m -Xmx{heap}m", heap / 2)),
        ("LOG_DIR", "/tmp/payplane/logs".to_owned()),
        ("RETENTION_BYTES", retention(spec).to_string()),
        ("TLS_DIR", TLS_DIR.to_owned()),
    ];
    let variable =
        |(name, value): (&str, String)| EnvVar { name: name.into(), value: Some(value), value_from: None };
    values.into_iter().map(variable).collect()
}

fn memory(spec: &ManagedKafka) -> u64 {
    let Some(quantity) =
        spec.resources.limits.get("memory").or_else(|| spec.resources.requests.get("memory"))
    else {
        return MEMORY;
    };
    quantity::bytes(quantity).unwrap_or(MEMORY)
}

/// Of each partition: half of the volume for all, so that the log never fills it. Whoever needs older events has the
/// journal published again.
fn retention(spec: &ManagedKafka) -> u64 {
    let size = quantity::bytes(&spec.storage.size).unwrap_or(8 * 1024 * MIB);
    (size / 2 / PARTITIONS).max(MIB)
}

fn probe(period: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String("kafka".into()), host: None }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
