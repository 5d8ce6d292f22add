use payplane_crds::condition::{READY, RECONCILING, SETTLED, STALLED, SUCCEEDED};
use serde_json::{Value, json};
use tonic::Code;

use super::*;
use crate::{condition::find, engine::EngineError, payment::Waiting};

fn backup() -> Backup {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay", "generation": 1},
        "spec": {"platformRef": {"name": "main"}, "deadlineSeconds": 600},
    }))
    .unwrap()
}

fn seen(condition: Option<(&str, &str)>, init: Value, containers: Value) -> Answer {
    let conditions: Vec<Value> = condition
        .into_iter()
        .map(|(type_, reason)| {
            let at = "2026-01-01T00:05:00Z";
            json!({"type": type_, "status": "True", "reason": reason, "message": "said", "lastTransitionTime": at})
        })
        .collect();
    let job = json!({
        "metadata": {
            "name": "nightly-backup", "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"payplane.io/head": "7:ab"},
        },
        "status": {"conditions": conditions},
    });
    let pod = json!({"status": {"initContainerStatuses": init, "containerStatuses": containers}});
    Answer::Seen {
        copy: None,
        job: Box::new(serde_json::from_value(job).unwrap()),
        pod: Some(Box::new(serde_json::from_value(pod).unwrap())),
    }
}

fn ended(name: &str, code: i32, message: &str, second: u32) -> Value {
    json!({
        "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {
            "exitCode": code, "message": message, "finishedAt": format!("2026-01-01T00:00:{second:02}Z"),
        }},
    })
}

fn letters(status: &BackupStatus) -> String {
    let told = [READY, RECONCILING, STALLED, SETTLED, SUCCEEDED];
    told.map(|type_| find(&status.conditions, type_).map_or("-", |one| &one.status[..1])).concat()
}

