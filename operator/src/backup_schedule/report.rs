//! From what was found and done to a BackupSchedule's status. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use payplane_crds::{
    BackupSchedule, BackupScheduleStatus, BackupState,
    backup_schedule::{ArchiveStatus, LastSuccess},
    condition::{
        ARCHIVE_CURRENT, OBJECTIVE_MET, OBJECTS_COPIED, PRUNED, SUCCEEDED, SUSPENDED as SUSPENDED_TYPE,
        reason::{
            ARCHIVE_BEHIND, ARCHIVE_ON_TIME, AS_SPECIFIED, BACKUP_FAILED, COPY_NEEDED, ENGINE_UNAVAILABLE,
            INVALID, NAME_TAKEN, NO_BACKUP, NO_OBJECTIVES, OBJECTIVES_MET, PROGRESSING, PRUNE_FAILED,
            RECOVERY_POINT_TOO_OLD, RECOVERY_TOO_SLOW, SCHEDULED, SUSPENDED,
        },
    },
};

use super::{
    Answer, Made,
    observe::{Child, Observed},
    plan::{Plan, found_needed},
};
use crate::{
    condition::{Conditions, find},
    engine::Archive,
    job::{self, End, Failed},
    platform::stored_log,
    status::Reported,
    telemetry::{Measured, Metrics},
};

/// Segments that may wait to be stored: one is on its way most of the time.
const SEGMENTS_MAX: i64 = 2;
/// How many times its own period the log may be old, for what is slow once in a while.
const PERIODS_MAX: i64 = 3;

/// The status that tells this answer.
pub fn report(
    schedule: &BackupSchedule,
    observed: &Observed,
    answer: &Answer,
    now: Timestamp,
) -> BackupScheduleStatus {
    let conditions = Conditions::new(schedule.current(), schedule.metadata.generation, now);
    let before = schedule.status.clone().unwrap_or_default();
    let (plan, made) = match answer {
        Answer::Invalid { reason, message } => {
            let conditions = conditions.stalled(reason, message);
            // A repaired schedule brings nothing that would have been due before.
            return BackupScheduleStatus {
                observed_generation: schedule.metadata.generation,
                conditions: conditions.into_vec(),
                ..before
            };
        }
        Answer::Followed(plan, made) => (plan, made),
    };
    let good = newest_good(observed);
    let archive = observed.archive.as_ref().and_then(|found| found.as_ref().ok());
    let log = archive.map(|archive| stored(observed, archive, now));
    let recoverable_to = recoverable_to(good, archive.filter(|_| log == Some(Ok(()))));
    let conditions = judge(conditions, observed, plan, made);
    let conditions = objectives(conditions, schedule, good, recoverable_to, now);
    let conditions = objects(conditions, good);
    let conditions = pruned(conditions, observed);
    let conditions = archiving(conditions, observed, log);
    BackupScheduleStatus {
        last_success: good.map(last_success),
        recoverable_to: recoverable_to.map(Time),
        kept: observed.children.iter().filter(|child| child.state() == BackupState::Succeeded).count() as i64,
        running: plan.running.clone().or_else(|| match made {
            Made::Backup(name) => Some(name.clone()),
            Made::Nothing | Made::Taken(_) | Made::Rejected(_) => None,
        }),
        next_scheduled_time: plan.next.map(Time),
        last_scheduled_time: last(schedule, plan, made),
        archive: archive.map(|archive| ArchiveStatus {
            stored_at: archive.stored_at.map(Time),
            segments_behind: archive.segments_behind,
            failures: archive.failures,
        }),
        in_force: plan.in_force.clone(),
        observed_generation: schedule.metadata.generation,
        conditions: conditions.into_vec(),
    }
}

fn newest_good(observed: &Observed) -> Option<&Child> {
    observed.children.iter().rev().find(|child| child.state() == BackupState::Succeeded)
}

fn last_success(child: &Child) -> LastSuccess {
    let status = child.backup.status.clone().unwrap_or_default();
    LastSuccess {
        backup: child.backup.name_any(),
        started_at: status.started_at.unwrap_or(Time(child.time)),
        bytes: status.bytes,
        operations: status.operations,
        objects: status.objects.map(|objects| objects.count),
        restore_seconds: status.restore_seconds,
    }
}

/// A time counts as served when its Backup is there.
fn last(schedule: &BackupSchedule, plan: &Plan, made: &Made) -> Option<Time> {
    let since = schedule.metadata.creation_timestamp.as_ref().map(|made| made.0);
    match made {
        Made::Taken(_) | Made::Rejected(_) => {
            schedule.status.as_ref().and_then(|status| status.last_scheduled_time.clone())
        }
        Made::Nothing | Made::Backup(_) => Some(plan.last).filter(|last| since < Some(*last)).map(Time),
    }
}

