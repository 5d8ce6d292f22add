//! What the Jobs of several steps have in common. Pure.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, ExecAction, PodSpec, PodTemplateSpec, Probe},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::platform::container::pod_security;

/// A Job without a second try and with a deadline: an end is an end, and nothing hangs.
pub fn once(metadata: ObjectMeta, deadline_seconds: i64, pod: PodSpec) -> Job {
    let template = ObjectMeta { labels: metadata.labels.clone(), ..ObjectMeta::default() };
    Job {
        metadata,
        spec: Some(JobSpec {
            active_deadline_seconds: Some(deadline_seconds),
            backoff_limit: Some(0),
            template: PodTemplateSpec { metadata: Some(template), spec: Some(pod) },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// A Job's pod without its containers. All of its processes and files belong to this user.
pub fn pod(user: i64) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".into()),
        security_context: Some(pod_security(user)),
        ..PodSpec::default()
    }
}

/// The container as a PostgreSQL server of this directory, for its pod alone and as long as the steps after it need it.
pub fn serve(mut container: Container, directory: &str, more: &[&str]) -> Container {
    let own = [
        "listen_addresses=127.0.0.1",
        "hba_file=/scratch/pg_hba.conf",
        "unix_socket_directories=/tmp",
        "ssl=off",
    ];
    let flags = own.iter().chain(more).flat_map(|setting| ["-c", setting]);
    let command = ["postgres", "-D", directory].into_iter().chain(flags);
    container.command = Some(command.map(String::from).collect());
    container.restart_policy = Some("Always".into());
    container.startup_probe = Some(Probe {
        exec: Some(ExecAction {
            command: Some(["pg_isready", "-h", "127.0.0.1", "-q"].map(String::from).to_vec()),
        }),
        period_seconds: Some(1),
        failure_threshold: Some(300),
        timeout_seconds: Some(5),
        ..Probe::default()
    });
    container
}
