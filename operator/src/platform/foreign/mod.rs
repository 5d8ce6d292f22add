//! Kinds of other operators, as far as a Platform writes them and reads their status.
//!
//! The types name what we write and nothing else: server-side apply leaves every other field to its owner. Every field of
//! what is read may be absent, because others write it. A kind may not be served at all, so nobody reads or watches one
//! before [`serves`] said so.

pub mod cloudnative_pg;
pub mod redis_operator;
pub mod strimzi;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource, ResourceExt, core::NamespaceResourceScope};
use payplane_crds::{
    Platform,
    condition::reason::{NAME_TAKEN, OPERATOR_NOT_INSTALLED},
    platform::{DeletionPolicy, Resources},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::validate::Refused;
use crate::{
    api, apply,
    error::Error,
    meta::{MANAGER, PLATFORM, kept, owned},
};

/// What there is under the name that an object of ours has in another operator's kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Found {
    /// The API server does not know the kind.
    #[default]
    NotServed,
    /// Nothing.
    Free,
    /// What this Platform made.
    Ours,
    /// What somebody else made.
    Taken,
}

/// A key of a Secret.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct SecretKey {
    /// The key.
    pub key: String,
    /// The Secret.
    pub name: String,
}

/// Whether the API server serves a kind in the version that we write.
///
/// # Errors
/// When it gives no answer.
pub async fn serves<K: Resource<DynamicType = ()>>(client: &Client) -> Result<bool, Error> {
    let version = K::api_version(&());
    let request = client.list_api_group_resources(&version);
    match api::call("ask which kinds there are", request).await {
        Ok(list) => Ok(list.resources.iter().any(|one| one.kind == K::kind(&()))),
        Err(error) if api::is_status(&error, 404) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Looks at a name. Only metadata is read: what somebody else made may look like anything.
///
/// # Errors
/// When the API server gives no answer.
pub async fn find<K>(client: &Client, platform: &Platform, name: &str) -> Result<Found, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    if !serves::<K>(client).await? {
        return Ok(Found::NotServed);
    }
    let objects = Api::<K>::namespaced(client.clone(), &platform.namespace().unwrap_or_default());
    let live = api::call("read an object of another operator", objects.get_metadata_opt(name)).await?;
    Ok(live.map_or(Found::Free, |live| whose(&live.metadata, &platform.name_any())))
}

/// Pure. What lacks our labels is never taken over: it may be somebody's data. A Platform that was deleted and applied again
/// finds its own by them, although its UID is another one.
fn whose(live: &ObjectMeta, platform: &str) -> Found {
    let label = |name: &str| live.labels.as_ref()?.get(name).map(String::as_str);
    let is_ours = label(PLATFORM) == Some(platform) && label("app.kubernetes.io/managed-by") == Some(MANAGER);
    if is_ours { Found::Ours } else { Found::Taken }
}

/// Why nothing can be written under a name, if that is so. `vendor` says what to install. Pure.
pub fn refusal<K: Resource<DynamicType = ()>>(found: &Found, name: &str, vendor: &str) -> Option<Refused> {
    let (kind, version) = (K::kind(&()), K::api_version(&()));
    let (reason, message) = match found {
        Found::Free | Found::Ours => return None,
        Found::NotServed => {
            let message = format!(
                "The API server knows no {kind} of {version}: install {vendor}, in a version that serves it, or change \
                 the mode in a new Platform."
            );
            (OPERATOR_NOT_INSTALLED, message)
        }
        Found::Taken => {
            let message = format!(
                "There is a {kind} {name:?} in this namespace that no Platform made; it is left alone. Delete it, or give \
                 the Platform another name."
            );
            (NAME_TAKEN, message)
        }
    };
    // Neither is watched.
    Some(Refused { reason, message, look_again: true })
}

/// Writes an object. A name that was free is taken only if nobody else takes it at the same moment.
///
/// # Errors
/// When the API server does not accept it, or somebody else was faster.
pub async fn bring<K>(client: &Client, wanted: &K, found: &Found) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    match found {
        Found::Free => apply::claim(client, wanted).await,
        Found::NotServed | Found::Ours | Found::Taken => apply::apply(client, wanted).await,
    }
}

/// Metadata of an object in another operator's kind: it goes with the Platform only where the spec says so. Pure.
pub fn metadata(platform: &Platform, name: String, component: &str, policy: DeletionPolicy) -> ObjectMeta {
    match policy {
        DeletionPolicy::Delete => owned(platform, name, component),
        DeletionPolicy::Retain => kept(platform, name, component),
    }
}

/// Requests and limits in the form that those kinds have, or nothing. Pure.
pub fn resources(resources: &Resources) -> Option<serde_json::Value> {
    let some = |map: &BTreeMap<String, _>| (!map.is_empty()).then(|| serde_json::json!(map));
    let mut all = serde_json::Map::new();
    all.extend(some(&resources.requests).map(|map| ("requests".to_owned(), map)));
    all.extend(some(&resources.limits).map(|map| ("limits".to_owned(), map)));
    (!all.is_empty()).then_some(all.into())
}

/// A condition of one of those kinds. Their times are not always times, so only what is compared or told is read.
#[derive(Clone, Debug, Default, serde::Deserialize, Eq, PartialEq, serde::Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Told {
    /// Which one.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Sentences for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The condition of this type. Pure.
pub fn told<'a>(conditions: &'a [Told], type_: &str) -> Option<&'a Told> {
    conditions.iter().find(|one| one.type_ == type_)
}

#[cfg(test)]
mod tests;
