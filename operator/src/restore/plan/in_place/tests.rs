use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job};
use payplane_crds::{Backup, Platform};
use serde_json::{Value, json};

use super::*;
use crate::{
    meta::RESTORING,
    platform::fixture,
    restore::plan::{plan, tests::word},
};

/// A Restore of "main" in the place of ledger "c-1".
fn restore(metadata: Value, status: Value) -> Restore {
    let mut object = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Restore",
        "metadata": {"name": "back", "namespace": "pay", "uid": "r-1", "creationTimestamp": "2027-01-01T00:00:00Z"},
        "spec": {
            "platformRef": {"name": "main"}, "backupRef": {"name": "nightly"}, "deadlineSeconds": 600,
            "into": {"platform": {"name": "main", "replace": "c-1"}},
        },
        "status": status,
    });
    object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

fn claim(annotations: Value) -> Option<PersistentVolumeClaim> {
    serde_json::from_value(
        json!({"metadata": {"name": "data-main-postgres-0", "uid": "c-1", "annotations": annotations}}),
    )
    .unwrap()
}

fn platform(annotations: Value) -> Option<Platform> {
    let mut platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    platform.metadata.annotations = serde_json::from_value(annotations).unwrap();
    Some(platform)
}

fn set(mark: &str) -> Option<StatefulSet> {
    serde_json::from_value(json!({
        "metadata": {"generation": 2, "annotations": {RESTORING: mark}},
        "spec": {"replicas": 0, "selector": {}, "serviceName": "s", "template": {}},
        "status": {"observedGeneration": 2, "replicas": 0},
    }))
    .unwrap()
}

fn job(condition: &str) -> Option<Job> {
    let conditions = json!([{"type": condition, "status": "True"}]);
    serde_json::from_value(json!({"metadata": {"name": "j"}, "status": {"conditions": conditions}})).unwrap()
}

fn backup(state: &str) -> Option<Backup> {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup", "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}},
        "status": {"state": state, "startedAt": "2026-12-31T12:00:00Z", "head": "41:ab"},
    }))
    .unwrap()
}

/// What is there before anything was done.
fn fresh() -> Observed {
    Observed {
        is_served: true,
        backup: backup("Succeeded"),
        source: platform(json!({})),
        target: platform(json!({})),
        volume: claim(json!({})),
        has_owner_secret: true,
        has_server: true,
        ..Observed::default()
    }
}

/// The same while the Platform stands still for this Restore.
fn still() -> Observed {
    Observed { volume: claim(marked()), postgres: set("back:r-1"), has_server: false, ..fresh() }
}

fn marked() -> Value {
    json!({RESTORING: "back:r-1"})
}

fn ended(condition: &str) -> Observed {
    Observed { job: job(condition), ..still() }
}

type Case<'a> = (&'a str, &'a dyn Fn() -> Observed, Value, &'a str);

