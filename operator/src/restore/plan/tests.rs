use serde_json::{Value, json};

use super::*;
use crate::platform::fixture;

pub(in crate::restore) fn restore(changes: Value) -> Restore {
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
        "status": {"state": state, "startedAt": "2026-12-31T12:00:00Z", "head": "41:ab"},
    }))
    .unwrap()
}

/// What it says to do.
pub(in crate::restore) fn word(next: &Next<'_>) -> String {
    match next {
        Next::Wait(waiting) => format!("wait {}", waiting.reason),
        Next::Refuse { reason, .. } => format!("refuse {reason}"),
        Next::Begin(source) => format!("begin {} {}", source.makes_volume, source.makes_secret),
        Next::Look(_) => "look".into(),
        Next::Recover { .. } => "recover".into(),
        Next::LookAtCluster(_) => "look at cluster".into(),
        Next::Adopt { seconds, .. } => format!("adopt {seconds}"),
        Next::Release(_) => "release".into(),
        Next::Bind => "bind".into(),
        Next::Mark(_) => "mark".into(),
        Next::StandBy => "stand by".into(),
        Next::Undo => "undo".into(),
        Next::LookAtUndo(_) => "look at undo".into(),
        Next::GiveBack { is_replaced, .. } => format!("give back {is_replaced}"),
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
    let up_to = |seal: i64| json!({"point": {"sequence": seal}});
    // What is seen apart from a good Backup. Functions, because a table of what they make would fill a test's stack.
    type Seen<'a> = &'a dyn Fn(&mut Observed);
    let of = |platform: &'static str, state: &'static str| {
        move |seen: &mut Observed| seen.backup = backup(platform, state)
    };
    let none: Seen<'_> = &|seen| seen.backup = None;
    let as_it_is: Seen<'_> = &|_| {};
    let cases: [(Seen<'_>, Value, &str); 21] = [
        (&|seen| *seen = Observed::default(), json!({}), "wait NamespaceNotServed"),
        (none, json!({}), "wait BackupNotFound"),
        (none, json!({"deadlineSeconds": 60}), "refuse TimedOut"),
        (&of("main", "Running"), json!({}), "wait BackupNotFound"),
        (&of("main", "Failed"), json!({}), "refuse BackupNotGood"),
        (&of("other", "Succeeded"), json!({}), "refuse WrongPlatform"),
        (as_it_is, at("2026-12-31T11:59:59Z"), "refuse Invalid"),
        (as_it_is, at("2026-12-31T12:00:01Z"), "begin true true"),
        (as_it_is, at("2027-01-01T00:30:00Z"), "refuse Invalid"),
        (as_it_is, up_to(40), "refuse Invalid"),
        (as_it_is, up_to(41), "refuse Invalid"),
        (as_it_is, up_to(42), "begin true true"),
        (&of("main", "Failed"), up_to(40), "refuse BackupNotGood"),
        (as_it_is, json!({}), "begin true true"),
        (as_it_is, new.clone(), "begin true true"),
        // A Platform that was deleted has left its login.
        (&|seen| seen.has_owner_secret = true, new.clone(), "begin true false"),
        (&|seen| seen.target.clone_from(&there), new.clone(), "refuse TargetExists"),
        (&|seen| seen.volume = claim("another"), new.clone(), "refuse TargetExists"),
        (&|seen| seen.volume = Some(Default::default()), new.clone(), "refuse TargetExists"),
        // What it made itself before a crash.
        (&|seen| seen.volume = claim("r-1"), new.clone(), "begin false true"),
        (&|seen| *seen = Observed { job: Some(Job::default()), ..Observed::default() }, new, "look"),
    ];
    let now = "2027-01-01T00:10:00Z".parse().unwrap();
    for (seen, changes, expected) in cases {
        let mut observed = good();
        seen(&mut observed);
        assert_eq!(word(&plan(&restore(changes.clone()), &observed, now)), expected, "{changes}");
    }
}

#[test]
fn keys_are_those_that_it_was_sealed_with_unless_others_are_named() {
    let encryption = |name: &str| json!({"secretRef": {"name": name}});
    let mut sealed = backup("main", "Succeeded").unwrap();
    sealed.spec.encryption = serde_json::from_value(encryption("of-copy")).unwrap();
    let archive = json!({"archive": {"encryption": encryption("of-log")}});
    let platform = fixture::platform(json!({"postgres": {"managed": archive}}));
    let named = restore(json!({"encryption": encryption("mine")}));
    let silent = restore(json!({}));
    assert_eq!(keys(&silent, Some(&sealed), Some(&platform)).0, ["of-copy", "of-log"]);
    assert_eq!(keys(&silent, Some(&sealed), None).0, ["of-copy"]);
    assert_eq!(keys(&named, Some(&sealed), Some(&platform)).0, ["mine"]);
    assert!(keys(&silent, backup("main", "Succeeded").as_ref(), None).0.is_empty());
    let observed = |missing: Option<&str>| Observed {
        is_served: true,
        backup: Some(sealed.clone()),
        missing_keys: missing.map(String::from),
        ..Observed::default()
    };
    let now = "2027-01-01T00:10:00Z".parse().unwrap();
    assert_eq!(word(&plan(&silent, &observed(Some("of-copy")), now)), "wait SecretNotFound");
    assert_eq!(word(&plan(&silent, &observed(None), now)), "begin true true");
    let mut without = observed(None);
    without.missing_credentials = Some("s3".into());
    assert_eq!(word(&plan(&silent, &without, now)), "wait SecretNotFound");
}
