//! What is due, what comes next, and which copies go. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use payplane_crds::{
    Backup, BackupSchedule, BackupScheduleStatus, BackupState, backup::OperatedCopy,
    condition::OBJECTIVE_MET, restore::BackupName, standing_order::InForce,
};
use serde::Deserialize;

use super::{
    ARCHIVING, PRUNING, build,
    observe::{Child, Observed},
    validate::Valid,
};
use crate::{
    condition::is_true,
    job::{self, End},
    meta::DOOMED,
    sealed::PRUNE,
};

/// Failed Backups whose objects stay to be looked at.
const FAILED_KEPT: usize = 3;
/// Copies that are deleted by one Job.
const PRUNED_MAX: usize = 20;

/// A Backup whose copy goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doomed {
    /// Its name.
    pub name: String,
    /// Its UID, which its copy carries.
    pub uid: String,
    /// Its copy, if CloudNativePG took it.
    pub operated: Option<OperatedCopy>,
}

/// What to do, and what to say.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether the spec asks for no more copies.
    pub is_suspended: bool,
    /// The Backup that is being taken.
    pub running: Option<String>,
    /// The time that waits until that has ended.
    pub waits: Option<Timestamp>,
    /// The Backup to make.
    pub due: Option<Box<Backup>>,
    /// The last time that is served.
    pub last: Timestamp,
    /// The next time.
    pub next: Option<Timestamp>,
    /// Copies that a Job has to delete.
    pub prune: Vec<Doomed>,
    /// Backups whose copies a Job has deleted.
    pub gone: Vec<Backup>,
    /// The schedule that is followed, to remember. None while it is suspended.
    pub in_force: Option<InForce>,
}

/// One look.
pub fn plan(schedule: &BackupSchedule, valid: &Valid, observed: &Observed, now: Timestamp) -> Plan {
    let is_suspended = schedule.spec.suspend;
    let children = &observed.children;
    let since = valid.in_force.since.0;
    let last = last(schedule, children, now).map_or(since, |last| last.max(since));
    let due = valid.schedule.last_until(now).filter(|time| last < *time && !is_suspended);
    let running = children.iter().find(|child| !has_ended(child)).map(|child| child.backup.name_any());
    let waits = due.filter(|_| running.is_some());
    let made = due.filter(|_| running.is_none());
    let old = old(schedule, children, now);
    let (gone, prune) = match observed.pruner.as_ref().map(|job| (job, job::end(job, None))) {
        // One Job at a time, and a failed one first runs out: what it could not delete stays.
        Some((_, End::Open | End::Failed(_))) => (Vec::new(), Vec::new()),
        Some((job, End::Succeeded)) => split((job, observed.pruner_pod.as_ref()), old),
        None => (Vec::new(), old.iter().map(doomed).collect()),
    };
    Plan {
        is_suspended,
        running,
        waits,
        due: made.map(|time| Box::new(due_at(schedule, children, time))),
        last: made.map_or(last, |time| time),
        next: valid.schedule.next_after(now.max(last)).filter(|_| !is_suspended),
        prune,
        gone,
        in_force: (!is_suspended).then(|| valid.in_force.clone()),
    }
}

/// The Backup of this time, and what it builds on.
fn due_at(schedule: &BackupSchedule, children: &[Child], time: Timestamp) -> Backup {
    let mut backup = build::backup(schedule, time);
    backup.spec.parent_ref = parent(schedule, children).map(|name| BackupName { name });
    backup
}

/// The last Backup, unless it failed or the next one has to be full. What it builds on has to be known.
fn parent(schedule: &BackupSchedule, children: &[Child]) -> Option<String> {
    let every = usize::try_from(schedule.spec.incremental.as_ref()?.full_every).ok()?;
    let last = children.iter().rev().find(|child| has_ended(child))?;
    let by_name: BTreeMap<_, _> = children.iter().map(|child| (child.backup.name_any(), child)).collect();
    let mut chain = 0;
    let mut next = Some(last.backup.name_any());
    while let Some(name) = next {
        let child = by_name.get(&name).filter(|child| child.state() == BackupState::Succeeded)?;
        chain += 1;
        if every <= chain {
            return None;
        }
        next = needs(child);
    }
    Some(last.backup.name_any())
}

/// The Backup whose copy this one's builds on, or will.
fn needs(child: &Child) -> Option<String> {
    match child.state() {
        BackupState::Succeeded => child.backup.status.as_ref()?.parent.clone(),
        BackupState::New | BackupState::Running => {
            child.backup.spec.parent_ref.as_ref().map(|parent| parent.name.clone())
        }
        BackupState::Failed => None,
    }
}

/// All that the copies build on that do not go, by name.
fn needed(children: &[Child], old: &BTreeSet<String>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    // A copy builds on older ones only.
    for child in children.iter().rev() {
        let name = child.backup.name_any();
        if !old.contains(&name) || needed.contains(&name) {
            needed.extend(needs(child));
        }
    }
    needed
}

