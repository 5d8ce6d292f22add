//! The objects of a Platform, one builder each. Pure: the same Platform gives the same objects, byte for byte.

pub mod budget;
pub mod claim;
pub mod container;
pub mod program;
pub mod redis;
pub mod secret;
pub mod single;
pub mod tuning;

mod config_map;
mod deployment;
mod service;
mod service_account;
mod stateful_set;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
};
use payplane_crds::Platform;

use super::{
    archive, cluster,
    credentials::Made,
    foreign::cloudnative_pg::Cluster,
    kafka::{
        build::{self as kafka, KafkaParts},
        operated::build::{self as operated, OperatedParts},
    },
    names::Names,
};
use crate::context::Settings;

/// Component label of the engine's objects.
pub const ENGINE: &str = "engine";
/// Component label of PostgreSQL's objects.
pub const POSTGRES: &str = "postgres";

/// Everything but the Secrets.
pub struct Parts {
    /// The authority's certificate.
    pub ca: ConfigMap,
    /// Absent when somebody else runs the database.
    pub postgres: Option<PostgresParts>,
    /// The engine.
    pub engine: EngineParts,
    /// Absent without Kafka, or when somebody else runs it.
    pub kafka: Option<KafkaParts>,
    /// Where CloudNativePG runs the database.
    pub cluster: Option<Cluster>,
    /// Where Strimzi runs Kafka.
    pub operated_kafka: Option<OperatedParts>,
}

/// PostgreSQL.
pub struct PostgresParts {
    /// The volume that the log is stored in, if it is and the operator makes it.
    pub copies: Option<PersistentVolumeClaim>,
    /// Who may connect, and how the volume is prepared.
    pub config: ConfigMap,
    /// Its name in the network.
    pub service: Service,
    /// The server.
    pub stateful_set: StatefulSet,
}

/// The engine.
pub struct EngineParts {
    /// Who the pods are.
    pub account: ServiceAccount,
    /// Its name in the network.
    pub service: Service,
    /// How many pods may be away at once. Absent for a single one, which no budget can keep.
    pub budget: Option<PodDisruptionBudget>,
    /// The pods.
    pub deployment: Deployment,
}

/// Builds everything but the Secrets.
pub fn parts(platform: &Platform, settings: &Settings, names: &Names, made: &Made) -> Parts {
    let managed = platform.spec.postgres.managed.as_ref();
    Parts {
        ca: config_map::authority(platform, names, &made.ca_pem),
        postgres: managed.map(|spec| PostgresParts {
            copies: archive::claim(platform, spec),
            config: config_map::postgres(platform, names),
            service: service::postgres(platform, names),
            stateful_set: stateful_set::postgres(platform, spec, settings, names, made),
        }),
        engine: EngineParts {
            account: service_account::engine(platform, names),
            service: service::engine(platform, names),
            budget: budget::engine(platform, names),
            deployment: deployment::engine(platform, settings, names, made),
        },
        kafka: kafka::parts(platform, settings, names, made.kafka.as_ref()),
        cluster: cluster::build::cluster(platform, names),
        operated_kafka: operated::parts(platform, names),
    }
}

#[cfg(test)]
pub mod fixture {
    //! A Platform and what goes with it.

    use serde_json::{Value, json};

    use super::*;

    /// A Platform with this spec.
    pub fn platform(spec: Value) -> Platform {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Platform",
            "metadata": {"name": "main", "namespace": "pay", "uid": "u-1"},
            "spec": spec,
        }))
        .unwrap()
    }

    /// Its names.
    pub fn names() -> Names {
        Names { namespace: "pay".into(), platform: "main".into() }
    }

    /// What the operator was started with.
    pub fn settings() -> Settings {
        Settings {
            platform_namespaces: vec!["pay".into()],
            engine_image: "engine:1".into(),
            postgres_image: "postgres:17".into(),
            kafka_image: "kafka:4".into(),
            redis_image: "redis:7.0".into(),
            operator_image: "operator:1".into(),
            backup_account: "payplane-operator-backup".into(),
            issuer: "https://issuer".into(),
            subject: "system:serviceaccount:pay:operator".into(),
        }
    }

    /// Its credentials.
    pub fn made() -> Made {
        Made {
            ca_pem: "PEM".into(),
            owner_secret: "main-database-owner".into(),
            managed: true,
            engine_hash: "e0".into(),
            postgres_hash: "p0".into(),
            kafka: None,
            rotation: 0,
            former_login: None,
            owner_password: None,
        }
    }

    /// What every child of ours carries.
    pub fn labels(component: &str) -> Value {
        json!({
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/managed-by": "payplane-operator",
            "app.kubernetes.io/name": format!("payplane-{component}"),
            "app.kubernetes.io/part-of": "payplane",
            "payplane.io/platform": "main",
        })
    }

    /// By which Services and workloads find pods.
    pub fn selector(component: &str) -> Value {
        json!({
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/name": format!("payplane-{component}"),
        })
    }

    /// Metadata of a child that goes with its Platform.
    pub fn owned(name: &str, component: &str) -> Value {
        json!({
            "name": name,
            "namespace": "pay",
            "labels": labels(component),
            "ownerReferences": [{
                "apiVersion": "payplane.io/v1alpha1",
                "blockOwnerDeletion": true,
                "controller": true,
                "kind": "Platform",
                "name": "main",
                "uid": "u-1",
            }],
        })
    }
}
