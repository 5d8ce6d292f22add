use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::*;
use crate::{
    place,
    platform::{cluster::build, fixture},
};

fn platform() -> Platform {
    let archive = json!({"bucket": place::fixture::spec(), "everySeconds": 30});
    fixture::platform(json!({"postgres": {"operator": {"archive": archive}}}))
}

fn secret(keys: &[&str]) -> Secret {
    let data = keys.iter().map(|key| ((*key).to_owned(), ByteString(b"x".to_vec()))).collect();
    Secret { data: Some(data), ..Secret::default() }
}

fn live(value: Value) -> Option<Cluster> {
    serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "main-postgres", "uid": "c-1"},
        "spec": value,
    }))
    .unwrap()
}

fn built(platform: &Platform, keys: &[&str], live: Option<Cluster>) -> Value {
    let observed = ObservedCluster { live, credentials: Some(secret(keys)), ..ObservedCluster::default() };
    let mut cluster = build::cluster(platform, &fixture::names());
    add(cluster.as_mut(), platform, &fixture::names(), &observed);
    serde_json::to_value(cluster.unwrap()).unwrap()["spec"].clone()
}

#[test]
fn the_store_field_by_field() {
    let spec = built(&platform(), &NEEDED, None);
    assert_eq!(
        spec["backup"],
        json!({"barmanObjectStore": {
            "data": {"compression": "gzip", "immediateCheckpoint": true},
            "destinationPath": "s3://copies/pay/main",
            "endpointURL": "https://s3.example",
            "s3Credentials": {
                "accessKeyId": {"name": "s3", "key": "access-key-id"},
                "secretAccessKey": {"name": "s3", "key": "secret-access-key"},
            },
            "serverName": "main-postgres-u-1",
            "wal": {"compression": "gzip"},
        }})
    );
    assert_eq!(spec["env"][0], json!({"name": "AWS_DEFAULT_REGION", "value": "us-east-1"}));
    assert_eq!(spec["postgresql"]["parameters"]["archive_timeout"], "30s");
}

#[test]
fn entries_are_named_only_if_they_are_there() {
    let all = built(&platform(), &[NEEDED[0], NEEDED[1], "ca.crt", "session-token"], None);
    let store = &all["backup"]["barmanObjectStore"];
    assert_eq!(store["endpointCA"], json!({"name": "s3", "key": "ca.crt"}));
    assert_eq!(store["s3Credentials"]["sessionToken"], json!({"name": "s3", "key": "session-token"}));
}

#[test]
fn a_ledger_keeps_its_folder_and_no_two_share_one() {
    let stored = |name: &str| json!({"backup": {"barmanObjectStore": {"serverName": name}}});
    for (live, expected) in [
        (None, "main-postgres-u-1"),
        // The archive was switched on later, or a Restore made the Cluster.
        (live(json!({})), "main-postgres-c-1"),
        (live(stored("")), "main-postgres-c-1"),
        // The Platform was deleted and applied again.
        (live(stored("main-postgres-u-0")), "main-postgres-u-0"),
    ] {
        let spec = built(&platform(), &NEEDED, live);
        assert_eq!(spec["backup"]["barmanObjectStore"]["serverName"], expected);
    }
}

#[test]
fn without_an_archive_nothing_is_said_of_one() {
    let platform = fixture::platform(json!({"postgres": {"operator": {}}}));
    let spec = built(&platform, &NEEDED, live(json!({})));
    assert_eq!((&spec["backup"], &spec["env"]), (&Value::Null, &Value::Null));
    assert_eq!(spec["postgresql"]["parameters"]["archive_timeout"], Value::Null);
}
