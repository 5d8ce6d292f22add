//! When something recurs: a five-field cron expression on the clock of a time zone. Pure.
//!
//! Each local time of the expression counts once. One that the clock skips, as in spring, counts at the first moment
//! after the gap, together with all others of that gap; one that comes twice, as in autumn, counts the first time only.
//! So nothing is ever lost or doubled, and times strictly increase. The library finds local times; how they become
//! moments is decided here, because its own way loses some of those in a gap.
//!
//! The time zone data is the one built into the program, so that the same version gives the same times in every image
//! and on every machine.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::standing_order::InForce;

/// A schedule that can be followed.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// Why a schedule cannot be followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// The expression does not have the form.
    #[error("schedule {expression:?} is no cron expression of five fields: {cause}")]
    Expression {
        /// What was given.
        expression: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no such time zone.
    #[error("timeZone {name:?} is no name of the IANA time zone database, such as Europe/Berlin")]
    Zone {
        /// What was given.
        name: String,
    },
}

/// The schedule and since when it is followed: since the object was made, or since a look saw another schedule or the end of
/// a pause. `before` is what a status says that was written by a look, if there is one.
///
/// Without a status it goes back to the object's creation. What a forged one says never brings back times from before
/// the object, and keeps none away.
pub fn in_force(
    (schedule, time_zone): (&str, &str),
    made: Option<&Time>,
    before: Option<Option<&InForce>>,
    now: Timestamp,
) -> InForce {
    let made = made.map_or(now, |made| made.0);
    let since = match before {
        Some(Some(before)) if before.schedule == schedule && before.time_zone == time_zone => before.since.0,
        Some(_) => now,
        None => made,
    };
    InForce { schedule: schedule.into(), time_zone: time_zone.into(), since: Time(since.min(now).max(made)) }
}

impl Schedule {
    /// Reads an expression and the name of a time zone.
    ///
    /// # Errors
    /// When one of them cannot be read; the message begins with the field's name.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, Invalid> {
        let refused = |cause: String| Invalid::Expression { expression: expression.into(), cause };
        let fields = expression.split_ascii_whitespace().count();
        if fields != 5 {
            return Err(refused(format!("it has {fields} fields")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| refused(error.to_string()))?;
        Ok(Self { cron, zone: time_zone(zone)? })
    }

    /// The first time after this moment. None if there is none any more.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        // Local times before that of the moment are over, and one after it may be, too: the clock may have gone back.
        let local = self.local(moment);
        let times = std::iter::successors(self.local_after(local), |local| self.local_after(*local));
        times.map_while(|local| self.moment(local)).find(|time| moment < *time)
    }

    /// The last time up to and including this moment.
    pub fn last_until(&self, moment: Timestamp) -> Option<Timestamp> {
        let local = self.local(moment);
        // When the clock has gone back, later local times are over already: no clock goes back by more than a day.
        let is_repeated = self.moment(local)? < moment;
        let latest = if is_repeated { local.checked_add(25.hours()).ok()? } else { local };
        let first = self.cron.find_previous_occurrence(&latest, true).ok();
        let times =
            std::iter::successors(first, |local| self.cron.find_previous_occurrence(local, false).ok());
        times.map_while(|local| self.moment(local)).find(|time| *time <= moment)
    }

    /// Every time after this moment, in order. Without end for most expressions: take what is needed.
    pub fn after(&self, moment: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(moment), |time| self.next_after(*time))
    }

    fn local(&self, moment: Timestamp) -> DateTime {
        self.zone.to_datetime(moment)
    }

    fn local_after(&self, local: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&local, false).ok()
    }

    /// The moment of a local time: the first one, or the end of the gap that it lies in.
    fn moment(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let first = ambiguous.earlier().ok()?;
        if is_skipped {
            return self.zone.following(first).next().map(|transition| transition.timestamp());
        }
        Some(first)
    }
}

/// How the name of an object tells its scheduled time, in UTC. Scheduled times are whole minutes.
const STAMP: &str = "%Y%m%dt%H%Mz";

/// Name of the object that is made for this time.
pub fn stamped(owner: &str, time: Timestamp) -> String {
    format!("{owner}-{}", time.strftime(STAMP))
}

/// The time that a name tells, if it is one of this owner's.
pub fn stamp_of(owner: &str, name: &str) -> Option<Timestamp> {
    let told = name.strip_prefix(owner)?.strip_prefix('-')?;
    let time = DateTime::strptime(STAMP, told).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (stamped(owner, time) == name).then_some(time)
}

fn time_zone(name: &str) -> Result<TimeZone, Invalid> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| Invalid::Zone { name: name.into() })
}

#[cfg(test)]
mod tests;
