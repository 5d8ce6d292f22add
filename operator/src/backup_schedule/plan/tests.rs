use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        fixture::{at, child, schedule},
        validate::validate,
    },
    *,
};
use crate::platform::fixture::settings;

fn look(changes: Value, children: &[(u32, &str)], now: &str) -> (Plan, Observed) {
    let mut schedule = schedule(changes.clone());
    if let Some(told) = changes.get("told") {
        schedule.status =
            serde_json::from_value(json!({"lastScheduledTime": told, "conditions": []})).unwrap();
    }
    let children = children.iter().map(|(hour, state)| child(&schedule, *hour, state)).collect();
    let observed = Observed { children, ..Observed::default() };
    let valid = validate(&schedule, &settings(), at(now)).unwrap();
    (plan(&schedule, &valid, &observed, at(now)), observed)
}

fn names(backups: &[Doomed]) -> Vec<&str> {
    backups.iter().map(|one| one.name.rsplit_once('-').unwrap().1).collect()
}

/// Copies by the hour that they were made in, and what became of them.
type Copies<'a> = &'a [(u32, &'a str)];

#[test]
fn one_look_makes_one_backup_of_the_latest_time_and_never_two_at_once() {
    let good = "Succeeded";
    let cases: [(Value, Copies<'_>, &str, Option<&str>, &str); 9] = [
        // Nothing is due from before the object.
        (json!({}), &[], "2027-01-01T00:59:59Z", None, "01:00"),
        (json!({}), &[], "2027-01-01T01:00:00Z", Some("20270101t0100z"), "02:00"),
        // An operator that was away takes one, not seven.
        (json!({}), &[], "2027-01-01T07:10:00Z", Some("20270101t0700z"), "08:00"),
        (json!({}), &[(7, good)], "2027-01-01T07:10:00Z", None, "08:00"),
        // One that runs: the next waits.
        (json!({}), &[(7, "Running")], "2027-01-01T08:10:00Z", None, "09:00"),
        (json!({}), &[(7, "New")], "2027-01-01T08:10:00Z", None, "09:00"),
        (json!({}), &[(7, "Failed")], "2027-01-01T08:10:00Z", Some("20270101t0800z"), "09:00"),
        // What was served and is deleted since is not taken again.
        (json!({"told": "2027-01-01T07:00:00Z"}), &[], "2027-01-01T07:10:00Z", None, "08:00"),
        // A status that tells of the future is not believed.
        (
            json!({"told": "2027-01-02T07:00:00Z"}),
            &[],
            "2027-01-01T07:10:00Z",
            Some("20270101t0700z"),
            "08:00",
        ),
    ];
    for (changes, children, now, due, next) in cases {
        let (plan, _) = look(changes, children, now);
        let made = plan.due.as_ref().map(|backup| backup.name_any());
        assert_eq!(made, due.map(|stamp| format!("hourly-{stamp}")), "{children:?} at {now}");
        assert!(plan.next.unwrap().to_string().contains(next), "{now}: {:?}", plan.next);
        assert_eq!(plan.waits.is_some(), plan.running.is_some());
    }
    let (plan, _) = look(json!({"suspend": true}), &[], "2027-01-01T07:10:00Z");
    assert!(plan.due.is_none() && plan.next.is_none() && plan.in_force.is_none());
}

#[test]
fn a_copy_goes_when_neither_number_nor_age_keeps_it() {
    let five = [(1, "Succeeded"), (2, "Succeeded"), (3, "Succeeded"), (4, "Succeeded"), (5, "Succeeded")];
    let failed = [(1, "Failed"), (2, "Failed"), (3, "Failed"), (4, "Failed"), (5, "Succeeded")];
    let mixed = [(1, "Succeeded"), (2, "Failed"), (3, "Running")];
    let cases: [(Copies<'_>, Value, &[&str]); 6] = [
        (&five, json!({"keepLast": 5}), &[]),
        (&five, json!({"keepLast": 2}), &["20270101t0100z", "20270101t0200z", "20270101t0300z"]),
        (&five, json!({"keepLast": 2, "keepWithinSeconds": 2 * 3600}), &["20270101t0100z", "20270101t0200z"]),
        (&five, json!({"keepLast": 2, "keepWithinSeconds": 86_400}), &[]),
        (&failed, json!({"keepLast": 1}), &["20270101t0100z"]),
        (&mixed, json!({"keepLast": 1}), &[]),
    ];
    for (children, retention, gone) in cases {
        let (plan, _) = look(json!({"retention": retention}), children, "2027-01-01T05:00:00Z");
        assert_eq!(names(&plan.prune), gone, "{retention}");
    }
}

#[test]
fn backups_go_after_their_copies_and_a_failed_job_takes_none() {
    let children = [(1, "Succeeded"), (2, "Succeeded"), (3, "Succeeded")];
    let keep = json!({"retention": {"keepLast": 1}});
    let (first, mut observed) = look(keep.clone(), &children, "2027-01-01T03:10:00Z");
    assert!(first.gone.is_empty(), "no object goes before its copy");
    let schedule = schedule(keep);
    let valid = validate(&schedule, &settings(), at("2027-01-01T03:10:00Z")).unwrap();
    let mut after = |condition: Option<&str>, list: &[Doomed]| {
        let mut job = build::prune(&schedule, list, &Observed::default(), &settings()).unwrap();
        if let Some(type_) = condition {
            job.status =
                serde_json::from_value(json!({"conditions": [{"type": type_, "status": "True"}]})).unwrap();
        }
        observed.pruner = Some(job);
        let plan = plan(&schedule, &valid, &observed, at("2027-01-01T03:10:00Z"));
        (plan.gone.len(), plan.prune.len())
    };
    assert_eq!(after(None, &first.prune), (0, 0), "it works");
    assert_eq!(after(Some("Failed"), &first.prune), (0, 0));
    assert_eq!(after(Some("Complete"), &first.prune), (2, 0));
    assert_eq!(after(Some("Complete"), &first.prune[..1]), (1, 1), "only what was on its list");
    let other = [Doomed { uid: "another".into(), ..first.prune[0].clone() }];
    assert_eq!(after(Some("Complete"), &other), (0, 2), "one of the same name before is another");
}

/// Backups by the hour: what became of each, and the hour of the one that it builds on.
fn chain(schedule: &BackupSchedule, children: &[(u32, &str, Option<u32>)]) -> Vec<Child> {
    let one = |(hour, state, parent): &(u32, &str, Option<u32>)| {
        let mut child = child(schedule, *hour, state);
        let parent = parent.map(|hour| format!("hourly-20270101t{hour:02}00z"));
        if state == &"Succeeded" {
            child.backup.status.get_or_insert_default().parent.clone_from(&parent);
        }
        child.backup.spec.parent_ref = parent.map(|name| BackupName { name });
        child
    };
    children.iter().map(one).collect()
}

#[test]
fn a_copy_builds_on_the_one_before_unless_that_failed_or_a_full_one_is_due() {
    let (good, bad) = ("Succeeded", "Failed");
    for (children, expected) in [
        (&[][..], None),
        (&[(1, good, None)], Some(1)),
        (&[(1, good, None), (2, good, Some(1))], Some(2)),
        // The third one was the last of its chain.
        (&[(1, good, None), (2, good, Some(1)), (3, good, Some(2))], None),
        (&[(1, good, None), (2, good, Some(1)), (3, good, Some(2)), (4, good, None)], Some(4)),
        (&[(1, good, None), (2, bad, Some(1))], None),
        // Somebody deleted the object of what it builds on.
        (&[(2, good, Some(1))], None),
    ] {
        let asked = schedule(json!({"incremental": {"fullEvery": 3}}));
        let children = chain(&asked, children);
        let expected = expected.map(|hour: u32| format!("hourly-20270101t{hour:02}00z"));
        assert_eq!(parent(&asked, &children), expected, "{children:?}");
        let made = due_at(&asked, &children, at("2027-01-01T09:00:00Z"));
        assert_eq!(made.spec.parent_ref.map(|parent| parent.name), expected);
        assert_eq!(parent(&schedule(json!({})), &children), None, "only where it is asked for");
    }
    // Without a number it is one in seven.
    let asked = schedule(json!({"incremental": {}}));
    let long: Vec<_> = (1..8).map(|hour| (hour, good, (1 < hour).then(|| hour - 1))).collect();
    assert!(parent(&asked, &chain(&asked, &long[..6])).is_some());
    assert_eq!(parent(&asked, &chain(&asked, &long)), None);
}

#[test]
fn what_a_kept_copy_builds_on_is_kept() {
    let good = "Succeeded";
    let hours = |children: &[(u32, &str, Option<u32>)], keep_last: u32| -> Vec<u32> {
        let schedule = schedule(json!({"retention": {"keepLast": keep_last}}));
        let old = old(&schedule, &chain(&schedule, children), at("2027-01-01T23:00:00Z"));
        let hour = |backup: &Backup| backup.name_any()[16..18].parse().unwrap();
        old.iter().map(hour).collect()
    };
    let two = [(1, good, None), (2, good, Some(1)), (3, good, None), (4, good, Some(3)), (5, good, Some(4))];
    assert_eq!(hours(&two, 1), [1, 2], "5 needs 4 and 3");
    assert_eq!(hours(&two, 3), [1, 2]);
    assert_eq!(hours(&two, 4), Vec::<u32>::new(), "2 needs 1");
    let running = [(1, good, None), (2, good, None), (3, "Running", Some(1))];
    assert_eq!(hours(&running, 1), Vec::<u32>::new(), "what is being taken needs it");
    let failed = [(1, good, None), (2, good, None), (3, "Failed", Some(1))];
    assert_eq!(hours(&failed, 1), [1], "of what failed nothing is needed");
    // More than one Job deletes: what builds on others goes before them.
    let long: Vec<_> = (1..23).map(|hour| (hour, good, (1 < hour && hour < 22).then(|| hour - 1))).collect();
    assert_eq!(hours(&long, 1), (2..22).collect::<Vec<_>>());
}

#[test]
fn the_object_stays_of_a_copy_that_was_found_to_be_needed() {
    let keep = json!({"retention": {"keepLast": 1}});
    let children = [(1, "Succeeded"), (2, "Succeeded"), (3, "Succeeded")];
    let (first, _) = look(keep.clone(), &children, "2027-01-01T03:10:00Z");
    let schedule = schedule(keep);
    let job = build::prune(&schedule, &first.prune, &Observed::default(), &settings()).unwrap();
    let old: Vec<_> = [1, 2].map(|hour| child(&schedule, hour, "Succeeded").backup).into();
    let pod = |message: &str| -> Pod {
        let ended = json!({"name": "prune", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "message": message}}});
        serde_json::from_value(json!({"status": {"containerStatuses": [ended]}})).unwrap()
    };
    let gone = |pod: Option<&Pod>| -> Vec<String> {
        let (gone, left) = split((&job, pod), old.clone());
        assert!(left.is_empty(), "it is tried again when this Job is gone");
        gone.iter().map(ResourceExt::name_any).collect()
    };
    let needed = pod(r#"{"needed":["hourly-20270101t0100z:b-1"],"needed_by":["by-hand:b-9"]}"#);
    assert_eq!(gone(Some(&needed)), ["hourly-20270101t0200z"]);
    assert_eq!(gone(Some(&pod(r#"{"needed":[],"needed_by":[]}"#))).len(), 2);
    assert_eq!(gone(None).len(), 2, "a Job of before says nothing");
}

proptest! {
    /// Whatever there is and whatever is asked for: the newest good copy stays, and so do as many as are asked for.
    #[test]
    fn retention_never_takes_what_it_must_keep(
        states in prop::collection::vec(0..3_usize, 1..20),
        keep_last in 1..6_usize,
        keep_within in prop::option::of(60..100_000_i64),
    ) {
        let schedule = schedule(json!({"retention": {"keepLast": keep_last, "keepWithinSeconds": keep_within}}));
        let begin = at("2027-01-01T01:00:00Z");
        let children: Vec<Child> = states.iter().enumerate().map(|(n, state)| {
            let time = begin + SignedDuration::from_hours(n as i64);
            let mut child = child(&schedule, 1, ["Succeeded", "Failed", "Running"][*state]);
            child.backup.metadata.name = build::backup(&schedule, time).metadata.name;
            child.backup.metadata.uid = Some(format!("b-{n}"));
            Child { time, ..child }
        }).collect();
        let now = begin + SignedDuration::from_hours(states.len() as i64);
        let gone: Vec<String> = old(&schedule, &children, now).iter().map(ResourceExt::name_any).collect();
        let good: Vec<_> = children.iter().filter(|child| child.state() == BackupState::Succeeded).collect();
        for kept in good.iter().rev().take(keep_last) {
            prop_assert!(!gone.contains(&kept.backup.name_any()));
        }
        for child in &children {
            let is_gone = gone.contains(&child.backup.name_any());
            prop_assert!(!(is_gone && child.state() == BackupState::Running));
            let is_young = keep_within.is_some_and(|within| now.duration_since(child.time).as_secs() <= within);
            prop_assert!(!(is_gone && is_young && child.state() == BackupState::Succeeded));
        }
        prop_assert!(good.is_empty() || gone.len() < children.len());
    }
}
