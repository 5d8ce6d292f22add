//! From the Job and its pod to a Restore's status. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;
use payplane_crds::{
    Restore, RestoreState, RestoreStatus,
    condition::reason::{COMPLETED, LEDGER_NOT_SOUND, PROGRESSING, RESTORE_FAILED, TIMED_OUT},
};
use serde::Deserialize;

use super::{
    Answer, build,
    plan::in_place::{in_place, kept},
};
use crate::{
    condition::Conditions,
    job::{self, End, Failed},
    platform::cluster_name,
    sealed,
    status::Reported,
};

/// `payplane-engine verify` ends so if it found something wrong.
const VIOLATIONS: i32 = 1;

/// What the step that verifies says at its end.
#[derive(Deserialize)]
struct Verified {
    operations: i64,
}

/// What the step that brings it up to a sequence says at its end.
#[derive(Deserialize)]
struct Recovered {
    later: i64,
}

/// What the step that makes a ledger of its own says at its end.
#[derive(Deserialize)]
struct Adopted {
    epoch: i64,
}

/// The status that tells this answer.
pub fn report(restore: &Restore, answer: &Answer, now: Timestamp) -> RestoreStatus {
    let conditions = Conditions::new(restore.current(), restore.metadata.generation, now);
    let fresh =
        RestoreStatus { observed_generation: restore.metadata.generation, ..RestoreStatus::default() };
    match answer {
        Answer::Waiting(waiting) => RestoreStatus {
            conditions: conditions.waiting(waiting.reason, &waiting.message).into_vec(),
            ..fresh
        },
        // Whoever put the way out into effect creates another Restore: nothing was done.
        Answer::Refused { reason, message } => RestoreStatus {
            state: RestoreState::Failed,
            conditions: conditions.stalled(reason, message).settled(false, reason, message).into_vec(),
            ..fresh
        },
        Answer::Begun => RestoreStatus {
            state: RestoreState::Running,
            conditions: conditions.waiting(PROGRESSING, "Restoring.").into_vec(),
            ..fresh
        },
        Answer::Standing | Answer::Stepped => standing(restore, conditions, now, fresh),
        Answer::Recovering(said) => recovering(restore, said, conditions, now, fresh),
        Answer::Undoing(job) => undoing(restore, job.as_deref(), conditions, fresh),
        Answer::Seen { is_operated, job, pod } => {
            of_job(restore, *is_operated, (job, pod.as_deref()), conditions, fresh)
        }
    }
}

/// In place: when it began is when the Platform stopped.
fn standing(
    restore: &Restore,
    conditions: Conditions<'_>,
    now: Timestamp,
    fresh: RestoreStatus,
) -> RestoreStatus {
    let message = "The Platform is brought to stand still: its database and its engines stop.";
    RestoreStatus {
        state: RestoreState::Running,
        started_at: began(restore).or(Some(Time(now))),
        conditions: conditions.waiting(PROGRESSING, message).into_vec(),
        ..fresh
    }
}

/// CloudNativePG recovers: it began when the Cluster was made.
fn recovering(
    restore: &Restore,
    said: &str,
    conditions: Conditions<'_>,
    now: Timestamp,
    fresh: RestoreStatus,
) -> RestoreStatus {
    let message = format!("CloudNativePG recovers the copy, and the log after it: {said}");
    RestoreStatus {
        state: RestoreState::Running,
        started_at: told(restore).or(Some(Time(now))),
        conditions: conditions.waiting(PROGRESSING, &message).into_vec(),
        ..fresh
    }
}

fn began(restore: &Restore) -> Option<Time> {
    in_place(restore)?;
    told(restore)
}

/// As the status has it. Only the operator writes that.
fn told(restore: &Restore) -> Option<Time> {
    restore.status.as_ref()?.started_at.clone()
}

/// In place: it failed, and that is not the end yet.
fn undoing(
    restore: &Restore,
    job: Option<&Job>,
    conditions: Conditions<'_>,
    fresh: RestoreStatus,
) -> RestoreStatus {
    let name = build::undo::name(restore);
    let message = match job.map(|job| job::end(job, None)) {
        Some(End::Failed(_)) => format!(
            "It failed, and Job {name}, which brings the ledger of before back, did as well: see its pods' logs, and delete the Job \
             to have it made again. Until then the Platform stands still."
        ),
        _ => "It failed, and the ledger of before is brought back.".into(),
    };
    RestoreStatus {
        state: RestoreState::Running,
        started_at: began(restore),
        conditions: conditions.waiting(RESTORE_FAILED, &message).into_vec(),
        ..fresh
    }
}

