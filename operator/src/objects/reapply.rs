//! From an object as the API server has it to one that can be applied again. Pure.
//!
//! Without what the API server and the operator wrote, and with the time since when it is there (`payplane.io/asked-since`), so
//! that a restored ledger takes it for as old as it is and nothing is paid twice.

use std::collections::BTreeMap;

use kube::{
    ResourceExt as _,
    core::{ApiResource, DynamicObject},
};
use serde_json::{Map, Value, json};

use crate::meta::ASKED_SINCE;

/// What `kubectl apply` notes for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object to apply.
pub fn document(kind: &ApiResource, object: &DynamicObject) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), object.name_any().into());
    if let Some(namespace) = object.namespace() {
        metadata.insert("namespace".into(), namespace.into());
    }
    if !object.labels().is_empty() {
        metadata.insert("labels".into(), json!(object.labels()));
    }
    let annotations = annotations(object);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), json!(annotations));
    }
    json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": metadata,
        "spec": object.data["spec"],
    })
}

fn annotations(object: &DynamicObject) -> BTreeMap<String, String> {
    let mut annotations = object.annotations().clone();
    annotations.remove(LAST_APPLIED);
    let made = object.creation_timestamp().map(|time| time.0);
    // What it says itself counts where it is older, also if it cannot be read: that means older than everything.
    let is_older = |said: &String| match (said.parse::<jiff::Timestamp>(), made) {
        (Ok(said), Some(made)) => said <= made,
        _ => true,
    };
    let said = annotations.get(ASKED_SINCE).filter(|said| is_older(said)).cloned();
    if let Some(since) = said.or_else(|| made.map(|made| made.to_string())) {
        annotations.insert(ASKED_SINCE.into(), since);
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;
    use payplane_crds::Payment;

    const MADE: &str = "2026-11-21T10:00:00Z";

    fn applied(annotations: Value) -> Value {
        let object = json!({
            "metadata": {
                "name": "rent", "namespace": "acme", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": MADE, "labels": {"team": "a"}, "annotations": annotations,
                "finalizers": ["payplane.io/offboard"], "managedFields": [],
                "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"}],
            },
            "spec": {"amount": "1.00"},
            "status": {"state": "Completed"},
        });
        document(&ApiResource::erase::<Payment>(&()), &serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_others_wrote_is_left_out_and_its_age_is_written_down() {
        assert_eq!(
            applied(json!({"note": "kept", (LAST_APPLIED): "{}"})),
            json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "Payment",
                "metadata": {
                    "name": "rent", "namespace": "acme", "labels": {"team": "a"},
                    "annotations": {"note": "kept", "payplane.io/asked-since": MADE},
                },
                "spec": {"amount": "1.00"},
            })
        );
    }

    #[test]
    fn it_gets_older_with_each_copy_and_never_younger() {
        for (said, expected) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-22T10:00:00Z", MADE),
            // Cannot be read, so it counts as older than everything, now and after.
            ("yesterday", "yesterday"),
        ] {
            let since = &applied(json!({(ASKED_SINCE): said}))["metadata"]["annotations"][ASKED_SINCE];
            assert_eq!(since, expected, "{said}");
        }
    }
}
