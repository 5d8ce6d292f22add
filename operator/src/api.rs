//! Every call to the API server goes through here: with a deadline, and with a word for what was tried.

use std::{future::Future, time::Duration};

use kube::{
    Api, Client, Resource, ResourceExt,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
};

use crate::error::Error;

/// Longer than the API server's own patience with admission webhooks, shorter than a person's with a stuck operator.
const DEADLINE: Duration = Duration::from_secs(20);

/// Awaits one call.
///
/// # Errors
/// The call's own error, or that no answer came in time.
pub async fn call<T>(
    operation: &'static str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(cause)) => Err(Error::Api { operation, cause: Box::new(cause) }),
        Err(_) => Err(Error::Timeout { operation }),
    }
}

/// Whether the API server answered with this HTTP status.
pub fn is_status(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api { cause, .. } if matches!(&**cause, kube::Error::Api(status) if status.code == code))
}

/// An untyped client for objects like `K`, in a namespace or for the whole cluster.
pub fn dynamic<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<K>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Whether the API server still has this object, and with the same spec: the same UID and generation.
///
/// # Errors
/// When the API server does not say.
pub async fn is_unchanged<K: Resource<DynamicType = ()>>(client: &Client, object: &K) -> Result<bool, Error> {
    let api = dynamic::<K>(client, object.meta().namespace.as_deref());
    let now = call("look whether an object is still there", api.get_metadata_opt(&object.name_any())).await?;
    let same = |now: PartialObjectMeta<DynamicObject>| {
        (&now.metadata.uid, now.metadata.generation) == (&object.meta().uid, object.meta().generation)
    };
    Ok(now.is_some_and(same))
}
