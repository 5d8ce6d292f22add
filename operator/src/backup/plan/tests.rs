use serde_json::{Value, json};

use super::*;
use crate::engine::fixture::engine;

fn backup(volume: Value) -> Backup {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}, "volume": volume},
    }))
    .unwrap()
}

pub(in crate::backup) fn platform(postgres: Value, ready: &str) -> Option<Platform> {
    let platform = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Platform",
        "metadata": {"name": "main", "namespace": "pay"},
        "spec": {"postgres": postgres},
        "status": {"conditions": [{
            "type": "PostgresReady", "status": ready, "reason": "AsSpecified", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    });
    serde_json::from_value(platform).unwrap()
}

/// What it says to do.
pub(in crate::backup) fn word(next: &Next<'_>) -> String {
    match next {
        Next::Wait(waiting) => format!("wait {}", waiting.reason),
        Next::Refuse { reason, .. } => format!("refuse {reason}"),
        Next::Begin { makes_claim, .. } => format!("begin {makes_claim}"),
        Next::GiveUp => "give up".into(),
        Next::Look(_) => "look".into(),
        Next::Copy { .. } => "copy".into(),
        Next::LookAtCopy(_) => "look at copy".into(),
        Next::CopyFailed { reason, .. } => format!("failed {reason}"),
        Next::Prove { image, seconds, .. } => format!("prove {image} {seconds}"),
    }
}

#[tokio::test]
async fn a_job_is_made_once_and_only_for_a_managed_database_that_is_ready() {
    let managed = || platform(json!({"managed": {}}), "True");
    let ready = || Observed { platform: managed(), engine: Some(engine()), ..Observed::default() };
    let cases = [
        (Observed::default(), json!({}), "wait PlatformNotReady"),
        (
            Observed {
                platform: platform(json!({"external": {"secretRef": {"name": "db"}}}), "True"),
                ..ready()
            },
            json!({}),
            "refuse Unsupported",
        ),
        (
            Observed { platform: platform(json!({"managed": {}}), "False"), ..ready() },
            json!({}),
            "wait PlatformNotReady",
        ),
        (Observed { engine: None, ..ready() }, json!({}), "wait PlatformNotReady"),
        (ready(), json!({}), "begin true"),
        (Observed { has_claim: true, ..ready() }, json!({}), "begin false"),
        (ready(), json!({"claimName": "mine"}), "wait ClaimNotFound"),
        (Observed { has_claim: true, ..ready() }, json!({"claimName": "mine"}), "begin false"),
        // Whatever became of the Platform meanwhile.
        (Observed { job: Some(Job::default()), ..Observed::default() }, json!({}), "look"),
    ];
    for (observed, volume, expected) in cases {
        assert_eq!(word(&plan(&backup(volume), &observed, Timestamp::UNIX_EPOCH)), expected);
    }
}

#[test]
fn what_waits_for_longer_than_its_deadline_gives_up() {
    let mut waiting = backup(json!({}));
    waiting.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
    let after = |seconds| Timestamp::from_second(waiting.spec.deadline_seconds + seconds).unwrap();
    assert_eq!(word(&plan(&waiting, &Observed::default(), after(0))), "wait PlatformNotReady");
    assert_eq!(word(&plan(&waiting, &Observed::default(), after(1))), "give up");
    let begun = Observed { job: Some(Job::default()), ..Observed::default() };
    assert_eq!(word(&plan(&waiting, &begun, after(1))), "look", "its Job has a deadline of its own");
}

#[tokio::test]
async fn a_copy_is_not_begun_without_what_seals_it() {
    let mut sealed = backup(json!({}));
    sealed.spec.encryption = serde_json::from_value(json!({"secretRef": {"name": "backup-keys"}})).unwrap();
    let observed = |has_keys| Observed {
        platform: platform(json!({"managed": {}}), "True"),
        engine: Some(engine()),
        has_keys,
        ..Observed::default()
    };
    assert_eq!(word(&plan(&sealed, &observed(false), Timestamp::UNIX_EPOCH)), "wait SecretNotFound");
    assert_eq!(word(&plan(&sealed, &observed(true), Timestamp::UNIX_EPOCH)), "begin true");
}

#[tokio::test]
async fn a_copy_is_not_begun_without_the_credentials_of_its_bucket_and_makes_no_volume() {
    let mut in_bucket = backup(json!({}));
    in_bucket.spec.bucket = Some(crate::place::fixture::bucket());
    let observed = |has_credentials| Observed {
        platform: platform(json!({"managed": {}}), "True"),
        engine: Some(engine()),
        has_credentials,
        ..Observed::default()
    };
    assert_eq!(word(&plan(&in_bucket, &observed(false), Timestamp::UNIX_EPOCH)), "wait SecretNotFound");
    assert_eq!(word(&plan(&in_bucket, &observed(true), Timestamp::UNIX_EPOCH)), "begin false");
}

/// A Backup that names another one, and that one with these changes.
fn pair(changes: Value) -> (Backup, Backup) {
    let one = |name: &str, spec: Value| {
        json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
            "metadata": {
                "name": name, "namespace": "pay", "uid": format!("u-{name}"),
                "ownerReferences": [{"apiVersion": "v1", "kind": "BackupSchedule", "name": "hourly", "uid": "s-1"}],
            },
            "spec": spec,
            "status": {"state": "Succeeded"},
        })
    };
    let mut parent = one("before", json!({"platformRef": {"name": "main"}}));
    for (pointer, value) in changes.as_object().unwrap() {
        *parent.pointer_mut(pointer).unwrap() = value.clone();
    }
    let backup = one("after", json!({"platformRef": {"name": "main"}, "parentRef": {"name": "before"}}));
    (serde_json::from_value(backup).unwrap(), serde_json::from_value(parent).unwrap())
}

#[test]
fn a_copy_builds_on_a_good_one_of_the_same_ledger_place_and_owner() {
    let other_owner = json!([{"apiVersion": "v1", "kind": "BackupSchedule", "name": "x", "uid": "s-2"}]);
    for (changes, blamed) in [
        (json!({}), None),
        (json!({"/status/state": "Running"}), Some("has not succeeded")),
        (json!({"/status/state": "Failed"}), Some("has not succeeded")),
        (json!({"/spec/platformRef/name": "other"}), Some("another Platform")),
        (
            json!({"/spec": {"platformRef": {"name": "main"}, "volume": {"claimName": "mine"}}}),
            Some("another place"),
        ),
        (json!({"/metadata/ownerReferences": other_owner}), Some("another owner")),
        (json!({"/metadata/ownerReferences": []}), Some("another owner")),
    ] {
        let (backup, parent) = pair(changes.clone());
        match (base(&backup, Some(&parent)), blamed) {
            (Base::Copy { name, uid }, None) => assert_eq!((&*name, &*uid), ("before", "u-before")),
            (Base::Unfit(why), Some(blamed)) => assert!(why.contains(blamed), "{changes}: {why}"),
            (other, _) => panic!("{changes}: {other:?}"),
        }
    }
    let (mut backup, parent) = pair(json!({}));
    assert!(matches!(base(&backup, None), Base::Unfit(why) if why.contains("There is no Backup")));
    backup.spec.parent_ref = None;
    assert_eq!(base(&backup, Some(&parent)), Base::Nothing, "only who asks for it");
}
