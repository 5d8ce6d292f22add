use serde_json::{Value, json};

use super::{super::fixture, *};
use crate::{meta::RESTART, place};

fn built(managed: Value) -> Value {
    let platform = fixture::platform(json!({"postgres": {"managed": managed}}));
    let spec = platform.spec.postgres.managed.as_ref().unwrap();
    let set = postgres(&platform, spec, &fixture::settings(), &fixture::names(), &fixture::made());
    serde_json::to_value(set).unwrap()
}

fn settings(lines: &[&str]) -> Vec<String> {
    lines.iter().flat_map(|line| ["-c".to_owned(), (*line).to_owned()]).collect()
}

fn common(name: &str, secret: &str, secret_path: &str) -> Value {
    json!({
        "name": name,
        "image": "postgres:17",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "PGDATA", "value": "/var/lib/postgresql/data/ledger"}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/payplane/postgres", "readOnly": true},
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": secret, "mountPath": secret_path, "readOnly": true},
        ],
    })
}

fn with(mut container: Value, more: Value) -> Value {
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

fn server() -> Value {
    let probe = |period, failures| {
        json!({
            "exec": {"command": ["pg_isready", "-h", "/var/run/postgresql", "-q"]},
            "periodSeconds": period,
            "failureThreshold": failures,
            "timeoutSeconds": 5,
        })
    };
    with(
        common("postgres", "tls", "/etc/payplane/tls"),
        json!({
            "command": ["postgres", "-D", "/var/lib/postgresql/data/ledger"],
            "args": settings(&[
                "listen_addresses=*",
                "port=5432",
                "unix_socket_directories=/var/run/postgresql",
                "hba_file=/etc/payplane/postgres/pg_hba.conf",
                "password_encryption=scram-sha-256",
                "ssl=on",
                "ssl_cert_file=/etc/payplane/tls/tls.crt",
                "ssl_key_file=/etc/payplane/tls/tls.key",
                "fsync=on",
                "synchronous_commit=on",
                "full_page_writes=on",
                "shared_buffers=64MB",
                "effective_cache_size=128MB",
                "maintenance_work_mem=16MB",
                "max_wal_size=1024MB",
                "max_connections=100",
                "timezone=UTC",
                "log_timezone=UTC",
            ]),
            "lifecycle": {"preStop": {"exec": {
                "command": ["pg_ctl", "stop", "-D", "/var/lib/postgresql/data/ledger", "-m", "fast"],
            }}},
            "ports": [{"name": "postgres", "containerPort": 5432, "protocol": "TCP"}],
            "startupProbe": probe(2, 300),
            "readinessProbe": probe(5, 3),
        }),
    )
}

fn pod() -> Value {
    let initialise = with(
        common("initialise", "database-owner", "/etc/payplane/database-owner"),
        json!({"command": ["sh", "/etc/payplane/postgres/initialise.sh"]}),
    );
    json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "fsGroup": 999,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": 999,
            "runAsNonRoot": true,
            "runAsUser": 999,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [initialise],
        "containers": [server()],
        "volumes": [
            {"name": "config", "configMap": {"name": "main-postgres"}},
            {"name": "database-owner", "secret": {"secretName": "main-database-owner", "defaultMode": 0o440}},
            {"name": "run", "emptyDir": {}},
            {"name": "tls", "secret": {"secretName": "main-postgres-tls", "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {}},
        ],
    })
}

#[test]
fn the_server_is_durable_encrypted_and_restricted() {
    let mut built = built(json!({}));
    // Its value follows from files of this folder; that it changes with them has a test of its own.
    let annotations = built["spec"]["template"]["metadata"].as_object_mut().unwrap().remove("annotations");
    assert!(annotations.unwrap()["payplane.io/restart"].is_string());
    assert_eq!(
        built,
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": fixture::owned("main-postgres", "postgres"),
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 3,
                "selector": {"matchLabels": fixture::selector("postgres")},
                "serviceName": "main-postgres",
                "template": {"metadata": {"labels": fixture::labels("postgres")}, "spec": pod()},
                "volumeClaimTemplates": [{
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": "data", "labels": fixture::selector("postgres")},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}},
                }],
            },
        }),
        "a server without these would lose payments, speak in the clear, or be refused by the cluster"
    );
}

