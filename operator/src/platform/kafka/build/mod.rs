//! The objects of Kafka, one builder each. Pure: the same Platform gives the same objects, byte for byte.

mod stateful_set;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Secret, Service, ServicePort, ServiceSpec},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use payplane_crds::{Platform, platform::Storage};

use super::{KAFKA_PORT, MadeKafka};
use crate::{
    context::Settings,
    meta::{kept, owned, selector},
    platform::{names::Names, quantity},
};

/// Component label of Kafka's objects.
pub const KAFKA: &str = "kafka";

const MIB: u64 = 1 << 20;
/// Of the engine's topic, whoever makes it; the volume is shared between them.
pub const PARTITIONS: i32 = 12;

/// How the broker starts.
pub const START: &str = include_str!("start.sh");

/// The broker's objects.
pub struct KafkaParts {
    /// How it starts.
    pub config: ConfigMap,
    /// Its name in the network.
    pub service: Service,
    /// The broker.
    pub stateful_set: StatefulSet,
}

/// How the engine reaches the broker, and as whom. Cannot be printed.
pub struct Access {
    /// Host and port.
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
    let spec = platform.spec.kafka.as_ref()?.managed.as_ref()?;
    Some(KafkaParts {
        config: config(platform, names),
        service: service(platform, names),
        stateful_set: stateful_set::broker(platform, spec, settings, names, made?),
    })
}

/// The Secret by which the engine connects: the same keys that an external one has. Without an owner: the broker's volume
/// stays when the Platform goes, and knows this password.
pub fn client(platform: &Platform, names: &Names, access: &Access) -> Secret {
    let Access { brokers, username, password, ca_pem } = access;
    let data = [("brokers", brokers), ("username", username), ("password", password)];
    let data = data.into_iter().chain(ca_pem.iter().map(|pem| ("ca.crt", pem)));
    let bytes = |(key, value): (&str, &String)| (key.to_owned(), ByteString(value.clone().into_bytes()));
    Secret {
        metadata: kept(platform, names.kafka_client(), KAFKA),
        type_: Some("Opaque".into()),
        data: Some(data.map(bytes).collect()),
        ..Secret::default()
    }
}

fn config(platform: &Platform, names: &Names) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names.kafka(), KAFKA),
        data: Some(BTreeMap::from([("start.sh".into(), START.into())])),
        ..ConfigMap::default()
    }
}

/// The name leads to the pod itself, also before it is ready: that is where it finds itself.
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
            selector: Some(selector(&names.platform, KAFKA)),
            type_: Some("ClusterIP".into()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests;
