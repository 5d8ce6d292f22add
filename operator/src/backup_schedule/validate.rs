//! A BackupSchedule's schedule, read once, and since when it is followed. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::{
    BackupSchedule,
    condition::reason::{INVALID, NAMESPACE_NOT_SERVED},
    standing_order::InForce,
};

use crate::{
    context::Settings,
    schedule::{self, Schedule},
};

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
    of: &BackupSchedule,
    settings: &Settings,
    now: Timestamp,
) -> Result<Valid, (&'static str, String)> {
    let namespace = of.namespace().unwrap_or_default();
    if !settings.platform_namespaces.contains(&namespace) {
        let message = format!(
            "Platforms are served only in: {}. Put the BackupSchedule beside its Platform.",
            settings.platform_namespaces.join(", ")
        );
        return Err((NAMESPACE_NOT_SERVED, message));
    }
    let spec = &of.spec;
    let parsed = Schedule::parse(&spec.schedule, &spec.time_zone)
        .map_err(|invalid| (INVALID, format!("{invalid}.")))?;
    let status = of.status.as_ref();
    let in_force = schedule::in_force(
        (&spec.schedule, &spec.time_zone),
        of.metadata.creation_timestamp.as_ref(),
        status.filter(|status| status.observed_generation.is_some()).map(|status| status.in_force.as_ref()),
        now,
    );
    if parsed.next_after(in_force.since.0).is_none() {
        return Err((
            INVALID,
            format!("schedule: {:?} never occurs; name a day that one of its months has.", spec.schedule),
        ));
    }
    Ok(Valid { schedule: parsed, in_force })
}
