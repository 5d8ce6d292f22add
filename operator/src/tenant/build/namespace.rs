//! A namespace of a Tenant.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::meta::{MANAGER, TENANT};

/// One that was not there. Its pods are held to the restricted standard from the first one on.
pub fn created(name: &str, tenant: &str) -> Namespace {
    let mut namespace = labelled(name, tenant);
    let labels = namespace.metadata.labels.get_or_insert_default();
    labels.insert("app.kubernetes.io/managed-by".into(), MANAGER.into());
    labels.insert("pod-security.kubernetes.io/enforce".into(), "restricted".into());
    namespace
}

/// One that consents. Only the label is added, and only to the version that was seen consenting.
pub fn adopted(name: &str, tenant: &str, version: Option<String>) -> Namespace {
    let mut namespace = labelled(name, tenant);
    namespace.metadata.resource_version = version;
    namespace
}

fn labelled(name: &str, tenant: &str) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([(TENANT.into(), tenant.into())])),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_adopted_namespace_keeps_its_own_pod_security_or_running_pods_could_not_restart() {
        assert_eq!(
            serde_json::to_value(adopted("shop", "me", Some("7".into()))).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "shop", "resourceVersion": "7", "labels": {"payplane.io/tenant": "me"}},
            })
        );
    }

    #[test]
    fn a_created_namespace_is_restricted() {
        assert_eq!(
            serde_json::to_value(created("shop", "me")).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "shop", "labels": {
                    "app.kubernetes.io/managed-by": "payplane-operator",
                    "payplane.io/tenant": "me",
                    "pod-security.kubernetes.io/enforce": "restricted",
                }},
            })
        );
    }
}
