//! Copies and the log in a bucket: Jobs of the cluster keep them at a server in the cluster that speaks S3, and a ledger comes
//! back from there.

use std::{path::PathBuf, process::Stdio};

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::Client;
use payplane_crds::{Backup, Restore, RestoreState};
use payplane_e2e::client;
use payplane_e2e::cluster::{SYSTEM, apply, delete, is_true, remove_platform, wait_for};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::restores::{archiving, here, new_key, pay, restore, sql, stored, taken, tenant};

/// Name of the server's pod, Service and Secret.
const SERVER: &str = "e2e-bucket";
pub(crate) const PORT: u16 = 7070;
const PREFIX: &str = "payplane/e2e";

/// Where tests/lib.sh puts versitygw, which needs no libraries.
fn program() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("PAYPLANE_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("payplane")))
        .or_else(|| Some(variable("HOME")?.join(".cache/payplane")));
    let program = cache.unwrap().join("versitygw/versitygw");
    assert!(program.exists(), "no S3 server; build it: bash -c '. tests/lib.sh; need_s3'");
    program
}

/// Runs a program in a server's pod.
pub(crate) async fn inside(server: &str, input: Stdio, script: &str) -> String {
    let mut command = Command::new("kubectl");
    command.args(["exec", "--stdin", "-n", SYSTEM, server, "--", "sh", "-c", script]);
    let output = command.stdin(input).stdout(Stdio::piped()).output().await.unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server with an empty bucket, in a pod whose volume goes with it. The program is put there by hand. It is asked by https where
/// it has a certificate with its key, behind that of its authority.
pub(crate) async fn serve(client: &Client, server: &str, certified: Option<[String; 3]>) {
    let image = std::env::var("TOOLBOX_IMAGE").expect("TOOLBOX_IMAGE is not set: source images.env");
    let key = "only-for-tests-only-for-tests";
    let mut entries = json!({"access-key-id": "payplane", "secret-access-key": key});
    let mut flags = "";
    if let Some(certified) = certified {
        for (entry, text) in ["ca.crt", "tls.crt", "tls.key"].into_iter().zip(certified) {
            entries[entry] = text.into();
        }
        flags = "--cert /tls/tls.crt --key /tls/tls.key";
    }
    apply(&here::<Secret>(client), server, json!({ "stringData": entries })).await;
    let script = format!(
        "mkdir -p /s3/data/copies; until [ -e /s3/ready ]; do sleep 0.2; done; \
         exec /s3/versitygw --quiet {flags} --port :{PORT} posix /s3/data"
    );
    let variables =
        [("ROOT_ACCESS_KEY_ID", "access-key-id"), ("ROOT_SECRET_ACCESS_KEY", "secret-access-key")];
    let variables = variables.map(
        |(name, key)| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": server, "key": key}}}),
    );
    let pod = json!({
        "metadata": {"labels": {"app": server}},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "s3", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
                "env": variables,
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "s3", "mountPath": "/s3"}, {"name": "tls", "mountPath": "/tls"}],
            }],
            "volumes": [{"name": "s3", "emptyDir": {}}, {"name": "tls", "secret": {"secretName": server}}],
        },
    });
    apply(&here::<Pod>(client), server, pod).await;
    let service = json!({"spec": {"selector": {"app": server}, "ports": [{"port": PORT}]}});
    apply(&here::<Service>(client), server, service).await;
    wait_for(&here::<Pod>(client), server, "runs", |pod| {
        pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
    })
    .await;
    let file = std::fs::File::open(program()).unwrap();
    let take = "cat >/s3/versitygw && chmod +x /s3/versitygw && : >/s3/ready";
    inside(server, file.into(), take).await;
    wait_for(&here::<Pod>(client), server, "listens", |pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    })
    .await;
}

/// Names of the objects below the prefix.
async fn objects() -> Vec<String> {
    let list = format!("cd /s3/data/copies/{PREFIX} && find . -type f");
    let found = inside(SERVER, Stdio::null(), &list).await;
    found.lines().map(|name| name.trim_start_matches("./").to_owned()).collect()
}

