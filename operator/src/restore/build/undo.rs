//! The Job that brings back what was, after a Restore in place or a major upgrade failed. Unlike that it is tried again: it must succeed. Pure.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, PodSpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use payplane_crds::{
    Restore,
    platform::{ManagedPostgres, Resources},
    restore::NewPlatform,
};

use super::{UNDO, USER, folders_of, kept_folder, volume_name};
use crate::{
    context::Settings,
    job,
    meta::{RESTORE, labels, owner},
    platform::container::{claim_volume, mount, resources, security},
};

/// Component label of the Job, and name of its container.
const COMPONENT: &str = "restore-undo";
/// It moves two folders and deletes one.
const DEADLINE_SECONDS: i64 = 3_600;
const TRIES_MAX: i32 = 6;

/// Name of the Job.
pub fn name(restore: &Restore) -> String {
    format!("{}-undo", restore.name_any())
}

/// The Job.
pub fn undo(
    restore: &Restore,
    into: &NewPlatform,
    postgres: Option<&ManagedPostgres>,
    settings: &Settings,
) -> Job {
    let mut labels = labels(&into.name, COMPONENT);
    labels.insert(RESTORE.into(), restore.name_any());
    let metadata = ObjectMeta {
        name: Some(name(restore)),
        namespace: restore.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![owner(restore)]),
        ..ObjectMeta::default()
    };
    let image = postgres.and_then(|postgres| postgres.image.clone());
    let asked = postgres.map(|postgres| postgres.resources.clone()).unwrap_or_default();
    let image = image.unwrap_or_else(|| settings.postgres_image.clone());
    of_volume(metadata, COMPONENT, volume_name(&into.name), &kept_folder(restore), (image, &asked))
}

/// The Job of this name that brings back what was on a volume from where it is kept.
pub fn of_volume(
    metadata: ObjectMeta,
    component: &str,
    claim: String,
    kept: &str,
    (image, asked): (String, &Resources),
) -> Job {
    let container = Container {
        name: component.into(),
        command: Some(["sh", "-c", UNDO].map(String::from).to_vec()),
        env: Some(folders_of(Some(kept)).to_vec()),
        image: Some(image),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(asked, "100m", "64Mi")),
        security_context: Some(security()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![mount("target", "/target", false)]),
        ..Container::default()
    };
    let pod = PodSpec {
        containers: vec![container],
        volumes: Some(vec![claim_volume("target", claim)]),
        ..job::pod(USER)
    };
    let mut job = job::once(metadata, DEADLINE_SECONDS, pod);
    if let Some(spec) = &mut job.spec {
        spec.backoff_limit = Some(TRIES_MAX);
    }
    job
}
