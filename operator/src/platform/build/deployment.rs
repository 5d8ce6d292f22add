//! The engine's pods.
//!
//! They have the engine's own login and no other: the schema is there before them ([`migration`]). New pods are ready before
//! old ones go, and have served for a while before the next one goes.
//!
//! [`migration`]: super::super::migration

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, ContainerPort, HTTPGetAction, PodSpec, PodTemplateSpec, Probe,
            TopologySpreadConstraint, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use payplane_crds::Platform;

use super::{
    ENGINE,
    container::{mount, optional_secret_volume, pod_security, secret_volume},
    program::{self, APP_DIR, USER},
};
use crate::{
    context::Settings,
    meta::{RESTART, labels, owned, selector},
    platform::{
        credentials::Made,
        names::{GRPC_PORT, HTTP_PORT, Names},
        redis,
    },
};

const KAFKA_DIR: &str = "/etc/payplane/kafka";
const TLS_DIR: &str = "/etc/payplane/tls";
const REDIS_DIR: &str = "/etc/payplane/redis";
const JWKS_URL: &str = "https://kubernetes.default.svc/openid/v1/jwks";
const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longer than between two looks at a rollout, so that what a new engine answers is seen before the next one comes.
const MIN_READY_SECONDS: i32 = 12;
/// More than the engine takes to finish running requests.
const GRACE_SECONDS: i64 = 40;

/// The engine's Deployment.
pub fn engine(platform: &Platform, settings: &Settings, names: &Names, made: &Made) -> Deployment {
    Deployment {
        metadata: owned(platform, names.engine(), ENGINE),
        spec: Some(DeploymentSpec {
            min_ready_seconds: Some(MIN_READY_SECONDS),
            replicas: Some(platform.spec.engine.replicas),
            revision_history_limit: Some(3),
            selector: found_by(names),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    annotations: Some(BTreeMap::from([(RESTART.into(), made.engine_hash.clone())])),
                    labels: Some(labels(&names.platform, ENGINE)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(platform, settings, names, made)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod(platform: &Platform, settings: &Settings, names: &Names, made: &Made) -> PodSpec {
    PodSpec {
        // For the keys that the cluster signs ServiceAccount tokens with.
        automount_service_account_token: Some(true),
        containers: vec![serve(platform, settings, made)],
        // Variables named after Services could pass for settings.
        enable_service_links: Some(false),
        security_context: Some(pod_security(USER)),
        service_account_name: Some(names.engine()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            label_selector: Some(found_by(names)),
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            ..TopologySpreadConstraint::default()
        }]),
        volumes: Some(volumes(platform, names, made)),
        ..PodSpec::default()
    }
}

/// Kafka's and Redis' last, and only where there are such: without them nothing of the template changes.
fn volumes(platform: &Platform, names: &Names, made: &Made) -> Vec<Volume> {
    let mut volumes =
        vec![secret_volume("database-app", names.database_app()), secret_volume("tls", names.engine_tls())];
    volumes.extend(made.kafka.iter().map(|kafka| secret_volume("kafka", kafka.secret.clone())));
    // Without Redis engines work, so they start without its Secret, too.
    volumes.extend(redis::secret_name(platform, names).map(|name| optional_secret_volume("redis", name)));
    volumes
}

fn serve(platform: &Platform, settings: &Settings, made: &Made) -> Container {
    let (mut args, mut mounts) = (serve_args(platform, settings), mounts(platform));
    if made.kafka.is_some() {
        args.extend(["--kafka-dir", KAFKA_DIR].map(String::from));
        mounts.push(mount("kafka", KAFKA_DIR, true));
    }
    Container {
        name: ENGINE.into(),
        args: Some(args),
        ports: Some(vec![port("grpc", GRPC_PORT), port("http", HTTP_PORT)]),
        // Two minutes to start, half a minute to be seen dead, five seconds to be seen not ready.
        startup_probe: Some(probe("/livez", 2, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 5, 1)),
        volume_mounts: Some(mounts),
        ..program::container(platform, settings)
    }
}

fn mounts(platform: &Platform) -> Vec<VolumeMount> {
    let redis = platform.spec.redis.as_ref().map(|_| mount("redis", REDIS_DIR, true));
    [mount("database-app", APP_DIR, true), mount("tls", TLS_DIR, true)].into_iter().chain(redis).collect()
}

fn serve_args(platform: &Platform, settings: &Settings) -> Vec<String> {
    let (ca, token) = (format!("{ACCOUNT_DIR}/ca.crt"), format!("{ACCOUNT_DIR}/token"));
    let flags = [
        ("--database-dir", APP_DIR),
        ("--tls-dir", TLS_DIR),
        ("--issuer", &settings.issuer),
        ("--jwks-url", JWKS_URL),
        ("--jwks-ca-file", &ca),
        ("--jwks-token-file", &token),
        ("--platform-subject", &settings.subject),
    ];
    let redis = platform.spec.redis.as_ref().map(|_| ("--redis-dir", REDIS_DIR));
    let flags = flags.into_iter().chain(redis).flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
    std::iter::once("serve".to_owned()).chain(flags).collect()
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: port,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("http".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn found_by(names: &Names) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(&names.platform, ENGINE)), ..LabelSelector::default() }
}

#[cfg(test)]
mod tests;