#[tokio::test]
async fn a_copy_and_the_log_in_a_bucket_become_a_ledger_again() {
    let client = client().await;
    let name = "e2e-bucket-of";
    let keys = format!("{name}-keys");
    serve(&client, SERVER, None).await;
    new_key(&client, &keys).await;
    // By http: only what is sealed is sent.
    let bucket = || -> Value {
        json!({
            "endpoint": format!("http://{SERVER}.{SYSTEM}.svc:{PORT}"), "name": "copies", "prefix": PREFIX,
            "credentialsRef": {"name": SERVER},
        })
    };
    let encryption = || json!({"secretRef": {"name": keys}});
    archiving(&client, name, json!({"everySeconds": 5, "bucket": bucket(), "encryption": encryption()}))
        .await;
    let tenant = tenant(&client, name, "bucket").await;
    pay(&tenant, "in-the-copy").await;
    let spec = json!({
        "platformRef": {"name": name}, "bucket": bucket(), "encryption": encryption(), "deadlineSeconds": 170,
    });
    let backup = taken(&client, "bucket-copy", json!({ "spec": spec })).await;
    let status = backup.status.as_ref().unwrap();
    assert!(is_true(Some(&status.conditions), "Succeeded"), "{status:#?}");
    let full = status.bytes.unwrap();
    pay(&tenant, "in-the-next-copy").await;
    let spec = json!({
        "platformRef": {"name": name}, "bucket": bucket(), "encryption": encryption(), "deadlineSeconds": 170,
        "parentRef": {"name": "bucket-copy"},
    });
    let next = taken(&client, "bucket-next", json!({ "spec": spec })).await;
    let added = next.status.as_ref().unwrap().bytes.unwrap();
    assert!(added < full / 2, "{added} bytes were added to {full}");
    pay(&tenant, "in-the-log").await;
    stored(&client, name).await;

    // The copies are there, with what makes it one, and the log; and nothing that can be read without a key.
    let found = objects().await;
    let has = |begin: &str, end: &str| found.iter().any(|one| one.starts_with(begin) && one.ends_with(end));
    assert!(has("bucket-copy/about.json", "about.json"), "{found:?}");
    assert!(has("bucket-copy/base", ".age") && has("bucket-next/base", ".age"), "{found:?}");
    assert!(has(&format!("wal/{name}/"), ".age"), "{found:?}");
    // What says whose a copy is has the Backup's UID, and no more.
    let is_known =
        |one: &String| one.ends_with(".age") || one.ends_with("about.json") || one.starts_with(".by/");
    let open: Vec<_> = found.iter().filter(|one| !is_known(one)).collect();
    assert!(open.is_empty(), "{open:?}");

    println!("{full} bytes in the full copy, {added} in the one that builds on it");
    // All of it comes back from there and nowhere else: the Platform has no volume with copies.
    let count = sql(&client, name, "select count(*) from payplane.journal").await;
    let spec = json!({
        "platformRef": {"name": name}, "backupRef": {"name": "bucket-next"}, "into": {"drill": true},
        "deadlineSeconds": 170,
    });
    let (state, _, message, drilled) = restore(&client, "bucket-drill", spec).await;
    assert_eq!(state, RestoreState::Succeeded, "{message}");
    assert_eq!(drilled.status.unwrap().operations, count.parse().ok(), "{message}");

    delete(&here::<Restore>(&client), "bucket-drill").await;
    for backup in ["bucket-next", "bucket-copy"] {
        delete(&here::<Backup>(&client), backup).await;
    }
    for secret in [SERVER, &keys] {
        delete(&here::<Secret>(&client), secret).await;
    }
    tenant.clean_up().await;
    remove_platform(&client, name).await;
    delete(&here::<Pod>(&client), SERVER).await;
    delete(&here::<Service>(&client), SERVER).await;
}
