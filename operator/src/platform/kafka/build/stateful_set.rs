//! The nodes of Kafka: one for small and demonstration use, or three.
//!
//! Works with any image that has Kafka in /opt/kafka and a user of number 1000, such as the official one: programs are
//! started by their paths, never through an image's own entry point. The volumes stay when the object goes. Three nodes start
//! at once, because they need each other to start; they restart one by one, the next one when the one before is in sync.

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, ObjectFieldSelector, PodSpec, Probe,
            TCPSocketAction, TopologySpreadConstraint,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use payplane_crds::{Platform, kafka::ManagedKafka};

use super::{CONFIG_DIR, KAFKA, MIB, START, TLS_DIR, USER, image, retention};
use crate::{
    context::Settings,
    meta::{selector, short_hash},
    platform::{
        claim,
        container::{
            config_volume, mount, pod_security, resources, scratch, secret_volume, security, variable,
        },
        kafka::{KAFKA_PORT, MadeKafka},
        names::Names,
        quantity, single,
    },
};

const VOLUME_DIR: &str = "/var/lib/kafka/data";
/// Below the volume's root, which may hold things like `lost+found`.
const DATA_DIR: &str = "/var/lib/kafka/data/log";
/// There as soon as a node has all that the others have.
const IN_SYNC: &str = "/tmp/payplane/in-sync";
const GRACE_SECONDS: i64 = 60;
/// What a node is sized for when nobody says how much memory it has.
const MEMORY: u64 = 512 * MIB;

/// Kafka's StatefulSet.
pub fn nodes(
    platform: &Platform,
    spec: &ManagedKafka,
    settings: &Settings,
    names: &Names,
    made: &MadeKafka,
) -> StatefulSet {
    let restart = short_hash([START.as_bytes(), made.broker_hash.as_bytes()]);
    let volume = claim::once(&spec.storage.size, spec.storage.storage_class_name.as_ref());
    let mut set =
        single::server(platform, (KAFKA, names.kafka()), restart, volume, pod(spec, settings, names));
    if let Some(set) = &mut set.spec {
        set.replicas = Some(spec.replicas);
        set.pod_management_policy = (spec.replicas > 1).then(|| "Parallel".into());
    }
    set
}

fn pod(spec: &ManagedKafka, settings: &Settings, names: &Names) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        containers: vec![server(spec, settings, names)],
        // Variables named after Services could pass for settings.
        enable_service_links: Some(false),
        security_context: Some(pod_security(USER)),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        topology_spread_constraints: (spec.replicas > 1).then(|| vec![apart(names)]),
        volumes: Some(vec![
            config_volume("config", names.kafka()),
            secret_volume("tls", names.kafka_tls()),
            scratch("tmp"),
        ]),
        ..PodSpec::default()
    }
}

/// Each on a host of its own, where there are as many.
fn apart(names: &Names) -> TopologySpreadConstraint {
    let found_by = selector(&names.platform, KAFKA);
    TopologySpreadConstraint {
        label_selector: Some(LabelSelector { match_labels: Some(found_by), ..LabelSelector::default() }),
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        ..TopologySpreadConstraint::default()
    }
}

fn server(spec: &ManagedKafka, settings: &Settings, names: &Names) -> Container {
    Container {
        name: KAFKA.into(),
        command: Some(vec!["sh".into(), format!("{CONFIG_DIR}/start.sh")]),
        env: Some(environment(spec, names)),
        image: Some(image(spec, settings)),
        image_pull_policy: Some("IfNotPresent".into()),
        ports: Some(vec![ContainerPort {
            name: Some("kafka".into()),
            container_port: KAFKA_PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        // Recovery after a crash reads the log, and fetching what was missed takes as long as it takes: an hour for both.
        startup_probe: Some(Probe { exec: Some(in_sync()), ..probe(5, 720) }),
        liveness_probe: Some(Probe { tcp_socket: Some(listens()), ..probe(10, 6) }),
        readiness_probe: Some(Probe { tcp_socket: Some(listens()), ..probe(5, 3) }),
        resources: Some(resources(&spec.resources, "100m", "512Mi")),
        security_context: Some(security()),
        volume_mounts: Some(vec![
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
        ("CLUSTER_ID", cluster_id(names)),
        ("DATA_DIR", DATA_DIR.to_owned()),
        // The official script would write a log of its own into the image, which is read-only.
        ("EXTRA_ARGS", "-name kafkaServer".to_owned()),
        ("IN_SYNC", IN_SYNC.to_owned()),
        ("KAFKA_HEAP_OPTS", format!("-Xms{}m -Xmx{heap}m", heap / 2)),
        ("LOG_DIR", "/tmp/payplane/logs".to_owned()),
        ("NODES", names.kafka_nodes(spec.replicas).join(" ")),
        ("NODE_NAME", names.kafka()),
        ("RETENTION_BYTES", retention(&spec.storage).to_string()),
        ("TLS_DIR", TLS_DIR.to_owned()),
    ];
    let name = ObjectFieldSelector { field_path: "metadata.name".into(), ..ObjectFieldSelector::default() };
    let pod = EnvVarSource { field_ref: Some(name), ..EnvVarSource::default() };
    let pod = EnvVar { name: "POD_NAME".into(), value_from: Some(pod), value: None };
    values.into_iter().map(|(name, value)| variable(name, value)).chain([pod]).collect()
}

/// The same for all nodes, and for one whose volume was lost: 22 letters, of which Kafka makes 128 bits.
fn cluster_id(names: &Names) -> String {
    let hash = short_hash([names.namespace.as_bytes(), names.platform.as_bytes()]);
    format!("{hash}{}A", &hash[..5])
}

fn in_sync() -> ExecAction {
    ExecAction { command: Some(["test", "-e", IN_SYNC].map(String::from).to_vec()) }
}

fn listens() -> TCPSocketAction {
    TCPSocketAction { port: IntOrString::String("kafka".into()), host: None }
}

fn probe(period: i32, failures: i32) -> Probe {
    Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
