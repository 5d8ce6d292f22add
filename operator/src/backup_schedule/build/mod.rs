//! The Backup of one scheduled time, and the Job that deletes copies. Pure.

mod operated;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use payplane_crds::{Backup, BackupSchedule, BackupSpec, Platform};

use super::{observe::Observed, plan::Doomed};
use crate::{
    barman,
    context::Settings,
    job,
    meta::{BACKUP_SCHEDULE, DOOMED, MANAGER, labels, owner, short_hash},
    place::Place,
    platform::{
        POSTGRES,
        container::{beside, scratch},
        place_of_log, program, stored_log,
    },
    schedule,
    sealed::{self, Keys, PRUNE},
};

/// Component label of a schedule's Jobs.
const COMPONENT: &str = "backup-schedule";
/// The user `postgres` of Debian-based images, whose the copies are.
const USER: i64 = 999;
/// Deleting even large copies takes seconds; what takes longer is stuck.
const DEADLINE_SECONDS: i64 = 900;
/// Long enough to be looked at, short enough that a failed one is tried again.
const TTL_SECONDS: i32 = 300;

/// The Backup of this time.
pub fn backup(of: &BackupSchedule, time: Timestamp) -> Backup {
    Backup {
        metadata: ObjectMeta {
            name: Some(schedule::stamped(&of.name_any(), time)),
            namespace: of.namespace(),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/managed-by".into(), MANAGER.into()),
                (BACKUP_SCHEDULE.into(), of.name_any()),
            ])),
            owner_references: Some(vec![owner(of)]),
            ..ObjectMeta::default()
        },
        spec: BackupSpec {
            platform_ref: of.spec.platform_ref.clone(),
            volume: of.spec.volume.clone(),
            bucket: of.spec.bucket.clone(),
            encryption: of.spec.encryption.clone(),
            parent_ref: None,
            deadline_seconds: of.spec.deadline_seconds,
        },
        status: None,
    }
}

/// The time that a Backup is for, if it is the schedule's by name, Platform and owner.
pub fn time_of(of: &BackupSchedule, backup: &Backup) -> Option<Timestamp> {
    let is_owned = backup.owner_references().iter().any(|owner| Some(&owner.uid) == of.metadata.uid.as_ref());
    let is_of_platform = backup.spec.platform_ref == of.spec.platform_ref;
    (is_owned && is_of_platform).then(|| schedule::stamp_of(&of.name_any(), &backup.name_any()))?
}

/// Where its copies are kept.
pub fn place(of: &BackupSchedule) -> Place<'_> {
    Place::of(&of.spec.volume, of.spec.bucket.as_ref(), &of.spec.platform_ref.name)
}

/// The Job that deletes these copies. Its name follows from them, so the same ones are deleted by one Job. None as long as nobody
/// knows the image with the programs that do.
pub fn prune(
    of: &BackupSchedule,
    doomed: &[Doomed],
    observed: &Observed,
    settings: &Settings,
) -> Option<Job> {
    let platform = observed.platform.as_ref();
    let list = listed(doomed);
    let name = &of.spec.platform_ref.name;
    let mut labels = labels(name, COMPONENT);
    labels.insert(BACKUP_SCHEDULE.into(), of.name_any());
    let hash = short_hash([list.as_bytes()]);
    let log = platform.and_then(stored_log).map(|archive| place_of_log(archive, name));
    let metadata = ObjectMeta {
        name: Some(format!("{}-prune-{}", of.name_any(), &hash[..8])),
        namespace: of.namespace(),
        annotations: Some(BTreeMap::from([(DOOMED.into(), list.clone())])),
        labels: Some(labels),
        owner_references: Some(vec![owner(of)]),
        ..ObjectMeta::default()
    };
    let place = place(of);
    let is_operated = platform.is_some_and(|platform| platform.spec.postgres.operator.is_some());
    let (before, user) = match is_operated || doomed.iter().any(|one| one.operated.is_some()) {
        true => (vec![operated::delete(doomed, &place, observed.cluster.as_ref())?], barman::USER),
        false => (Vec::new(), USER),
    };
    let tmp = (!before.is_empty()).then(|| scratch("tmp"));
    let pod = PodSpec {
        affinity: place.shares_volume(log.as_ref()).then(|| beside(name, POSTGRES)),
        containers: vec![delete(doomed, &place, platform, settings)],
        init_containers: Some(before).filter(|before| !before.is_empty()),
        volumes: Some([place.volume()].into_iter().chain(tmp).collect()),
        ..job::pod(user)
    };
    let mut job = job::once(metadata, DEADLINE_SECONDS, pod);
    job.spec.get_or_insert_default().ttl_seconds_after_finished = Some(TTL_SECONDS);
    Some(job)
}

fn delete(
    doomed: &[Doomed],
    place: &Place<'_>,
    platform: Option<&Platform>,
    settings: &Settings,
) -> Container {
    let image =
        platform.map_or_else(|| settings.engine_image.clone(), |platform| program::image(platform, settings));
    let args = doomed.iter().map(|one| format!("--doomed={}", listed(std::slice::from_ref(one))));
    let args = args.chain(["--summary-file=/dev/termination-log".into()]).collect();
    let (keys, mounts) = (Keys::default(), Vec::new());
    sealed::container((image, PRUNE), "prune-copies", (place, false), &keys, (args, mounts))
}

/// As the Job remembers: NAME:UID, separated by spaces.
pub fn listed(doomed: &[Doomed]) -> String {
    doomed.iter().map(|one| format!("{}:{}", one.name, one.uid)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
