use payplane_crds::condition::{READY, RECONCILING, SETTLED, STALLED, SUCCEEDED};
use serde_json::{Value, json};

use super::*;
use crate::condition::find;

fn told(into: Value, condition: Option<(&str, &str)>, init: Value) -> RestoreStatus {
    told_of(false, into, condition, init)
}

fn told_of(is_operated: bool, into: Value, condition: Option<(&str, &str)>, init: Value) -> RestoreStatus {
    let restore: Restore = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": "pay", "generation": 1},
        "spec": {"platformRef": {"name": "main"}, "backupRef": {"name": "nightly"}, "into": into},
    }))
    .unwrap();
    let conditions: Vec<Value> = condition
        .into_iter()
        .map(|(type_, reason)| {
            let at = "2027-01-01T00:00:40Z";
            json!({"type": type_, "status": "True", "reason": reason, "message": "said", "lastTransitionTime": at})
        })
        .collect();
    let job = serde_json::from_value(json!({
        "metadata": {"name": "back-restore", "creationTimestamp": "2027-01-01T00:00:00Z"},
        "status": {"conditions": conditions},
    }))
    .unwrap();
    let pod = serde_json::from_value(json!({"status": {"initContainerStatuses": init}})).unwrap();
    let answer = Answer::Seen { is_operated, job: Box::new(job), pod: Some(Box::new(pod)) };
    report(&restore, &answer, Timestamp::UNIX_EPOCH)
}

fn ended(name: &str, code: i32, message: &str) -> Value {
    json!({
        "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "message": message, "finishedAt": "2027-01-01T00:00:30Z"}},
    })
}

fn letters(status: &RestoreStatus) -> String {
    let told = [READY, RECONCILING, STALLED, SETTLED, SUCCEEDED];
    told.map(|type_| find(&status.conditions, type_).map_or("-", |one| &one.status[..1])).concat()
}

