//! The only writer of children: server-side apply under one field manager.
//!
//! Reads first and writes only on a difference, so that a resync of unchanged objects writes nothing. A difference is
//! either in what we last applied (a hash in an annotation, so that fields which are no longer wanted get removed) or in
//! a field of ours that somebody else changed. Defaults that the API server fills in are no difference.

use std::collections::BTreeMap;

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::DynamicObject,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api,
    error::Error,
    meta::{APPLIED, LEFT_TO_OTHERS, MANAGER, short_hash},
    telemetry,
};

/// Brings one object to the wanted state, and gives it as it is then.
///
/// # Errors
/// When the API server does not accept it.
pub async fn apply<K>(client: &Client, wanted: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let name = wanted.name_any();
    let body = marked(wanted)?;
    let objects = api::dynamic::<K>(client, wanted.namespace().as_deref());
    let live = api::call("read an object of ours", objects.get_opt(&name)).await?;
    let exists = live.is_some();
    let is_drift = live.as_ref().is_some_and(|live| has_mark(&body, live));
    if let Some(live) = live.filter(|live| is_applied(&body, live)) {
        return typed(live);
    }
    let live = send(&objects, &name, &body, exists).await?;
    if is_drift {
        // The same was wanted when it was written last, so somebody else has changed it since.
        telemetry::drift_repaired(&K::kind(&()));
    }
    tracing::info!(child_kind = %K::kind(&()), child = name, is_drift, "applied");
    typed(live)
}

/// Applies an object that cannot be there yet, without reading it first.
///
/// # Errors
/// When the API server does not accept it.
pub async fn make<K>(client: &Client, wanted: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let objects = api::dynamic::<K>(client, wanted.namespace().as_deref());
    send(&objects, &wanted.name_any(), &marked(wanted)?, false).await?;
    tracing::info!(child_kind = %K::kind(&()), child = wanted.name_any(), "made");
    Ok(())
}

/// Makes an object under a name that somebody else may take at the same moment. Nothing is forced: what they wrote stays.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn claim<K>(client: &Client, wanted: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    const OPERATION: &str = "make an object of ours";
    let (name, body) = (wanted.name_any(), marked(wanted)?);
    let objects = api::dynamic::<K>(client, wanted.namespace().as_deref());
    let params = PatchParams::apply(MANAGER);
    match api::call(OPERATION, objects.patch(&name, &params, &Patch::Apply(&body))).await {
        Ok(live) => {
            tracing::info!(child_kind = %K::kind(&()), child = name, "made");
            typed(live)
        }
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: OPERATION }),
        Err(error) => Err(error),
    }
}

/// Applies. Where somebody renamed or renumbered an element of a list, applying would add ours beside theirs, and the API
/// server refuses two of a kind: then ours replaces the list.
async fn send(
    objects: &Api<DynamicObject>,
    name: &str,
    body: &Value,
    exists: bool,
) -> Result<DynamicObject, Error> {
    const OPERATION: &str = "apply an object of ours";
    let params = PatchParams::apply(MANAGER).force();
    match api::call(OPERATION, objects.patch(name, &params, &Patch::Apply(body))).await {
        Err(error) if exists && api::is_status(&error, 422) => {
            let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
            api::call(OPERATION, objects.patch(name, &params, &Patch::Merge(body))).await
        }
        outcome => outcome,
    }
}

/// Leaves fields of an object of ours to others, with the values that they have: a second manager takes a share in them, so
/// that they stay when [`apply`] no longer sends them. Nothing is forced: a value that changed meanwhile stays as it is.
///
/// # Errors
/// When the API server does not accept it, or a value has changed meanwhile.
pub async fn leave<K>(client: &Client, namespace: &str, name: &str, fields: Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    const OPERATION: &str = "leave a field to others";
    let mut body =
        json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}});
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    let objects = api::dynamic::<K>(client, Some(namespace));
    let params = PatchParams::apply(LEFT_TO_OTHERS);
    match api::call(OPERATION, objects.patch(name, &params, &Patch::Apply(&body))).await {
        Ok(_) => {
            tracing::info!(child_kind = %K::kind(&()), child = name, "left a field to others");
            Ok(())
        }
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: OPERATION }),
        Err(error) => Err(error),
    }
}

fn typed<K: DeserializeOwned>(live: DynamicObject) -> Result<K, Error> {
    Ok(serde_json::from_value(serde_json::to_value(live)?)?)
}

/// Sets fields of an object of the whole cluster that the chart made; others of it stay its own. Never makes one.
///
/// # Errors
/// When the API server does not accept it, or there is no such object.
pub async fn set<K>(client: &Client, name: &str, fields: Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    let objects = api::dynamic::<K>(client, None);
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    api::call("set fields of an object", objects.patch(name, &params, &Patch::Merge(&fields))).await?;
    tracing::info!(kind = %K::kind(&()), name, "set");
    Ok(())
}

