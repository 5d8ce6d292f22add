//! From when to when an invoice goes.
//!
//! Periods of a cycle begin at midnight of a time zone, counted from an anchor: a day, a week or a month after it, two
//! after it, and so on, in both directions. A month is counted from the anchor's own day, so that an anchor on the 31st
//! means the end of every month and does not wander: 31 January, 28 February, 31 March. Where a midnight does not exist,
//! because a clock goes forward over it, the period begins with the first moment after the gap; where it exists twice, at
//! the first one. Days of 23 and 25 hours are one day.
//!
//! The rules of time zones are those that the binary was built with, so that every replica counts alike.

use std::fmt;

use jiff::{
    Span,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use payplane_ledger::Timestamp;

/// How far an estimate of a period's number may be wrong: a zone is at most a day or so away from where its dates are
/// counted, and one zone once left a day out.
const STEPS_MAX: i64 = 4;

/// The anchor and every moment that is asked about lie within these years.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=9998;

/// What a period lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A day of the calendar.
    Day,
    /// Seven of them.
    Week,
    /// A month of the calendar.
    Month,
}

/// Consecutive periods without gaps.
#[derive(Clone)]
pub struct Cycle {
    unit: Unit,
    anchor: Date,
    zone: TimeZone,
}

/// From a moment until before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// Why there is no such cycle, or no such period of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// Not a name of the IANA database.
    #[error("is unknown: expected a name of the IANA time zone database, such as \"Europe/Zurich\"")]
    UnknownZone,
    /// Not a date.
    #[error("is malformed: expected a date such as \"2026-01-31\", from 1970 to 9998")]
    NoDate,
    /// Beyond the calendar.
    #[error("is out of range: expected a time from 1970 to 9998")]
    OutOfRange,
}

impl Cycle {
    /// A cycle with an anchor such as `2026-01-31`; without one, months begin on the 1st and weeks on a Monday.
    pub fn new(unit: Unit, anchor: &str, zone: &str) -> Result<Self, CycleError> {
        let found = TimeZoneDatabase::bundled().get(zone).ok();
        // Names are compared without regard to case there; one spelling is enough.
        let zone = found.filter(|found| found.iana_name() == Some(zone)).ok_or(CycleError::UnknownZone)?;
        let anchor = match (anchor, unit) {
            ("", Unit::Day | Unit::Month) => jiff::civil::date(1970, 1, 1),
            ("", Unit::Week) => jiff::civil::date(1970, 1, 5),
            (text, _) => read_date(text).ok_or(CycleError::NoDate)?,
        };
        Ok(Self { unit, anchor, zone })
    }

    /// The period that a moment is in. Its start is not before `start`: the first invoice begins where billing begins.
    pub fn period_from(&self, start: Timestamp) -> Result<Period, CycleError> {
        let end = self.boundary_after(start).ok_or(CycleError::OutOfRange)?;
        Ok(Period { start, end })
    }

    /// The first boundary after a moment.
    pub fn boundary_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let number = self.estimate(moment)?;
        // Not one of the estimated boundaries is left out, so the first one after the moment is among these.
        let near = (number - STEPS_MAX..=number + STEPS_MAX).filter_map(|number| self.boundary(number));
        near.filter(|boundary| moment < *boundary).min()
    }

    /// The number of the period that a moment is about in.
    fn estimate(&self, moment: Timestamp) -> Option<i64> {
        let moment = jiff::Timestamp::from_microsecond(moment.0).ok()?;
        let date = moment.to_zoned(self.zone.clone()).date();
        if !YEARS.contains(&date.year()) {
            return None;
        }
        let days = i64::from(self.anchor.until(date).ok()?.get_days());
        let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        Some(match self.unit {
            Unit::Day => days,
            Unit::Week => days.div_euclid(7),
            Unit::Month => months(date) - months(self.anchor),
        })
    }

    /// When a period begins.
    fn boundary(&self, number: i64) -> Option<Timestamp> {
        let date = self.anchor.checked_add(self.after(number)?).ok()?;
        let begins = date.to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp(begins.timestamp().as_microsecond()))
    }

    fn after(&self, number: i64) -> Option<Span> {
        match self.unit {
            Unit::Day => Span::new().try_days(number).ok(),
            Unit::Week => Span::new().try_weeks(number).ok(),
            Unit::Month => Span::new().try_months(number).ok(),
        }
    }
}

impl fmt::Debug for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {} in {:?}", self.unit, self.anchor, self.zone.iana_name())
    }
}

/// Only the form that is printed: ten characters.
fn read_date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok().filter(|date: &Date| date.to_string() == text)?;
    Some(date).filter(|date| YEARS.contains(&date.year()))
}

#[cfg(test)]
mod tests;
