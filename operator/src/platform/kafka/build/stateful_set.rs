//! One Kafka broker, for small and demonstration use.
//!
//! Works with any image that has Kafka in /opt/kafka and a user of number 1000, such as the official one: programs are
//! started by their paths, never through an image's own entry point. The volume stays when the object goes.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Container, ContainerPort, EnvVar, PodSpec, Probe, TCPSocketAction},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use payplane_crds::{Platform, kafka::ManagedKafka};

use super::{KAFKA, MIB, START, retention};
use crate::{
    context::Settings,
    meta::short_hash,
    platform::{
        claim,
        container::{config_volume, mount, pod_security, resources, scratch, secret_volume, security},
        kafka::{KAFKA_PORT, MadeKafka},
        names::Names,
        quantity, single,
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
/// What the broker is sized for when nobody says how much memory it has.
const MEMORY: u64 = 512 * MIB;

/// Kafka's StatefulSet.
pub fn broker(
    platform: &Platform,
    spec: &ManagedKafka,
    settings: &Settings,
    names: &Names,
    made: &MadeKafka,
) -> StatefulSet {
    let restart = short_hash([START.as_bytes(), made.broker_hash.as_bytes()]);
    let volume = claim::once(&spec.storage.size, spec.storage.storage_class_name.as_ref());
    single::server(platform, (KAFKA, names.kafka()), restart, volume, pod(spec, settings, names))
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
    let heap = quantity::memory(&spec.resources, MEMORY) / 2 / MIB;
    let values = [
        ("ADVERTISED_HOST", names.host(&names.kafka())),
        ("CLIENT_DIR", CLIENT_DIR.to_owned()),
        ("DATA_DIR", DATA_DIR.to_owned()),
        // The official script would write a log of its own into the image, which is read-only.
        ("EXTRA_ARGS", "-name kafkaServer".to_owned()),
        ("KAFKA_HEAP_OPTS", format!("-Xms{}m -Xmx{heap}m", heap / 2)),
        ("LOG_DIR", "/tmp/payplane/logs".to_owned()),
        ("RETENTION_BYTES", retention(&spec.storage).to_string()),
        ("TLS_DIR", TLS_DIR.to_owned()),
    ];
    let variable =
        |(name, value): (&str, String)| EnvVar { name: name.into(), value: Some(value), value_from: None };
    values.into_iter().map(variable).collect()
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