/// Makes an object that must be made only once, such as a password. False if another made it first.
///
/// # Errors
/// When the API server does not accept it.
pub async fn create<K>(client: &Client, wanted: &K) -> Result<bool, Error>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let objects = api::dynamic::<K>(client, wanted.namespace().as_deref());
    let body: DynamicObject = serde_json::from_value(marked(wanted)?)?;
    let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    match api::call("create an object of ours", objects.create(&params, &body)).await {
        Ok(_) => {
            tracing::info!(child_kind = %K::kind(&()), child = wanted.name_any(), "created");
            Ok(true)
        }
        Err(error) if api::is_status(&error, 409) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes an object of ours, if this very object is still there.
///
/// # Errors
/// When the API server does not accept it.
pub async fn delete<K>(client: &Client, object: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug,
{
    let objects: Api<DynamicObject> = api::dynamic::<K>(client, object.namespace().as_deref());
    delete_this::<K>(&objects, &object.name_any(), object.uid()).await
}

/// Removes the object of this name if it has these labels, which only what we made has.
///
/// # Errors
/// When the API server does not accept it.
pub async fn prune<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    let objects = api::dynamic::<K>(client, Some(namespace));
    let live = api::call("read an object of ours", objects.get_opt(name)).await?;
    let is_ours =
        |live: &DynamicObject| labels.iter().all(|(key, value)| live.labels().get(key) == Some(value));
    match live.filter(is_ours) {
        Some(live) => delete_this::<K>(&objects, name, live.uid()).await,
        None => Ok(()),
    }
}

async fn delete_this<K: Resource<DynamicType = ()>>(
    objects: &Api<DynamicObject>,
    name: &str,
    uid: Option<String>,
) -> Result<(), Error> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::default()
    };
    tracing::info!(child_kind = %K::kind(&()), child = name, "deleted: it is no longer wanted");
    match api::call("delete an object of ours", objects.delete(name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) if api::is_status(&error, 404) || api::is_status(&error, 409) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Keeps an object until what it stands for is taken away.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the object meanwhile.
pub async fn add_finalizer<K>(client: &Client, object: &K, finalizer: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    let all = object.finalizers().iter().map(String::as_str).chain([finalizer]);
    set_finalizers(client, object, all.collect()).await
}

/// Lets an object go. One that is gone is no error.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the object meanwhile.
pub async fn remove_finalizer<K>(client: &Client, object: &K, finalizer: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    let left = object.finalizers().iter().map(String::as_str).filter(|one| *one != finalizer);
    set_finalizers(client, object, left.collect()).await
}

async fn set_finalizers<K>(client: &Client, object: &K, finalizers: Vec<&str>) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    // With the version, or the finalizer of somebody else could get lost.
    let body = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    let objects = api::dynamic::<K>(client, object.namespace().as_deref());
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let name = object.name_any();
    match api::call("write a finalizer", objects.patch(&name, &params, &Patch::Merge(&body))).await {
        Ok(_) => Ok(()),
        Err(error) if api::is_status(&error, 404) => Ok(()),
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: "write a finalizer" }),
        Err(error) => Err(error),
    }
}

/// Writes annotations of an object as it was read, or takes away those that are null.
///
/// # Errors
/// When the API server does not accept it, or somebody changed the object meanwhile.
pub async fn annotate<K>(client: &Client, object: &K, annotations: Value) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    const OPERATION: &str = "annotate an object of ours";
    let version = object.resource_version();
    let body = json!({"metadata": {"annotations": annotations, "resourceVersion": version}});
    let objects = api::dynamic::<K>(client, object.namespace().as_deref());
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let name = object.name_any();
    match api::call(OPERATION, objects.patch(&name, &params, &Patch::Merge(&body))).await {
        Ok(_) => {
            tracing::info!(child_kind = %K::kind(&()), child = name, %annotations, "annotated");
            Ok(())
        }
        Err(error) if api::is_status(&error, 409) => Err(Error::Raced { operation: OPERATION }),
        Err(error) => Err(error),
    }
}

/// The object with the hash of itself.
fn marked<K: Serialize>(wanted: &K) -> Result<Value, Error> {
    let mut body = serde_json::to_value(wanted)?;
    let hash = short_hash([body.to_string().as_bytes()]);
    body["metadata"]["annotations"][APPLIED] = hash.into();
    Ok(body)
}

/// Whether what is wanted now is what was written last.
fn has_mark(wanted: &Value, live: &DynamicObject) -> bool {
    let mark = wanted["metadata"]["annotations"][APPLIED].as_str();
    live.annotations().get(APPLIED).map(String::as_str) == mark
}

fn is_applied(wanted: &Value, live: &DynamicObject) -> bool {
    has_mark(wanted, live) && serde_json::to_value(live).is_ok_and(|live| contains(&live, wanted))
}

/// Whether every field of `wanted` has the same value in `live`, which may have more.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| live.get(key).is_some_and(|live| contains(live, wanted)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| contains(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(body: Value) -> DynamicObject {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn only_fields_of_ours_count() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [{"port": 1}]},
        });
        let wanted = marked(&service).unwrap();
        let mut defaulted = wanted.clone();
        defaulted["spec"]["clusterIP"] = json!("10.0.0.1");
        defaulted["spec"]["ports"][0]["protocol"] = json!("TCP");
        assert!(is_applied(&wanted, &live(defaulted.clone())), "defaults are no difference");

        let mut drifted = defaulted.clone();
        drifted["spec"]["ports"][0]["port"] = json!(2);
        assert!(!is_applied(&wanted, &live(drifted)), "a changed field is");

        let mut longer = defaulted.clone();
        longer["spec"]["ports"].as_array_mut().unwrap().push(json!({"port": 3}));
        assert!(!is_applied(&wanted, &live(longer)), "an added element is");

        let mut less = service.clone();
        less["spec"] = json!({});
        assert!(
            !is_applied(&marked(&less).unwrap(), &live(defaulted)),
            "a field that is no longer wanted is"
        );
    }
}