#[test]
fn every_answer_has_its_state_and_its_conditions() {
    use BackupState::{Failed, New, Running, Succeeded};
    let copied = || ended("copy", 0, r#"{"bytes":4096}"#, 10);
    let away = EngineError::Unavailable { code: Code::Unavailable, message: String::new() };
    let refused = Answer::Refused { reason: "Unsupported", message: String::new() };
    let sound = r#"{"sound":true,"violated":[],"operations":42,"head":{}}"#;
    let unsound = r#"{"sound":false,"violated":["balances"],"operations":42,"head":{}}"#;
    let stopped = ended("scratch", 137, "", 30);
    let cases = [
        (Answer::Waiting(Waiting::new("PlatformNotReady", "")), New, "FTF--", "PlatformNotReady"),
        (refused, New, "FFT--", "Unsupported"),
        (Answer::Failed(away), New, "FTF--", "EngineUnavailable"),
        (Answer::Begun, Running, "FTF--", "Progressing"),
        (seen(None, json!([]), json!([])), Running, "FTF--", "Progressing"),
        (
            seen(Some(("Complete", "Completed")), json!([copied()]), json!([ended("verify", 0, sound, 20)])),
            Succeeded,
            "TFFTT",
            "Completed",
        ),
        (
            seen(
                Some(("Failed", "BackoffLimitExceeded")),
                json!([copied(), stopped.clone()]),
                json!([ended("verify", 1, unsound, 20)]),
            ),
            Failed,
            "FFTTF",
            "LedgerNotSound",
        ),
        (
            seen(
                Some(("Failed", "BackoffLimitExceeded")),
                json!([ended("copy", 1, "No space left", 3)]),
                json!([]),
            ),
            Failed,
            "FFTTF",
            "BackupFailed",
        ),
        (seen(Some(("Failed", "DeadlineExceeded")), json!([]), json!([])), Failed, "FFTTF", "TimedOut"),
    ];
    for (answer, state, expected, reason) in cases {
        let status = report(&backup(), &answer, Timestamp::UNIX_EPOCH);
        assert_eq!((status.state, letters(&status).as_str()), (state, expected), "{answer:?}");
        assert_eq!(find(&status.conditions, READY).unwrap().reason, reason);
        assert_eq!(status.bytes.is_some(), state == Succeeded, "{answer:?}");
    }
}

#[test]
fn success_says_what_was_proved_and_failure_what_went_wrong() {
    let sound = r#"{"sound":true,"operations":42}"#;
    let copied = ended("copy", 0, r#"{"bytes":4096}"#, 10);
    let good = seen(Some(("Complete", "Completed")), json!([copied]), json!([ended("verify", 0, sound, 20)]));
    let status = report(&backup(), &good, Timestamp::UNIX_EPOCH);
    assert_eq!(
        (status.operations, status.bytes, status.head.as_deref()),
        (Some(42), Some(4096), Some("7:ab"))
    );
    assert_eq!(status.location.as_deref(), Some("main-backups/nightly"));
    let mut in_bucket = backup();
    in_bucket.spec.bucket = Some(crate::place::fixture::bucket());
    let location = report(&in_bucket, &good, Timestamp::UNIX_EPOCH).location;
    assert_eq!(location.as_deref(), Some("s3://copies/pay/main/nightly"));
    assert_eq!(status.started_at.unwrap().0.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(status.finished_at.unwrap().0.to_string(), "2026-01-01T00:05:00Z");

    let bad = seen(
        Some(("Failed", "BackoffLimitExceeded")),
        json!([ended("copy", 1, "pg_basebackup: error: No space left on device", 3)]),
        json!([]),
    );
    let status = report(&backup(), &bad, Timestamp::UNIX_EPOCH);
    let message = &find(&status.conditions, SUCCEEDED).unwrap().message;
    assert!(message.contains("Step copy failed") && message.contains("No space left"), "{message}");
    assert_eq!((status.location, status.operations), (None, None));
}

#[test]
fn a_sealed_copy_says_which_key_opens_it_and_a_failure_whether_it_was_the_key() {
    let sound = r#"{"sound":true,"operations":42}"#;
    let sealed = || ended("seal", 0, r#"{"bytes":8192,"keys":["0123456789abcdef"]}"#, 12);
    let complete = Some(("Complete", "Completed"));
    let good =
        seen(complete, json!([ended("copy", 0, "", 10), sealed()]), json!([ended("verify", 0, sound, 20)]));
    let status = report(&backup(), &good, Timestamp::UNIX_EPOCH);
    assert_eq!((status.bytes, status.restore_seconds), (Some(8192), Some(8)));
    assert_eq!(status.sealed_for, ["0123456789abcdef"]);
    for (step, code, reason) in [
        ("seal", 3, "WrongKey"),
        ("open", 3, "WrongKey"),
        ("open", 4, "CopyDamaged"),
        ("seal", 5, "BucketNotFound"),
        ("seal", 6, "BucketRefused"),
        ("open", 7, "BucketUnreachable"),
        ("open", 1, "BackupFailed"),
        ("unpack", 3, "BackupFailed"),
    ] {
        let steps = json!([ended("copy", 0, "", 10), sealed(), ended(step, code, "the last words", 14)]);
        let bad = seen(Some(("Failed", "BackoffLimitExceeded")), steps, json!([]));
        let status = report(&backup(), &bad, Timestamp::UNIX_EPOCH);
        let told = find(&status.conditions, SUCCEEDED).unwrap();
        assert_eq!((&*told.status, &*told.reason), ("False", reason), "{step} {code}");
        assert!(told.message.contains("the last words"), "{}", told.message);
        assert!(status.sealed_for.is_empty() && status.bytes.is_none(), "there is nothing to rely on");
    }
}

#[test]
fn a_copy_says_what_it_builds_on_or_why_it_is_full() {
    let sound = r#"{"sound":true,"operations":42}"#;
    let complete = Some(("Complete", "Completed"));
    let told = |said: &str, annotation: Option<&str>| {
        let steps = json!([ended("copy", 0, "", 10), ended("seal", 0, said, 12)]);
        let Answer::Seen { mut job, pod, .. } = seen(complete, steps, json!([ended("verify", 0, sound, 20)]))
        else {
            return BackupStatus::default();
        };
        let annotations = job.metadata.annotations.get_or_insert_default();
        annotations.extend(annotation.map(|why| (FULL_BECAUSE.to_owned(), why.to_owned())));
        report(&backup(), &Answer::Seen { copy: None, job, pod }, Timestamp::UNIX_EPOCH)
    };
    let built = told(r#"{"bytes":10,"total":100,"keys":[],"parent":"before","full_because":null}"#, None);
    assert_eq!((built.type_, built.parent.as_deref()), (Some(BackupType::Incremental), Some("before")));
    assert_eq!((built.bytes, built.total_bytes, &built.full_because), (Some(10), Some(100), &None));
    let message = &find(&built.conditions, SUCCEEDED).unwrap().message;
    assert!(message.contains("main-backups/nightly with before, which it builds on"), "{message}");

    let damaged = r#"{"bytes":90,"total":90,"keys":[],"parent":null,"full_because":"it is damaged"}"#;
    for (said, annotation, why) in [
        (damaged, None, "it is damaged"),
        (r#"{"bytes":90}"#, Some("There is no Backup \"before\"."), "There is no Backup"),
    ] {
        let full = told(said, annotation);
        assert_eq!((full.type_, &full.parent), (Some(BackupType::Full), &None));
        assert_eq!((full.bytes, full.total_bytes), (Some(90), Some(90)));
        assert!(full.full_because.as_ref().is_some_and(|told| told.contains(why)), "{full:?}");
        let message = &find(&full.conditions, SUCCEEDED).unwrap().message;
        assert!(message.contains("a full copy") && message.contains(why), "{message}");
    }
    assert_eq!(told(r#"{"bytes":90}"#, None).full_because, None, "nothing was asked for");
}
