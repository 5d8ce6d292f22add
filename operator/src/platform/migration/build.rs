//! The Job that brings the database to the schema of an image. Pure.

use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, PodSpec, PodTemplateSpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use payplane_crds::Platform;

use crate::{
    context::Settings,
    job,
    meta::{labels, owned},
    platform::{
        Names,
        container::{mount, secret_volume},
        credentials::Made,
        program::{self, APP_DIR, OWNER_DIR, USER},
    },
};

/// Component label of the Job, and name of its container.
pub const COMPONENT: &str = "migrate";

/// Where the last words of a container are read from.
const TERMINATION: &str = "/dev/termination-log";

/// Longer than any migration takes; a Job that hangs ends, and is made again.
const DEADLINE_SECONDS: i64 = 24 * 3600;
/// The kubelet tries every five minutes at most, so that the deadline comes first.
const TRIES_MAX: i32 = 1000;
/// How long an ended Job can be looked at. Its success is remembered elsewhere.
const KEPT_SECONDS: i32 = 24 * 3600;

/// The Job.
pub fn job(platform: &Platform, settings: &Settings, names: &Names, made: &Made, hash: &str) -> Job {
    let labels = labels(&names.platform, COMPONENT);
    Job {
        metadata: owned(platform, names.migrate(hash), COMPONENT),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            backoff_limit: Some(TRIES_MAX),
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(pod(platform, settings, names, made)),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

fn pod(platform: &Platform, settings: &Settings, names: &Names, made: &Made) -> PodSpec {
    PodSpec {
        containers: vec![migrate(platform, settings, names)],
        // In the same pod, so that its last words stay readable.
        restart_policy: Some("OnFailure".into()),
        volumes: Some(vec![
            secret_volume("database-app", names.database_app()),
            secret_volume("database-owner", made.owner_secret.clone()),
        ]),
        ..job::pod(USER)
    }
}

fn migrate(platform: &Platform, settings: &Settings, names: &Names) -> Container {
    let owner = format!("{}/{}", names.namespace, names.platform);
    let mut args = vec!["migrate", "--owner-database-dir", OWNER_DIR, "--app-database-dir", APP_DIR];
    args.extend(["--platform", &owner, "--failure-file", TERMINATION, "--summary-file", TERMINATION]);
    Container {
        name: COMPONENT.into(),
        args: Some(args.into_iter().map(String::from).collect()),
        // An engine that cannot say why it failed leaves its log.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![
            mount("database-app", APP_DIR, true),
            mount("database-owner", OWNER_DIR, true),
        ]),
        ..program::container(platform, settings)
    }
}
