//! Getting the ledger back: copies by a schedule, the stored log, and restores to a moment, on a Platform of the tests' own.

use std::process::Stdio;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PropagationPolicy},
};
use payplane_crds::{Backup, BackupSchedule, BackupState, PaymentState, Platform, Restore, RestoreState};
use payplane_e2e::cluster::{
    PLATFORM, SYSTEM, apply, condition, delete, is_true, remove_platform, wait_for, wait_gone,
};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

pub(crate) fn here<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), SYSTEM)
}

/// A Platform that stores its log every five seconds.
async fn platform(client: &Client, name: &str) {
    archiving(client, name, json!({"everySeconds": 5, "volume": {"size": "1Gi"}})).await;
}

/// The same, and what it stores is sealed. The key is made as the docs say.
async fn sealed_platform(client: &Client, name: &str) {
    let encryption = json!({"secretRef": {"name": format!("{name}-keys")}});
    archiving(client, name, json!({"everySeconds": 5, "volume": {"size": "1Gi"}, "encryption": encryption}))
        .await;
}

/// A Secret with a new key, as it is.
pub(crate) async fn new_key(client: &Client, name: &str) {
    payplane_e2e::platform(client).await;
    let engine = format!("deployment/{PLATFORM}-engine");
    let made = Command::new("kubectl")
        .args(["exec", "-n", SYSTEM, &engine, "--", "/usr/bin/payplane-engine", "new-backup-key"])
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap();
    apply(&here::<Secret>(client), name, json!({"stringData": {"key": key}})).await;
}

pub(crate) async fn archiving(client: &Client, name: &str, archive: Value) {
    let managed = json!({"storage": {"size": "1Gi"}, "archive": archive});
    let manifest = json!({"spec": {"postgres": {"managed": managed}, "engine": {"replicas": 1}}});
    apply(&here::<Platform>(client), name, manifest).await;
    wait_for(&here::<Platform>(client), name, "is ready", |platform| {
        is_true(platform.status.as_ref().map(|status| status.conditions.as_slice()), "Ready")
    })
    .await;
}

