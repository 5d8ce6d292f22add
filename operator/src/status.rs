//! The only writer of status: server-side apply, and only when something differs.
//!
//! The patch carries the version of the object that was looked at, so an answer for a deleted object never lands on its
//! successor of the same name, and a second look at an old copy never undoes the first. (The API server ignores a UID
//! in a status patch.)
//! What somebody else wrote into a status is taken out with a second write, which otherwise there is none of.
//! An object that is gone needs no status: that is not an error. Every other failure is, and the reconcile comes again.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use payplane_crds::{
    Approval, Backup, Payment, Platform, Refund, ScalingPolicy, StandingOrder, Tenant, TenantBilling,
    TimeoutPolicy, Wallet,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

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
    let live = send_to::<K>(client, &reference, json!({ "conditions": conditions })).await?;
    Ok(live.map_or(Written::Gone, |_| Written::Patched))
}

async fn send<K: Reported>(client: &kube::Client, object: &K, status: Value) -> Result<Written, Error> {
    let reference = ObjectReference {
        name: Some(object.name_any()),
        namespace: object.namespace(),
        resource_version: object.resource_version(),
        ..ObjectReference::default()
    };
    let Some(live) = send_to::<K>(client, &reference, status.clone()).await? else {
        return Ok(Written::Gone);
    };
    let forged = foreign_fields(&live.data["status"], &status);
    if !forged.is_empty() {
        remove::<K>(client, &live, forged).await?;
    }
    Ok(Written::Patched)
}

/// Fields that somebody else wrote: applying leaves what it does not speak of, and nothing but ours may stand there.
fn foreign_fields(live: &Value, wanted: &Value) -> Map<String, Value> {
    let live = live.as_object().into_iter().flat_map(Map::keys);
    live.filter(|field| wanted.get(field).is_none()).map(|field| (field.clone(), Value::Null)).collect()
}

async fn remove<K: Reported>(
    client: &kube::Client,
    live: &DynamicObject,
    fields: Map<String, Value>,
) -> Result<(), Error> {
    let body = json!({"metadata": {"resourceVersion": live.resource_version()}, "status": fields});
    let objects = api::dynamic::<K>(client, live.namespace().as_deref());
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    match api::call("clean a status", objects.patch_status(&live.name_any(), &params, &Patch::Merge(&body)))
        .await
    {
        Ok(_) => Ok(()),
        Err(error) if api::is_status(&error, 404) => Ok(()),
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: "clean a status" }),
        Err(error) => Err(error),
    }
}

async fn send_to<K: Reported>(
    client: &kube::Client,
    to: &ObjectReference,
    status: Value,
) -> Result<Option<DynamicObject>, Error> {
    let name = to.name.as_deref().unwrap_or_default();
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name, "resourceVersion": to.resource_version },
        "status": status,
    });
    let objects = api::dynamic::<K>(client, to.namespace.as_deref());
    let params = PatchParams::apply(MANAGER).force();
    match api::call("write status", objects.patch_status(name, &params, &Patch::Apply(&body))).await {
        Ok(live) => Ok(Some(live)),
        Err(error) if api::is_status(&error, 404) => Ok(None),
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: "write status" }),
        Err(error) => Err(error),
    }
}

/// Whether two statuses say the same, in whatever order their conditions stand.
fn same(mut now: Value, mut wanted: Value) -> bool {
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
    fn what_others_wrote_into_a_status_is_taken_out() {
        let live = json!({"state": "New", "approver": "bea", "conditions": []});
        let forged = foreign_fields(&live, &json!({"state": "New", "conditions": []}));
        assert_eq!(Value::Object(forged), json!({"approver": null}));
        assert!(foreign_fields(&live, &live).is_empty());
    }

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
    }
}
