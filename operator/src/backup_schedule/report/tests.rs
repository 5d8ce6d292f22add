use payplane_crds::condition::{READY, STALLED};
use serde_json::{Value, json};

use super::{
    super::{
        fixture::{at, child, schedule},
        plan,
        trouble::Trouble,
        validate::validate,
    },
    *,
};
use crate::{engine::EngineError, platform::fixture};

/// What a schedule with these objectives says at ten past nine, with these Backups and this log.
fn told(
    changes: Value,
    children: &[(u32, &str)],
    archive: Option<Result<Archive, EngineError>>,
) -> BackupScheduleStatus {
    let (schedule, now) = (schedule(changes), at("2027-01-01T09:10:00Z"));
    let observed = Observed {
        platform: Some(fixture::platform(
            json!({"postgres": {"managed": {"archive": {"everySeconds": 60}}}}),
        )),
        children: children.iter().map(|(hour, state)| child(&schedule, *hour, state)).collect(),
        archive,
        ..Observed::default()
    };
    let valid = validate(&schedule, &fixture::settings(), now).unwrap();
    let plan = plan::plan(&schedule, &valid, &observed, now);
    let made = plan.due.as_ref().map_or(Made::Nothing, |backup| Made::Backup(backup.name_any()));
    report(&schedule, &observed, &Answer::Followed(Box::new(plan), made), now)
}

fn says(status: &BackupScheduleStatus, type_: &str) -> String {
    find(&status.conditions, type_).map_or("-".into(), |one| format!("{} {}", one.status, one.reason))
}

#[test]
fn whether_objects_were_copied_is_what_the_newest_good_copy_says() {
    let (schedule, now) = (schedule(json!({})), at("2027-01-01T09:10:00Z"));
    let said = |status: Option<&str>| {
        let mut good = child(&schedule, 8, "Succeeded");
        let conditions: Vec<Value> = status
            .into_iter()
            .map(|status| {
                json!({
                    "type": OBJECTS_COPIED, "status": status, "reason": "ObjectsForbidden", "message": "no right",
                    "lastTransitionTime": "2027-01-01T08:01:00Z",
                })
            })
            .collect();
        good.backup.status.get_or_insert_default().conditions =
            serde_json::from_value(json!(conditions)).unwrap();
        let conditions = objects(Conditions::new(&[], None, now), Some(&good)).into_vec();
        find(&conditions, OBJECTS_COPIED)
            .map(|told| format!("{} {} {}", told.status, told.reason, told.message))
    };
    assert_eq!(said(None), None, "a copy of an older operator says nothing");
    let told = said(Some("False")).unwrap();
    assert!(told.starts_with("False ObjectsForbidden") && told.ends_with(": no right"), "{told}");
    assert!(objects(Conditions::new(&[], None, now), None).into_vec().is_empty());
}

fn log(stored: &str, behind: i64, is_failing: bool) -> Option<Result<Archive, EngineError>> {
    let stored_at = Some(at(stored));
    Some(Ok(Archive { is_on: true, stored_at, segments_behind: behind, failures: 0, is_failing }))
}

#[test]
fn the_recovery_point_is_the_newest_good_copy_or_the_log_after_it() {
    let good = [(8, "Succeeded"), (9, "Failed")];
    let cases = [
        (&[][..], None, None),
        (&[(9, "Failed")], None, None),
        // A log without a copy brings nothing back.
        (&[], log("2027-01-01T09:09:50Z", 0, false), None),
        (&good, None, Some("2027-01-01T08:00:00Z")),
        (&good, log("2027-01-01T09:09:50Z", 0, false), Some("2027-01-01T09:09:50Z")),
        // A log that is not stored in time promises nothing.
        (&good, log("2027-01-01T09:09:50Z", 3, false), Some("2027-01-01T08:00:00Z")),
        (&good, log("2027-01-01T09:09:50Z", 0, true), Some("2027-01-01T08:00:00Z")),
        (&good, log("2027-01-01T09:05:00Z", 0, false), Some("2027-01-01T08:00:00Z")),
        (&good, Some(Err(EngineError::Answer("x"))), Some("2027-01-01T08:00:00Z")),
    ];
    for (children, archive, expected) in cases {
        let what = format!("{children:?} {archive:?}");
        let status = told(json!({}), children, archive);
        assert_eq!(status.recoverable_to.map(|time| time.0), expected.map(at), "{what}");
    }
}

#[test]
fn objectives_are_judged_by_what_would_hold_now() {
    let cases = [
        (json!({"rpoSeconds": 9999}), &[][..], "False NoBackup"),
        (json!({}), &[], "False NoBackup"),
        (json!({}), &[(9, "Succeeded")], "Unknown NoObjectives"),
        (json!({"rpoSeconds": 600}), &[(9, "Succeeded")], "True ObjectivesMet"),
        (json!({"rpoSeconds": 599}), &[(9, "Succeeded")], "False RecoveryPointTooOld"),
        (json!({"rpoSeconds": 600}), &[(8, "Succeeded"), (9, "Failed")], "False RecoveryPointTooOld"),
        (json!({"rtoSeconds": 12}), &[(8, "Succeeded")], "True ObjectivesMet"),
        (json!({"rtoSeconds": 11}), &[(8, "Succeeded")], "False RecoveryTooSlow"),
    ];
    for (objectives, children, expected) in cases {
        let status = told(json!({ "objectives": objectives }), children, None);
        assert_eq!(says(&status, OBJECTIVE_MET), expected, "{objectives} {children:?}");
    }
}