#[test]
fn settings_follow_from_memory_and_volume() {
    let built = built(json!({
        "image": "mine:17",
        "storage": {"size": "1Gi", "storageClassName": "fast"},
        "resources": {"requests": {"memory": "512Mi"}, "limits": {"memory": "4Gi"}},
    }));
    let server = &built["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> = server["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for setting in [
        "shared_buffers=1024MB",
        "effective_cache_size=2048MB",
        "maintenance_work_mem=256MB",
        "max_wal_size=128MB",
    ] {
        assert!(args.contains(&setting), "{setting} is not in {args:?}");
    }
    assert_eq!(server["image"], "mine:17");
    assert_eq!(built["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"], "fast");
}

#[test]
fn a_new_certificate_restarts_the_server_which_reads_it_only_then() {
    let platform = fixture::platform(json!({"postgres": {"managed": {}}}));
    let spec = platform.spec.postgres.managed.as_ref().unwrap();
    let restart = |hash: &str| {
        let made = Made { postgres_hash: hash.into(), ..fixture::made() };
        let set = postgres(&platform, spec, &fixture::settings(), &fixture::names(), &made);
        set.spec.unwrap().template.metadata.unwrap().annotations.unwrap()[RESTART].clone()
    };
    assert_eq!(restart("a"), restart("a"));
    assert_ne!(restart("a"), restart("b"));
}

#[test]
fn a_sealed_log_leaves_the_server_without_keys_and_without_the_volume() {
    let encryption = json!({"secretRef": {"name": "backup-keys"}});
    let pod = |archive: Value| built(json!({"archive": archive}))["spec"]["template"]["spec"].clone();
    let names = |mounts: &Value| -> Vec<String> {
        mounts.as_array().unwrap().iter().map(|mount| mount["name"].as_str().unwrap().to_owned()).collect()
    };
    let plain = pod(json!({}));
    assert!(names(&plain["containers"][0]["volumeMounts"]).contains(&"backups".to_owned()));
    assert!(plain["containers"][0]["args"].to_string().contains("/archive.sh"));
    assert_eq!(plain["initContainers"].as_array().unwrap().len(), 1);

    let sealed = pod(json!({"encryption": encryption}));
    let server = names(&sealed["containers"][0]["volumeMounts"]);
    assert!(server.contains(&"spool".to_owned()), "{server:?}");
    assert!(!server.iter().any(|name| name == "backups" || name.starts_with("backup-keys")), "{server:?}");
    assert!(sealed["containers"][0]["args"].to_string().contains("/spool.sh"));
    let beside = &sealed["initContainers"][1];
    assert_eq!((&beside["name"], &beside["restartPolicy"]), (&json!("store-log"), &json!("Always")));
    assert_eq!(beside["image"], "engine:1");
    assert_eq!(
        beside["args"],
        json!([
            "store-log",
            "--folder=/copies",
            "--platform=main",
            "--spool=/spool",
            "--http-address=0.0.0.0:8080",
            "--keys-dir=/etc/payplane/backup-keys/0"
        ])
    );
    assert_eq!(names(&beside["volumeMounts"]), ["backups", "spool", "backup-keys-0"]);
    let volume =
        sealed["volumes"].as_array().unwrap().iter().find(|one| one["name"] == "backup-keys-0").unwrap();
    assert_eq!(
        volume["secret"]["optional"], true,
        "a Secret that is gone must not keep the database from starting"
    );
}

#[test]
fn a_log_in_a_bucket_leaves_the_server_without_credentials() {
    let pod =
        built(json!({"archive": {"bucket": place::fixture::spec()}}))["spec"]["template"]["spec"].clone();
    let server = &pod["containers"][0];
    assert!(server["args"].to_string().contains("/spool.sh"));
    let mounts = server["volumeMounts"].to_string();
    assert!(mounts.contains("\"spool\"") && !mounts.contains("\"bucket\""), "{mounts}");
    let beside = &pod["initContainers"][1];
    let args: Vec<&str> = beside["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((args[0], &args[1..7]), ("store-log", place::fixture::FLAGS.as_slice()));
    assert_eq!(args[7..], ["--platform=main", "--spool=/spool", "--http-address=0.0.0.0:8080"]);
    assert_eq!(beside["ports"], json!([{"name": "trouble", "containerPort": 8080, "protocol": "TCP"}]));
    let volume = pod["volumes"].as_array().unwrap().iter().find(|one| one["name"] == "bucket").unwrap();
    assert_eq!(
        (&volume["secret"]["secretName"], &volume["secret"]["optional"]),
        (&json!("s3"), &json!(true))
    );
    assert!(!pod["volumes"].to_string().contains("persistentVolumeClaim"), "{pod}");
}
