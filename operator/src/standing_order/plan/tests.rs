//! What is due when, what was missed, and what holds an order up.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        fixture::{at, child, order},
        validate::validate,
    },
    *,
};

/// Times of payments that are there, and for which reason they are settled, if they are.
type Past<'a> = &'a [(&'a str, Option<&'a str>)];
/// Name, changes of the spec, payments, now; what is due, how many were missed, what comes next.
type Case<'a> = (&'a str, Value, Past<'a>, &'a str, Option<&'a str>, i64, Option<&'a str>);

fn planned(order: &StandingOrder, children: &[Child], now: &str) -> Plan {
    plan(order, &validate(order, at(now)).unwrap(), children, at(now))
}

fn due(plan: &Plan) -> Option<String> {
    plan.due.as_ref().map(|(time, _)| time.to_string())
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

#[test]
fn what_is_due_what_was_missed_and_what_comes_next() {
    let july = [("2026-07-01T08:00:00Z", Some("Completed"))];
    let august = [("2026-08-01T08:00:00Z", Some("Completed"))];
    let september = [("2026-09-01T08:00:00Z", Some("Completed"))];
    let cases: Vec<Case> = vec![
        ("before the first", json!({}), &[], "2026-06-20T00:00:00Z", None, 0, Some("2026-07-01T08:00:00Z")),
        (
            "to the second",
            json!({}),
            &[],
            "2026-07-01T08:00:00Z",
            Some("2026-07-01T08:00:00Z"),
            0,
            Some("2026-08-01T08:00:00Z"),
        ),
        ("a second before", json!({}), &[], "2026-07-01T07:59:59Z", None, 0, Some("2026-07-01T08:00:00Z")),
        ("served already", json!({}), &july, "2026-07-01T08:00:10Z", None, 0, Some("2026-08-01T08:00:00Z")),
        (
            "late",
            json!({}),
            &[],
            "2026-07-03T00:00:00Z",
            Some("2026-07-01T08:00:00Z"),
            0,
            Some("2026-08-01T08:00:00Z"),
        ),
        (
            "late, skipped",
            json!({"onMiss": "Skip"}),
            &[],
            "2026-07-03T00:00:00Z",
            None,
            1,
            Some("2026-08-01T08:00:00Z"),
        ),
        (
            "just in time",
            json!({"onMiss": "Skip"}),
            &[],
            "2026-07-01T08:05:00Z",
            Some("2026-07-01T08:00:00Z"),
            0,
            Some("2026-08-01T08:00:00Z"),
        ),
        (
            "three late: one",
            json!({}),
            &[],
            "2026-09-03T00:00:00Z",
            Some("2026-09-01T08:00:00Z"),
            2,
            Some("2026-10-01T08:00:00Z"),
        ),
        (
            "three late, skipped",
            json!({"onMiss": "Skip"}),
            &[],
            "2026-09-03T00:00:00Z",
            None,
            3,
            Some("2026-10-01T08:00:00Z"),
        ),
        (
            "the clock jumped back",
            json!({}),
            &september,
            "2026-07-20T00:00:00Z",
            None,
            0,
            Some("2026-10-01T08:00:00Z"),
        ),
        (
            "not started",
            json!({"start": "2026-08-01T08:00:00Z"}),
            &[],
            "2026-07-20T00:00:00Z",
            None,
            0,
            Some("2026-08-01T08:00:00Z"),
        ),
        (
            "start counts",
            json!({"start": "2026-08-01T08:00:00Z"}),
            &[],
            "2026-08-01T08:00:01Z",
            Some("2026-08-01T08:00:00Z"),
            0,
            Some("2026-09-01T08:00:00Z"),
        ),
        (
            "nothing before the object",
            json!({"start": "2020-01-01T00:00:00Z"}),
            &[],
            "2026-06-15T12:00:01Z",
            None,
            0,
            Some("2026-07-01T08:00:00Z"),
        ),
        (
            "the end counts",
            json!({"end": "2026-07-01T08:00:00Z"}),
            &[],
            "2026-07-01T08:00:01Z",
            Some("2026-07-01T08:00:00Z"),
            0,
            None,
        ),
        (
            "after the end",
            json!({"end": "2026-07-15T00:00:00Z"}),
            &july,
            "2026-12-01T09:00:00Z",
            None,
            0,
            None,
        ),
        (
            "caught up after the end",
            json!({"end": "2026-07-15T00:00:00Z"}),
            &[],
            "2026-12-01T09:00:00Z",
            Some("2026-07-01T08:00:00Z"),
            0,
            None,
        ),
        (
            "two of two",
            json!({"start": "2026-07-01T00:00:00Z", "count": 2}),
            &july,
            "2026-08-01T08:00:01Z",
            Some("2026-08-01T08:00:00Z"),
            0,
            None,
        ),
        (
            "no third",
            json!({"start": "2026-07-01T00:00:00Z", "count": 2}),
            &august,
            "2026-09-01T08:00:01Z",
            None,
            0,
            None,
        ),
        (
            "on another clock",
            json!({"timeZone": "Europe/Berlin"}),
            &[],
            "2026-07-01T06:00:00Z",
            Some("2026-07-01T06:00:00Z"),
            0,
            Some("2026-08-01T06:00:00Z"),
        ),
    ];
    for (name, spec, children, now, expected, missed, next) in cases {
        let order = order(spec);
        let children: Vec<_> = children.iter().map(|(time, settled)| child(&order, time, *settled)).collect();
        let plan = planned(&order, &children, now);
        assert_eq!(due(&plan).as_deref(), expected, "{name}");
        assert_eq!(plan.missed.map_or(0, |(count, _)| count), missed, "{name}");
        assert_eq!(text(plan.next).as_deref(), next, "{name}");
    }
}

#[test]
fn what_holds_an_order_up_makes_no_payment() {
    let suspends = json!({"onInsufficientFunds": {"action": "Suspend"}});
    let moved = json!({"onInsufficientFunds": {"action": "Suspend"}, "start": "2026-07-15T00:00:00Z"});
    let short = [("2026-07-01T08:00:00Z", Some("InsufficientFunds"))];
    let short_then_open = [short[0], ("2026-07-02T08:00:00Z", None)];
    let short_then_paid = [short[0], ("2026-07-02T08:00:00Z", Some("Completed"))];
    let frozen = [("2026-07-01T08:00:00Z", Some("WalletFrozen"))];
    let many: Vec<_> = (1..=10).map(|day| (format!("2026-07-{day:02}T08:00:00Z"), None)).collect();
    let many: Vec<_> = many.iter().map(|(time, settled)| (time.as_str(), *settled)).collect();
    let cases: Vec<(&str, Value, Past, Option<Held>)> = vec![
        ("paused", json!({"suspend": true}), &[], Some(Held::Suspended)),
        (
            "short, and says to stop",
            suspends.clone(),
            &short,
            Some(Held::Short("rent-20260701t0800z".into())),
        ),
        ("short, and start was moved", moved, &short, None),
        ("short, and goes on", json!({}), &short, None),
        (
            "short, and the next is open",
            suspends.clone(),
            &short_then_open,
            Some(Held::Short("rent-20260701t0800z".into())),
        ),
        ("short, and one was paid since", suspends.clone(), &short_then_paid, None),
        ("frozen is not short", suspends, &frozen, None),
        ("too many", json!({}), &many, Some(Held::TooManyOpen(10))),
        ("fewer", json!({}), &many[1..], None),
    ];
    for (name, spec, children, held) in cases {
        let order = order(spec);
        let children: Vec<_> = children.iter().map(|(time, settled)| child(&order, time, *settled)).collect();
        let plan = planned(&order, &children, "2026-08-01T08:00:00Z");
        assert_eq!(plan.due.is_none(), held.is_some(), "{name}");
        assert_eq!(plan.held, held, "{name}");
    }
}

#[test]
fn a_new_schedule_or_the_end_of_a_pause_brings_nothing_from_before() {
    let in_force = |schedule: &str| {
        json!({
            "observedGeneration": 1, "conditions": [], "lastScheduledTime": "2026-07-01T08:00:00Z",
            "inForce": {"schedule": schedule, "timeZone": "Etc/UTC", "since": "2026-06-15T12:00:00Z"},
        })
    };
    let paused =
        json!({"observedGeneration": 1, "conditions": [], "lastScheduledTime": "2026-07-01T08:00:00Z"});
    let cases = [
        ("the same", in_force("0 8 1 * *"), Some("2026-08-01T08:00:00Z")),
        ("another", in_force("0 8 15 * *"), None),
        ("paused until now", paused, None),
        ("wiped", json!({"conditions": []}), Some("2026-08-01T08:00:00Z")),
    ];
    for (name, status, expected) in cases {
        let mut order = order(json!({}));
        order.status = serde_json::from_value(status).unwrap();
        let plan = planned(&order, &[], "2026-08-20T00:00:00Z");
        assert_eq!(due(&plan).as_deref(), expected, "{name}");
        assert_eq!(text(plan.next).as_deref(), Some("2026-09-01T08:00:00Z"), "{name}");
    }
}

#[test]
fn a_forged_status_cannot_hold_an_order_up_or_bring_back_the_past() {
    let forged = |last: &str, since: &str| {
        let mut order = order(json!({}));
        order.status = serde_json::from_value(json!({
            "observedGeneration": 1, "conditions": [], "lastScheduledTime": last,
            "inForce": {"schedule": "0 8 1 * *", "timeZone": "Etc/UTC", "since": since},
        }))
        .unwrap();
        due(&planned(&order, &[], "2026-08-01T08:00:00Z"))
    };
    let expected = Some("2026-08-01T08:00:00Z".to_owned());
    assert_eq!(forged("2099-01-01T08:00:00Z", "2026-06-15T12:00:00Z"), expected, "a last time in the future");
    assert_eq!(forged("2026-07-01T08:00:00Z", "1999-01-01T00:00:00Z"), expected, "since before the object");
    assert_eq!(forged("2026-07-01T08:00:00Z", "2099-01-01T00:00:00Z"), expected, "since some day to come");
    assert_eq!(forged("2026-08-01T08:00:00Z", "2026-06-15T12:00:00Z"), None, "what was served is believed");
}

#[test]
fn a_schedule_that_cannot_be_followed_is_told_by_field() {
    for (spec, blamed) in [
        (json!({"schedule": "0 8 30 2 *"}), "schedule"),
        (json!({"schedule": "61 8 1 * *"}), "schedule"),
        (json!({"timeZone": "Europe/Atlantis"}), "timeZone"),
    ] {
        let message = validate(&order(spec), at("2026-07-01T00:00:00Z")).unwrap_err();
        assert!(message.starts_with(blamed), "{message}");
    }
}

#[test]
fn settled_payments_beyond_the_limit_go_and_open_ones_never() {
    let order = order(json!({"historyLimit": 2}));
    let settled = ["2026-07-01T08:00:00Z", "2026-08-01T08:00:00Z", "2026-09-01T08:00:00Z"];
    let mut children = vec![child(&order, "2026-06-20T08:00:00Z", None)];
    children.extend(settled.map(|time| child(&order, time, Some("Completed"))));
    let plan = planned(&order, &children, "2026-09-02T00:00:00Z");
    let names: Vec<_> = plan.prune.iter().filter_map(|payment| payment.metadata.name.as_deref()).collect();
    assert_eq!(names, ["rent-20260701t0800z"]);
}

#[test]
fn it_comes_back_when_the_next_payment_is_due() {
    let order = order(json!({}));
    let plan = planned(&order, &[], "2026-07-01T07:59:59.5Z");
    assert_eq!(wait(&plan, at("2026-07-01T07:59:59.5Z")), Some(Duration::from_millis(501)));
    assert_eq!(wait(&plan, at("2026-07-01T08:00:01Z")), Some(Duration::from_millis(1)), "never in the past");
    let over = planned(&self::order(json!({"end": "2026-06-16T00:00:00Z"})), &[], "2026-07-01T00:00:00Z");
    assert_eq!(wait(&over, at("2026-07-01T00:00:00Z")), None);
}

proptest! {
    /// A clock that goes forth and back, looks that crash before the status, and statuses that get wiped: each time is
    /// paid at most once, and what is paid is one of the schedule's times.
    #[test]
    fn no_time_is_ever_served_twice(
        looks in prop::collection::vec((-4_000i64..8_000, any::<bool>(), prop::bool::weighted(0.1)), 1..60),
        skips in any::<bool>(),
    ) {
        let on_miss = if skips { "Skip" } else { "CatchUpOnce" };
        let mut order = order(json!({"schedule": "*/20 * * * *", "onMiss": on_miss}));
        let mut now = at("2026-06-15T12:00:00Z");
        let mut keys = std::collections::BTreeSet::new();
        let mut objects: Vec<Payment> = Vec::new();
        for (seconds, is_reported, is_wiped) in looks {
            now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap().max(at("2026-06-15T12:00:00Z"));
            let children = super::super::observe::children(&order, objects.iter().cloned());
            let plan = plan(&order, &validate(&order, now).unwrap(), &children, now);
            if let Some((time, payment)) = &plan.due {
                prop_assert!(*time <= now);
                prop_assert_eq!(time.as_second() % 1200, 0);
                prop_assert!(keys.insert(payment.spec.idempotency_key.clone()), "{} twice", time);
                objects.push(*payment.clone());
            }
            if is_reported {
                let made = plan.due.as_ref().map_or(super::super::Made::Nothing, |(_, payment)| {
                    super::super::Made::Payment(payment.metadata.name.clone().unwrap())
                });
                let answer = super::super::Answer::Followed(Box::new(plan), made);
                order.status = Some(super::super::report::report(&order, &children, &answer, now));
            }
            if is_wiped {
                order.status = None;
            }
        }
    }
}
