//! What a restore may have lost: since when an object is there, and who consents that it is done again.
//!
//! The engine decides, in the commit: of what was asked before its epoch began it answers what it knows and declines the
//! rest. So nothing here is believed from a status; the time is the API server's own, which nobody else can write. An object
//! that was kept in a file and applied again says itself since when it was there before. That is believed only if it is
//! earlier: being older means being declined, and nobody gains by that.

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use payplane_crds::{Platform, platform::LostPayments};

use crate::{
    engine::{Asked, Epoch},
    meta::{ASKED_SINCE, REPLAY},
};

/// What to say of an object to its engine.
pub fn asked<K: Resource>(object: &K, policy: LostPayments) -> Asked {
    match policy {
        LostPayments::Replay => Asked::default(),
        LostPayments::Flag => Asked { at: since(object), replay: object.annotations().get(REPLAY).cloned() },
    }
}

/// Since when it is there, or the object that it is a copy of. What cannot be read is as old as can be.
fn since<K: Resource>(object: &K) -> Option<Timestamp> {
    let made = object.creation_timestamp().map(|time| time.0);
    let said =
        object.annotations().get(ASKED_SINCE).map(|text| text.parse().unwrap_or(Timestamp::UNIX_EPOCH));
    [made, said].into_iter().flatten().min()
}

/// What the Platform says.
pub fn policy(platform: Option<&Platform>) -> LostPayments {
    platform
        .and_then(|platform| platform.spec.restore.as_ref())
        .map(|restore| restore.payments)
        .unwrap_or_default()
}

/// What is lost, and the way out.
pub fn message(what: &str, verb: &str, epoch: &Epoch) -> String {
    let since = epoch.began.map(|began| format!(" at {began}")).unwrap_or_default();
    format!(
        "The ledger was restored{since} and does not know this {what}, which is older. It is not {verb} again, because that \
         may have happened before. If it shall be, consent for this restore: annotate it with {REPLAY}={}.",
        epoch.name
    )
}

#[cfg(test)]
mod tests {
    use payplane_crds::Payment;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_copy_of_an_object_is_as_old_as_the_object_and_never_younger() {
        let made = "2026-11-21T10:00:00Z";
        for (said, expected) in [
            (Value::Null, made),
            (json!("2026-11-20T10:00:00Z"), "2026-11-20T10:00:00Z"),
            (json!("2026-11-22T10:00:00Z"), made),
            (json!("yesterday"), "1970-01-01T00:00:00Z"),
            (json!(""), "1970-01-01T00:00:00Z"),
        ] {
            let annotations = if said.is_null() { json!({}) } else { json!({ASKED_SINCE: said}) };
            let payment: Payment = serde_json::from_value(json!({
                "apiVersion": "payplane.io/v1alpha1", "kind": "Payment",
                "metadata": {"name": "p", "creationTimestamp": made, "annotations": annotations},
                "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
            }))
            .unwrap();
            let at = asked(&payment, LostPayments::Flag).at;
            assert_eq!(at, Some(expected.parse().unwrap()), "{said}");
            assert_eq!(asked(&payment, LostPayments::Replay).at, None);
        }
    }
}
