use payplane_crds::{BackupState, condition::SUCCEEDED};
use serde_json::{Value, json};

use super::*;
use crate::{
    backup::{
        Answer,
        plan::{
            plan,
            tests::{platform, word},
        },
        report::report,
    },
    condition::find,
    engine::fixture::engine,
    place,
    platform::{fixture, foreign::cloudnative_pg::Cluster},
};

fn backup(changes: Value) -> Backup {
    let mut spec =
        json!({"platformRef": {"name": "main"}, "bucket": place::fixture::spec(), "deadlineSeconds": 600});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay", "uid": "b-1"},
        "spec": spec,
    }))
    .unwrap()
}

/// As CloudNativePG 1.30 writes it.
fn copy(status: Value) -> OperatedBackup {
    serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
        "metadata": {
            "name": "nightly", "creationTimestamp": "2027-01-01T00:00:00Z",
            "annotations": {"payplane.io/head": "7:ab"},
        },
        "spec": {"cluster": {"name": "main-postgres"}, "method": "barmanObjectStore", "target": "primary"},
        "status": status,
    }))
    .unwrap()
}

fn completed() -> Value {
    json!({
        "phase": "completed", "backupId": "20270101T000003", "backupName": "backup-20270101000002",
        "destinationPath": "s3://copies/pay/main", "serverName": "main-postgres-u-1", "method": "barmanObjectStore",
        "beginLSN": "0/4000028", "endLSN": "0/5000060", "beginWal": "000000010000000000000004",
        "endWal": "000000010000000000000005", "instanceID": {"podName": "main-postgres-1", "ContainerID": "c"},
        "startedAt": "2027-01-01T00:00:03Z", "stoppedAt": "2027-01-01T00:00:09Z",
    })
}

fn archived_platform(ready: &str) -> Option<Platform> {
    platform(json!({"operator": {"archive": {"bucket": place::fixture::spec()}}}), ready)
}

fn cluster() -> Option<Cluster> {
    let status = json!({"image": "postgres:18-system"});
    serde_json::from_value(json!({"metadata": {"name": "main-postgres"}, "spec": {}, "status": status}))
        .unwrap()
}

fn observed() -> Observed {
    Observed {
        platform: archived_platform("True"),
        engine: Some(engine()),
        cluster: cluster(),
        has_keys: true,
        has_credentials: true,
        ..Observed::default()
    }
}

#[tokio::test]
async fn what_cannot_be_said_to_cloudnative_pg_is_refused_by_the_name_of_its_field() {
    let mut other = place::fixture::spec();
    other["prefix"] = "elsewhere".into();
    let keys = json!({"secretRef": {"name": "keys"}});
    let bare = platform(json!({"operator": {}}), "True");
    for (changes, of, named) in [
        (json!({}), bare, "spec.postgres.operator.archive"),
        (json!({"encryption": keys}), archived_platform("True"), "spec.encryption"),
        (json!({"bucket": null}), archived_platform("True"), "spec.bucket"),
        (json!({"bucket": other}), archived_platform("True"), "spec.bucket"),
        // Nobody has to wait to hear of it.
        (json!({"bucket": null}), archived_platform("False"), "spec.bucket"),
    ] {
        let seen = Observed { platform: of, ..observed() };
        match plan(&backup(changes.clone()), &seen, Timestamp::UNIX_EPOCH) {
            Next::Refuse { reason, message } => {
                assert_eq!(reason, UNSUPPORTED);
                assert!(message.contains(named), "{changes}: {message}");
            }
            other => panic!("{changes}: {}", word(&other)),
        }
    }
}

#[tokio::test]
async fn a_copy_is_asked_for_once_and_proved_in_the_time_that_is_left() {
    let taken = |status: Value| move |seen: &mut Observed| seen.copy = Some(copy(status.clone()));
    type Seen<'a> = &'a dyn Fn(&mut Observed);
    let cases: [(Seen<'_>, &str, &str); 13] = [
        (&|_| {}, "2027-01-01T00:00:00Z", "copy"),
        (&|seen| seen.has_credentials = false, "2027-01-01T00:00:00Z", "wait SecretNotFound"),
        (&|seen| seen.platform = archived_platform("False"), "2027-01-01T00:00:00Z", "wait PlatformNotReady"),
        (&|seen| seen.is_copy_taken = true, "2027-01-01T00:00:00Z", "refuse NameTaken"),
        (&taken(json!({})), "2027-01-01T00:00:05Z", "look at copy"),
        (&taken(json!({"phase": "running"})), "2027-01-01T00:10:00Z", "look at copy"),
        // It waits for the log to be stored again, and tries again.
        (&taken(json!({"phase": "walArchivingFailing"})), "2027-01-01T00:09:00Z", "look at copy"),
        (&taken(json!({"phase": "running"})), "2027-01-01T00:10:01Z", "failed TimedOut"),
        (
            &taken(json!({"phase": "failed", "error": "exit status 4"})),
            "2027-01-01T00:00:09Z",
            "failed BackupFailed",
        ),
        (&taken(completed()), "2027-01-01T00:01:00Z", "prove postgres:18-system 540"),
        (&taken(completed()), "2027-01-01T00:09:59Z", "prove postgres:18-system 10"),
        (&taken(completed()), "2027-01-01T00:10:01Z", "failed TimedOut"),
        (
            &|seen| {
                seen.copy = Some(copy(completed()));
                seen.job = Some(Default::default());
            },
            "2027-01-01T01:00:00Z",
            "look",
        ),
    ];
    for (change, now, expected) in cases {
        let mut seen = observed();
        change(&mut seen);
        assert_eq!(word(&plan(&backup(json!({})), &seen, now.parse().unwrap())), expected, "{now}");
    }
}

#[test]
fn the_copy_is_the_primarys_and_goes_with_its_backup() {
    let made = build::copy(&backup(json!({})), &archived_platform("True").unwrap(), Some("7:ab"));
    let made = serde_json::to_value(made).unwrap();
    assert_eq!(
        made["spec"],
        json!({"cluster": {"name": "main-postgres"}, "method": "barmanObjectStore", "target": "primary"})
    );
    assert_eq!(made["metadata"]["name"], "nightly");
    assert_eq!(made["metadata"]["annotations"], json!({"payplane.io/head": "7:ab"}));
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "b-1");
}

