//! What a Backup consists of: the volume for its copy and one Job. Pure.
//!
//! The Job's steps: copy the running database, restore the copy into a scratch directory, serve it to this pod alone,
//! verify the ledger in it. The Job has no second try and a deadline: an end is an end, and nothing hangs.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PersistentVolumeClaim, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use payplane_crds::{Backup, Platform, platform::ManagedPostgres};

use crate::{
    context::Settings,
    job,
    meta::{BACKUP, HEAD, labels, owner},
    platform::{
        Names, POSTGRES, claim_of_copies,
        container::{beside, claim_volume, mount, resources, scratch, secret_volume, security, variable},
        copies_name,
    },
};

/// Component label of a Backup's objects.
pub const COMPONENT: &str = "backup";
/// Container that copies.
pub const COPY: &str = "copy";
/// Container that verifies.
pub const VERIFY: &str = "verify";

/// The user `postgres` of Debian-based images.
const USER: i64 = 999;
const OWNER_DIR: &str = "/etc/payplane/database-owner";

/// Name of the Job that works for a Backup.
pub fn job_name(backup: &Backup) -> String {
    format!("{}-backup", backup.name_any())
}

/// Name of the claim that the copy is kept in.
pub fn claim_name(backup: &Backup) -> String {
    copies_name(&backup.spec.volume, &backup.spec.platform_ref.name)
}

/// The volume of all copies of a Platform.
pub fn claim(backup: &Backup, platform: &Platform) -> PersistentVolumeClaim {
    claim_of_copies(&backup.spec.volume, platform)
}

/// The Job. `head` is the end of the ledger's chain, as SEAL:LINK, if anything is sealed: the copy must contain it.
pub fn job(
    backup: &Backup,
    platform: &Platform,
    postgres: &ManagedPostgres,
    settings: &Settings,
    head: Option<&str>,
) -> Job {
    let mut labels = labels(&platform.name_any(), COMPONENT);
    labels.insert(BACKUP.into(), backup.name_any());
    let names = Names { namespace: platform.namespace().unwrap_or_default(), platform: platform.name_any() };
    let metadata = ObjectMeta {
        name: Some(job_name(backup)),
        namespace: platform.namespace(),
        annotations: head.map(|head| BTreeMap::from([(HEAD.into(), head.into())])),
        labels: Some(labels),
        owner_references: Some(vec![owner(backup)]),
        ..ObjectMeta::default()
    };
    let pod = PodSpec {
        // A server that stores its log holds the same volume, which one node can mount at a time.
        affinity: postgres.archive.as_ref().map(|_| beside(&names.platform, POSTGRES)),
        containers: vec![verify(backup, platform, settings, head)],
        init_containers: Some(vec![
            step(backup, postgres, settings, COPY, include_str!("backup.sh")),
            step(backup, postgres, settings, "restore", include_str!("restore.sh")),
            serve(backup, postgres, settings),
        ]),
        volumes: Some(vec![
            claim_volume("backups", claim_name(backup)),
            secret_volume("database-owner", names.database_owner()),
            scratch("scratch"),
            scratch("tmp"),
        ]),
        ..job::pod(USER)
    };
    job::once(metadata, backup.spec.deadline_seconds, pod)
}

fn step(
    backup: &Backup,
    postgres: &ManagedPostgres,
    settings: &Settings,
    name: &str,
    script: &str,
) -> Container {
    let mut container = container(backup, postgres, settings, name);
    container.command = Some(["sh", "-c", script].map(String::from).to_vec());
    let mounts = container.volume_mounts.get_or_insert_default();
    mounts.push(mount("backups", "/backups", false));
    mounts.push(mount("database-owner", OWNER_DIR, true));
    container
}

/// The scratch server, for as long as the ledger is being verified.
fn serve(backup: &Backup, postgres: &ManagedPostgres, settings: &Settings) -> Container {
    let container = container(backup, postgres, settings, "scratch");
    // What it holds is thrown away in any case.
    job::serve(container, "/scratch/data", &["fsync=off"])
}

fn container(backup: &Backup, postgres: &ManagedPostgres, settings: &Settings, name: &str) -> Container {
    Container {
        name: name.into(),
        env: Some(vec![
            variable("BACKUP", backup.name_any()),
            variable("BACKUP_UID", backup.uid().unwrap_or_default()),
        ]),
        image: Some(postgres.image.clone().unwrap_or_else(|| settings.postgres_image.clone())),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&postgres.resources, "100m", "256Mi")),
        security_context: Some(security()),
        // Why a step failed is what it said last.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![mount("scratch", "/scratch", false), mount("tmp", "/tmp", false)]),
        ..Container::default()
    }
}

fn verify(backup: &Backup, platform: &Platform, settings: &Settings, head: Option<&str>) -> Container {
    let args = [
        "verify",
        "--database-dir=/scratch/login",
        "--summary-file=/dev/termination-log",
        &format!("--wait-seconds={}", backup.spec.deadline_seconds),
    ];
    let expected = head.map(|head| format!("--expect-head={head}"));
    Container {
        name: VERIFY.into(),
        args: Some(args.map(String::from).into_iter().chain(expected).collect()),
        image: Some(platform.spec.engine.image.clone().unwrap_or_else(|| settings.engine_image.clone())),
        image_pull_policy: Some("IfNotPresent".into()),
        resources: Some(resources(&platform.spec.engine.resources, "100m", "64Mi")),
        security_context: Some(security()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(vec![mount("scratch", "/scratch", false)]),
        ..Container::default()
    }
}

#[cfg(test)]
mod tests;
