//! From the Job and its pod to a Backup's status. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupState, BackupStatus,
    backup::BackupType,
    condition::{
        OBJECTS_COPIED,
        reason::{BACKUP_FAILED, COMPLETED, ENGINE_UNAVAILABLE, LEDGER_NOT_SOUND, PROGRESSING, TIMED_OUT},
    },
};
use serde::Deserialize;

mod objects;

use super::{Answer, build, job_of, operated::report as operated};
use crate::{
    condition::Conditions,
    job::{self, End, Failed},
    meta::{FULL_BECAUSE, HEAD},
    platform::foreign::cloudnative_pg::backup::OperatedBackup,
    sealed::{self, SEAL},
    status::Reported,
};

/// `payplane-engine verify` ends so if it found something wrong.
const VIOLATIONS: i32 = 1;

/// What the step says at its end that copies, or that seals the copy.
#[derive(Deserialize)]
struct Copied {
    bytes: i64,
    #[serde(default)]
    keys: Vec<String>,
    /// Where nothing says so it is the same: a full copy.
    total: Option<i64>,
    parent: Option<String>,
    full_because: Option<String>,
}

/// As much of a reason as a status tells, in characters.
const BECAUSE_MAX: usize = 800;
/// As many ids of keys as a status tells.
const KEYS_MAX: usize = 16;

/// What the step that verifies says at its end.
#[derive(Deserialize)]
struct Verified {
    operations: i64,
}

/// The status that tells this answer.
pub fn report(backup: &Backup, answer: &Answer, now: Timestamp) -> BackupStatus {
    let conditions = Conditions::new(backup.current(), backup.metadata.generation, now);
    let fresh = BackupStatus { observed_generation: backup.metadata.generation, ..BackupStatus::default() };
    match answer {
        Answer::Waiting(waiting) => BackupStatus {
            conditions: conditions.waiting(waiting.reason, &waiting.message).into_vec(),
            ..fresh
        },
        Answer::Refused { reason, message } => {
            BackupStatus { conditions: conditions.stalled(reason, message).into_vec(), ..fresh }
        }
        Answer::Failed(error) => BackupStatus {
            conditions: conditions.waiting(ENGINE_UNAVAILABLE, &error.advice()).into_vec(),
            ..fresh
        },
        Answer::GaveUp => {
            let seconds = backup.spec.deadline_seconds;
            let message = format!(
                "It could not begin within {seconds} s: look at the Platform and the place of the copy."
            );
            BackupStatus {
                state: BackupState::Failed,
                conditions: conditions
                    .stalled(TIMED_OUT, &message)
                    .settled(false, TIMED_OUT, &message)
                    .into_vec(),
                ..fresh
            }
        }
        Answer::Begun => BackupStatus {
            state: BackupState::Running,
            conditions: conditions.waiting(PROGRESSING, "Copying the database.").into_vec(),
            ..fresh
        },
        Answer::Copying(copy) => operated::copying(copy.as_deref(), conditions, fresh),
        Answer::CopyFailed { copy, reason, message } => {
            operated::failed(backup, copy, (reason, message), conditions, fresh)
        }
        Answer::Seen { copy, job, pod } => {
            of_job(backup, copy.as_deref(), (job, pod.as_deref()), conditions, fresh)
        }
    }
}

