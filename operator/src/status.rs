//! The only writer of status: server-side apply, and only when something differs.
//!
//! The patch carries the version of the object that was looked at, so an answer for a deleted object never lands on its
//! successor of the same name, and a second look at an old copy never undoes the first. (The API server ignores a UID
//! in a status patch.)
//! An object that is gone needs no status: that is not an error. Every other failure is, and the reconcile comes again.
//!
//! Applying leaves what another manager wrote. A status is all ours, so what is left of a forged one is taken out by a
//! second patch. Only conditions with a domain in their type, such as `example.com/Audited`, may be somebody else's.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use payplane_crds::{
    Approval, Backup, BackupSchedule, BillingPlan, Payment, Platform, Refund, Restore, ScalingPolicy,
    StandingOrder, Tenant, TenantBilling, TimeoutPolicy, Wallet,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{api, context::Context, error::Error, meta::MANAGER};

/// A kind whose status this operator writes.
pub trait Reported: Resource<DynamicType = ()> {
    /// The status.
    type Status: Serialize;
    /// The kind's name, for logs and metrics.
    const KIND: &'static str;
    /// What the object says now.
    fn status(&self) -> Option<&Self::Status>;
    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[Condition];
    /// What the object's conditions say now.
    fn current(&self) -> &[Condition] {
        self.status().map(Self::conditions).unwrap_or_default()
    }
}

macro_rules! reported {
    ($($kind:ident => $status:ty),* $(,)?) => {$(
        impl Reported for $kind {
            type Status = $status;
            const KIND: &'static str = stringify!($kind);
            fn status(&self) -> Option<&Self::Status> {
                self.status.as_ref()
            }
            fn conditions(status: &Self::Status) -> &[Condition] {
                &status.conditions
            }
        }
    )*};
}

reported! {
    Platform => payplane_crds::PlatformStatus,
    Tenant => payplane_crds::TenantStatus,
    Wallet => payplane_crds::WalletStatus,
    Payment => payplane_crds::PaymentStatus,
    Refund => payplane_crds::RefundStatus,
    ScalingPolicy => payplane_crds::ScalingPolicyStatus,
    StandingOrder => payplane_crds::StandingOrderStatus,
    Approval => payplane_crds::ApprovalStatus,
    TimeoutPolicy => payplane_crds::TimeoutPolicyStatus,
    Backup => payplane_crds::BackupStatus,
    TenantBilling => payplane_crds::TenantBillingStatus,
    BackupSchedule => payplane_crds::BackupScheduleStatus,
    Restore => payplane_crds::RestoreStatus,
    BillingPlan => payplane_crds::BillingPlanStatus,
}

/// Whether a write was needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// The object said the same already.
    Skipped,
    /// It says so now.
    Patched,
    /// It is gone.
    Gone,
}

/// Writes the status if it differs, and tells people about transitions.
///
/// # Errors
/// When the API server does not accept it.
pub async fn write<K: Reported>(context: &Context, object: &K, status: &K::Status) -> Result<Written, Error> {
    let written = patch::<K>(&context.client, object, status).await?;
    let result = match written {
        Written::Skipped => "skipped",
        Written::Patched => "patched",
        Written::Gone => "gone",
    };
    context.metrics.status_patches.with_label_values(&[K::KIND, result]).inc();
    if written == Written::Patched {
        context.events.transition(&object.object_ref(&()), object.current(), K::conditions(status));
    }
    Ok(written)
}

/// Writes the status if it differs.
///
/// # Errors
/// When the API server does not accept it.
pub async fn patch<K: Reported>(
    client: &kube::Client,
    object: &K,
    status: &K::Status,
) -> Result<Written, Error> {
    let wanted = serde_json::to_value(status)?;
    if object.status().map(serde_json::to_value).transpose()?.is_some_and(|now| same(now, wanted.clone())) {
        return Ok(Written::Skipped);
    }
    send(client, object, wanted).await
}

/// Says of an object that could not be read as its kind, which is all that can be said of it.
///
/// # Errors
/// When the API server does not accept it.
pub async fn write_malformed<K: Reported>(
    client: &kube::Client,
    object: &impl Resource<DynamicType = ()>,
    conditions: &[Condition],
) -> Result<Written, Error> {
    let reference = ObjectReference {
        name: object.meta().name.clone(),
        namespace: object.meta().namespace.clone(),
        resource_version: object.meta().resource_version.clone(),
        ..ObjectReference::default()
    };
    send_to::<K>(client, &reference, json!({ "conditions": conditions })).await
}

async fn send<K: Reported>(client: &kube::Client, object: &K, status: Value) -> Result<Written, Error> {
    let reference = ObjectReference {
        name: Some(object.name_any()),
        namespace: object.namespace(),
        resource_version: object.resource_version(),
        ..ObjectReference::default()
    };
    send_to::<K>(client, &reference, status).await
}

