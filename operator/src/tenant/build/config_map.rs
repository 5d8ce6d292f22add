//! What pods of a tenant need to reach the engine. Nothing in it is secret.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    engine::Address,
    meta::{CA_CONFIG_MAP, MANAGER},
};

/// The engine's address, and the certificate to check it with.
pub fn address(namespace: &str, address: &Address) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(CA_CONFIG_MAP.into()),
            namespace: Some(namespace.into()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".into(), MANAGER.into())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([
            ("ca.crt".into(), address.ca_pem.clone()),
            ("endpoint".into(), address.endpoint.clone()),
        ])),
        ..ConfigMap::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_mount_it_by_these_names_so_none_may_change() {
        let address = Address { endpoint: "main-engine.pay.svc:8443".into(), ca_pem: "PEM".into() };
        assert_eq!(
            serde_json::to_value(super::address("shop", &address)).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "payplane-ca",
                    "namespace": "shop",
                    "labels": {"app.kubernetes.io/managed-by": "payplane-operator"},
                },
                "data": {"ca.crt": "PEM", "endpoint": "main-engine.pay.svc:8443"},
            })
        );
    }
}