#[test]
fn a_failed_run_an_overlap_and_a_log_that_is_late_are_said() {
    let failed = told(json!({}), &[(9, "Failed")], None);
    assert_eq!(
        (says(&failed, READY), says(&failed, STALLED)),
        ("False BackupFailed".into(), "False BackupFailed".into())
    );
    let overlap = told(json!({}), &[(8, "Running")], None);
    assert_eq!(says(&overlap, READY), "False Progressing");
    assert_eq!(overlap.running.as_deref(), Some("hourly-20270101t0800z"));
    assert_eq!(says(&told(json!({"suspend": true}), &[], None), SUSPENDED_TYPE), "True Suspended");
    let cases = [
        (None, "-"),
        (log("2027-01-01T09:09:50Z", 1, false), "True ArchiveOnTime"),
        (log("2027-01-01T09:09:50Z", 3, false), "False ArchiveBehind"),
        (log("2027-01-01T09:09:50Z", 0, true), "False ArchiveBehind"),
        (log("2027-01-01T09:00:00Z", 0, false), "False ArchiveBehind"),
        (Some(Ok(Archive::default())), "False ArchiveBehind"),
        (Some(Err(EngineError::Answer("x"))), "Unknown EngineUnavailable"),
    ];
    for (archive, expected) in cases {
        let what = format!("{archive:?}");
        assert_eq!(says(&told(json!({}), &[], archive), ARCHIVE_CURRENT), expected, "{what}");
    }
}

#[test]
fn copies_that_are_needed_by_others_are_said_to_stay() {
    let (schedule, now) = (schedule(json!({})), at("2027-01-01T09:10:00Z"));
    let said = |message: &str| {
        let ended = json!({"name": "prune", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "message": message}}});
        let complete = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        let observed = Observed {
            pruner: Some(serde_json::from_value(complete).unwrap()),
            pruner_pod: serde_json::from_value(json!({"status": {"containerStatuses": [ended]}})).unwrap(),
            ..Observed::default()
        };
        let valid = validate(&schedule, &fixture::settings(), now).unwrap();
        let plan = plan::plan(&schedule, &valid, &observed, now);
        report(&schedule, &observed, &Answer::Followed(Box::new(plan), Made::Nothing), now)
    };
    assert_eq!(says(&said(r#"{"needed":[],"needed_by":[]}"#), PRUNED), "True AsSpecified");
    let status = said(r#"{"needed":["hourly-1:b-1"],"needed_by":["by-hand:b-9"]}"#);
    assert_eq!(says(&status, PRUNED), "False CopyNeeded");
    let message = &find(&status.conditions, PRUNED).unwrap().message;
    assert!(message.contains("hourly-1:b-1") && message.contains("by-hand:b-9"), "{message}");
}

#[test]
fn why_the_log_is_not_stored_is_said_where_it_is_known() {
    let refused = || {
        let words = "put \"wal/main\" in bucket \"copies\": the server refuses it (AccessDenied): allow these credentials".into();
        Some(Trouble { reason: "BucketRefused", words })
    };
    let full =
        || Some(Trouble { reason: "ArchiveBehind", words: "write /copies: No space left on device".into() });
    for (failing, trouble, expected, words) in [
        (true, refused(), "False BucketRefused", "(AccessDenied): allow these credentials. Payments go on"),
        (true, full(), "False ArchiveBehind", "No space left on device. Payments go on"),
        (true, None, "False ArchiveBehind", "Look at the place of the backups"),
        (false, None, "True ArchiveOnTime", "The log is stored"),
    ] {
        let (schedule, now) = (schedule(json!({})), at("2027-01-01T09:10:00Z"));
        let observed =
            Observed { archive: log("2027-01-01T09:09:50Z", 0, failing), trouble, ..Observed::default() };
        let archive = observed.archive.as_ref().unwrap().as_ref().unwrap();
        let stored = stored(&observed, archive, now);
        let conditions = Conditions::new(schedule.current(), Some(1), now);
        let conditions = archiving(conditions, &observed, Some(stored)).into_vec();
        let found = find(&conditions, ARCHIVE_CURRENT).unwrap();
        assert_eq!(format!("{} {}", found.status, found.reason), expected, "{}", found.message);
        assert!(found.message.contains(words), "{}", found.message);
    }
}

#[test]
fn what_is_measured_is_what_is_said() {
    let said: BackupScheduleStatus = serde_json::from_value(json!({
        "lastSuccess": {"backup": "b-1", "startedAt": "2027-01-01T08:00:00Z", "bytes": 512, "operations": 9, "restoreSeconds": 31},
        "recoverableTo": "2027-01-01T09:00:00Z", "archive": {"segmentsBehind": 2},
        "conditions": [{
            "type": OBJECTIVE_MET, "status": "False", "reason": "any", "message": "any", "lastTransitionTime": "2027-01-01T09:00:00Z",
        }],
    }))
    .unwrap();
    let metrics = Metrics::new().unwrap();
    let mut named = schedule(json!({}));
    (named.metadata.namespace, named.metadata.name) = (Some("pay".into()), Some("hourly".into()));
    measure(&metrics, &named, &said);
    let text = metrics.text().unwrap();
    for (name, value) in [
        ("copy_bytes", 512),
        ("drill_seconds", 31),
        ("drill_timestamp_seconds", at("2027-01-01T08:00:00Z").as_second()),
        ("operations", 9),
        ("recoverable_timestamp_seconds", at("2027-01-01T09:00:00Z").as_second()),
        ("segments_behind", 2),
        ("objective_met", 0),
        ("archive_current", 1),
        ("objects_copied", 1),
    ] {
        let line =
            format!("payplane_operator_backup_{name}{{namespace=\"pay\",schedule=\"hourly\"}} {value}\n");
        assert!(text.contains(&line), "{line} is missing in {text}");
    }
}
