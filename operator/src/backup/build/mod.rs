//! What a Backup consists of: the volume for its copy and one Job. Pure.
//!
//! The Job's steps: copy the running database, restore the copy into a scratch directory, serve it to this pod alone,
//! verify the ledger in it. Where the copy is sealed, kept in a bucket, or builds on another one, it is packed, kept there, and what is restored is what
//! comes out of there, opened. The objects are copied before all of that (`objects`). The Job has no second try and a deadline:
//! an end is an end, and nothing hangs.

pub mod objects;

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

use super::plan::Base;
use crate::{
    context::Settings,
    job,
    meta::{BACKUP, FULL_BECAUSE, HEAD, labels, owner},
    place::Place,
    platform::{
        Names, POSTGRES, claim_of_copies,
        container::{beside, mount, resources, scratch, secret_volume, security, variable},
        copies_name, place_of_log, program,
    },
    sealed::{self, Keys, SEAL, UNPACK, UNPACK_SCRIPT},
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

/// Where the copy is kept.
pub fn place(backup: &Backup) -> Place<'_> {
    Place::of(&backup.spec.volume, backup.spec.bucket.as_ref(), &backup.spec.platform_ref.name)
}

/// The volume of all copies of a Platform.
pub fn claim(backup: &Backup, platform: &Platform) -> PersistentVolumeClaim {
    claim_of_copies(&backup.spec.volume, platform)
}

/// The Job. `head` is the end of the ledger's chain, as SEAL:LINK, if anything is sealed: the copy must contain it. `base` is what
/// it builds on.
pub fn job(
    backup: &Backup,
    platform: &Platform,
    postgres: &ManagedPostgres,
    settings: &Settings,
    (head, base): (Option<&str>, &Base),
) -> Job {
    let mut labels = labels(&platform.name_any(), COMPONENT);
    labels.insert(BACKUP.into(), backup.name_any());
    let names = Names { namespace: platform.namespace().unwrap_or_default(), platform: platform.name_any() };
    let metadata = ObjectMeta {
        name: Some(job_name(backup)),
        namespace: platform.namespace(),
        annotations: annotations(head, base),
        labels: Some(labels),
        owner_references: Some(vec![owner(backup)]),
        ..ObjectMeta::default()
    };
    let keys = Keys::of([backup.spec.encryption.as_ref()]);
    let place = place(backup);
    let is_packed =
        place.is_bucket() || backup.spec.encryption.is_some() || matches!(base, Base::Copy { .. });
    let image = program::image(platform, settings);
    let steps = match is_packed {
        false => vec![
            with_login(on_copies(
                step(backup, postgres, settings, COPY, include_str!("backup.sh")),
                "backups",
            )),
            with_login(on_copies(
                step(backup, postgres, settings, "restore", include_str!("restore.sh")),
                "backups",
            )),
        ],
        true => vec![
            with_login(step(backup, postgres, settings, COPY, include_str!("pack.sh"))),
            seal(backup, image.clone(), (&place, &keys), base),
            sealed::open(image, (&place, &keys), &backup.name_any(), None, backup.spec.encryption.is_some()),
            on_copies(step(backup, postgres, settings, UNPACK, UNPACK_SCRIPT), "opened"),
            with_login(on_copies(
                step(backup, postgres, settings, "restore", include_str!("restore.sh")),
                "opened",
            )),
        ],
    };
    let opened = is_packed.then(|| scratch("opened"));
    let log = postgres.archive.as_ref().map(|archive| place_of_log(archive, &names.platform));
    let pod = PodSpec {
        // A server that stores its log holds the same volume, which one node can mount at a time.
        affinity: place.shares_volume(log.as_ref()).then(|| beside(&names.platform, POSTGRES)),
        containers: vec![verify(backup, platform, settings, head)],
        init_containers: Some(steps.into_iter().chain([serve(backup, postgres, settings)]).collect()),
        volumes: Some(
            [
                place.volume(),
                secret_volume("database-owner", names.database_owner()),
                scratch("scratch"),
                scratch("tmp"),
            ]
            .into_iter()
            .chain(opened)
            .chain(keys.volumes())
            .collect(),
        ),
        ..job::pod(USER)
    };
    job::once(metadata, backup.spec.deadline_seconds, pod)
}

/// What the Job remembers.
pub fn annotations(head: Option<&str>, base: &Base) -> Option<BTreeMap<String, String>> {
    let head = head.map(|head| (HEAD.to_owned(), head.to_owned()));
    let unfit = match base {
        Base::Unfit(why) => Some((FULL_BECAUSE.to_owned(), why.clone())),
        Base::Nothing | Base::Copy { .. } => None,
    };
    let all: BTreeMap<_, _> = head.into_iter().chain(unfit).collect();
    (!all.is_empty()).then_some(all)
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
    container
}

/// With copies where scripts look for them: as they are kept, or as they were opened.
fn on_copies(mut container: Container, volume: &str) -> Container {
    container.volume_mounts.get_or_insert_default().push(mount(volume, "/backups", false));
    container
}

fn with_login(mut container: Container) -> Container {
    container.volume_mounts.get_or_insert_default().push(mount("database-owner", OWNER_DIR, true));
    container
}

/// Keeps what was packed, sealed where there are keys, without what is kept already.
fn seal(backup: &Backup, image: String, (place, keys): (&Place<'_>, &Keys<'_>), base: &Base) -> Container {
    let parent = match base {
        Base::Copy { name, uid } => Some(format!("--parent={name}:{uid}")),
        Base::Nothing | Base::Unfit(_) => None,
    };
    let args = [
        format!("--name={}", backup.name_any()),
        format!("--uid={}", backup.uid().unwrap_or_default()),
        "--from=/scratch/copy".into(),
        "--summary-file=/dev/termination-log".into(),
    ];
    let args = args.into_iter().chain(parent).collect();
    let mounts = vec![mount("scratch", "/scratch", false)];
    sealed::container((image, SEAL), "store-copy", (place, false), keys, (args, mounts))
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

/// The container that verifies the ledger that is served in its pod.
pub fn verify(backup: &Backup, platform: &Platform, settings: &Settings, head: Option<&str>) -> Container {
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
        image: Some(program::image(platform, settings)),
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
