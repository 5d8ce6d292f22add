//! From CloudNativePG's Backup to the status of ours. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupState, BackupStatus,
    backup::{BackupType, OperatedCopy},
    condition::reason::PROGRESSING,
};

use crate::{condition::Conditions, meta::HEAD, platform::foreign::cloudnative_pg::backup::OperatedBackup};

/// It takes the copy.
pub fn copying(
    copy: Option<&OperatedBackup>,
    conditions: Conditions<'_>,
    fresh: BackupStatus,
) -> BackupStatus {
    let known = copy.map_or_else(|| fresh.clone(), |copy| known(copy, None, fresh.clone()));
    let phase = known.operated.as_ref().map(|copy| copy.phase.as_str()).filter(|phase| !phase.is_empty());
    let message = format!("CloudNativePG takes the copy: {}.", phase.unwrap_or("asked for"));
    BackupStatus {
        state: BackupState::Running,
        conditions: conditions.waiting(PROGRESSING, &message).into_vec(),
        location: None,
        ..known
    }
}

/// It took none.
pub fn failed(
    backup: &Backup,
    copy: &OperatedBackup,
    (reason, message): (&str, &str),
    conditions: Conditions<'_>,
    fresh: BackupStatus,
) -> BackupStatus {
    let known = known(copy, None, fresh);
    let deadline = backup.spec.deadline_seconds;
    let at_latest =
        known.started_at.as_ref().map(|time| Time(time.0 + jiff::SignedDuration::from_secs(deadline)));
    let stopped = copy.status.as_ref().and_then(|status| status.stopped_at.clone());
    BackupStatus {
        state: BackupState::Failed,
        finished_at: stopped.or(at_latest),
        conditions: conditions.stalled(reason, message).settled(false, reason, message).into_vec(),
        location: None,
        type_: None,
        ..known
    }
}

/// What is told of it. It began when it was asked for: what was acknowledged before is in it.
pub fn known(copy: &OperatedBackup, full_because: Option<&String>, fresh: BackupStatus) -> BackupStatus {
    let told = copy.status.clone().unwrap_or_default();
    let parts = [&told.destination_path, &told.server_name, "base", &told.backup_id];
    let location = parts.map(|part| part.trim_end_matches('/')).join("/");
    BackupStatus {
        started_at: copy.creation_timestamp().map(|time| Time(time.0)),
        head: copy.annotations().get(HEAD).cloned(),
        location: (!told.backup_id.is_empty()).then_some(location),
        type_: Some(BackupType::Full),
        full_because: full_because.cloned(),
        operated: Some(OperatedCopy {
            instance: told.instance_id.map(|instance| instance.pod_name).unwrap_or_default(),
            phase: told.phase,
            destination: told.destination_path,
            server_name: told.server_name,
            backup_id: told.backup_id,
            begin_lsn: told.begin_lsn,
            end_lsn: told.end_lsn,
            begin_wal: told.begin_wal,
            end_wal: told.end_wal,
            stopped_at: told.stopped_at,
        }),
        ..fresh
    }
}
