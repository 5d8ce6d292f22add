//! Schedules on real time zones: daylight saving as a table, and what holds for every expression.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn times(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(expression, zone).unwrap();
    schedule.after(at(after)).take(count).map(|time| time.to_string()).collect()
}

#[test]
fn daylight_saving_never_loses_a_fixed_time_and_never_doubles_it() {
    // Berlin goes from 02:00 to 03:00 on 2027-03-28 (01:00 UTC), and from 03:00 back to 02:00 on 2027-10-31 (01:00 UTC).
    let (spring, autumn) = ("2027-03-27T12:00:00Z", "2027-10-30T12:00:00Z");
    let cases = [
        ("untouched", "0 9 * * *", spring, ["2027-03-28T07:00:00Z", "2027-03-29T07:00:00Z"]),
        ("skipped: after the gap", "30 2 * * *", spring, ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]),
        ("two skipped: once", "15,45 2 * * *", spring, ["2027-03-28T01:00:00Z", "2027-03-29T00:15:00Z"]),
        ("end of the gap: once", "0 2,3 * * *", spring, ["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]),
        ("twice: the first", "30 2 * * *", autumn, ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]),
        ("midnight", "0 0 * * *", autumn, ["2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"]),
    ];
    for (name, expression, after, expected) in cases {
        assert_eq!(times(expression, "Europe/Berlin", after, 2), expected, "{name}");
    }
}

#[test]
fn each_local_time_counts_once_also_where_there_are_many() {
    let spring = ["2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"];
    assert_eq!(times("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 3), spring);
    let autumn = ["2027-10-31T00:30:00Z", "2027-10-31T02:00:00Z", "2027-10-31T02:30:00Z"];
    assert_eq!(times("*/30 * * * *", "Europe/Berlin", "2027-10-31T00:00:00Z", 3), autumn);
    assert_eq!(
        times("*/30 * * * *", "Europe/Berlin", "2027-10-31T01:10:00Z", 1),
        autumn[1..2],
        "in the second half"
    );
    // Half an hour of daylight saving, and a day that was left out altogether.
    let half = ["2027-04-03T14:00:00Z", "2027-04-03T14:30:00Z", "2027-04-03T15:30:00Z"];
    assert_eq!(times("*/30 * * * *", "Australia/Lord_Howe", "2027-04-03T13:30:00Z", 3), half);
    let samoa = ["2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"];
    assert_eq!(times("0 9 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 3), samoa);
}

#[test]
fn years_months_and_leap_days_are_crossed() {
    let cases = [
        ("0 0 1 1 *", "2026-12-31T23:59:59Z", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
        ("0 12 29 2 *", "2026-11-21T00:00:00Z", ["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"]),
        ("0 12 31 * *", "2027-01-31T12:00:00Z", ["2027-03-31T12:00:00Z", "2027-05-31T12:00:00Z"]),
        ("0 12 L * *", "2028-02-01T00:00:00Z", ["2028-02-29T12:00:00Z", "2028-03-31T12:00:00Z"]),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", ["2027-12-31T23:59:00Z", "2028-12-31T23:59:00Z"]),
        ("0 8 * * MON", "2026-11-21T00:00:00Z", ["2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z"]),
    ];
    for (expression, after, expected) in cases {
        assert_eq!(times(expression, "Etc/UTC", after, 2), expected, "{expression}");
    }
    assert_eq!(
        Schedule::parse("0 0 30 2 *", "Etc/UTC").unwrap().next_after(at("2026-11-21T00:00:00Z")),
        None
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_field() {
    for (expression, zone, begins) in [
        ("* * * *", "Etc/UTC", "schedule"),
        ("* * * * * *", "Etc/UTC", "schedule"),
        ("@daily", "Etc/UTC", "schedule"),
        ("60 * * * *", "Etc/UTC", "schedule"),
        ("0 24 * * *", "Etc/UTC", "schedule"),
        ("0 0 0 * *", "Etc/UTC", "schedule"),
        ("0 0 * 13 *", "Etc/UTC", "schedule"),
        ("0 0 * * FRY", "Etc/UTC", "schedule"),
        ("0 0 * * *", "Mars/Phobos", "timeZone"),
        ("0 0 * * *", "", "timeZone"),
    ] {
        let message = Schedule::parse(expression, zone).unwrap_err().to_string();
        assert!(message.starts_with(begins), "{expression} {zone}: {message}");
    }
}

/// A field: any, a step, one value, or two.
fn field(from: u8, to: u8) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => (2..=15u8).prop_map(|step| format!("*/{step}")),
        2 => (from..=to).prop_map(|value| value.to_string()),
        1 => (from..=to, from..=to).prop_map(|(one, two)| format!("{one},{two}")),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    // Not beyond the 28th, so that every expression occurs.
    (
        field(0, 59),
        field(0, 23),
        field(1, 28),
        prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12)],
        field(0, 6),
    )
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Etc/UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Pacific/Auckland",
    ])
}

proptest! {
    #[test]
    fn times_strictly_increase_and_both_directions_agree(
        expression in expression(),
        zone in zone(),
        second in 1_700_000_000i64..2_000_000_000,
    ) {
        let schedule = Schedule::parse(&expression, zone).unwrap();
        let mut before = Timestamp::from_second(second).unwrap();
        for time in schedule.after(before).take(20) {
            prop_assert!(before < time, "{before} then {time}");
            prop_assert_eq!(schedule.last_until(time), Some(time), "looking back finds it");
            // Nothing lies between: from just before it the next one is the same.
            let just_before = Timestamp::from_second(time.as_second() - 1).unwrap();
            prop_assert_eq!(schedule.next_after(just_before), Some(time));
            prop_assert_eq!(time.as_second() % 60, 0, "whole minutes name payments");
            if let Some(earlier) = schedule.last_until(just_before) {
                prop_assert!(earlier < time);
            }
            before = time;
        }
    }
}