fn check(cases: &[Case<'_>], metadata: &Value) {
    let now = "2027-01-01T01:00:00Z".parse().unwrap();
    for (what, observed, status, expected) in cases {
        let restore = restore(metadata.clone(), status.clone());
        assert_eq!(word(&plan(&restore, &observed(), now)), *expected, "{what}");
    }
}

#[test]
fn a_ledger_is_replaced_only_if_it_is_the_one_that_was_named() {
    let with = |volume: Option<PersistentVolumeClaim>| move || Observed { volume: volume.clone(), ..fresh() };
    let of = |target: Option<Platform>| move || Observed { target: target.clone(), ..fresh() };
    let external = || {
        let spec = json!({"postgres": {"external": {"secretRef": {"name": "db"}}}});
        Observed { target: Some(fixture::platform(spec)), ..fresh() }
    };
    let none = || json!({});
    check(
        &[
            ("as named", &fresh, none(), "bind"),
            (
                "restored since",
                &with(claim(json!({"payplane.io/restore": "r-0"}))),
                none(),
                "refuse TargetExists",
            ),
            (
                "another Restore's",
                &with(claim(json!({RESTORING: "other:r-2"}))),
                none(),
                "refuse TargetExists",
            ),
            ("one of before", &with(claim(json!({RESTORING: "back:r-0"}))), none(), "refuse TargetExists"),
            ("no volume", &with(None), none(), "refuse Invalid"),
            ("no Platform", &of(None), none(), "refuse Invalid"),
            ("not ours", &external, none(), "refuse Invalid"),
            ("paused", &of(platform(json!({"payplane.io/paused": "true"}))), none(), "wait Paused"),
            (
                "bad copy",
                &|| Observed { backup: backup("Failed"), ..fresh() },
                none(),
                "refuse BackupNotGood",
            ),
        ],
        &json!({}),
    );
}

#[test]
fn every_step_is_told_from_what_is_there() {
    let bound = json!({"finalizers": [GIVE_BACK]});
    let began = |at: &str| json!({"state": "Running", "startedAt": at});
    let (soon, late) = (began("2027-01-01T00:51:00Z"), began("2027-01-01T00:49:00Z"));
    let none = || json!({});
    let with_server = || Observed { has_server: true, ..still() };
    let others = || Observed { postgres: set("other:r-2"), ..still() };
    let given_back = |annotations: Value| move || Observed { volume: claim(annotations.clone()), ..still() };
    let running = || serde_json::from_value(json!({"status": {"phase": "Running"}})).unwrap();
    check(
        &[
            ("bound", &fresh, none(), "mark"),
            ("marked, not stopped", &|| Observed { postgres: None, ..still() }, soon.clone(), "stand by"),
            ("its pod is there", &with_server, soon.clone(), "stand by"),
            ("stopped for another", &others, soon.clone(), "stand by"),
            ("stands still", &still, soon.clone(), "begin false false"),
            ("too long", &with_server, late.clone(), "give back false"),
            (
                "copy gone meanwhile",
                &|| Observed { backup: backup("Failed"), ..still() },
                soon.clone(),
                "give back false",
            ),
            ("works", &|| ended("Other"), soon.clone(), "look"),
            ("works longer than the wait may", &|| ended("Other"), late.clone(), "look"),
            ("done", &|| ended("Complete"), soon.clone(), "give back true"),
            ("failed", &|| ended("Failed"), soon.clone(), "undo"),
            (
                "failed, not gone",
                &|| Observed { pod: running(), ..ended("Failed") },
                soon.clone(),
                "wait Progressing",
            ),
            ("undoes", &|| Observed { undo: job("Other"), ..ended("Failed") }, soon.clone(), "look at undo"),
            (
                "cannot undo",
                &|| Observed { undo: job("Failed"), ..ended("Failed") },
                soon.clone(),
                "look at undo",
            ),
            (
                "undone",
                &|| Observed { undo: job("Complete"), ..ended("Failed") },
                soon.clone(),
                "give back false",
            ),
            (
                "given back but for itself",
                &|| Observed { job: job("Complete"), ..given_back(json!({"payplane.io/restore": "r-1"}))() },
                soon.clone(),
                "give back true",
            ),
        ],
        &bound,
    );
    // The finalizer is gone: only the end has to be told.
    check(
        &[
            (
                "done",
                &|| Observed { job: job("Complete"), ..given_back(json!({"payplane.io/restore": "r-1"}))() },
                soon.clone(),
                "look",
            ),
            (
                "undone",
                &|| Observed { job: job("Failed"), undo: job("Complete"), ..given_back(json!({}))() },
                soon.clone(),
                "look",
            ),
            ("too long", &given_back(json!({})), late.clone(), "refuse TimedOut"),
        ],
        &json!({}),
    );
    let leaving = json!({"finalizers": [GIVE_BACK], "deletionTimestamp": "2027-01-01T00:59:00Z"});
    check(
        &[
            ("deleted before", &still, soon.clone(), "give back false"),
            ("deleted while it works", &|| ended("Other"), soon.clone(), "look"),
            ("deleted after a failure", &|| ended("Failed"), soon, "undo"),
        ],
        &leaving,
    );
}
