//! The Job that writes users and rights, and what it is told to write. Pure.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use payplane_crds::{
    Platform,
    kafka::{KafkaReader, ManagedKafka},
    platform::Resources,
};

use super::WantedRights;
use crate::{
    context::Settings,
    job,
    meta::{labels, owned, short_hash},
    platform::{
        container::{config_volume, mount, resources, scratch, secret_volume, security, variable},
        kafka::{
            MadeKafka, NODES_PORT, TOPIC,
            build::{CONFIG_DIR, PARTITIONS, TLS_DIR, USER as NUMBER, image},
            secrets::USER,
            servers,
        },
        names::Names,
    },
};

/// Component label of the Job, and name of its container.
pub const COMPONENT: &str = "kafka-rights";
/// What it runs.
pub const SCRIPT: &str = include_str!("rights.sh");
/// What the engine may do.
const ENGINE: &str = include_str!("engine.acl");
/// What a user may do whom the Platform names, the last line for each of its groups.
const READER: &str = include_str!("reader.acl");

const USERS_DIR: &str = "/etc/payplane/users";
/// Longer than it ever takes; a Job that hangs ends, and is made again.
const DEADLINE_SECONDS: i64 = 24 * 3600;
/// The kubelet tries every five minutes at most, so that the deadline comes first.
const TRIES_MAX: i32 = 1000;
/// How long an ended Job can be looked at. Its success is remembered elsewhere.
const KEPT_SECONDS: i32 = 24 * 3600;

/// The Job, with the hash that it is remembered by.
pub fn job(
    platform: &Platform,
    spec: &ManagedKafka,
    settings: &Settings,
    names: &Names,
    made: &MadeKafka,
) -> WantedRights {
    let rights = lines(spec).join("\n");
    let hash =
        short_hash([SCRIPT, &rights, &made.logins_hash, &spec.replicas.to_string()].map(str::as_bytes));
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(&names.platform, COMPONENT)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(spec, settings, names, rights)),
    };
    let job = Job {
        metadata: owned(platform, names.kafka_rights(&hash), COMPONENT),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            backoff_limit: Some(TRIES_MAX),
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    };
    WantedRights { hash, job }
}

/// Names of all users with the Secret of each.
fn users(spec: &ManagedKafka, names: &Names) -> Vec<(String, String)> {
    let readers = spec.users.iter().map(|user| (user.name.clone(), names.kafka_reader(&user.name)));
    [(USER.to_owned(), names.kafka_client())].into_iter().chain(readers).collect()
}

/// User, kind of resource, its name, operation: all that anybody may do.
pub(super) fn lines(spec: &ManagedKafka) -> Vec<String> {
    ENGINE.lines().map(String::from).chain(spec.users.iter().flat_map(reads)).collect()
}

fn reads(user: &KafkaReader) -> Vec<String> {
    let name = &user.name;
    let groups = if user.groups.is_empty() { std::slice::from_ref(name) } else { &user.groups };
    let of_each = |line: &str| -> Vec<String> {
        let line = line.replace("USER", name);
        match line.contains("ONE_GROUP") {
            true => groups.iter().map(|group| line.replace("ONE_GROUP", group)).collect(),
            false => vec![line],
        }
    };
    READER.lines().flat_map(of_each).collect()
}

fn pod(spec: &ManagedKafka, settings: &Settings, names: &Names, rights: String) -> PodSpec {
    let users = users(spec, names);
    let secrets = users
        .iter()
        .enumerate()
        .map(|(at, (_, secret))| secret_volume(&format!("user-{at}"), secret.clone()));
    let own =
        [config_volume("config", names.kafka()), secret_volume("tls", names.kafka_tls()), scratch("tmp")];
    PodSpec {
        containers: vec![container(spec, settings, names, (rights, &users))],
        // In the same pod, so that its last words stay readable.
        restart_policy: Some("OnFailure".into()),
        volumes: Some(own.into_iter().chain(secrets).collect()),
        ..job::pod(NUMBER)
    }
}

fn container(
    spec: &ManagedKafka,
    settings: &Settings,
    names: &Names,
    (rights, users): (String, &[(String, String)]),
) -> Container {
    let own = [mount("config", CONFIG_DIR, true), mount("tls", TLS_DIR, true), mount("tmp", "/tmp", false)];
    let secrets = users.iter().enumerate();
    let secrets =
        secrets.map(|(at, (user, _))| mount(&format!("user-{at}"), &format!("{USERS_DIR}/{user}"), true));
    let all: Vec<&str> = users.iter().map(|(user, _)| user.as_str()).collect();
    let values = [
        ("KAFKA_HEAP_OPTS", "-Xms32m -Xmx128m".to_owned()),
        // Each program works for a moment.
        ("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1".to_owned()),
        ("LOG_DIR", "/tmp/payplane/logs".to_owned()),
        ("PARTITIONS", PARTITIONS.to_string()),
        ("RIGHTS", rights),
        ("SERVERS", servers(&names.kafka_nodes(spec.replicas), NODES_PORT)),
        ("TLS_DIR", TLS_DIR.to_owned()),
        ("TOPIC", TOPIC.to_owned()),
        ("USERS", all.join(" ")),
        ("USERS_DIR", USERS_DIR.to_owned()),
    ];
    Container {
        name: COMPONENT.into(),
        command: Some(vec!["sh".into(), format!("{CONFIG_DIR}/rights.sh")]),
        env: Some(values.into_iter().map(|(name, value)| variable(name, value)).collect()),
        image: Some(image(spec, settings)),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&Resources::default(), "100m", "256Mi")),
        security_context: Some(security()),
        // What went wrong is the last that it says.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(own.into_iter().chain(secrets).collect()),
        ..Container::default()
    }
}
