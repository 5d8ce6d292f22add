//! A StandingOrder's schedule, read once, with its bounds. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::{StandingOrder, standing_order::InForce};

use crate::schedule::Schedule;

/// A schedule that can be followed, and from when to when.
#[derive(Debug)]
pub struct Valid {
    /// When it recurs.
    pub schedule: Schedule,
    /// Times up to and including this are not the order's.
    pub after: Timestamp,
    /// Nor are times after this.
    pub until: Timestamp,
    /// What to remember of the schedule.
    pub in_force: InForce,
}

/// Reads the spec.
///
/// # Errors
/// What a person has to change; it names the field.
pub fn validate(order: &StandingOrder, now: Timestamp) -> Result<Valid, String> {
    let spec = &order.spec;
    let schedule =
        Schedule::parse(&spec.schedule, &spec.time_zone).map_err(|invalid| format!("{invalid}."))?;
    let in_force = in_force(order, now);
    let start = spec.start.as_ref().map(|start| start.0);
    let opens = start.map_or(in_force.since.0, |start| start.max(in_force.since.0));
    // Both are the first moment that counts, and whole minutes are what is scheduled.
    let just_before = |moment: Timestamp| moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(moment);
    if schedule.next_after(just_before(opens)).is_none() {
        return Err(format!("schedule {:?} never occurs.", spec.schedule));
    }
    let end = spec.end.as_ref().map_or(Timestamp::MAX, |end| end.0);
    let last = match (spec.count, start) {
        (Some(count), Some(start)) => {
            let counted = schedule.after(just_before(start)).take(usize::try_from(count).unwrap_or(0));
            counted.last().unwrap_or(start)
        }
        _ => Timestamp::MAX,
    };
    Ok(Valid { schedule, after: just_before(opens), until: end.min(last), in_force })
}

/// The schedule and since when it is followed: since the object was made, or since a look saw another schedule or the
/// end of a pause. A status that was wiped lets the order go back to its creation, where keys still pay once.
fn in_force(order: &StandingOrder, now: Timestamp) -> InForce {
    let (spec, status) = (&order.spec, order.status.as_ref());
    let made = order.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
    let before = status.and_then(|status| status.in_force.as_ref());
    let is_new = status.is_none_or(|status| status.observed_generation.is_none());
    let since = match before {
        Some(before) if before.schedule == spec.schedule && before.time_zone == spec.time_zone => {
            before.since.0
        }
        _ if is_new => made,
        _ => now,
    };
    // What a forged status says never brings back times from before the object, and keeps none away.
    InForce {
        schedule: spec.schedule.clone(),
        time_zone: spec.time_zone.clone(),
        since: Time(since.min(now).max(made)),
    }
}