fn of_job(
    backup: &Backup,
    copy: Option<&OperatedBackup>,
    (job, pod): (&Job, Option<&Pod>),
    conditions: Conditions<'_>,
    fresh: BackupStatus,
) -> BackupStatus {
    let copied: Option<Copied> = job::said(pod, SEAL).or_else(|| job::said(pod, build::COPY));
    let known = match copy {
        Some(copy) => operated::known(copy, job.annotations().get(FULL_BECAUSE), fresh.clone()),
        None => BackupStatus {
            started_at: job.creation_timestamp().map(|time| Time(time.0)),
            head: job.annotations().get(HEAD).cloned(),
            observed_generation: fresh.observed_generation,
            ..copied.map_or_else(BackupStatus::default, |copied| of_copy(job, copied))
        },
    };
    match job::end(job, pod) {
        End::Open => {
            let step = if copy.is_some() || known.bytes.is_some() {
                "Restoring and verifying the copy."
            } else {
                "Copying the database."
            };
            BackupStatus {
                state: BackupState::Running,
                conditions: conditions.waiting(PROGRESSING, step).into_vec(),
                ..known
            }
        }
        End::Succeeded => {
            let operations = job::said::<Verified>(pod, build::VERIFY).map(|verified| verified.operations);
            let location =
                known.location.clone().unwrap_or_else(|| build::place(backup).location(&backup.name_any()));
            let counted = operations.map_or_else(String::new, |count| format!("{count} operations, "));
            let copied = objects::of(job, pod);
            let built = built(&known);
            let message =
                format!("{counted}restored from {location}{built} and found sound. {}", copied.message);
            BackupStatus {
                state: BackupState::Succeeded,
                finished_at: job::ended_at(job),
                location: Some(location),
                operations,
                restore_seconds: restore_seconds(&known, pod),
                objects: copied.objects,
                conditions: conditions
                    .ready(COMPLETED, &message)
                    .settled(true, COMPLETED, &message)
                    .set(OBJECTS_COPIED, copied.status, &copied.reason, &copied.message)
                    .into_vec(),
                ..known
            }
        }
        End::Failed(failed) => {
            let (reason, message) = failure(backup, failed);
            BackupStatus {
                state: BackupState::Failed,
                finished_at: job::ended_at(job),
                started_at: known.started_at,
                head: known.head,
                operated: known.operated,
                conditions: conditions.stalled(reason, &message).settled(false, reason, &message).into_vec(),
                ..fresh
            }
        }
    }
}

/// What is told of a copy that was kept.
fn of_copy(job: &Job, copied: Copied) -> BackupStatus {
    let because = copied.full_because.or_else(|| job.annotations().get(FULL_BECAUSE).cloned());
    BackupStatus {
        type_: Some(match &copied.parent {
            Some(_) => BackupType::Incremental,
            None => BackupType::Full,
        }),
        full_because: because.map(|why| why.chars().take(BECAUSE_MAX).collect()),
        parent: copied.parent,
        bytes: Some(copied.bytes),
        total_bytes: Some(copied.total.unwrap_or(copied.bytes)),
        sealed_for: copied.keys.into_iter().take(KEYS_MAX).collect(),
        ..BackupStatus::default()
    }
}

/// On what it was built, for people.
fn built(status: &BackupStatus) -> String {
    match (&status.parent, &status.full_because) {
        (Some(parent), _) => format!(" with {parent}, which it builds on,"),
        (None, Some(why)) => format!(", a full copy ({})", why.trim_end_matches('.')),
        (None, None) => String::new(),
    }
}

/// As a condition's reason and message.
fn failure(backup: &Backup, failed: Failed) -> (&'static str, String) {
    match failed {
        Failed::Late => {
            let seconds = backup.spec.deadline_seconds;
            let message = format!(
                "It took longer than {seconds} s. Create another Backup with a larger deadlineSeconds, or look why {} was slow.",
                job_of(backup)
            );
            (TIMED_OUT, message)
        }
        Failed::Job(why) => (BACKUP_FAILED, format!("{} failed: {why}", job_of(backup))),
        Failed::Step { step, code: VIOLATIONS, words } if step == build::VERIFY => (
            LEDGER_NOT_SOUND,
            format!("The restored ledger is not sound, the copy cannot be relied on: {words}"),
        ),
        Failed::Step { step, code, words } => sealed::failure(&step, code, &words)
            .unwrap_or_else(|| (BACKUP_FAILED, format!("Step {step} failed: {words}"))),
    }
}

/// From the finished copy to the verified ledger.
fn restore_seconds(known: &BackupStatus, pod: Option<&Pod>) -> Option<i64> {
    let taken = known.operated.as_ref().and_then(|copy| copy.stopped_at.as_ref()).map(|time| time.0);
    let copied = taken.or_else(|| job::ended(pod, SEAL)).or_else(|| job::ended(pod, build::COPY))?;
    let verified = job::ended(pod, build::VERIFY)?;
    Some(verified.duration_since(copied).as_secs())
}

#[cfg(test)]
mod tests;