/// Runs a script in the pod of the Platform's database, with the owner's password in PGPASSWORD.
pub(crate) async fn inside(client: &Client, platform: &str, script: &str) -> String {
    let secret = here::<Secret>(client).get(&format!("{platform}-database-owner")).await.unwrap();
    let password = secret.data.unwrap()["password"].0.clone();
    let script = format!("read -r PGPASSWORD; export PGPASSWORD; set -e; {script}");
    let mut child = Command::new("kubectl")
        .args(["exec", "--stdin", "-n", SYSTEM, &format!("{platform}-postgres-0"), "-c", "postgres", "--"])
        .args(["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&password).await.unwrap();
    input.write_all(b"\n").await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) async fn sql(client: &Client, platform: &str, statement: &str) -> String {
    let psql = "psql --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --host=/var/run/postgresql \
                --username=payplane_owner --dbname=payplane";
    inside(client, platform, &format!("{psql} --command=\"{statement}\"")).await
}

/// Names of the tenant's payments that the ledger has, in its order.
async fn paid(client: &Client, platform: &str, tenant: &str) -> String {
    let keys = format!(
        "select string_agg(split_part(key, '/', 2), ' ' order by sequence) from payplane.journal where key like '{tenant}/%' and kind = 1"
    );
    sql(client, platform, &keys).await
}

/// The time by the database's clock.
async fn now(client: &Client, platform: &str) -> Timestamp {
    let text = "to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\\\"T\\\"HH24:MI:SS.US\\\"Z\\\"')";
    sql(client, platform, &format!("select {text}")).await.parse().unwrap()
}

/// Waits until everything that was committed up to now is stored.
pub(crate) async fn stored(client: &Client, platform: &str) {
    let wait = "until [ $($psql \\\"select last_archived_wal >= '$segment' from pg_stat_archiver\\\") = t ]; do sleep 0.2; done";
    let psql = "psql -qAt --host=/var/run/postgresql --username=payplane_owner --dbname=payplane -c";
    let wait = wait.replace("\\\"", "\"");
    let script =
        format!("psql='{psql}'; segment=$($psql \"select pg_walfile_name(pg_switch_wal())\"); {wait}");
    inside(client, platform, &script).await;
}

async fn take(client: &Client, platform: &str, name: &str) -> Backup {
    let spec = json!({"platformRef": {"name": platform}, "volume": {"size": "1Gi"}, "deadlineSeconds": 170});
    taken(client, name, json!({ "spec": spec })).await
}

/// The example of a sealed copy, of this Platform.
async fn take_sealed(client: &Client, platform: &str, name: &str) -> Backup {
    let mut manifest = example(include_str!("../../../examples/backups/sealed.yaml"));
    manifest["metadata"] = json!({});
    manifest["spec"]["platformRef"]["name"] = platform.into();
    manifest["spec"]["volume"]["size"] = "1Gi".into();
    manifest["spec"]["deadlineSeconds"] = 170.into();
    manifest["spec"]["encryption"]["secretRef"]["name"] = format!("{platform}-keys").into();
    let backup = taken(client, name, manifest).await;
    assert_eq!(backup.status.as_ref().unwrap().sealed_for.len(), 1, "{:#?}", backup.status);
    backup
}

pub(crate) async fn taken(client: &Client, name: &str, manifest: Value) -> Backup {
    apply(&here::<Backup>(client), name, manifest).await;
    let backup = wait_for(&here::<Backup>(client), name, "has ended", |backup| {
        let state = backup.status.as_ref().map(|status| status.state);
        matches!(state, Some(BackupState::Succeeded | BackupState::Failed))
    })
    .await;
    assert_eq!(backup.status.as_ref().unwrap().state, BackupState::Succeeded, "{:#?}", backup.status);
    backup
}

/// State, reason and message of a Restore, at its end.
pub(crate) async fn restore(
    client: &Client,
    name: &str,
    spec: Value,
) -> (RestoreState, String, String, Restore) {
    apply(&here::<Restore>(client), name, json!({ "spec": spec })).await;
    let restore = wait_for(&here::<Restore>(client), name, "has ended", |restore| {
        let state = restore.status.as_ref().map(|status| status.state);
        matches!(state, Some(RestoreState::Succeeded | RestoreState::Failed))
    })
    .await;
    let status = restore.status.as_ref().unwrap();
    let told = condition(Some(&status.conditions), "Succeeded").unwrap();
    (status.state, told.reason.clone(), told.message.clone(), restore.clone())
}

async fn drill(client: &Client, platform: &str, backup: &str, name: &str) -> (RestoreState, String) {
    let spec = json!({
        "platformRef": {"name": platform}, "backupRef": {"name": backup}, "into": {"drill": true},
        "deadlineSeconds": 170,
    });
    let (state, _, message, _) = restore(client, name, spec).await;
    (state, message)
}

/// A tenant of this Platform with a wallet that has money and one that has none.
pub(crate) async fn tenant(client: &Client, platform: &str, label: &str) -> TestTenant {
    let more = json!({"platformRef": {"namespace": SYSTEM, "name": platform}, "deletionPolicy": "Retain"});
    let tenant = TestTenant::with(client, label, more).await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100.00").await;
    tenant
}

pub(crate) async fn pay(tenant: &TestTenant, name: &str) {
    tenant.pay(name, "alice", "bob", "1.00").await;
    let settled = tenant.settled(name).await;
    let status = settled.status.as_ref().unwrap();
    assert!(is_true(Some(&status.conditions), "Succeeded"), "{name}: {status:#?}");
}

#[tokio::test]
async fn damage_of_a_copy_or_of_the_log_is_never_a_success() {
    let client = client().await;
    let platform_name = "e2e-damage";
    platform(&client, platform_name).await;
    let tenant = tenant(&client, platform_name, "damage").await;
    take(&client, platform_name, "damage-copy").await;
    pay(&tenant, "one").await;
    stored(&client, platform_name).await;
    pay(&tenant, "two").await;
    stored(&client, platform_name).await;
    pay(&tenant, "three").await;
    stored(&client, platform_name).await;

    let (state, message) = drill(&client, platform_name, "damage-copy", "damage-none").await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");

    // A segment between two others; then one byte in it; then one byte of the copy.
    let segment = "log=$(ls -d /backups/wal/e2e-damage/*); cd $log; one=$(ls | grep -E '^[0-9A-F]{24}[.]gz$' | tail -n 2 | head -n 1)";
    let flip = |file: &str| {
        format!(
            "old=$(od -An -tu1 -j$at -N1 {file} | tr -d ' '); printf \"\\\\$(printf %o $(( (old + 1) % 256 )))\" | dd of={file} bs=1 seek=$at conv=notrunc status=none"
        )
    };
    inside(&client, platform_name, &format!("{segment}; mv $one /tmp/away.gz; echo $one >/tmp/name")).await;
    let (state, message) = drill(&client, platform_name, "damage-copy", "damage-missing").await;
    assert_eq!(state, RestoreState::Failed, "{message}");
    assert!(message.contains("missing"), "{message}");

    // Where a compressed text repeats itself, some bytes can be others for the same text: then the next one too.
    let back = format!(
        "{segment}; one=$(cat /tmp/name); mv /tmp/away.gz $one; cp $one /tmp/good.gz; gzip -dc $one >/tmp/good; at=200; {}; \
         while gzip -dc $one 2>/dev/null | cmp -s - /tmp/good; do at=$((at + 1)); {}; done",
        flip("$one"),
        flip("$one")
    );
    inside(&client, platform_name, &back).await;
    let (state, message) = drill(&client, platform_name, "damage-copy", "damage-byte").await;
    assert_eq!(state, RestoreState::Failed, "{message}");
    assert!(message.contains("damaged"), "{message}");

    inside(
        &client,
        platform_name,
        &format!(
            "{segment}; cp /tmp/good.gz $(cat /tmp/name); cd /backups/damage-copy; at=200; {}",
            flip("global/pg_control")
        ),
    )
    .await;
    let (state, message) = drill(&client, platform_name, "damage-copy", "damage-of-copy").await;
    assert_eq!(state, RestoreState::Failed, "{message}");
    assert!(message.contains("prepare"), "{message}");

    for name in ["damage-none", "damage-missing", "damage-byte", "damage-of-copy"] {
        delete(&here::<Restore>(&client), name).await;
    }
    delete(&here::<Backup>(&client), "damage-copy").await;
    tenant.clean_up().await;
    remove_platform(&client, platform_name).await;
}

#[tokio::test]
async fn a_restore_goes_back_to_the_moment_before_the_disaster() {
    let client = client().await;
    let name = "e2e-pitr";
    new_key(&client, "e2e-pitr-keys").await;
    sealed_platform(&client, name).await;
    let tenant = tenant(&client, name, "pitr").await;
    pay(&tenant, "in-the-copy").await;
    take_sealed(&client, name, "pitr-copy").await;
    // Another key ends it with the id of the one that it needs, and nothing is restored.
    new_key(&client, "e2e-pitr-other").await;
    let wrong = json!({
        "platformRef": {"name": name}, "backupRef": {"name": "pitr-copy"}, "into": {"drill": true},
        "encryption": {"secretRef": {"name": "e2e-pitr-other"}}, "deadlineSeconds": 170,
    });
    let (state, reason, message, _) = restore(&client, "pitr-wrong-key", wrong).await;
    assert_eq!((state, reason.as_str()), (RestoreState::Failed, "WrongKey"), "{message}");
    pay(&tenant, "in-the-log").await;
    let moment = now(&client, name).await;
    pay(&tenant, "after-the-moment").await;
    stored(&client, name).await;
    let before = paid(&client, name, &tenant.name).await;
    assert!(before.ends_with("in-the-copy in-the-log after-the-moment"), "{before}");

    // To the seal of the same payment: a drill counts what it finds.
    let journal = "payplane.journal j join payplane.seals s on s.batch_id = j.sequence / 1024";
    let key = format!("'{}/in-the-log'", tenant.name);
    let seal = sql(&client, name, &format!("select s.seal from {journal} where j.key = {key}")).await;
    let count = sql(&client, name, &format!("select count(*) from {journal} where s.seal <= {seal}")).await;
    let spec = json!({
        "platformRef": {"name": name}, "backupRef": {"name": "pitr-copy"}, "into": {"drill": true},
        "point": {"sequence": seal.parse::<i64>().unwrap()}, "deadlineSeconds": 170,
    });
    let (state, _, message, drilled) = restore(&client, "pitr-to-seal", spec).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    let status = drilled.status.unwrap();
    assert_eq!((status.operations, status.later_batches), (count.parse().ok(), Some(0)), "{message}");

    // While the ledger is there nothing is restored over it.
    let spec = json!({
        "platformRef": {"name": name}, "backupRef": {"name": "pitr-copy"},
        "into": {"platform": {"name": name, "storage": {"size": "1Gi"}}},
        "point": {"time": moment.to_string()}, "deadlineSeconds": 170,
    });
    let (state, reason, message, _) = restore(&client, "pitr-too-early", spec.clone()).await;
    assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");

    // The disaster. The Platform goes without its children, so that the engines of before are still there afterwards.
    inside(&client, name, "rm -rf /var/lib/postgresql/data/ledger/base").await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    here::<Platform>(&client).delete(name, &orphan).await.unwrap();
    wait_gone(&here::<Platform>(&client), name).await;
    delete(&here::<StatefulSet>(&client), &format!("{name}-postgres")).await;
    wait_gone(&here::<Pod>(&client), &format!("{name}-postgres-0")).await;
    delete(&here::<PersistentVolumeClaim>(&client), &format!("data-{name}-postgres-0")).await;
    let old_engines = engines(&client, name).await;
    assert_eq!(old_engines.len(), 1, "an engine of before is there");

    let begun = Timestamp::now();
    let (state, _, message, restored) = restore(&client, "pitr-back", spec).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    let status = restored.status.unwrap();
    assert_eq!(status.epoch, Some(2));
    eprintln!(
        "restored and verified {} operations in {:.1} s",
        status.operations.unwrap(),
        Timestamp::now().duration_since(begun).as_secs_f64()
    );

    sealed_platform(&client, name).await;
    let after = paid(&client, name, &tenant.name).await;
    assert!(after.ends_with("in-the-copy in-the-log"), "{after}");

    // The engine of before met another epoch, and had to start again.
    let refused = engines(&client, name).await.into_iter().any(|pod| {
        let of_before = old_engines.iter().any(|old| old.uid() == pod.uid());
        of_before && restarts(&pod) > 0
    });
    assert!(refused, "the old engine went on: {:#?}", engines(&client, name).await);
    pay(&tenant, "life-goes-on").await;
    let after = paid(&client, name, &tenant.name).await;
    assert!(after.ends_with("in-the-copy in-the-log life-goes-on"), "{after}");

    for restore in ["pitr-to-seal", "pitr-wrong-key", "pitr-too-early", "pitr-back"] {
        delete(&here::<Restore>(&client), restore).await;
    }
    for secret in ["e2e-pitr-keys", "e2e-pitr-other"] {
        delete(&here::<Secret>(&client), secret).await;
    }
    delete(&here::<Backup>(&client), "pitr-copy").await;
    tenant.clean_up().await;
    remove_platform(&client, name).await;
}

/// The name of the Platform's ledger, as a consent has it, when the Platform is ready.
async fn ledger(client: &Client, platform: &str) -> String {
    let found = wait_for(&here::<Platform>(client), platform, "is ready", |platform| {
        let status = platform.status.as_ref();
        is_true(status.map(|status| status.conditions.as_slice()), "Ready")
            && status.is_some_and(|status| status.ready_replicas == Some(1))
    })
    .await;
    found.status.unwrap().ledger.unwrap()
}

/// Names of the tenant's payments in the ledger that is kept in this folder of the volume: a server of its own reads them.
async fn kept(client: &Client, platform: &str, folder: &str, tenant: &str) -> String {
    let keys = format!(
        "select string_agg(split_part(key, '/', 2), ' ' order by sequence) from payplane.journal where key like '{tenant}/%' and kind = 1"
    );
    let script = format!(
        "cd /var/lib/postgresql/data/{folder}; mkdir /tmp/kept; chmod 0700 .; echo 'local all all trust' >/tmp/kept/hba; \
         pg_ctl start -D . -w -s -l /tmp/kept/log -o \"-c listen_addresses= -c unix_socket_directories=/tmp/kept \
         -c hba_file=/tmp/kept/hba -c ssl=off -c archive_mode=off -c shared_buffers=16MB\" || {{ cat /tmp/kept/log >&2; exit 1; }}; \
         psql -qAt -h /tmp/kept -U payplane_owner -d payplane -c \"{keys}\"; pg_ctl stop -D . -w -s -m fast; rm -r /tmp/kept"
    );
    inside(client, platform, &script).await
}

#[tokio::test]
async fn a_ledger_is_restored_in_place_by_consent_and_the_one_of_before_is_kept() {
    let client = client().await;
    let name = "e2e-place";
    platform(&client, name).await;
    let tenant = tenant(&client, name, "place").await;
    pay(&tenant, "in-the-copy").await;
    take(&client, name, "place-copy").await;
    pay(&tenant, "in-the-log").await;
    let moment = now(&client, name).await;
    pay(&tenant, "after-the-moment").await;
    stored(&client, name).await;
    let before = paid(&client, name, &tenant.name).await;
    assert!(before.ends_with("in-the-copy in-the-log after-the-moment"), "{before}");
    let old = ledger(&client, name).await;
    let spec = |point: Value, replace: Option<&str>| {
        json!({
            "platformRef": {"name": name}, "backupRef": {"name": "place-copy"}, "point": point,
            "into": {"platform": {"name": name, "replace": replace}}, "deadlineSeconds": 170,
        })
    };
    let to_moment = || json!({"time": moment.to_string()});

    // Without consent, or with one for another ledger, nothing happens, and it says how to consent.
    for (restore_name, consent) in [("place-without", None), ("place-other", Some("another"))] {
        let (state, reason, message, _) = restore(&client, restore_name, spec(to_moment(), consent)).await;
        assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");
        assert!(message.contains(&format!("into.platform.replace: {old}")), "{message}");
    }

    // One that fails on the way leaves the ledger that was, and nothing else.
    let beyond = spec(json!({"sequence": 1_000_000_000}), Some(&old));
    let (state, reason, message, _) = restore(&client, "place-fails", beyond).await;
    assert_eq!((state, reason.as_str()), (RestoreState::Failed, "RestoreFailed"), "{message}");
    assert!(message.contains("is in its place again"), "{message}");
    assert_eq!(ledger(&client, name).await, old);
    assert_eq!(paid(&client, name, &tenant.name).await, before);
    let folders = "ls /var/lib/postgresql/data | grep ^ledger";
    assert_eq!(inside(&client, name, folders).await, "ledger");

    let begun = Timestamp::now();
    let (state, _, message, done) = restore(&client, "place-back", spec(to_moment(), Some(&old))).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    let status = done.status.clone().unwrap();
    assert_eq!(status.epoch, Some(2));
    let new = ledger(&client, name).await;
    let took = Timestamp::now().duration_since(begun).as_secs_f64();
    eprintln!(
        "restored in place, {} operations, and serving again in {took:.1} s",
        status.operations.unwrap()
    );
    assert_eq!(Some(&new), done.metadata.uid.as_ref());
    let after = paid(&client, name, &tenant.name).await;
    assert!(after.ends_with("in-the-copy in-the-log"), "{after}");

    // The ledger of before is where the status says, with everything that it had.
    let replaced = status.replaced.unwrap();
    let folder = replaced.strip_prefix(&format!("data-{name}-postgres-0/")).unwrap();
    assert_eq!(kept(&client, name, folder, &tenant.name).await, before);

    // What the restored ledger does not know is flagged, and life goes on.
    wait_for(&tenant.payments(), "after-the-moment", "is lost", |payment| {
        payment.status.as_ref().is_some_and(|status| status.state == PaymentState::Lost)
    })
    .await;
    pay(&tenant, "life-goes-on").await;
    let after = paid(&client, name, &tenant.name).await;
    assert!(after.ends_with("in-the-copy in-the-log life-goes-on"), "{after}");

    // The consent was for the ledger of before.
    let (state, reason, message, _) = restore(&client, "place-again", spec(to_moment(), Some(&old))).await;
    assert_eq!((state, reason.as_str()), (RestoreState::Failed, "TargetExists"), "{message}");

    for one in ["place-without", "place-other", "place-fails", "place-back", "place-again"] {
        delete(&here::<Restore>(&client), one).await;
    }
    delete(&here::<Backup>(&client), "place-copy").await;
    tenant.clean_up().await;
    remove_platform(&client, name).await;
}

async fn engines(client: &Client, platform: &str) -> Vec<Pod> {
    let labels = format!("app.kubernetes.io/instance={platform},app.kubernetes.io/component=engine");
    here::<Pod>(client).list(&ListParams::default().labels(&labels)).await.unwrap().items
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|container| container.restart_count).sum()
}

#[tokio::test]
async fn a_schedule_takes_copies_deletes_old_ones_and_says_what_would_be_lost() {
    let client = client().await;
    payplane_e2e::platform(&client).await;
    let schedules = here::<BackupSchedule>(&client);
    let name = format!("tick-{}", Timestamp::now().as_second() % 100_000);
    let mut manifest = example(include_str!("../../../examples/backups/hourly.yaml"));
    manifest["metadata"] = json!({});
    manifest["spec"]["platformRef"]["name"] = PLATFORM.into();
    manifest["spec"]["schedule"] = "* * * * *".into();
    manifest["spec"]["deadlineSeconds"] = 170.into();
    manifest["spec"]["retention"] = json!({"keepLast": 1});
    manifest["spec"]["objectives"] = json!({"rpoSeconds": 600, "rtoSeconds": 600});
    manifest["spec"]["volume"] = json!({"size": "1Gi"});
    apply(&schedules, &name, manifest).await;
    let first = wait_for(&schedules, &name, "made a good copy", |schedule| {
        schedule.status.as_ref().is_some_and(|status| status.last_success.is_some())
    })
    .await;
    let status = first.status.as_ref().unwrap();
    let good = status.last_success.clone().unwrap();
    assert!(good.restore_seconds.is_some() && 0 < good.bytes.unwrap(), "{good:?}");
    assert!(is_true(Some(&status.conditions), "ObjectiveMet"), "{status:#?}");
    let age = Timestamp::now().duration_since(status.recoverable_to.as_ref().unwrap().0);
    assert!(age < SignedDuration::from_mins(3), "{age:?}");

    // The next one takes its place: object and copy of the first are gone, and nothing else is.
    wait_gone(&here::<Backup>(&client), &good.backup).await;
    let second = wait_for(&schedules, &name, "deleted the first copy", |schedule| {
        let status = schedule.status.as_ref().unwrap();
        is_true(Some(&status.conditions), "Pruned") && status.kept == 1
    })
    .await;
    let kept = second.status.as_ref().unwrap().last_success.clone().unwrap();
    assert_ne!(kept.backup, good.backup);
    let pause = json!({"spec": {"platformRef": {"name": PLATFORM}, "schedule": "* * * * *", "suspend": true, "volume": {"size": "1Gi"}}});
    apply(&schedules, &name, pause).await;
    wait_for(&schedules, &name, "is paused", |schedule| {
        is_true(schedule.status.as_ref().map(|status| status.conditions.as_slice()), "Suspended")
    })
    .await;
    let spec = |backup: &str| {
        json!({
            "platformRef": {"name": PLATFORM}, "backupRef": {"name": backup}, "into": {"drill": true},
            "point": {"copy": true}, "deadlineSeconds": 170,
        })
    };
    // What is kept can be restored; the copy of the first is gone from the volume, too.
    let (state, _, message, _) = restore(&client, &format!("{name}-kept"), spec(&kept.backup)).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    delete(&here::<Restore>(&client), &format!("{name}-kept")).await;
    delete(&schedules, &name).await;
}
