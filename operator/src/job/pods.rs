//! A Job's pod: finding it, and its containers. Only reads.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod},
};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{api, error::Error};

/// What finds the pods of a Job that has no label of its own.
pub fn selector(job: &Job) -> String {
    format!("batch.kubernetes.io/job-name={}", job.name_any())
}

/// The pod with these labels that was made last.
///
/// # Errors
/// When the API server gives no answer.
pub async fn newest_pod(client: &Client, namespace: &str, labels: &str) -> Result<Option<Pod>, Error> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let found = api::call("list a Job's pods", pods.list(&ListParams::default().labels(labels))).await?;
    Ok(found.items.into_iter().max_by_key(|pod| pod.creation_timestamp().map(|time| time.0)))
}

/// Every container of the pod, in the order in which they start.
pub fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let before = status.and_then(|status| status.init_container_statuses.as_deref());
    let then = status.and_then(|status| status.container_statuses.as_deref());
    before.into_iter().flatten().chain(then.into_iter().flatten())
}
