//! What there is of a major upgrade. Only reads, and only while the volume carries its mark.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{Api, Client};

use super::build;
use crate::{
    api,
    error::Error,
    job,
    platform::{Names, restoring::Mark},
};

/// What there is of it.
#[derive(Default)]
pub struct Seen {
    /// Whether the database's pod is there.
    pub has_server: bool,
    /// Its Job.
    pub job: Option<Job>,
    /// The newest pod of a Job like it, perhaps of one that is gone.
    pub pod: Option<Pod>,
    /// The Job that brings back what was.
    pub undo: Option<Job>,
}

/// Reads it.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(
    client: &Client,
    names: &Names,
    claim: Option<&PersistentVolumeClaim>,
) -> Result<Seen, Error> {
    let Some(Mark::Upgrade { began, .. }) = claim.and_then(Mark::on) else { return Ok(Seen::default()) };
    let jobs = Api::<Job>::namespaced(client.clone(), &names.namespace);
    let pods = Api::<Pod>::namespaced(client.clone(), &names.namespace);
    let server = names.postgres_pod();
    let server = api::call("read PostgreSQL's pod", pods.get_metadata_opt(&server)).await?;
    Ok(Seen {
        has_server: server.is_some(),
        job: api::call("read a Job", jobs.get_opt(&names.upgrade(began))).await?,
        pod: job::newest_pod(client, &names.namespace, &build::selector(names)).await?,
        undo: api::call("read a Job", jobs.get_opt(&names.undo_upgrade(began))).await?,
    })
}
