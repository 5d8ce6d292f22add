//! From the Job and its pod to a Backup's status. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ContainerStateTerminated, ContainerStatus, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupState, BackupStatus,
    condition::reason::{
        BACKUP_FAILED, COMPLETED, ENGINE_UNAVAILABLE, LEDGER_NOT_SOUND, PROGRESSING, TIMED_OUT,
    },
};
use serde::Deserialize;

use super::{Answer, build, job_of};
use crate::{condition::Conditions, meta::HEAD, status::Reported};

/// As much of a step's last words as a condition can hold.
const WORDS_MAX: usize = 600;
/// `payplane-engine verify` ends so if it found something wrong.
const VIOLATIONS: i32 = 1;

/// What the step that copies says at its end.
#[derive(Deserialize)]
struct Copied {
    bytes: i64,
}

/// What the step that verifies says at its end.
#[derive(Deserialize)]
struct Verified {
    operations: i64,
}

/// How a Job stands.
enum End {
    Open,
    Succeeded,
    Failed { reason: &'static str, message: String },
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
        Answer::Begun => BackupStatus {
            state: BackupState::Running,
            conditions: conditions.waiting(PROGRESSING, "Copying the database.").into_vec(),
            ..fresh
        },
        Answer::Seen { job, pod } => of_job(backup, job, pod.as_deref(), conditions, fresh),
    }
}

fn of_job(
    backup: &Backup,
    job: &Job,
    pod: Option<&Pod>,
    conditions: Conditions<'_>,
    fresh: BackupStatus,
) -> BackupStatus {
    let copied: Option<Copied> = said(pod, build::COPY);
    let known = BackupStatus {
        started_at: job.creation_timestamp().map(|time| Time(time.0)),
        head: job.annotations().get(HEAD).cloned(),
        bytes: copied.map(|copied| copied.bytes),
        ..fresh
    };
    match end(backup, job, pod) {
        End::Open => {
            let step = if known.bytes.is_some() {
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
            let operations = said::<Verified>(pod, build::VERIFY).map(|verified| verified.operations);
            let location = format!("{}/{}", build::claim_name(backup), backup.name_any());
            let counted = operations.map_or_else(String::new, |count| format!("{count} operations, "));
            let message = format!("{counted}restored from {location} and found sound.");
            BackupStatus {
                state: BackupState::Succeeded,
                finished_at: ended_at(job),
                location: Some(location),
                operations,
                conditions: conditions
                    .ready(COMPLETED, &message)
                    .settled(true, COMPLETED, &message)
                    .into_vec(),
                ..known
            }
        }
        End::Failed { reason, message } => BackupStatus {
            state: BackupState::Failed,
            finished_at: ended_at(job),
            bytes: None,
            conditions: conditions.stalled(reason, &message).settled(false, reason, &message).into_vec(),
            ..known
        },
    }
}

fn end(backup: &Backup, job: &Job, pod: Option<&Pod>) -> End {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |type_: &str| conditions.iter().find(|one| one.type_ == type_ && one.status == "True");
    if is("Complete").is_some() {
        return End::Succeeded;
    }
    let Some(failed) = is("Failed") else { return End::Open };
    if failed.reason.as_deref() == Some("DeadlineExceeded") {
        let seconds = backup.spec.deadline_seconds;
        let message = format!(
            "It took longer than {seconds} s. Create another Backup with a larger deadlineSeconds, or look why {} was slow.",
            job_of(backup)
        );
        return End::Failed { reason: TIMED_OUT, message };
    }
    let Some((step, terminated)) = culprit(pod) else {
        let why = failed.message.clone().unwrap_or_default();
        return End::Failed { reason: BACKUP_FAILED, message: format!("{} failed: {why}", job_of(backup)) };
    };
    let words: String = terminated.message.unwrap_or_default().trim().chars().take(WORDS_MAX).collect();
    match (step.as_str(), terminated.exit_code) {
        (build::VERIFY, VIOLATIONS) => End::Failed {
            reason: LEDGER_NOT_SOUND,
            message: format!("The restored ledger is not sound, the copy cannot be relied on: {words}"),
        },
        _ => End::Failed { reason: BACKUP_FAILED, message: format!("Step {step} failed: {words}") },
    }
}

/// The first step that failed. The scratch server is stopped at the end, which is no failure.
fn culprit(pod: Option<&Pod>) -> Option<(String, ContainerStateTerminated)> {
    let ended = steps(pod).filter_map(|step| {
        let terminated = step.state.as_ref()?.terminated.clone()?;
        (terminated.exit_code != 0).then(|| (step.name.clone(), terminated))
    });
    ended.min_by_key(|(_, terminated)| terminated.finished_at.as_ref().map(|time| time.0))
}

/// What a step that ended well said.
fn said<'a, T: Deserialize<'a>>(pod: Option<&'a Pod>, step: &str) -> Option<T> {
    let state = steps(pod).find(|one| one.name == step)?.state.as_ref()?;
    let terminated = state.terminated.as_ref().filter(|terminated| terminated.exit_code == 0)?;
    serde_json::from_str(terminated.message.as_deref()?).ok()
}

/// The pod's steps in their order.
fn steps(pod: Option<&Pod>) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.and_then(|pod| pod.status.as_ref());
    let before = status.and_then(|status| status.init_container_statuses.as_deref());
    let last = status.and_then(|status| status.container_statuses.as_deref());
    before.into_iter().flatten().chain(last.into_iter().flatten())
}

fn ended_at(job: &Job) -> Option<Time> {
    let status = job.status.as_ref()?;
    let last = status.conditions.iter().flatten().filter_map(|one| one.last_transition_time.clone());
    status.completion_time.clone().or_else(|| last.max_by_key(|time| time.0))
}

#[cfg(test)]
mod tests;
