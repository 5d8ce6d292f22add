use serde_json::json;

use super::{cloudnative_pg::Cluster, *};
use crate::platform::fixture;

fn meta(labels: serde_json::Value) -> ObjectMeta {
    serde_json::from_value(json!({"name": "main-postgres", "labels": labels})).unwrap()
}

#[test]
fn only_what_this_platform_made_is_ours() {
    let managed = "app.kubernetes.io/managed-by";
    let cases = [
        (meta(json!({PLATFORM: "main", managed: MANAGER})), Found::Ours),
        (meta(json!({PLATFORM: "other", managed: MANAGER})), Found::Taken),
        (meta(json!({PLATFORM: "main", managed: "Helm"})), Found::Taken),
        (meta(json!({PLATFORM: "main"})), Found::Taken),
        (ObjectMeta::default(), Found::Taken),
    ];
    for (live, expected) in cases {
        assert_eq!(whose(&live, "main"), expected, "{:?}", live.labels);
    }
}

#[test]
fn what_is_missing_or_taken_is_told_with_the_way_out() {
    let told = |found: Found| {
        let refused = refusal::<Cluster>(&found, "main-postgres", "CloudNativePG 1.28 or newer")?;
        assert!(refused.look_again, "neither is watched");
        Some((refused.reason, refused.message))
    };
    assert_eq!(told(Found::Free), None);
    assert_eq!(told(Found::Ours), None);
    let (reason, message) = told(Found::NotServed).unwrap();
    assert_eq!(reason, OPERATOR_NOT_INSTALLED);
    assert!(
        message.contains("postgresql.cnpg.io/v1") && message.contains("install CloudNativePG 1.28"),
        "{message}"
    );
    let (reason, message) = told(Found::Taken).unwrap();
    assert_eq!(reason, NAME_TAKEN);
    assert!(message.contains("Cluster \"main-postgres\"") && message.contains("left alone"), "{message}");
}

#[test]
fn it_goes_with_the_platform_only_where_the_spec_says_so() {
    let platform = fixture::platform(json!({"postgres": {"operator": {}}}));
    let of = |policy| {
        let made = metadata(&platform, "main-postgres".into(), "postgres", policy);
        serde_json::to_value(made).unwrap()
    };
    assert_eq!(of(DeletionPolicy::Delete), fixture::owned("main-postgres", "postgres"));
    assert_eq!(
        of(DeletionPolicy::Retain),
        json!({"name": "main-postgres", "namespace": "pay", "labels": fixture::labels("postgres")})
    );
}

#[test]
fn what_a_status_lacks_is_nothing_and_what_it_has_more_is_left_alone() {
    let live = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "x"},
        "spec": {"instances": 1, "walStorage": {"size": "1Gi"}},
        "status": {"phase": "Setting up primary", "certificates": {"clientCASecret": "x-ca"}},
    });
    let cluster: Cluster = serde_json::from_value(live).unwrap();
    assert_eq!(cluster.spec.instances, 1);
    assert_eq!(cluster.status.unwrap().ready_instances, 0);
}

#[test]
fn requests_and_limits_are_written_only_where_there_are_such() {
    let given = |value| serde_json::from_value::<Resources>(value).unwrap();
    assert_eq!(resources(&given(json!({}))), None);
    assert_eq!(
        resources(&given(json!({"limits": {"memory": "1Gi"}}))),
        Some(json!({"limits": {"memory": "1Gi"}}))
    );
}
