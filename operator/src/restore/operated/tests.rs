use payplane_crds::{Backup, condition::reason::INVALID};
use serde_json::{Value, json};

use super::*;
use crate::{
    place,
    platform::fixture,
    restore::plan::{
        plan,
        tests::{restore, word},
    },
};

fn backup() -> Option<Backup> {
    serde_json::from_value(json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "Backup",
        "metadata": {"name": "nightly", "namespace": "pay"},
        "spec": {"platformRef": {"name": "main"}, "bucket": place::fixture::spec()},
        "status": {
            "state": "Succeeded", "startedAt": "2026-12-31T12:00:00Z", "head": "41:ab",
            "operated": {"phase": "completed", "serverName": "main-postgres-u-1", "backupId": "20261231T120003"},
        },
    }))
    .unwrap()
}

/// The new Platform's Cluster, with this mark, so many servers being ready.
fn cluster(mark: Option<&str>, ready: i32) -> Option<Cluster> {
    let annotations = mark.map(|mark| json!({"payplane.io/restoring": mark}));
    serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": {
            "name": "new-postgres", "namespace": "pay", "creationTimestamp": "2027-01-01T00:01:00Z",
            "annotations": annotations.unwrap_or_else(|| json!({})),
        },
        "spec": {"instances": 3},
        "status": {"currentPrimary": "p-1", "targetPrimary": "p-1", "readyInstances": ready},
    }))
    .unwrap()
}

fn into(point: Value) -> Value {
    json!({"into": {"platform": {"name": "new", "storage": {"size": "2Gi"}}}, "point": point})
}

fn observed() -> Observed {
    Observed {
        is_served: true,
        has_clusters: true,
        has_authority: true,
        backup: backup(),
        ..Observed::default()
    }
}

#[test]
fn what_cloudnative_pg_cannot_restore_is_refused_by_the_name_of_its_field() {
    let in_place = json!({"into": {"platform": {"name": "main", "replace": "l-1"}}});
    for (changes, reason, named) in [
        (json!({}), UNSUPPORTED, "into.drill"),
        (in_place, UNSUPPORTED, "into.platform.replace"),
        (into(json!({"sequence": 42})), UNSUPPORTED, "point.time"),
        (into(json!({"time": "2026-12-31T11:59:59Z"})), INVALID, "point.time"),
    ] {
        match plan(&restore(changes.clone()), &observed(), "2027-01-01T00:02:00Z".parse().unwrap()) {
            Next::Refuse { reason: found, message } => {
                assert_eq!(found, reason, "{changes}");
                assert!(message.contains(named), "{changes}: {message}");
            }
            other => panic!("{changes}: {}", word(&other)),
        }
    }
}

#[test]
fn a_cluster_is_made_once_and_used_by_nobody_before_it_is_proved() {
    let job = |type_: &str| {
        let condition = json!({"type": type_, "status": "True"});
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [condition]}})).unwrap()
    };
    let own = Some("back:r-1");
    type Seen<'a> = &'a dyn Fn(&mut Observed);
    let cases: [(Seen<'_>, &str); 14] = [
        (&|_| {}, "recover"),
        (&|seen| seen.has_clusters = false, "wait OperatorNotInstalled"),
        (&|seen| seen.missing_credentials = Some("s3".into()), "wait SecretNotFound"),
        (&|seen| seen.cluster = cluster(None, 3), "refuse TargetExists"),
        (&|seen| seen.cluster = cluster(Some("other:r-2"), 3), "refuse TargetExists"),
        (
            &|seen| seen.target = Some(fixture::platform(json!({"postgres": {"operator": {}}}))),
            "refuse TargetExists",
        ),
        // The volume of a managed database of that name is no obstacle, and stays.
        (&|seen| seen.volume = Some(Default::default()), "recover"),
        (&|seen| seen.cluster = cluster(own, 0), "look at cluster"),
        // A commit waits for a standby, and so does this.
        (&|seen| seen.cluster = cluster(own, 1), "look at cluster"),
        (
            &|seen| {
                seen.cluster = cluster(own, 2);
                seen.has_authority = false;
            },
            "look at cluster",
        ),
        (&|seen| seen.cluster = cluster(own, 2), "adopt 3540"),
        (
            &|seen| {
                seen.cluster = cluster(own, 3);
                seen.job = Some(job("Failed"));
            },
            "look",
        ),
        (
            &|seen| {
                seen.cluster = cluster(own, 3);
                seen.job = Some(job("Complete"));
            },
            "release",
        ),
        // Whatever became of the Backup meanwhile.
        (
            &|seen| {
                *seen =
                    Observed { cluster: cluster(own, 3), job: Some(job("Complete")), ..Observed::default() };
            },
            "release",
        ),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        let mut seen = observed();
        change(&mut seen);
        let restore = restore(into(json!({})));
        assert_eq!(
            word(&plan(&restore, &seen, "2027-01-01T00:02:00Z".parse().unwrap())),
            expected,
            "case {at}"
        );
    }
    let late = Observed { cluster: cluster(own, 1), ..observed() };
    match plan(&restore(into(json!({}))), &late, "2027-01-01T01:01:00Z".parse().unwrap()) {
        Next::Refuse { reason, message } => {
            assert_eq!(reason, TIMED_OUT);
            assert!(message.contains("delete it") && message.contains("new-postgres"), "{message}");
        }
        other => panic!("{}", word(&other)),
    };
}

