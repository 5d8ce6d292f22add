//! The Payment of one scheduled time: its name, its key and its spec. Pure: the same time gives the same Payment.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;
use payplane_crds::{Payment, PaymentSpec, StandingOrder, standing_order::ShortAction};

use crate::{
    meta::{MANAGER, STANDING_ORDER, owner},
    schedule,
};

/// The Payment of this time.
pub fn payment(order: &StandingOrder, time: Timestamp) -> Payment {
    let template = &order.spec.template;
    Payment {
        metadata: ObjectMeta {
            name: Some(name(order, time)),
            namespace: order.namespace(),
            labels: Some(BTreeMap::from([
                ("app.kubernetes.io/managed-by".into(), MANAGER.into()),
                (STANDING_ORDER.into(), order.name_any()),
            ])),
            owner_references: Some(vec![owner(order)]),
            ..ObjectMeta::default()
        },
        spec: PaymentSpec {
            from: template.from.clone(),
            to: template.to.clone(),
            amount: template.amount.clone(),
            currency: template.currency.clone(),
            reference: template.reference.clone(),
            idempotency_key: Some(key(order, time)),
            hold: None,
            capture: None,
            void: None,
            retry_until: retry_until(order, time),
            ttl_seconds_after_settled: None,
            // An order has neither, and nobody asks for its payments by name.
            metadata: None,
            fees: None,
            requested_by: None,
        },
        status: None,
    }
}

/// Name of the Payment of this time.
pub fn name(order: &StandingOrder, time: Timestamp) -> String {
    schedule::stamped(&order.name_any(), time)
}

/// Its identity in the ledger: the same in every cluster and after every restart.
pub fn key(order: &StandingOrder, time: Timestamp) -> String {
    let own = order.spec.idempotency_key.clone().unwrap_or_else(|| order.name_any());
    format!("standing-order:{}/{own}@{time}", order.namespace().unwrap_or_default())
}

/// The time that a Payment's name tells, if it is a Payment of this order by name and by key. Labels and owners prove
/// nothing: anybody may write them.
pub fn time_of(order: &StandingOrder, payment: &Payment) -> Option<Timestamp> {
    let time = schedule::stamp_of(&order.name_any(), &payment.name_any())?;
    (payment.spec.idempotency_key.as_deref() == Some(&key(order, time))).then_some(time)
}

fn retry_until(order: &StandingOrder, time: Timestamp) -> Option<Time> {
    let rule = &order.spec.on_insufficient_funds;
    let seconds = rule.retry_for_seconds.filter(|_| rule.action == ShortAction::Retry)?;
    time.checked_add(SignedDuration::from_secs(seconds)).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::fixture::order, *};

    #[test]
    fn a_payment_follows_from_namespace_order_and_time_alone() {
        let retry = json!({"onInsufficientFunds": {"action": "Retry", "retryForSeconds": 86400}});
        let made = payment(&order(retry), "2027-01-01T08:00:00Z".parse().unwrap());
        assert_eq!(
            serde_json::to_value(made).unwrap(),
            json!({
                "apiVersion": "payplane.io/v1alpha1",
                "kind": "Payment",
                "metadata": {
                    "name": "rent-20270101t0800z",
                    "namespace": "shop",
                    "labels": {
                        "app.kubernetes.io/managed-by": "payplane-operator",
                        "payplane.io/standing-order": "rent",
                    },
                    "ownerReferences": [{
                        "apiVersion": "payplane.io/v1alpha1", "kind": "StandingOrder", "name": "rent",
                        "uid": "u-1", "controller": true,
                    }],
                },
                "spec": {
                    "from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD",
                    "idempotencyKey": "standing-order:shop/rent@2027-01-01T08:00:00Z",
                    "retryUntil": "2027-01-02T08:00:00Z",
                },
            })
        );
    }

    #[test]
    fn only_name_and_key_together_make_a_payment_one_of_the_order() {
        let (rent, time) = (order(json!({})), "2027-01-01T08:00:00Z".parse().unwrap());
        let ours = payment(&rent, time);
        assert_eq!(time_of(&rent, &ours), Some(time));
        let mut other_key = ours.clone();
        other_key.spec.idempotency_key = None;
        assert_eq!(time_of(&rent, &other_key), None);
        let mut other_name = ours.clone();
        other_name.metadata.name = Some("rent-20270101t0801z".into());
        assert_eq!(time_of(&rent, &other_name), None);
        let renamed = order(json!({"idempotencyKey": "rent-2"}));
        assert_eq!(time_of(&renamed, &ours), None, "an order with another key has other payments");
    }
}
