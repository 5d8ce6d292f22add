//! A Platform whose PostgreSQL a real CloudNativePG runs, backed up by it into a bucket and restored beside. Started by
//! `tests/foreign/cloudnative-pg.sh`, which brings CloudNativePG and the server's image with Barman.
//!
//! What was paid before the Backup is in the copy, what was paid after it in the log that was stored since: all of it is in the
//! restored ledger, in its order, under a new epoch, and the new Platform goes on with it.

use std::process::Stdio;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::Client;
use payplane_crds::{Backup, BackupSchedule, Platform, Restore, RestoreState};
use payplane_e2e::client;
use payplane_e2e::cluster::{SYSTEM, apply, delete, is_true, pods, remove_platform, wait_for, wait_gone};
use payplane_e2e::faults;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::buckets::{PORT, inside, serve};
use crate::restores::{here, pay, restore, taken, tenant};

const NAME: &str = "barman";
const BACK: &str = "barman-back";
/// Name of the bucket's server.
const SERVER: &str = "e2e-barman";
const SCHEDULE: &str = "barman-often";
/// The next one is years away.
const NEVER: &str = "0 0 29 2 *";
const PREFIX: &str = "payplane/barman";

/// An authority's certificate, and that of the server with its key.
async fn certificates() -> [String; 3] {
    let script = format!(
        "set -e; folder=$(mktemp -d); cd $folder; new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'; \
         openssl req -x509 $new -keyout ca.key -out ca.crt -subj /CN=authority; \
         openssl req -x509 $new -keyout tls.key -out tls.crt -subj /CN={SERVER} -CA ca.crt -CAkey ca.key \
         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:{SERVER}.{SYSTEM}.svc; \
         cat ca.crt; echo; cat tls.crt; echo; cat tls.key; rm -r $folder"
    );
    let output = Command::new("sh").args(["-c", &script]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let all = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<String> = all.split("\n\n").map(String::from).collect();
    parts.try_into().unwrap()
}

fn bucket() -> Value {
    json!({
        "endpoint": format!("https://{SERVER}.{SYSTEM}.svc:{PORT}"), "name": "copies", "prefix": PREFIX,
        "credentialsRef": {"name": SERVER},
    })
}

/// A Platform of two servers with or without an archive.
async fn platform(client: &Client, name: &str, archive: Value) {
    let image = std::env::var("POSTGRES_BARMAN_IMAGE").expect("POSTGRES_BARMAN_IMAGE is not set");
    let mut operated = json!({
        "instances": 2, "image": image, "storage": {"size": "1Gi"}, "deletionPolicy": "Delete",
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    });
    if !archive.is_null() {
        operated["archive"] = archive;
    }
    let manifest = json!({"spec": {"postgres": {"operator": operated}, "engine": {"replicas": 1}}});
    apply(&here::<Platform>(client), name, manifest).await;
    wait_for(&here::<Platform>(client), name, "is ready", |platform| {
        is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
    })
    .await;
}

/// Asks the first server, which is the primary of a Cluster that lost none.
async fn sql(platform: &str, statement: &str) -> String {
    let pod = format!("{platform}-postgres-1");
    let psql =
        ["psql", "-U", "postgres", "-d", "payplane", "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", statement];
    let mut command = Command::new("kubectl");
    command.args(["exec", "-n", SYSTEM, &pod, "-c", "postgres", "--"]).args(psql);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{statement}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Names of the tenant's payments that the ledger has, in its order.
async fn paid(platform: &str, tenant: &str) -> String {
    let keys = format!(
        "select string_agg(split_part(key, '/', 2), ' ' order by sequence) from payplane.journal where key like '{tenant}/%' and kind = 1"
    );
    sql(platform, &keys).await
}

/// The schedule says that all that was written up to now is stored.
async fn stored(client: &Client, schedule: &str) {
    let segment = sql(NAME, "select pg_walfile_name(pg_switch_wal())").await;
    let wait = format!(
        "do $$ begin while (select last_archived_wal < '{segment}' from pg_stat_archiver) loop \
         perform pg_sleep(0.2); perform pg_stat_clear_snapshot(); end loop; end $$"
    );
    sql(NAME, &wait).await;
    wait_for(&here::<BackupSchedule>(client), schedule, "says that the log is stored", |schedule| {
        let status = schedule.status.as_ref();
        let has_archive =
            status.is_some_and(|status| status.archive.as_ref().is_some_and(|one| one.stored_at.is_some()));
        has_archive && is_true(status.map(|status| status.conditions.as_slice()), "ArchiveCurrent")
    })
    .await;
}

/// Names of objects below the prefix.
async fn objects() -> Vec<String> {
    let list = format!("cd /s3/data/copies/{PREFIX} && find . -type f");
    let found = inside(SERVER, Stdio::null(), &list).await;
    found.lines().map(|name| name.trim_start_matches("./").to_owned()).collect()
}

async fn scheduled(client: &Client, schedule: &str) {
    let spec = json!({
        "platformRef": {"name": NAME}, "bucket": bucket(), "schedule": schedule, "retention": {"keepLast": 1},
        "objectives": {"rpoSeconds": 3600}, "deadlineSeconds": 170,
    });
    apply(&here::<BackupSchedule>(client), SCHEDULE, json!({ "spec": spec })).await;
}

/// The last copy that the schedule has beside this one, once it keeps no other.
async fn succeeded(client: &Client, without: &str) -> String {
    let schedule =
        wait_for(&here::<BackupSchedule>(client), SCHEDULE, "keeps one more copy and no other", |schedule| {
            let status = schedule.status.as_ref();
            status.is_some_and(|status| {
                let last = status.last_success.as_ref().is_some_and(|last| last.backup != without);
                last && status.kept == 1 && is_true(Some(&status.conditions), "Pruned")
            })
        })
        .await;
    schedule.status.unwrap().last_success.unwrap().backup
}

/// Of two copies of a schedule that keeps one the first goes, with its files and its objects; the one by hand stays.
async fn old_copies_go(client: &Client) {
    scheduled(client, "* * * * *").await;
    let first = succeeded(client, "").await;
    // No other one comes while this one is looked at.
    scheduled(client, NEVER).await;
    let backup = here::<Backup>(client).get(&first).await.unwrap();
    let copy = backup.status.unwrap().operated.unwrap();
    let is_firsts =
        |one: &String| one.contains(&copy.backup_id) || one.contains(&format!(".objects/{first}/"));
    assert_eq!(
        objects().await.iter().filter(|one| is_firsts(one)).count(),
        4,
        "data, what it is, and the objects"
    );
    scheduled(client, "* * * * *").await;
    succeeded(client, &first).await;
    scheduled(client, NEVER).await;
    let found = objects().await;
    assert!(!found.iter().any(is_firsts), "{found:?}");
    assert!(found.iter().any(|one| one.contains(".objects/barman-copy/")), "{found:?}");
}

/// A Platform with its servers. Those that go by themselves wait up to three minutes for their clients.
async fn remove(client: &Client, name: &str) {
    remove_platform(client, name).await;
    for server in pods(client, &format!("{name}-postgres-")).await {
        faults::lose(client, &server).await;
    }
}

#[tokio::test]
async fn a_copy_of_cloudnative_pgs_and_the_log_after_it_become_a_ledger_again() {
    let client = client().await;
    serve(&client, SERVER, Some(certificates().await)).await;
    platform(&client, NAME, json!({"bucket": bucket(), "everySeconds": 60})).await;
    scheduled(&client, NEVER).await;
    let tenant = tenant(&client, NAME, "barman").await;
    pay(&tenant, "in-the-copy").await;

    // Elsewhere than the log nothing is kept.
    let elsewhere = json!({"spec": {"platformRef": {"name": NAME}}});
    apply(&here::<Backup>(&client), "barman-elsewhere", elsewhere).await;
    wait_for(&here::<Backup>(&client), "barman-elsewhere", "is refused", |backup| {
        let conditions = backup.status.as_ref().map(|status| status.conditions.as_slice());
        payplane_e2e::cluster::condition(conditions, "Stalled")
            .is_some_and(|told| told.reason == "Unsupported")
    })
    .await;

    let spec = json!({"platformRef": {"name": NAME}, "bucket": bucket(), "deadlineSeconds": 240});
    let backup = taken(&client, "barman-copy", json!({ "spec": spec })).await;
    let status = backup.status.as_ref().unwrap();
    let copy = status.operated.as_ref().unwrap();
    println!("{:?}, restored and verified in {:?} s", copy, status.restore_seconds);
    assert_eq!((copy.phase.as_str(), copy.instance.as_str()), ("completed", "barman-postgres-1"));
    assert!(status.operations.is_some_and(|count| 2 <= count), "{status:#?}");
    let base = format!("{}/base/{}/data.tar.gz", copy.server_name, copy.backup_id);
    let last = format!("{}.gz", copy.end_wal);
    assert!(status.objects.as_ref().is_some_and(|objects| 3 <= objects.count), "{status:#?}");
    let found = objects().await;
    assert!(found.contains(&base) && found.iter().any(|one| one.ends_with(&last)), "{found:?}");

    pay(&tenant, "in-the-log").await;
    stored(&client, SCHEDULE).await;
    let before = paid(NAME, &tenant.name).await;
    assert!(before.ends_with("in-the-copy in-the-log"), "{before}");
    let count = sql(NAME, "select count(*) from payplane.journal").await;

    let spec = json!({
        "platformRef": {"name": NAME}, "backupRef": {"name": "barman-copy"}, "deadlineSeconds": 240,
        "into": {"platform": {"name": BACK, "storage": {"size": "1Gi"}}},
    });
    let (state, _, message, restored) = restore(&client, "barman-back", spec.clone()).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    let status = restored.status.unwrap();
    println!("recovered and verified in {:?} s: {message}", status.seconds);
    assert_eq!((status.operations, status.epoch), (count.parse().ok(), Some(2)));
    // What is there now is not written over.
    let (state, reason, message, _) = restore(&client, "barman-again", spec).await;
    assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");

    platform(&client, BACK, Value::Null).await;
    assert_eq!(paid(BACK, &tenant.name).await, before);

    for name in ["barman-back", "barman-again"] {
        delete(&here::<Restore>(&client), name).await;
    }
    remove(&client, BACK).await;
    old_copies_go(&client).await;

    delete(&here::<BackupSchedule>(&client), SCHEDULE).await;
    for name in ["barman-copy", "barman-elsewhere"] {
        delete(&here::<Backup>(&client), name).await;
    }
    tenant.clean_up().await;
    remove(&client, NAME).await;
    delete(&here::<Secret>(&client), SERVER).await;
    delete(&here::<Service>(&client), SERVER).await;
    delete(&here::<Pod>(&client), SERVER).await;
    wait_gone(&here::<Pod>(&client), SERVER).await;
}