#[test]
fn the_job_restores_what_was_taken_and_expects_what_was_sealed_before() {
    let asked = backup(json!({"parentRef": {"name": "before"}}));
    let platform = archived_platform("True").unwrap();
    let job = build::prove(
        &asked,
        &platform,
        &copy(completed()),
        ("postgres:18-system", 540),
        &fixture::settings(),
    );
    let job = serde_json::to_value(job).unwrap();
    assert_eq!(job["metadata"]["annotations"]["payplane.io/head"], "7:ab");
    assert_eq!(
        job["metadata"]["annotations"]["payplane.io/full-because"],
        "CloudNativePG takes full copies only."
    );
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 540);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"], 26);
    let (fetch, serve) = (&pod["initContainers"][0], &pod["initContainers"][1]);
    let env: Vec<String> = fetch["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}={}", one["name"], one["value"]))
        .collect();
    for expected in [
        r#""ENDPOINT"="https://s3.example""#,
        r#""AWS_DEFAULT_REGION"="us-east-1""#,
        r#""DESTINATION"="s3://copies/pay/main""#,
        r#""SERVER"="main-postgres-u-1""#,
        r#""COPY"="20270101T000003""#,
    ] {
        assert!(env.iter().any(|one| one == expected), "{expected}: {env:?}");
    }
    assert_eq!(serve["restartPolicy"], "Always");
    assert!(!serve["volumeMounts"].to_string().contains("bucket"), "a server has nothing of the bucket's");
    let verify = &pod["containers"][0];
    assert!(verify["args"].to_string().contains("--expect-head=7:ab"), "{verify}");
}

#[test]
fn the_status_is_what_cloudnative_pg_says_until_the_ledger_is_proved() {
    let now = "2027-01-01T00:01:00Z".parse().unwrap();
    let told = |answer: &Answer| report(&backup(json!({})), answer, now);
    let running = told(&Answer::Copying(Some(Box::new(copy(json!({"phase": "running"}))))));
    assert_eq!(running.state, BackupState::Running);
    assert_eq!(running.operated.unwrap().phase, "running");

    let failed = told(&Answer::CopyFailed {
        copy: Box::new(copy(json!({"phase": "failed"}))),
        reason: BACKUP_FAILED,
        message: "CloudNativePG could not take the copy: exit status 4".into(),
    });
    assert_eq!(failed.state, BackupState::Failed);
    assert_eq!(find(&failed.conditions, SUCCEEDED).unwrap().reason, "BackupFailed");

    let seen = |type_: &str, code: i32, said: &str| {
        let at = "2027-01-01T00:00:40Z";
        let condition =
            json!({"type": type_, "status": "True", "reason": "x", "message": "", "lastTransitionTime": at});
        let ended = json!({
            "name": "verify", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "message": said, "finishedAt": "2027-01-01T00:00:31Z"}},
        });
        told(&Answer::Seen {
            copy: Some(Box::new(copy(completed()))),
            job: serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [condition]}}))
                .unwrap(),
            pod: serde_json::from_value(json!({"status": {"containerStatuses": [ended]}})).unwrap(),
        })
    };
    let good = seen("Complete", 0, r#"{"sound":true,"operations":42}"#);
    assert_eq!(
        (good.state, good.operations, good.restore_seconds),
        (BackupState::Succeeded, Some(42), Some(22))
    );
    assert_eq!(good.location.as_deref(), Some("s3://copies/pay/main/main-postgres-u-1/base/20270101T000003"));
    assert_eq!(good.head.as_deref(), Some("7:ab"));
    let copied = good.operated.unwrap();
    assert_eq!((&*copied.end_lsn, &*copied.end_wal), ("0/5000060", "000000010000000000000005"));
    assert_eq!(copied.instance, "main-postgres-1");
    let unsound = seen("Failed", 1, "balances");
    assert_eq!(unsound.state, BackupState::Failed);
    assert_eq!(find(&unsound.conditions, SUCCEEDED).unwrap().reason, "LedgerNotSound");
}