fn has_ended(child: &Child) -> bool {
    matches!(child.state(), BackupState::Succeeded | BackupState::Failed)
}

/// The last time that was served: by its Backup, or by what the status remembers. A status that tells of the future is
/// forged, or from before the clock was put right.
fn last(schedule: &BackupSchedule, children: &[Child], now: Timestamp) -> Option<Timestamp> {
    let status = schedule.status.as_ref();
    let told = status.and_then(|status| status.last_scheduled_time.as_ref()).map(|last| last.0);
    told.filter(|told| *told <= now).max(children.last().map(|child| child.time))
}

/// Backups beyond the retention, oldest first. The newest good one never is, what is being taken neither, and nothing that one of
/// those that stay builds on. Of too many the newest go first, so that none goes before what builds on it.
fn old(schedule: &BackupSchedule, children: &[Child], now: Timestamp) -> Vec<Backup> {
    let keep = &schedule.spec.retention;
    let keep_last = usize::try_from(keep.keep_last).unwrap_or(1).max(1);
    let is_young = |child: &Child| {
        keep.keep_within_seconds.is_some_and(|seconds| now.duration_since(child.time).as_secs() <= seconds)
    };
    let newest_first = |state| children.iter().rev().filter(move |child| child.state() == state);
    let good = newest_first(BackupState::Succeeded).skip(keep_last).filter(|child| !is_young(child));
    let failed = newest_first(BackupState::Failed).skip(FAILED_KEPT);
    let mut old: Vec<_> = good.chain(failed).collect();
    let needed = needed(children, &old.iter().map(|child| child.backup.name_any()).collect());
    old.retain(|child| !needed.contains(&child.backup.name_any()));
    old.sort_by_key(|child| std::cmp::Reverse(child.time));
    old.truncate(PRUNED_MAX);
    old.into_iter().rev().map(|child| child.backup.clone()).collect()
}

fn doomed(backup: &Backup) -> Doomed {
    let operated = backup.status.as_ref().and_then(|status| status.operated.clone());
    Doomed { name: backup.name_any(), uid: backup.uid().unwrap_or_default(), operated }
}

/// Those whose copies this Job has deleted, and those that the next one has to. What it found to be needed by a copy without a
/// Backup waits until the Job is gone, and is tried again then.
fn split((job, pod): (&Job, Option<&Pod>), old: Vec<Backup>) -> (Vec<Backup>, Vec<Doomed>) {
    let list = job.annotations().get(DOOMED).map(String::as_str).unwrap_or_default();
    let needed = found_needed(pod).needed;
    let is_listed = |backup: &Backup| list.split(' ').any(|one| one == build::listed(&[doomed(backup)]));
    let is_needed = |backup: &Backup| needed.contains(&build::listed(&[doomed(backup)]));
    let (done, left): (Vec<_>, Vec<_>) = old.into_iter().partition(is_listed);
    (done.into_iter().filter(|backup| !is_needed(backup)).collect(), left.iter().map(doomed).collect())
}

/// What a Job found that deletes copies to be needed still.
pub fn found_needed(pod: Option<&Pod>) -> Needed {
    job::said(pod, PRUNE).unwrap_or_default()
}

/// What that Job says at its end, as NAME:UID.
#[derive(Default, Deserialize)]
pub struct Needed {
    /// Copies that it did not delete.
    pub needed: Vec<String>,
    /// Copies that build on them.
    pub needed_by: Vec<String>,
}

/// How long until something happens by itself. None if nothing does.
pub fn wait(
    schedule: &BackupSchedule,
    plan: &Plan,
    observed: &Observed,
    status: &BackupScheduleStatus,
    now: Timestamp,
) -> Option<Duration> {
    // A timer may be early by less than a millisecond.
    let until = |time: Timestamp| {
        Duration::try_from(time.duration_since(now)).unwrap_or(Duration::ZERO) + Duration::from_millis(1)
    };
    let recoverable = status.recoverable_to.as_ref().map(|time| time.0);
    let allowed = schedule.spec.objectives.rpo_seconds.map(jiff::SignedDuration::from_secs);
    let too_old = recoverable.zip(allowed).and_then(|(time, allowed)| time.checked_add(allowed).ok());
    let too_old = too_old
        .filter(|_| is_true(&status.conditions, OBJECTIVE_MET))
        .map(|time| time + jiff::SignedDuration::from_secs(1));
    let is_pruning = !plan.prune.is_empty()
        || !plan.gone.is_empty()
        || observed.pruner.as_ref().is_some_and(|job| matches!(job::end(job, None), End::Open));
    [
        plan.next.map(until),
        too_old.map(until),
        is_pruning.then_some(PRUNING),
        observed.archive.is_some().then_some(ARCHIVING),
        // While one is taken: its end wakes the schedule, unless the object was changed in between.
        plan.running.is_some().then_some(ARCHIVING),
    ]
    .into_iter()
    .flatten()
    .min()
}

#[cfg(test)]
mod tests;