/// What a restore would bring back: the newest good copy, and the log after it as far as it is stored.
fn recoverable_to(good: Option<&Child>, archive: Option<&Archive>) -> Option<Timestamp> {
    let copied = last_success(good?).started_at.0;
    Some(archive.and_then(|archive| archive.stored_at).map_or(copied, |stored| stored.max(copied)))
}

fn judge<'a>(conditions: Conditions<'a>, observed: &Observed, plan: &Plan, made: &Made) -> Conditions<'a> {
    let is_suspended = if plan.is_suspended { "True" } else { "False" };
    let told = match (plan.is_suspended, made, newest_ended(observed)) {
        (true, ..) => {
            let message = "Paused by spec.suspend. What is due meanwhile is never taken.";
            conditions.ready(SUSPENDED, message)
        }
        (_, Made::Taken(name), _) => {
            let message = format!(
                "Backup {name} exists and is not this schedule's. Delete it, or rename the schedule."
            );
            conditions.stalled(NAME_TAKEN, &message)
        }
        (_, Made::Rejected(message), _) => {
            conditions.stalled(INVALID, &format!("The API server refuses the Backup that is due: {message}"))
        }
        (_, _, Some(child)) if child.state() == BackupState::Failed => {
            let why = find(child.backup.current(), SUCCEEDED).map_or("", |told| &told.message);
            let message = format!("The last one, {}, failed: {why}", child.backup.name_any());
            // The next one may succeed by itself.
            conditions.refused(BACKUP_FAILED, &message)
        }
        (_, _, _) => match (plan.waits, plan.next) {
            (Some(time), _) => {
                let running = plan.running.as_deref().unwrap_or_default();
                let message = format!("The one of {time} waits until {running} has ended.");
                conditions.waiting(PROGRESSING, &message)
            }
            (None, Some(next)) => conditions.ready(SCHEDULED, &format!("The next one is due at {next}.")),
            (None, None) => conditions.ready(SCHEDULED, "None is due any more."),
        },
    };
    let reason = if plan.is_suspended { SUSPENDED } else { SCHEDULED };
    let message = if plan.is_suspended { "Paused by spec.suspend." } else { "The schedule is not paused." };
    told.set(SUSPENDED_TYPE, is_suspended, reason, message)
}

fn newest_ended(observed: &Observed) -> Option<&Child> {
    let has_ended = |child: &&Child| matches!(child.state(), BackupState::Succeeded | BackupState::Failed);
    observed.children.iter().rev().find(has_ended)
}

fn objectives<'a>(
    conditions: Conditions<'a>,
    schedule: &BackupSchedule,
    good: Option<&Child>,
    recoverable_to: Option<Timestamp>,
    now: Timestamp,
) -> Conditions<'a> {
    let wanted = &schedule.spec.objectives;
    let Some(recoverable_to) = recoverable_to else {
        return conditions.set(
            OBJECTIVE_MET,
            "False",
            NO_BACKUP,
            "No backup has succeeded yet: nothing can be restored.",
        );
    };
    let took = good.and_then(|child| last_success(child).restore_seconds);
    if wanted.rpo_seconds.is_none() && wanted.rto_seconds.is_none() {
        let message = "spec.objectives is empty, so nothing is asked for.";
        return conditions.set(OBJECTIVE_MET, "Unknown", NO_OBJECTIVES, message);
    }
    if let Some(rpo) =
        wanted.rpo_seconds.filter(|rpo| SignedDuration::from_secs(*rpo) < now.duration_since(recoverable_to))
    {
        let message = format!(
            "A restore would lose what was paid after {recoverable_to}; objectives.rpoSeconds allows {rpo} s. Look why \
             Backups fail, or let them come more often, or store the log (`archive` of the Platform)."
        );
        return conditions.set(OBJECTIVE_MET, "False", RECOVERY_POINT_TOO_OLD, &message);
    }
    match (wanted.rto_seconds, took) {
        (Some(rto), Some(took)) if rto < took => {
            let message = format!(
                "The last restore took {took} s; objectives.rtoSeconds allows {rto} s. Give the database more resources, \
                 or change the objective."
            );
            conditions.set(OBJECTIVE_MET, "False", RECOVERY_TOO_SLOW, &message)
        }
        _ => conditions.set(OBJECTIVE_MET, "True", OBJECTIVES_MET, "Recovery point and time are as asked."),
    }
}

/// As the newest good copy says. One that an older operator made says nothing.
fn objects<'a>(conditions: Conditions<'a>, good: Option<&Child>) -> Conditions<'a> {
    let told = good.and_then(|child| {
        let told = find(child.backup.current(), OBJECTS_COPIED)?;
        Some((child.backup.name_any(), told))
    });
    let Some((name, told)) = told else { return conditions };
    conditions.set(OBJECTS_COPIED, &told.status, &told.reason, &format!("{name}: {}", told.message))
}

