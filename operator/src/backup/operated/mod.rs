//! A Backup of a Platform whose PostgreSQL CloudNativePG runs: what to do next. Pure.
//!
//! CloudNativePG takes the copy, by a Backup of its own kind and of the same name, into the bucket that the Platform's archive
//! names. It only counts once one Job has restored it and proved the ledger in it, as with any copy (`build`). Both have
//! `deadlineSeconds` together, from when the first was made.

pub mod build;
pub mod report;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use payplane_crds::{
    Backup, Platform,
    bucket::Bucket,
    condition::reason::{BACKUP_FAILED, NAME_TAKEN, TIMED_OUT, UNSUPPORTED},
};

use super::{
    observe::Observed,
    plan::{Base, Next},
};
use crate::{
    engine::Engine,
    platform::{archived, foreign::cloudnative_pg::backup::OperatedBackup},
};

/// Phases of CloudNativePG's in which a copy has ended.
const COMPLETED: &str = "completed";
const FAILED: [&str; 2] = ["failed", "invalid backup definition"];
/// A Job's deadline cannot be nothing.
const SECONDS_MIN: i64 = 10;

/// What a copy of CloudNativePG's builds on: nothing, whatever is asked for.
pub fn base(backup: &Backup) -> Base {
    match backup.spec.parent_ref {
        Some(_) => Base::Unfit("CloudNativePG takes full copies only.".into()),
        None => Base::Nothing,
    }
}

/// Why such a Platform cannot be backed up as asked. Names the field.
pub fn refusal(backup: &Backup, platform: &Platform) -> Option<(&'static str, String)> {
    let name = &backup.spec.platform_ref.name;
    let Some((_, kept)) = archived(platform) else {
        let message = format!(
            "CloudNativePG runs the database of Platform {name:?} and stores no log of it, without which its copies are not whole: give \
             spec.postgres.operator.archive of the Platform, and create another Backup."
        );
        return Some((UNSUPPORTED, message));
    };
    if backup.spec.encryption.is_some() {
        let message = "CloudNativePG cannot seal its copies: leave spec.encryption out of another Backup, and let the bucket encrypt what \
                       is in it.";
        return Some((UNSUPPORTED, message.into()));
    }
    let is_there = |asked: &Bucket| asked.is_same_place(kept);
    if !backup.spec.bucket.as_ref().is_some_and(is_there) {
        let message = format!(
            "CloudNativePG keeps copies beside the log: give another Backup the spec.bucket that spec.postgres.operator.archive.bucket of \
             Platform {name:?} says."
        );
        return Some((UNSUPPORTED, message));
    }
    None
}

/// What comes before the copy, once the engine answers and the credentials are there.
pub fn begin<'a>(
    backup: &Backup,
    platform: &'a Platform,
    (engine, observed): (&'a Engine, &'a Observed),
) -> Next<'a> {
    match observed.is_copy_taken {
        true => {
            let message = format!(
                "There is a Backup {:?} of CloudNativePG's in this namespace that is somebody else's: create a Backup of another name.",
                backup.name_any()
            );
            Next::Refuse { reason: NAME_TAKEN, message }
        }
        false => Next::Copy { engine, platform },
    }
}

/// What comes after the copy was asked for.
pub fn then<'a>(
    backup: &Backup,
    copy: &'a OperatedBackup,
    observed: &'a Observed,
    now: Timestamp,
) -> Next<'a> {
    let status = copy.status.clone().unwrap_or_default();
    let left = seconds_left(backup, copy, now);
    if FAILED.contains(&&*status.phase) {
        let said: Vec<&str> = [status.error.as_str(), status.command_error.as_str()]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        let message = format!("CloudNativePG could not take the copy: {}", said.join(": "));
        return Next::CopyFailed { copy, reason: BACKUP_FAILED, message };
    }
    if left < 0 {
        let seconds = backup.spec.deadline_seconds;
        let message = format!(
            "CloudNativePG had no copy within {seconds} s; it says: {}. Look at its Backup {:?} and at its Cluster, and create another Backup, \
             perhaps with a larger deadlineSeconds.",
            if status.phase.is_empty() { "nothing yet" } else { &status.phase },
            backup.name_any()
        );
        return Next::CopyFailed { copy, reason: TIMED_OUT, message };
    }
    let image = observed.cluster.as_ref().map(|cluster| &cluster.status).and_then(|status| {
        status.as_ref().map(|status| status.image.as_str()).filter(|image| !image.is_empty())
    });
    match (&observed.platform, image) {
        (Some(platform), Some(image)) if status.phase == COMPLETED => {
            Next::Prove { copy, platform, image, seconds: left.max(SECONDS_MIN) }
        }
        _ => Next::LookAtCopy(copy),
    }
}

fn seconds_left(backup: &Backup, copy: &OperatedBackup, now: Timestamp) -> i64 {
    let since = copy.creation_timestamp().map_or(now, |time| time.0);
    let deadline = SignedDuration::from_secs(backup.spec.deadline_seconds);
    (deadline - now.duration_since(since)).as_secs()
}

#[cfg(test)]
mod tests;
