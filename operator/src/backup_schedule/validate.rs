//! A BackupSchedule's schedule, read once, and since when it is followed. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use payplane_crds::{
    BackupSchedule,
    condition::reason::{INVALID, NAMESPACE_NOT_SERVED},
    standing_order::InForce,
};

use crate::{context::Settings, schedule::Schedule};

/// A schedule that can be followed.
#[derive(Debug)]
pub struct Valid {
    /// When it recurs.
    pub schedule: Schedule,
    /// What to remember of it. Times up to its beginning are not the schedule's.
    pub in_force: InForce,
}

/// Reads the spec.
///
/// # Errors
/// A reason, and what a person has to change.
pub fn validate(
    schedule: &BackupSchedule,
    settings: &Settings,
    now: Timestamp,
) -> Result<Valid, (&'static str, String)> {
    let namespace = schedule.namespace().unwrap_or_default();
    if !settings.platform_namespaces.contains(&namespace) {
        let message = format!(
            "Platforms are served only in: {}. Put the BackupSchedule beside its Platform.",
            settings.platform_namespaces.join(", ")
        );
        return Err((NAMESPACE_NOT_SERVED, message));
    }
    let spec = &schedule.spec;
    let parsed = Schedule::parse(&spec.schedule, &spec.time_zone)
        .map_err(|invalid| (INVALID, format!("{invalid}.")))?;
    let in_force = in_force(schedule, now);
    if parsed.next_after(in_force.since.0).is_none() {
        return Err((INVALID, format!("schedule {:?} never occurs.", spec.schedule)));
    }
    Ok(Valid { schedule: parsed, in_force })
}

/// Since the object was made, or since a look saw another schedule or the end of a pause: writing one takes no copy that
/// would have been due before.
fn in_force(schedule: &BackupSchedule, now: Timestamp) -> InForce {
    let (spec, status) = (&schedule.spec, schedule.status.as_ref());
    let made = schedule.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
    let before = status.and_then(|status| status.in_force.as_ref());
    let is_new = status.is_none_or(|status| status.observed_generation.is_none());
    let since = match before {
        Some(before) if before.schedule == spec.schedule && before.time_zone == spec.time_zone => {
            before.since.0
        }
        _ if is_new => made,
        _ => now,
    };
    InForce {
        schedule: spec.schedule.clone(),
        time_zone: spec.time_zone.clone(),
        // A forged status brings back no times from before the object.
        since: Time(since.min(now).max(made)),
    }
}