fn built(point: Value, source: Value) -> Value {
    let (restore, observed) = (restore(into(point)), observed());
    let copy = copy(&observed).unwrap();
    let to = restore.spec.into.platform.as_ref().unwrap();
    let source = fixture::platform(json!({"postgres": {"operator": source}}));
    let made = build::cluster(&restore, (copy, to), Some(&source), &Default::default());
    serde_json::to_value(made.unwrap()).unwrap()
}

#[test]
fn the_cluster_begins_with_the_copy_and_carries_the_mark() {
    let source = json!({
        "instances": 5, "image": "postgres:18-system", "storage": {"size": "50Gi"}, "deletionPolicy": "Delete",
        "archive": {"bucket": place::fixture::spec()},
    });
    let made = built(json!({}), source);
    assert_eq!(made["metadata"]["name"], "new-postgres");
    assert_eq!(made["metadata"]["annotations"], json!({"payplane.io/restoring": "back:r-1"}));
    assert_eq!(made["metadata"]["labels"]["payplane.io/platform"], "new");
    assert_eq!(made["metadata"].get("ownerReferences"), None, "it outlives whoever made it");
    let spec = &made["spec"];
    assert_eq!((&spec["instances"], &spec["imageName"]), (&json!(5), &json!("postgres:18-system")));
    assert_eq!(spec["storage"]["size"], "2Gi");
    assert_eq!(spec.get("backup"), None, "its log is its own, and not stored beside that of the copy");
    assert_eq!(
        spec["bootstrap"],
        json!({"recovery": {
            "source": "copy", "recoveryTarget": {"backupID": "20261231T120003"},
            "database": "payplane", "owner": "payplane_owner", "secret": {"name": "new-database-owner"},
        }})
    );
    assert_eq!(spec["externalClusters"][0]["barmanObjectStore"]["serverName"], "main-postgres-u-1");
}

#[test]
fn a_point_is_passed_on() {
    let target = |point| built(point, json!({}))["spec"]["bootstrap"]["recovery"]["recoveryTarget"].clone();
    let time = target(json!({"time": "2026-12-31T13:00:00Z"}));
    assert_eq!(time, json!({"backupID": "20261231T120003", "targetTime": "2026-12-31T13:00:00Z"}));
    let alone = target(json!({"copy": true}));
    assert_eq!(alone, json!({"backupID": "20261231T120003", "targetImmediate": true}));
}

#[test]
fn the_job_moves_the_epoch_on_and_expects_what_the_backup_had() {
    let (restore, observed) = (restore(into(json!({}))), observed());
    let to = restore.spec.into.platform.as_ref().unwrap();
    let job = build::job(&restore, to, (observed.backup.as_ref(), 3540), "engine:1");
    let pod = serde_json::to_value(job.spec.unwrap().template.spec).unwrap();
    let adopt = pod["initContainers"][0]["args"].to_string();
    assert!(adopt.contains(r#""adopt""#) && adopt.contains("--restore-id=r-1"), "{adopt}");
    assert!(adopt.contains("--platform=pay/new"), "{adopt}");
    let verify = pod["containers"][0]["args"].to_string();
    assert!(verify.contains("--expect-head=41:ab"), "{verify}");
    let sources = pod["volumes"][0]["projected"]["sources"].to_string();
    assert!(sources.contains("new-database-owner") && sources.contains("new-postgres-ca"), "{sources}");
}
