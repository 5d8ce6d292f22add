//! The objects of Kafka, one builder each. Pure: the same Platform gives the same objects, byte for byte.

mod stateful_set;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Secret, Service, ServicePort, ServiceSpec},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use payplane_crds::{Platform, kafka::ManagedKafka, platform::Storage};

use super::{
    KAFKA_PORT, MadeKafka,
    rights::{self, WantedRights},
};
use crate::{
    context::Settings,
    meta::{owned, selector},
    platform::{budget, names::Names, quantity},
};

/// Component label of Kafka's objects.
pub const KAFKA: &str = "kafka";

const MIB: u64 = 1 << 20;
/// The user `appuser` of the official image.
pub const USER: i64 = 1000;
/// Where the scripts are.
pub const CONFIG_DIR: &str = "/etc/payplane/kafka";
/// Where the nodes' certificate is.
pub const TLS_DIR: &str = "/etc/payplane/tls";
/// Of the engine's topic, whoever makes it; the volume is shared between them.
pub const PARTITIONS: i32 = 12;

/// How a node starts.
pub const START: &str = include_str!("start.sh");

/// What is run here.
pub struct KafkaParts {
    /// How nodes start, and how rights are written.
    pub config: ConfigMap,
    /// Their names in the network.
    pub service: Service,
    /// How many nodes may be away at once. Absent for a single one, which no budget can keep.
    pub budget: Option<PodDisruptionBudget>,
    /// The nodes.
    pub stateful_set: StatefulSet,
    /// Who may do what.
    pub rights: WantedRights,
}

/// How somebody reaches Kafka, and as whom. Cannot be printed.
pub struct Access {
    /// Hosts and ports.
    pub brokers: String,
    /// The user.
    pub username: String,
    /// Its password.
    pub password: String,
    /// PEM of the authority that signs the broker's certificate, when it is known.
    pub ca_pem: Option<String>,
}

/// Bytes of each partition: half of the volume for all, so that the log never fills it. Whoever needs older events has the
/// journal published again.
pub fn retention(storage: &Storage) -> u64 {
    let size = quantity::bytes(&storage.size).unwrap_or(8 * 1024 * MIB);
    (size / 2 / u64::from(PARTITIONS.unsigned_abs())).max(MIB)
}

/// Builds what is run here; nothing where somebody else runs it.
pub fn parts(
    platform: &Platform,
    settings: &Settings,
    names: &Names,
    made: Option<&MadeKafka>,
) -> Option<KafkaParts> {
    let (spec, made) = (platform.spec.kafka.as_ref()?.managed.as_ref()?, made?);
    Some(KafkaParts {
        config: config(platform, names),
        service: service(platform, names),
        budget: (spec.replicas > 1).then(|| budget::one_at_a_time(platform, names.kafka(), KAFKA)),
        stateful_set: stateful_set::nodes(platform, spec, settings, names, made),
        rights: rights::job(platform, spec, settings, names, made),
    })
}

/// What nodes and the Job of rights run.
pub fn image(spec: &ManagedKafka, settings: &Settings) -> String {
    spec.image.clone().unwrap_or_else(|| settings.kafka_image.clone())
}

/// The Secret by which somebody connects: the same keys that an external one has.
pub fn login(metadata: ObjectMeta, access: &Access) -> Secret {
    let Access { brokers, username, password, ca_pem } = access;
    let data = [("brokers", brokers), ("username", username), ("password", password)];
    let data = data.into_iter().chain(ca_pem.iter().map(|pem| ("ca.crt", pem)));
    let bytes = |(key, value): (&str, &String)| (key.to_owned(), ByteString(value.clone().into_bytes()));
    Secret {
        metadata,
        type_: Some("Opaque".into()),
        data: Some(data.map(bytes).collect()),
        ..Secret::default()
    }
}

fn config(platform: &Platform, names: &Names) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names.kafka(), KAFKA),
        data: Some(BTreeMap::from([
            ("rights.sh".into(), rights::SCRIPT.into()),
            ("start.sh".into(), START.into()),
        ])),
        ..ConfigMap::default()
    }
}

/// Names lead to the pods themselves, also before they are ready: that is where nodes find each other.
fn service(platform: &Platform, names: &Names) -> Service {
    Service {
        metadata: owned(platform, names.kafka(), KAFKA),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            ports: Some(vec![ServicePort {
                name: Some("kafka".into()),
                port: KAFKA_PORT,
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::String("kafka".into())),
                ..ServicePort::default()
            }]),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector(&names.platform, KAFKA)),
            type_: Some("ClusterIP".into()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests;
