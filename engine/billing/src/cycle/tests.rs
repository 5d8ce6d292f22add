//! Month ends, leap days and clocks that are put forward and back, as tables. The expected moments are written with
//! their offset from UTC, so nothing of what is tested computes them.

use super::*;

const HOUR: i64 = 3_600_000_000;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn cycle(unit: Unit, anchor: &str, zone: &str) -> Cycle {
    Cycle::new(unit, anchor, zone).unwrap()
}

#[track_caller]
fn walk(cycle: &Cycle, start: &str, boundaries: &[&str]) {
    let mut moment = at(start);
    for expected in boundaries {
        moment = cycle.boundary_after(moment).unwrap();
        assert_eq!(moment, at(expected), "{cycle:?}: {expected}");
    }
}

#[test]
fn months_end_where_they_end() {
    let first = cycle(Unit::Month, "", "UTC");
    walk(&first, "2026-11-21T09:00:00Z", &["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    let last = cycle(Unit::Month, "2026-01-31", "UTC");
    walk(
        &last,
        "2026-01-31T00:00:00Z",
        &["2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"],
    );
    // A leap year, a century that is none, and one that is.
    walk(&last, "2028-02-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"]);
    walk(&last, "2100-02-01T00:00:00Z", &["2100-02-28T00:00:00Z"]);
    walk(&last, "2000-02-01T00:00:00Z", &["2000-02-29T00:00:00Z"]);
    let leap = cycle(Unit::Month, "2024-02-29", "UTC");
    walk(&leap, "2025-02-01T00:00:00Z", &["2025-02-28T00:00:00Z", "2025-03-29T00:00:00Z"]);
}

#[test]
fn days_are_as_long_as_they_are() {
    let zurich = cycle(Unit::Day, "", "Europe/Zurich");
    // 23 hours, then 25.
    walk(&zurich, "2026-03-29T00:00:00+01:00", &["2026-03-30T00:00:00+02:00"]);
    walk(&zurich, "2026-10-25T00:00:00+02:00", &["2026-10-26T00:00:00+01:00"]);
    let length = |start: &str| zurich.boundary_after(at(start)).unwrap().0 - at(start).0;
    assert_eq!(length("2026-03-29T00:00:00+01:00"), 23 * HOUR);
    assert_eq!(length("2026-10-25T00:00:00+02:00"), 25 * HOUR);
    // Midnight itself does not exist: the day begins at one.
    let santiago = cycle(Unit::Day, "", "America/Santiago");
    walk(&santiago, "2024-09-07T12:00:00-04:00", &["2024-09-08T01:00:00-03:00", "2024-09-09T00:00:00-03:00"]);
    // Midnight exists twice: the first one counts.
    let havana = cycle(Unit::Day, "", "America/Havana");
    walk(&havana, "2024-11-02T12:00:00-04:00", &["2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00"]);
    // A day was left out of this calendar: no period is empty.
    let apia = cycle(Unit::Day, "", "Pacific/Apia");
    walk(&apia, "2011-12-29T00:00:00-10:00", &["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"]);
}

#[test]
fn weeks_and_months_are_of_the_zone() {
    let week = cycle(Unit::Week, "", "America/New_York");
    walk(&week, "2026-11-21T09:00:00Z", &["2026-11-23T00:00:00-05:00", "2026-11-30T00:00:00-05:00"]);
    let wednesday = cycle(Unit::Week, "2026-11-18", "Asia/Kolkata");
    walk(&wednesday, "2026-03-01T00:00:00Z", &["2026-03-04T00:00:00+05:30"]);
    let month = cycle(Unit::Month, "", "Pacific/Kiritimati");
    walk(&month, "2026-11-30T09:59:59Z", &["2026-12-01T00:00:00+14:00", "2027-01-01T00:00:00+14:00"]);
}

#[test]
fn a_boundary_belongs_to_what_it_begins() {
    let cycle = cycle(Unit::Month, "", "Europe/Zurich");
    let boundary = at("2026-12-01T00:00:00+01:00");
    let before = Timestamp(boundary.0 - 1_000);
    assert_eq!(cycle.boundary_after(before), Some(boundary));
    assert_eq!(cycle.boundary_after(boundary), Some(at("2027-01-01T00:00:00+01:00")));
    assert_eq!(cycle.period_from(before), Ok(Period { start: before, end: boundary }));
}

#[test]
fn periods_follow_each_other_without_gaps_for_decades() {
    let zones =
        ["UTC", "Europe/Zurich", "America/Santiago", "America/Havana", "Pacific/Apia", "Asia/Kathmandu"];
    let units = [(Unit::Day, 22, 26), (Unit::Week, 6 * 24, 8 * 24), (Unit::Month, 27 * 24, 32 * 24)];
    let mut periods = 0;
    for zone in zones {
        for (unit, least, most) in units {
            for anchor in ["", "2024-02-29"] {
                let cycle = cycle(unit, anchor, zone);
                let mut moment = cycle.boundary_after(at("2004-01-01T00:00:00Z")).unwrap();
                while moment < at("2014-01-01T00:00:00Z") {
                    let next = cycle.boundary_after(moment).unwrap();
                    // The day that Samoa left out is part of no period, and its dates moved by a day.
                    let hours = (next.0 - moment.0) / HOUR;
                    assert!((least - 1..=most).contains(&hours), "{hours} h from {moment:?}, {cycle:?}");
                    assert_eq!(cycle.boundary_after(Timestamp(next.0 - 1)), Some(next));
                    (moment, periods) = (next, periods + 1);
                }
            }
        }
    }
    assert!(50_000 < periods, "{periods}");
}

#[test]
fn what_is_no_cycle_is_said() {
    let error = |anchor, zone| Cycle::new(Unit::Month, anchor, zone).unwrap_err();
    for zone in ["", "Europe/Nowhere", "europe/zurich", "+01:00", "../etc/passwd"] {
        assert_eq!(error("", zone), CycleError::UnknownZone, "{zone}");
    }
    for anchor in ["2026-02-30", "2026-1-1", "2026-11-21T00:00", "20261121", "1969-12-31", "today"] {
        assert_eq!(error(anchor, "UTC"), CycleError::NoDate, "{anchor}");
    }
    let cycle = cycle(Unit::Day, "", "UTC");
    assert_eq!(cycle.period_from(Timestamp(i64::MAX)), Err(CycleError::OutOfRange));
    assert_eq!(cycle.period_from(Timestamp(i64::MIN)), Err(CycleError::OutOfRange));
}