fn pruned<'a>(conditions: Conditions<'a>, observed: &Observed) -> Conditions<'a> {
    let Some(job) = &observed.pruner else {
        return conditions.set(PRUNED, "True", AS_SPECIFIED, "No copy is beyond spec.retention.");
    };
    match job::end(job, observed.pruner_pod.as_ref()) {
        End::Open => {
            conditions.set(PRUNED, "Unknown", PROGRESSING, "Copies beyond spec.retention are being deleted.")
        }
        End::Succeeded => {
            let found = found_needed(observed.pruner_pod.as_ref());
            if found.needed.is_empty() {
                let message = "Copies beyond spec.retention were deleted.";
                return conditions.set(PRUNED, "True", AS_SPECIFIED, message);
            }
            let message = format!(
                "Not deleted: {}. Copies build on them whose Backups are not here any more: {}. Delete those by payplane-engine \
                 prune-copies --doomed, or keep all of them.",
                found.needed.join(", "),
                found.needed_by.join(", ")
            );
            conditions.set(PRUNED, "False", COPY_NEEDED, &message)
        }
        End::Failed(failed) => {
            let words = match failed {
                Failed::Late => "it took too long".into(),
                Failed::Job(words) | Failed::Step { words, .. } => words,
            };
            let message =
                format!("Job {} could not delete copies, and is tried again: {words}", job.name_any());
            conditions.set(PRUNED, "False", PRUNE_FAILED, &message)
        }
    }
}

/// Whether the log is stored as it is written; if not, what is the matter.
fn stored(observed: &Observed, archive: &Archive, now: Timestamp) -> Result<(), String> {
    let archived = observed.platform.as_ref().and_then(stored_log);
    let period = archived.map_or(60, |one| i64::from(one.every_seconds));
    let is_old =
        |at: Timestamp| SignedDuration::from_secs(PERIODS_MAX * period + 30) < now.duration_since(at);
    let what = if !archive.is_on {
        "The server does not store its log yet: it starts to with its next start"
    } else if archive.is_failing {
        "The last segment of the log could not be stored"
    } else if SEGMENTS_MAX < archive.segments_behind {
        "Segments of the log are full and not stored"
    } else if archive.stored_at.is_none_or(is_old) {
        "No segment of the log was stored lately"
    } else {
        return Ok(());
    };
    let (why, way_out) = match &observed.trouble {
        Some(trouble) => (format!(": {}", trouble.words), "The server tries again by itself"),
        None => (String::new(), "Look at the place of the backups, and at the log of the server"),
    };
    Err(format!(
        "{what}{why}. Payments go on, and the log stays on the ledger's volume until that is full. {way_out}."
    ))
}

fn archiving<'a>(
    conditions: Conditions<'a>,
    observed: &Observed,
    log: Option<Result<(), String>>,
) -> Conditions<'a> {
    let reason = observed.trouble.as_ref().map_or(ARCHIVE_BEHIND, |trouble| trouble.reason);
    match (&observed.archive, log) {
        (None, _) => conditions,
        (Some(Err(error)), _) => {
            conditions.set(ARCHIVE_CURRENT, "Unknown", ENGINE_UNAVAILABLE, &error.advice())
        }
        (Some(Ok(_)), Some(Err(message))) => conditions.set(ARCHIVE_CURRENT, "False", reason, &message),
        (Some(Ok(_)), _) => {
            conditions.set(ARCHIVE_CURRENT, "True", ARCHIVE_ON_TIME, "The log is stored as it is written.")
        }
    }
}

/// What alerts and the dashboard go by.
pub fn measure(metrics: &Metrics, schedule: &BackupSchedule, status: &BackupScheduleStatus) {
    let (namespace, name) = (schedule.namespace().unwrap_or_default(), schedule.name_any());
    let said = |type_| find(&status.conditions, type_).map(|condition| &*condition.status);
    let last = status.last_success.as_ref();
    let measured = Measured {
        archive_current: said(ARCHIVE_CURRENT).is_none_or(|status| status == "True"),
        copy_bytes: last.and_then(|last| last.bytes),
        drill_seconds: last.and_then(|last| last.restore_seconds),
        drill_at: last.map_or(0, |last| last.started_at.0.as_second()),
        objective_met: said(OBJECTIVE_MET).is_none_or(|status| status != "False"),
        objects_copied: said(OBJECTS_COPIED).is_none_or(|status| status == "True"),
        operations: last.and_then(|last| last.operations),
        recoverable_to: status.recoverable_to.as_ref().map_or(0, |time| time.0.as_second()),
        segments_behind: status.archive.as_ref().map(|archive| archive.segments_behind),
    };
    metrics.backups.set([&namespace, &name], Some(measured));
}

#[cfg(test)]
mod tests;
