//! The writer of children, on the real API server.

// Helpers of tests may fail as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use payplane_operator::apply::{add_finalizer, apply, create, prune, remove_finalizer};
use serde_json::json;
use support::in_namespace;

fn config(namespace: &str, data: &[(&str, &str)]) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some("ours".into()),
            namespace: Some(namespace.into()),
            ..ObjectMeta::default()
        },
        data: Some(data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        ..ConfigMap::default()
    }
}

/// How many objects of this kind were brought back, as Prometheus reads it.
fn drifts(kind: &str) -> u64 {
    let text = payplane_operator::telemetry::Metrics::new().unwrap().text().unwrap();
    let name = format!("payplane_operator_drift_repaired_total{{kind=\"{kind}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

fn service(namespace: &str) -> Service {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "ours", "namespace": namespace},
        "spec": {"ports": [{"name": "grpc", "port": 8443, "protocol": "TCP", "targetPort": "grpc"}]},
    }))
    .unwrap()
}

#[tokio::test]
async fn the_same_object_is_written_once_and_other_peoples_fields_stay() {
    in_namespace("apply", |client, namespace| async move {
        let wanted = config(&namespace, &[("a", "1"), ("b", "2")]);
        let first = apply(&client, &wanted).await.unwrap();
        let second = apply(&client, &wanted).await.unwrap();
        assert_eq!(first.resource_version(), second.resource_version());

        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        let theirs = Patch::Merge(json!({"data": {"theirs": "x", "a": "changed"}}));
        maps.patch("ours", &PatchParams::default(), &theirs).await.unwrap();
        let before = drifts("ConfigMap");
        let repaired = apply(&client, &wanted).await.unwrap().data.unwrap();
        assert!(before < drifts("ConfigMap"), "what somebody else changed is counted");
        let expected = [("a", "1"), ("b", "2"), ("theirs", "x")];
        let expected: BTreeMap<String, String> = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(repaired, expected);

        let less = apply(&client, &config(&namespace, &[("a", "1")])).await.unwrap().data.unwrap();
        assert!(!less.contains_key("b"), "what is no longer wanted goes");
    })
    .await;
}

#[tokio::test]
async fn only_what_has_our_labels_is_removed() {
    in_namespace("prune", |client, namespace| async move {
        let ours =
            BTreeMap::from([("owner".to_owned(), "us".to_owned()), ("made-by".to_owned(), "us".to_owned())]);
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        let labelled = |labels: BTreeMap<String, String>| {
            let mut map = config(&namespace, &[("a", "1")]);
            map.metadata.labels = Some(labels);
            map
        };
        prune::<ConfigMap>(&client, &namespace, "ours", &ours).await.unwrap();
        let mut half = ours.clone();
        half.remove("made-by");
        for theirs in [BTreeMap::new(), half] {
            apply(&client, &labelled(theirs)).await.unwrap();
            prune::<ConfigMap>(&client, &namespace, "ours", &ours).await.unwrap();
            assert!(maps.get_opt("ours").await.unwrap().is_some(), "somebody else's");
        }
        apply(&client, &labelled(ours.clone())).await.unwrap();
        prune::<ConfigMap>(&client, &namespace, "ours", &ours).await.unwrap();
        assert!(maps.get_opt("ours").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_port_that_somebody_renumbered_comes_back() {
    in_namespace("apply", |client, namespace| async move {
        apply(&client, &service(&namespace)).await.unwrap();
        let services = Api::<Service>::namespaced(client.clone(), &namespace);
        let drift = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 9999}]);
        let drift: Patch<()> = Patch::Json(serde_json::from_value(drift).unwrap());
        services.patch("ours", &PatchParams::default(), &drift).await.unwrap();

        let repaired = apply(&client, &service(&namespace)).await.unwrap();
        let ports: Vec<i32> = repaired.spec.unwrap().ports.unwrap().iter().map(|port| port.port).collect();
        assert_eq!(ports, [8443]);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_create_the_same_one_wins_and_nothing_is_overwritten() {
    in_namespace("apply", |client, namespace| async move {
        let (one, two) = (config(&namespace, &[("password", "1")]), config(&namespace, &[("password", "2")]));
        let (first, second) = tokio::join!(create(&client, &one), create(&client, &two));
        let made = (first.unwrap(), second.unwrap());
        assert!(made.0 != made.1, "exactly one: {made:?}");
        let kept = Api::<ConfigMap>::namespaced(client.clone(), &namespace).get("ours").await.unwrap();
        assert_eq!(kept.data.unwrap()["password"], if made.0 { "1" } else { "2" });
    })
    .await;
}

#[tokio::test]
async fn what_the_api_server_will_not_have_is_told_in_its_own_words() {
    in_namespace("apply", |client, namespace| async move {
        let mut bad = service(&namespace);
        bad.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].port = 0;
        let error = apply(&client, &bad).await.unwrap_err().to_string();
        assert!(error.contains("spec.ports[0].port"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_finalizer_of_ours_comes_and_goes_beside_those_of_others() {
    const OURS: &str = "payplane.io/test";
    in_namespace("finalizer", |client, namespace| async move {
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        let mut theirs = config(&namespace, &[]);
        theirs.metadata.finalizers = Some(vec!["example.org/theirs".into()]);
        create(&client, &theirs).await.unwrap();

        let old = maps.get("ours").await.unwrap();
        add_finalizer(&client, &old, OURS).await.unwrap();
        let marked = maps.get("ours").await.unwrap();
        assert_eq!(marked.finalizers(), ["example.org/theirs", OURS]);
        let raced = add_finalizer(&client, &old, OURS).await.unwrap_err();
        assert_eq!(raced.category(), "raced", "an old copy does not undo what others did");

        remove_finalizer(&client, &marked, OURS).await.unwrap();
        let left = maps.get("ours").await.unwrap();
        assert_eq!(left.finalizers(), ["example.org/theirs"]);
        remove_finalizer(&client, &left, "example.org/theirs").await.unwrap();
        maps.delete("ours", &Default::default()).await.unwrap();
        remove_finalizer(&client, &left, OURS).await.unwrap();
    })
    .await;
}
