//! What an Approval has to name of a Refund or a Payment: a hash of everything that decides about its money. Pure.
//!
//! The input is one JSON object with the fields kind, name, namespace and spec, every object's keys sorted, without
//! spaces, in UTF-8: what `jq -cSj '{kind, name: .metadata.name, namespace: .metadata.namespace, spec}'` prints. Name and
//! namespace are in it because the default key follows from them, the whole spec because it is what was read. (Of a Payment
//! capture and void may change; who approves approves what stands there then.)

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt, core::object::HasSpec};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// "sha256:" and the hash in lower-case hexadecimal.
pub fn body_hash<K>(object: &K) -> String
where
    K: Resource<DynamicType = ()> + HasSpec<Spec: Serialize>,
{
    let body = json!({
        "kind": K::kind(&()),
        "name": object.name_any(),
        "namespace": object.namespace(),
        "spec": object.spec(),
    });
    let hash = Sha256::digest(sorted(&body));
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// As JSON with sorted keys, whatever order the parser kept.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let one = |(key, value): (&&String, &&Value)| {
                format!("{}:{}", Value::String((*key).clone()), sorted(value))
            };
            format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use payplane_crds::{Payment, Refund};

    use super::*;

    fn hash(name: &str, spec: &Value) -> String {
        let object = json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "Refund",
            "metadata": {"name": name, "namespace": "shop", "uid": "u-1", "labels": {"a": "b"}},
            "spec": spec,
            "status": {"state": "Requested", "conditions": []},
        });
        body_hash::<Refund>(&serde_json::from_value(object).unwrap())
    }

    fn payment_hash(spec: &Value) -> String {
        let object = json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Payment",
            "metadata": {"name": "rent", "namespace": "shop"}, "spec": spec,
        });
        body_hash::<Payment>(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn the_hash_is_what_jq_and_sha256sum_say() {
        let spec = json!({
            "payment": {"name": "rent"}, "amount": "2.50", "currency": "USD", "requestedBy": "ada@example.com",
            "reason": "broken, \"twice\" é",
        });
        let expected = "sha256:f2902fb19a91db1d571bc87f134d2aefabfef30fd4b87680b9176d513bf4226f";
        assert_eq!(hash("back", &spec), expected);
    }

    #[test]
    fn the_example_approves_the_example() {
        let refund: Refund =
            serde_saphyr::from_str(include_str!("../../examples/approvals/refund.yaml")).unwrap();
        let text = include_str!("../../examples/approvals/approval.yaml");
        let approval: payplane_crds::Approval = serde_saphyr::from_str(text).unwrap();
        assert_eq!(approval.spec.body_hash, body_hash(&refund));
        assert_eq!(approval.spec.approves.name, refund.name_any());
        assert_ne!(Some(approval.spec.approver), refund.spec.requested_by);
    }

    #[test]
    fn the_example_approves_the_example_of_a_payment() {
        let text = include_str!("../../examples/approvals/payment.yaml");
        let payment: Payment = serde_saphyr::from_str(text).unwrap();
        let text = include_str!("../../examples/approvals/payment-approval.yaml");
        let approval: payplane_crds::Approval = serde_saphyr::from_str(text).unwrap();
        assert_eq!(approval.spec.body_hash, body_hash(&payment));
        assert_eq!(approval.spec.approves.name, payment.name_any());
        assert_ne!(Some(approval.spec.approver), payment.spec.requested_by);
    }

    #[test]
    fn everything_that_decides_about_a_payment_changes_the_hash() {
        let whole = json!({
            "from": {"name": "a"}, "to": {"name": "b"}, "amount": "5.00", "currency": "USD", "reference": "r",
            "requestedBy": "ada", "metadata": {"order": "7"}, "retryUntil": "2030-01-01T00:00:00Z",
            "idempotencyKey": "k", "fees": [{"to": {"name": "c"}, "amount": "0.10"}],
        });
        let mut seen = vec![payment_hash(&whole)];
        for (field, value) in [
            ("from", json!({"name": "x"})),
            ("to", json!({"settlement": true})),
            ("amount", json!("5.01")),
            ("currency", json!("EUR")),
            ("reference", Value::Null),
            ("requestedBy", json!("bea")),
            ("metadata", json!({"order": "8"})),
            ("retryUntil", Value::Null),
            ("idempotencyKey", json!("l")),
            ("fees", json!([{"to": {"name": "c"}, "amount": "0.11"}])),
            ("hold", json!({"timeoutSeconds": 5})),
        ] {
            let mut spec = whole.clone();
            spec[field] = value;
            seen.push(payment_hash(&spec));
        }
        let different: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len(), "{seen:#?}");
    }

    #[test]
    fn everything_that_decides_about_money_changes_the_hash() {
        let whole = json!({
            "payment": {"name": "rent"}, "amount": "2.50", "currency": "USD", "requestedBy": "ada", "reason": "r",
            "idempotencyKey": "k", "settlement": true,
        });
        let mut seen = vec![hash("back", &whole), hash("other", &whole)];
        for (field, value) in [
            ("payment", json!({"name": "rent-2"})),
            ("payment", json!({"id": "rent"})),
            ("amount", json!("2.51")),
            ("currency", json!("EUR")),
            ("requestedBy", json!("bea")),
            ("reason", Value::Null),
            ("idempotencyKey", json!("l")),
            ("settlement", Value::Null),
        ] {
            let mut spec = whole.clone();
            spec[field] = value;
            seen.push(hash("back", &spec));
        }
        let different: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len(), "{seen:#?}");
    }
}
