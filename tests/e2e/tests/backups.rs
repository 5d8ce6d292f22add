//! Copies of the ledger: restored and proved before they count, and never counted when they cannot be.

use std::process::Stdio;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use payplane_crds::{Backup, BackupState};
use payplane_e2e::cluster::{PLATFORM, SYSTEM, apply, condition, delete, wait_for, wait_gone};
use payplane_e2e::tenant::example;
use payplane_e2e::{TestTenant, client};
use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command};

fn backups(client: &Client) -> Api<Backup> {
    Api::namespaced(client.clone(), SYSTEM)
}

/// The example, of the tests' own Platform.
async fn take(client: &Client, name: &str) -> Backup {
    let mut manifest = example(include_str!("../../../examples/backups/backup.yaml"));
    manifest["metadata"] = json!({});
    manifest["spec"]["platformRef"]["name"] = PLATFORM.into();
    manifest["spec"]["volume"]["size"] = "1Gi".into();
    apply(&backups(client), name, manifest).await;
    wait_for(&backups(client), name, "has ended", |backup| {
        let state = backup.status.as_ref().map(|status| status.state);
        matches!(state, Some(BackupState::Succeeded | BackupState::Failed))
    })
    .await
}

/// State, reason and message.
fn told(backup: &Backup) -> (BackupState, String, String) {
    let status = backup.status.as_ref().unwrap();
    let succeeded = condition(Some(&status.conditions), "Succeeded").unwrap();
    (status.state, succeeded.reason.clone(), succeeded.message.clone())
}

/// Changes the ledger behind the engine's back, as the database's owner.
async fn tamper(client: &Client, statement: &str) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let login = secrets.get(&format!("{PLATFORM}-database-owner")).await.unwrap();
    let password = login.data.unwrap()["password"].0.clone();
    let script = "read -r PGPASSWORD; export PGPASSWORD; exec psql --quiet --set=ON_ERROR_STOP=1 \
                  --host=/var/run/postgresql --username=payplane_owner --dbname=payplane --command=\"$0\"";
    let pod = format!("{PLATFORM}-postgres-0");
    let mut psql = Command::new("kubectl")
        .args(["exec", "--stdin", "-n", SYSTEM, &pod, "-c", "postgres", "--", "sh", "-c", script, statement])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = psql.stdin.take().unwrap();
    input.write_all(&password).await.unwrap();
    input.write_all(b"\n").await.unwrap();
    drop(input);
    assert!(psql.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_copy_counts_when_its_ledger_was_proved_and_not_before() {
    let client = client().await;
    let tenant = TestTenant::new(&client, "backups").await;
    tenant.wallet("alice").await;
    tenant.wallet("bob").await;
    tenant.fund("alice", "100.00").await;
    tenant.pay("first", "alice", "bob", "10.00").await;
    tenant.settled("first").await;

    // Copies outlive the tests that made them, so their names are new each time.
    let [good_name, lie, after] = ["good", "lie", "after"].map(|what| format!("{}-{what}", tenant.name));
    let good = take(&client, &good_name).await;
    let (state, reason, message) = told(&good);
    assert_eq!((state, reason.as_str()), (BackupState::Succeeded, "Completed"), "{message}");
    let status = good.status.as_ref().unwrap();
    assert!(2 <= status.operations.unwrap() && 0 < status.bytes.unwrap(), "{status:#?}");
    assert!(status.head.as_ref().unwrap().contains(':'));
    assert_eq!(status.location.as_deref(), Some(&*format!("{PLATFORM}-backups/{good_name}")));
    // The Platform, this Tenant, its wallets and its payments, and whatever other tests have.
    let copied = condition(Some(&status.conditions), "ObjectsCopied").unwrap();
    assert_eq!(copied.status, "True", "{}", copied.message);
    let objects = status.objects.as_ref().unwrap();
    assert!(6 <= objects.count && objects.sha256.len() == 64, "{objects:?}");

    // The same name again: the copy of before is not touched, and this is no success.
    delete(&backups(&client), &good_name).await;
    wait_gone(&backups(&client), &good_name).await;
    let (state, reason, message) = told(&take(&client, &good_name).await);
    assert_eq!((state, reason.as_str()), (BackupState::Failed, "BackupFailed"));
    assert!(message.contains("copy") && message.contains("another name"), "{message}");

    // One changed value in one row: the copy is like the original, and neither can be relied on.
    let row = format!("key = '{}/first'", tenant.name);
    tamper(&client, &format!("update payplane.journal set minor = minor + 1 where {row}")).await;
    let (state, reason, message) = told(&take(&client, &lie).await);
    tamper(&client, &format!("update payplane.journal set minor = minor - 1 where {row}")).await;
    assert_eq!((state, reason.as_str()), (BackupState::Failed, "LedgerNotSound"), "{message}");
    assert!(message.contains("hashes"), "{message}");

    let (state, _, message) = told(&take(&client, &after).await);
    assert_eq!(state, BackupState::Succeeded, "{message}");
    for name in [&good_name, &lie, &after] {
        delete(&backups(&client), name).await;
    }
    tenant.clean_up().await;
}