async fn send_to<K: Reported>(
    client: &kube::Client,
    to: &ObjectReference,
    status: Value,
) -> Result<Written, Error> {
    let name = to.name.as_deref().unwrap_or_default();
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name, "resourceVersion": to.resource_version },
        "status": status,
    });
    let objects = api::dynamic::<K>(client, to.namespace.as_deref());
    let params = PatchParams::apply(MANAGER).force();
    let written = api::call("write status", objects.patch_status(name, &params, &Patch::Apply(&body))).await;
    let written = match written {
        Ok(live) => clean(&objects, live, &body["status"]).await,
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => Ok(Written::Patched),
        Err(error) if api::is_status(&error, 404) => Ok(Written::Gone),
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: "write status" }),
        Err(error) => Err(error),
    }
}

/// Takes out what somebody else left in the status.
async fn clean(objects: &Api<DynamicObject>, live: DynamicObject, wanted: &Value) -> Result<(), Error> {
    let Some(patch) = live.data.get("status").and_then(|now| leftovers(now, wanted)) else { return Ok(()) };
    tracing::warn!(
        kind = live.types.as_ref().map(|types| &*types.kind),
        name = live.name_any(),
        "a status was forged"
    );
    let patch =
        Patch::Merge(json!({ "metadata": { "resourceVersion": live.resource_version() }, "status": patch }));
    let (name, params) =
        (live.name_any(), PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() });
    api::call("clean a status", objects.patch_status(&name, &params, &patch)).await.map(|_| ())
}

/// The merge patch that leaves only what is wanted. None if nothing else is there.
fn leftovers(now: &Value, wanted: &Value) -> Option<Value> {
    let (now, wanted) = (now.as_object()?, wanted.as_object()?);
    let mut patch = serde_json::Map::new();
    for (key, value) in now {
        let change = match wanted.get(key) {
            None if key == "conditions" => None,
            None => Some(Value::Null),
            Some(wanted) if key == "conditions" => foreign_conditions(value, wanted),
            Some(wanted) => leftovers(value, wanted),
        };
        patch.extend(change.map(|change| (key.clone(), change)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The conditions as they shall be, if one is there that nobody wants. A list is patched as a whole.
fn foreign_conditions(now: &Value, wanted: &Value) -> Option<Value> {
    let (now, wanted) = (now.as_array()?, wanted.as_array()?);
    let is_wanted = |one: &Value| wanted.iter().any(|other| other["type"] == one["type"]);
    if now.iter().all(|one| is_wanted(one) || is_of_others(one)) {
        return None;
    }
    let others = now.iter().filter(|one| is_of_others(one) && !is_wanted(one));
    Some(Value::Array(wanted.iter().chain(others).cloned().collect()))
}

fn is_of_others(condition: &Value) -> bool {
    condition["type"].as_str().is_some_and(|kind| kind.contains('/'))
}

/// Whether two statuses say the same, in whatever order their conditions stand.
fn same(mut now: Value, mut wanted: Value) -> bool {
    if let Some(conditions) = now.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| !is_of_others(condition));
    }
    sort_conditions(&mut now);
    sort_conditions(&mut wanted);
    now == wanted
}

fn sort_conditions(status: &mut Value) {
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.sort_by_key(|condition| condition["type"].as_str().unwrap_or_default().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_conditions_is_no_difference_and_everything_else_is() {
        let a = json!({"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]});
        let b = json!({"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "True"}]});
        let c = json!({"conditions": [{"type": "B", "status": "True"}, {"type": "A", "status": "False"}]});
        let d = json!({"conditions": [{"type": "A", "status": "True"}]});
        assert!(same(a.clone(), b.clone()));
        assert!(!same(a.clone(), c));
        assert!(!same(a, d), "a condition that is no longer wanted must go");
        assert!(!same(b.clone(), json!({"state": "New", "conditions": b["conditions"]})));
        let audited = json!({"type": "example.com/Audited", "status": "True"});
        let with = json!({"conditions": [b["conditions"][0], audited, b["conditions"][1]]});
        assert!(same(with, b), "what somebody else says beside ours is no difference");
    }

    #[test]
    fn what_nobody_wants_is_taken_out_and_what_others_say_stays() {
        let ready = json!({"type": "Ready", "status": "False"});
        let settled = json!({"type": "Settled", "status": "True"});
        let audited = json!({"type": "example.com/Audited", "status": "True"});
        let wanted = json!({"state": "New", "after": {"from": "1"}, "conditions": [ready]});
        let now = |more: Value| {
            let mut now = wanted.clone();
            now.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            now
        };
        let cases = [
            (json!({}), None),
            (json!({"conditions": [ready, audited]}), None),
            (json!({"paymentId": "x"}), Some(json!({"paymentId": null}))),
            (json!({"after": {"from": "1", "to": "2"}}), Some(json!({"after": {"to": null}}))),
            (json!({"conditions": [settled, audited, ready]}), Some(json!({"conditions": [ready, audited]}))),
        ];
        for (more, expected) in cases {
            assert_eq!(leftovers(&now(more.clone()), &wanted), expected, "{more}");
        }
    }
}
