//! The ConfigMap that has the last invoice as documents. Pure.
//!
//! There is one per TenantBilling, whatever the number of invoices: etcd is no archive, and older ones are fetched over gRPC.
//! It goes with the TenantBilling.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;
use payplane_crds::TenantBilling;

use crate::{
    engine::Documents,
    meta::{MANAGER, owner},
};

/// What it is called: names of TenantBillings have 63 characters at most.
pub fn config_map_name(billing: &TenantBilling) -> String {
    format!("payplane-invoice-{}", billing.name_any())
}

/// What it has.
pub fn config_map(billing: &TenantBilling, documents: &Documents) -> ConfigMap {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let labels = [
        label("app.kubernetes.io/managed-by", MANAGER),
        label("app.kubernetes.io/part-of", "payplane"),
        label("payplane.io/invoice", &documents.number.to_string()),
    ];
    let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let data = [text("invoice.json", &documents.json), text("invoice.html", &documents.html)];
    let pdf = ("invoice.pdf".to_owned(), ByteString(documents.pdf.clone()));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(config_map_name(billing)),
            namespace: billing.namespace(),
            labels: Some(labels.into()),
            owner_references: Some(vec![owner(billing)]),
            ..ObjectMeta::default()
        },
        data: Some(data.into()),
        binary_data: Some(BTreeMap::from([pdf])),
        ..ConfigMap::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_object_has_the_last_invoice_and_goes_with_the_billing() {
        let billing: TenantBilling = serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "TenantBilling",
            "metadata": {"name": "acme", "namespace": "payplane-system", "uid": "u"},
            "spec": {"tenantRef": {"name": "acme"}, "plan": {"currency": "USD"}, "period": {"unit": "Day", "timeZone": "UTC"}},
        }))
        .unwrap();
        let documents =
            |number| Documents { number, json: "{}".into(), html: "<p>".into(), pdf: b"%PDF".to_vec() };
        let map = serde_json::to_value(config_map(&billing, &documents(7))).unwrap();
        assert_eq!(map["metadata"]["name"], "payplane-invoice-acme");
        assert_eq!(map["metadata"]["namespace"], "payplane-system");
        assert_eq!(map["metadata"]["labels"]["payplane.io/invoice"], "7");
        let owner = &map["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["uid"]), (&json!("TenantBilling"), &json!("u")));
        // Blocking the owner's deletion would need a right on its finalizers.
        assert_eq!(owner.get("blockOwnerDeletion"), None);
        assert_eq!(map["data"], json!({"invoice.json": "{}", "invoice.html": "<p>"}));
        assert_eq!(map["binaryData"], json!({"invoice.pdf": "JVBERg=="}));
        // The next invoice takes its place.
        assert_eq!(
            config_map(&billing, &documents(8)).metadata.name,
            config_map(&billing, &documents(7)).metadata.name
        );
    }
}
