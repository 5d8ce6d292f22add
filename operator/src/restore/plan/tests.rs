use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

fn restore(changes: Value) -> Restore {
    let mut spec =
        json!({"platformRef": {"name": "main"}, "backupRef": {"name": "nightly"}, "into": {"drill": true}});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": "pay", "uid": "r-1", "creationTimestamp": "2027-01-01T00:00:00Z"},
        "spec": spec,
    }))
    .unwrap()
}

fn backup(platform: &str, state: &str) -> Option<Backup> {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": platform}},
        "status": {"state": state, "startedAt": "2026-12-31T12:00:00Z"},
    }))
    .unwrap()
}

fn word(next: &Next<'_>) -> String {
    match next {
        Next::Wait(waiting) => format!("wait {}", waiting.reason),
        Next::Refuse { reason, .. } => format!("refuse {reason}"),
        Next::Begin(source) => format!("begin {} {}", source.makes_volume, source.makes_secret),
        Next::Look(_) => "look".into(),
    }
}

fn claim(uid: &str) -> Option<k8s_openapi::api::core::v1::PersistentVolumeClaim> {
    serde_json::from_value(
        json!({"metadata": {"name": "data-new-postgres-0", "annotations": {"payplane.io/restore": uid}}}),
    )
    .unwrap()
}

#[test]
fn nothing_that_exists_is_written_to_and_nothing_doubtful_is_begun_with() {
    let good = || Observed { is_served: true, backup: backup("main", "Succeeded"), ..Observed::default() };
    let new = json!({"into": {"platform": {"name": "new"}}});
    let there = Some(fixture::platform(json!({"postgres": {"managed": {}}})));
    let at = |time: &str| json!({"point": {"time": time}});
    let cases = [
        (Observed::default(), json!({}), "wait NamespaceNotServed"),
        (Observed { backup: None, ..good() }, json!({}), "wait BackupNotFound"),
        (Observed { backup: None, ..good() }, json!({"deadlineSeconds": 60}), "refuse TimedOut"),
        (Observed { backup: backup("main", "Running"), ..good() }, json!({}), "wait BackupNotFound"),
        (Observed { backup: backup("main", "Failed"), ..good() }, json!({}), "refuse BackupNotGood"),
        (Observed { backup: backup("other", "Succeeded"), ..good() }, json!({}), "refuse WrongPlatform"),
        (good(), at("2026-12-31T11:59:59Z"), "refuse Invalid"),
        (good(), at("2026-12-31T12:00:01Z"), "begin true true"),
        (good(), at("2027-01-01T00:30:00Z"), "refuse Invalid"),
        (good(), json!({}), "begin true true"),
        (good(), new.clone(), "begin true true"),
        // A Platform that was deleted has left its login.
        (Observed { has_owner_secret: true, ..good() }, new.clone(), "begin true false"),
        (Observed { target: there, ..good() }, new.clone(), "refuse TargetExists"),
        (Observed { volume: claim("another"), ..good() }, new.clone(), "refuse TargetExists"),
        (Observed { volume: Some(Default::default()), ..good() }, new.clone(), "refuse TargetExists"),
        // What it made itself before a crash.
        (Observed { volume: claim("r-1"), ..good() }, new.clone(), "begin false true"),
        (Observed { job: Some(Job::default()), ..Observed::default() }, new, "look"),
    ];
    let now = "2027-01-01T00:10:00Z".parse().unwrap();
    for (observed, changes, expected) in cases {
        assert_eq!(word(&plan(&restore(changes.clone()), &observed, now)), expected, "{changes}");
    }
}