#[test]
fn success_tells_what_was_proved_and_failure_that_nothing_can_be_used() {
    let new = || json!({"platform": {"name": "new"}});
    let adopted = || ended("adopt", 0, r#"{"epoch":2}"#);
    let sound = || ended("verify", 0, r#"{"sound":true,"operations":42}"#);
    let complete = Some(("Complete", "Completed"));
    let failed = Some(("Failed", "BackoffLimitExceeded"));
    let cases = [
        (told(new(), None, json!([])), RestoreState::Running, "FTF--", "Progressing"),
        (told(new(), complete, json!([adopted(), sound()])), RestoreState::Succeeded, "TFFTT", "Completed"),
        (
            told(new(), failed, json!([ended("prepare", 1, "a segment of the log is missing")])),
            RestoreState::Failed,
            "FFTTF",
            "RestoreFailed",
        ),
        (
            told(new(), failed, json!([adopted(), ended("verify", 1, "hashes")])),
            RestoreState::Failed,
            "FFTTF",
            "LedgerNotSound",
        ),
        (
            told(new(), Some(("Failed", "DeadlineExceeded")), json!([])),
            RestoreState::Failed,
            "FFTTF",
            "TimedOut",
        ),
    ];
    for (status, state, expected, reason) in &cases {
        assert_eq!((status.state, letters(status).as_str()), (*state, *expected), "{reason}");
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(ready.reason, *reason);
        assert_eq!(ready.message.contains("No database starts"), *state == RestoreState::Failed, "{ready:?}");
    }
    let good = &cases[1].0;
    assert_eq!((good.operations, good.epoch, good.seconds), (Some(42), Some(2), Some(40)));
    assert_eq!(good.later_batches, None);
    let message = |status: &RestoreStatus| find(&status.conditions, READY).unwrap().message.clone();
    for (later, tells) in [(0, false), (2, true)] {
        let recovered = ended("recover", 0, &format!(r#"{{"later" : {later}}}"#));
        let status = told(new(), complete, json!([recovered, adopted(), sound()]));
        assert_eq!(status.later_batches, Some(later));
        assert_eq!(message(&status).contains("sealed after point.sequence"), tells, "{status:?}");
    }
    let drill = told(json!({"drill": true}), complete, json!([adopted(), sound()]));
    assert_eq!(
        (drill.operations, drill.epoch),
        (Some(42), None),
        "the epoch of what was thrown away says nothing"
    );
}

#[test]
fn in_place_it_tells_where_the_ledger_of_before_is() {
    let main = || json!({"platform": {"name": "main", "replace": "c-1"}});
    let adopted = || ended("adopt", 0, r#"{"epoch":2}"#);
    let done = told(main(), Some(("Complete", "Completed")), json!([adopted()]));
    assert_eq!((done.state, done.epoch), (RestoreState::Succeeded, Some(2)));
    assert_eq!(done.replaced.as_deref(), Some("data-main-postgres-0/ledger.replaced-"));
    let message = |status: &RestoreStatus| find(&status.conditions, READY).unwrap().message.clone();
    assert!(message(&done).contains("Platform main uses it"), "{done:?}");
    let failed = told(main(), Some(("Failed", "BackoffLimitExceeded")), json!([ended("prepare", 1, "gap")]));
    assert_eq!((failed.state, failed.replaced.as_deref()), (RestoreState::Failed, None));
    assert!(message(&failed).contains("is in its place again"), "{failed:?}");
}

#[test]
fn in_place_it_has_not_ended_before_what_was_is_back() {
    let restore: Restore = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore", "metadata": {"name": "back", "namespace": "pay"},
        "spec": {
            "platformRef": {"name": "main"}, "backupRef": {"name": "nightly"},
            "into": {"platform": {"name": "main", "replace": "c-1"}},
        },
        "status": {"state": "Running", "startedAt": "2027-01-01T00:00:00Z"},
    }))
    .unwrap();
    let job = |type_: &str| {
        let status = json!({"conditions": [{"type": type_, "status": "True"}]});
        Some(Box::new(serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap()))
    };
    for (answer, reason, says) in [
        (Answer::Standing, "Progressing", "stand still"),
        (Answer::Undoing(None), "RestoreFailed", "is brought back"),
        (Answer::Undoing(job("Other")), "RestoreFailed", "is brought back"),
        (Answer::Undoing(job("Failed")), "RestoreFailed", "delete the Job"),
    ] {
        let status = report(&restore, &answer, Timestamp::UNIX_EPOCH);
        assert_eq!((status.state, letters(&status).as_str()), (RestoreState::Running, "FTF--"), "{says}");
        assert_eq!(status.started_at, restore.status.as_ref().unwrap().started_at, "it began once");
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(ready.reason, reason);
        assert!(ready.message.contains(says), "{ready:?}");
    }
}

#[test]
fn what_cloudnative_pg_recovered_is_left_marked_where_it_was_not_proved() {
    let new = || json!({"platform": {"name": "new"}});
    let failed = Some(("Failed", "BackoffLimitExceeded"));
    let status = told_of(true, new(), failed, json!([ended("adopt", 1, "the copy has schema 99")]));
    let succeeded = find(&status.conditions, SUCCEEDED).unwrap();
    assert_eq!(succeeded.reason, "RestoreFailed");
    assert!(
        succeeded.message.contains("Nothing uses Cluster new-postgres; delete it"),
        "{}",
        succeeded.message
    );
}

#[test]
fn while_cloudnative_pg_recovers_its_words_are_told_and_the_beginning_stays() {
    let mut restore: Restore = serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}, "backupRef": {"name": "nightly"}, "into": {"platform": {"name": "new"}}},
    }))
    .unwrap();
    let answer = Answer::Recovering("0 of 3 servers are ready".into());
    let first = report(&restore, &answer, Timestamp::UNIX_EPOCH);
    assert_eq!((first.state, &*letters(&first)), (RestoreState::Running, "FTF--"));
    assert!(find(&first.conditions, READY).unwrap().message.contains("0 of 3 servers"));
    restore.status = Some(first);
    let later = report(&restore, &answer, Timestamp::from_second(60).unwrap());
    assert_eq!(later.started_at, Some(Time(Timestamp::UNIX_EPOCH)));
}
