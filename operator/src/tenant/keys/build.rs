//! The Secret of a namespace. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::Token;
use crate::meta::tenant_labels;

/// Its name in every namespace.
pub const NAME: &str = "payplane-api-keys";

/// An entry per key. With the version that was read, so that it is written over nothing else.
pub fn secret(
    tenant: &str,
    namespace: &str,
    version: Option<String>,
    tokens: &BTreeMap<String, Token>,
) -> Secret {
    let entry = |(name, token): (&String, &Token)| (name.clone(), ByteString(token.0.clone().into_bytes()));
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(namespace.into()),
            labels: Some(tenant_labels(tenant)),
            resource_version: version,
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".into()),
        data: Some(tokens.iter().map(entry).collect()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_mount_it_by_these_names_so_none_may_change() {
        let tokens = BTreeMap::from([("partner".to_owned(), Token("payplane_a_b".into()))]);
        assert_eq!(
            serde_json::to_value(secret("me", "shop", None, &tokens)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "payplane-api-keys", "namespace": "shop", "labels": tenant_labels("me")},
                "data": {"partner": "cGF5cGxhbmVfYV9i"},
            })
        );
        assert!(!format!("{tokens:?}").contains("payplane_a"), "it cannot be printed");
    }
}
