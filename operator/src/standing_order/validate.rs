//! A StandingOrder's schedule, read once, with its bounds. Pure.

use jiff::{SignedDuration, Timestamp};
use payplane_crds::{StandingOrder, standing_order::InForce};

use crate::schedule::{self, Schedule};

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
    let recurs = Schedule::parse(&spec.schedule, &spec.time_zone).map_err(|invalid| format!("{invalid}."))?;
    let status = order.status.as_ref();
    let in_force = schedule::in_force(
        (&spec.schedule, &spec.time_zone),
        order.metadata.creation_timestamp.as_ref(),
        status.filter(|status| status.observed_generation.is_some()).map(|status| status.in_force.as_ref()),
        now,
    );
    let start = spec.start.as_ref().map(|start| start.0);
    let opens = start.map_or(in_force.since.0, |start| start.max(in_force.since.0));
    // Both are the first moment that counts, and whole minutes are what is scheduled.
    let just_before = |moment: Timestamp| moment.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(moment);
    if recurs.next_after(just_before(opens)).is_none() {
        return Err(format!(
            "schedule: {:?} never occurs; name a day that one of its months has.",
            spec.schedule
        ));
    }
    let end = spec.end.as_ref().map_or(Timestamp::MAX, |end| end.0);
    let last = match (spec.count, start) {
        (Some(count), Some(start)) => {
            let counted = recurs.after(just_before(start)).take(usize::try_from(count).unwrap_or(0));
            counted.last().unwrap_or(start)
        }
        _ => Timestamp::MAX,
    };
    Ok(Valid { schedule: recurs, after: just_before(opens), until: end.min(last), in_force })
}
