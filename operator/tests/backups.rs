//! BackupSchedule and Restore on the real API server: what it refuses, and what a schedule makes of its times.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::{own, support};

use k8s_openapi::api::{batch::v1::Job, core::v1::PersistentVolumeClaim};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use own::in_namespace;
use payplane_crds::{Backup, BackupSchedule, Restore, RestoreState};
use payplane_operator::{
    condition::find,
    controllers::{Again, Reconciled},
};
use serde_json::{Value, json};
use support::{context, create, look, objects};

const API: &str = "payplane.io/v1alpha1";

fn schedule(name: &str, changes: &Value) -> Value {
    let mut spec = json!({"platformRef": {"name": "main"}, "schedule": "* * * * *"});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"apiVersion": API, "kind": "BackupSchedule", "metadata": {"name": name}, "spec": spec})
}

fn restore(name: &str, changes: &Value) -> Value {
    let mut spec =
        json!({"platformRef": {"name": "main"}, "backupRef": {"name": "copy"}, "into": {"drill": true}});
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"apiVersion": API, "kind": "Restore", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    in_namespace("backups", |client, namespace| async move {
        let schedules = objects(&client, "BackupSchedule", &namespace);
        for (changes, blamed) in [
            (json!({"schedule": "hourly"}), "schedule"),
            (json!({"timeZone": "Europe Zurich"}), "timeZone"),
            (json!({"retention": {"keepLast": 0}}), "keepLast"),
            (json!({"retention": {"keepWithinSeconds": -1}}), "keepWithinSeconds"),
            (json!({"incremental": {"fullEvery": 1}}), "fullEvery"),
            (json!({"incremental": {"fullEvery": 31}}), "fullEvery"),
            (json!({"objectives": {"rpoSeconds": 0}}), "rpoSeconds"),
            (json!({"deadlineSeconds": 1}), "deadlineSeconds"),
            (json!({"volume": {"claimName": "a", "storageClassName": "b"}}), "storageClassName"),
            (json!({"encryption": {}}), "secretRef"),
            (json!({"encryption": {"secretRef": {"name": ""}}}), "secretRef.name"),
        ] {
            let error = create(&schedules, schedule("bad", &changes)).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{changes}: {error}");
        }
        let long = create(&schedules, schedule(&"x".repeat(38), &json!({}))).await.unwrap_err().to_string();
        assert!(long.contains("37 characters"), "{long}");
        create(&schedules, schedule("good", &json!({}))).await.unwrap();
        let moved = Patch::Merge(json!({"spec": {"platformRef": {"name": "other"}}}));
        let error = schedules.patch("good", &PatchParams::default(), &moved).await.unwrap_err().to_string();
        assert!(error.contains("platformRef cannot change"), "{error}");

        let restores = objects(&client, "Restore", &namespace);
        let new = json!({"name": "new"});
        for (changes, blamed) in [
            (json!({"into": {}}), "exactly one of platform and drill"),
            (json!({"into": {"drill": true, "platform": new}}), "exactly one of platform and drill"),
            (json!({"into": {"drill": false}}), "drill is true"),
            (
                json!({"point": {"time": "2026-11-21T00:00:00Z", "copy": true}}),
                "at most one of time, sequence and copy",
            ),
            (json!({"point": {"sequence": 7, "copy": true}}), "at most one of time, sequence and copy"),
            (json!({"point": {"sequence": 0}}), "sequence"),
            (json!({"point": {"time": "yesterday"}}), "time"),
            (json!({"into": {"platform": {"name": "New"}}}), "name"),
        ] {
            let error = create(&restores, restore("bad", &changes)).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{changes}: {error}");
        }
        create(&restores, restore("good", &json!({}))).await.unwrap();
        let changed = Patch::Merge(json!({"spec": {"point": {"copy": true}}}));
        let error = restores.patch("good", &PatchParams::default(), &changed).await.unwrap_err().to_string();
        assert!(error.contains("cannot change"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_bucket_is_one_place_and_sealed_where_others_could_read_along() {
    in_namespace("buckets", |client, namespace| async move {
        let schedules = objects(&client, "BackupSchedule", &namespace);
        let with = |field: &str, value: &str| {
            let mut bucket = json!({
                "endpoint": "https://s3.example", "name": "copies", "credentialsRef": {"name": "s3"},
            });
            bucket[field] = value.into();
            json!({"bucket": bucket})
        };
        let mut two = with("region", "eu-1");
        two["volume"] = json!({"claimName": "copies"});
        for (changes, blamed) in [
            (with("endpoint", "s3.example"), "endpoint"),
            (with("endpoint", "https://s3.example/bucket"), "endpoint"),
            (with("endpoint", "http://s3.example"), "everybody on the way"),
            (with("name", "Copies"), "name"),
            (with("prefix", "../other"), "prefix"),
            (with("prefix", "pay//main"), "prefix"),
            (json!({"bucket": {"endpoint": "https://s3.example", "name": "copies"}}), "credentialsRef"),
            (two, "two places"),
        ] {
            let error = create(&schedules, schedule("bad", &changes)).await.unwrap_err().to_string();
            assert!(error.contains(blamed), "{changes}: {error}");
        }
        create(&schedules, schedule("good", &with("prefix", "pay/main"))).await.unwrap();
        let change = |bucket: Value| Patch::Merge(json!({"spec": {"bucket": bucket}}));
        let params = PatchParams::default();
        for moved in [json!({"name": "other"}), json!({"prefix": ""}), json!(null)] {
            let error = schedules.patch("good", &params, &change(moved)).await.unwrap_err().to_string();
            assert!(error.contains("bucket cannot change"), "{error}");
        }
        let rotated = change(json!({"credentialsRef": {"name": "newer"}}));
        schedules.patch("good", &params, &rotated).await.unwrap();
        let mut sealed = with("endpoint", "http://s3.example");
        sealed["encryption"] = json!({"secretRef": {"name": "backup-keys"}});
        create(&schedules, schedule("sealed", &sealed)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_time_gets_one_backup_and_the_next_waits_for_its_end() {
    in_namespace("schedule", |client, namespace| async move {
        let mut context = context(&client);
        context.settings.platform_namespaces = vec![namespace.clone()];
        let schedules = Api::<BackupSchedule>::namespaced(client.clone(), &namespace);
        let backups = Api::<Backup>::namespaced(client.clone(), &namespace);
        create(&objects(&client, "BackupSchedule", &namespace), schedule("tick", &json!({}))).await.unwrap();
        let before = schedules.get("tick").await.unwrap();
        let (first, again) = look(&context, &schedules, "tick").await;
        let due = first.status.as_ref().unwrap().next_scheduled_time.clone().unwrap().0;
        assert_eq!(
            find(&first.status.as_ref().unwrap().conditions, "ObjectiveMet").unwrap().reason,
            "NoBackup"
        );
        let Again::After(wait) = again else { panic!("it has to come back by itself: {again:?}") };
        // As long as the schedule itself asks for: that it asks for the right time is what this shows.
        tokio::time::sleep(wait).await;
        let (served, _) = look(&context, &schedules, "tick").await;
        let name = format!("tick-{}", due.strftime("%Y%m%dt%H%Mz"));
        assert_eq!(served.status.as_ref().unwrap().running.as_deref(), Some(&*name));
        // A process that saw only the beginning, and one whose status was wiped, make no second one.
        drop(before.reconcile(&context).await);
        let wiped = Patch::Merge(json!({"status": Value::Null}));
        schedules.patch_status("tick", &PatchParams::default(), &wiped).await.unwrap();
        look(&context, &schedules, "tick").await;
        let made = backups.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(made.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), [name]);
        assert_eq!(made[0].owner_references()[0].uid, served.uid().unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_restore_leaves_alone_what_is_there_and_ends() {
    in_namespace("restore", |client, namespace| async move {
        let mut context = context(&client);
        context.settings.platform_namespaces = vec![namespace.clone()];
        context.settings.postgres_image = "postgres:15".into();
        context.settings.engine_image = "engine:1".into();
        let restores = Api::<Restore>::namespaced(client.clone(), &namespace);
        let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &namespace);
        let jobs = Api::<Job>::namespaced(client.clone(), &namespace);
        let backup = json!({
            "apiVersion": API, "kind": "Backup", "metadata": {"name": "copy"},
            "spec": {"platformRef": {"name": "main"}},
        });
        create(&objects(&client, "Backup", &namespace), backup).await.unwrap();
        let done = Patch::Merge(json!({"status": {"state": "Succeeded", "head": "7:ab"}}));
        let backups = Api::<Backup>::namespaced(client.clone(), &namespace);
        backups.patch_status("copy", &PatchParams::default(), &done).await.unwrap();

        let new = json!({"into": {"platform": {"name": "new", "storage": {"size": "1Gi"}}}});
        for name in ["first", "second"] {
            create(&objects(&client, "Restore", &namespace), restore(name, &new)).await.unwrap();
        }
        let (first, _) = look(&context, &restores, "first").await;
        assert_eq!(first.status.as_ref().unwrap().state, RestoreState::Running);
        let volume = claims.get("data-new-postgres-0").await.unwrap();
        assert_eq!(volume.annotations()["payplane.io/restore"], first.uid().unwrap());
        assert!(jobs.get_opt("first-restore").await.unwrap().is_some());
        // Two at once into one volume: the second one ends, and has made nothing.
        let (second, _) = look(&context, &restores, "second").await;
        let status = second.status.as_ref().unwrap();
        assert_eq!(status.state, RestoreState::Failed);
        assert_eq!(find(&status.conditions, "Succeeded").unwrap().reason, "TargetExists");
        assert!(jobs.get_opt("second-restore").await.unwrap().is_none());
        // A ledger of somebody else is as safe.
        let theirs: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"name": "data-theirs-postgres-0"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }))
        .unwrap();
        claims.create(&PostParams::default(), &theirs).await.unwrap();
        let into = json!({"into": {"platform": {"name": "theirs"}}});
        create(&objects(&client, "Restore", &namespace), restore("third", &into)).await.unwrap();
        let (third, _) = look(&context, &restores, "third").await;
        assert_eq!(
            find(&third.status.as_ref().unwrap().conditions, "Succeeded").unwrap().reason,
            "TargetExists"
        );
    })
    .await;
}