fn of_job(
    restore: &Restore,
    is_operated: bool,
    (job, pod): (&Job, Option<&Pod>),
    conditions: Conditions<'_>,
    fresh: RestoreStatus,
) -> RestoreStatus {
    let recovered = if is_operated { told(restore) } else { None };
    let started_at =
        began(restore).or(recovered).or_else(|| job.creation_timestamp().map(|time| Time(time.0)));
    let known = RestoreStatus { started_at, ..fresh };
    match job::end(job, pod) {
        End::Open => RestoreStatus {
            state: RestoreState::Running,
            conditions: conditions.waiting(PROGRESSING, "Restoring.").into_vec(),
            ..known
        },
        End::Succeeded => succeeded(restore, job, pod, conditions, known),
        End::Failed(failed) => {
            let (reason, message) = failure(restore, is_operated, failed);
            RestoreStatus {
                state: RestoreState::Failed,
                finished_at: job::ended_at(job),
                conditions: conditions.stalled(reason, &message).settled(false, reason, &message).into_vec(),
                ..known
            }
        }
    }
}

fn succeeded(
    restore: &Restore,
    job: &Job,
    pod: Option<&Pod>,
    conditions: Conditions<'_>,
    known: RestoreStatus,
) -> RestoreStatus {
    let operations = job::said::<Verified>(pod, build::VERIFY).map(|verified| verified.operations);
    let epoch = job::said::<Adopted>(pod, build::ADOPT).map(|adopted| adopted.epoch);
    let later = job::said::<Recovered>(pod, build::RECOVER).map(|recovered| recovered.later);
    let finished_at = job::ended_at(job);
    let times = known.started_at.as_ref().zip(finished_at.as_ref());
    let counted = operations.map_or_else(String::new, |count| format!("{count} operations "));
    let message = match &restore.spec.into.platform {
        Some(into) if into.replace.is_some() => format!(
            "The ledger is there, {counted}found sound, and Platform {} uses it. The one of before is kept in {}.",
            into.name,
            kept(restore, into)
        ),
        Some(into) => {
            format!("The ledger is there, {counted}found sound. Create Platform {} to use it.", into.name)
        }
        None => format!("A drill: {counted}restored and found sound, and thrown away."),
    };
    let message = match later {
        None | Some(0) => message,
        Some(count) => format!(
            "{message} Batches that were sealed after point.sequence but committed before the last batch up to it are there \
             too: {count}."
        ),
    };
    RestoreStatus {
        state: RestoreState::Succeeded,
        seconds: times.map(|(started, finished)| finished.0.duration_since(started.0).as_secs()),
        finished_at,
        operations,
        later_batches: later,
        replaced: in_place(restore).map(|(into, _)| kept(restore, into)),
        epoch: epoch.filter(|_| restore.spec.into.platform.is_some()),
        conditions: conditions.ready(COMPLETED, &message).settled(true, COMPLETED, &message).into_vec(),
        ..known
    }
}

/// As a condition's reason and message.
fn failure(restore: &Restore, is_operated: bool, failed: Failed) -> (&'static str, String) {
    let left = match &restore.spec.into.platform {
        Some(into) if into.replace.is_some() => {
            format!(" The ledger of before is in its place again, and Platform {} uses it.", into.name)
        }
        Some(into) if is_operated => {
            format!(" Nothing uses Cluster {}; delete it to try again.", cluster_name(&into.name))
        }
        Some(into) => {
            format!(" No database starts on {}; delete it to try again.", build::volume_name(&into.name))
        }
        None => String::new(),
    };
    let (reason, message) = match failed {
        Failed::Late => {
            let seconds = restore.spec.deadline_seconds;
            (TIMED_OUT, format!("It took longer than {seconds} s; try again with a larger deadlineSeconds."))
        }
        Failed::Job(why) => (RESTORE_FAILED, format!("Job {} failed: {why}", build::job_name(restore))),
        Failed::Step { step, code: VIOLATIONS, words } if step == build::VERIFY => {
            (LEDGER_NOT_SOUND, format!("The restored ledger is not sound: {words}"))
        }
        Failed::Step { step, code, words } => sealed::failure(&step, code, &words)
            .unwrap_or_else(|| (RESTORE_FAILED, format!("Step {step} failed: {words}"))),
    };
    (reason, format!("{message}{left}"))
}

#[cfg(test)]
mod tests;
