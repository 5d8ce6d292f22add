//! Every call to the API server goes through here: with a deadline, and with a word for what was tried.

use std::{future::Future, time::Duration};

use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject},
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
