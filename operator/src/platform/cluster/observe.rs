//! What there is of a Cluster. Only reads, and none where the Platform asks for no Cluster.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use payplane_crds::Platform;

use super::archive;
use crate::{
    api,
    error::Error,
    platform::{
        foreign::{self, Found, cloudnative_pg::Cluster},
        names::Names,
    },
};

/// What there is now.
#[derive(Debug, Default)]
pub struct ObservedCluster {
    /// Whose the Cluster is.
    pub found: Found,
    /// As it stands, if it is ours.
    pub live: Option<Cluster>,
    /// Secret of the authority that signs the servers' certificates.
    pub ca: Option<Secret>,
    /// Secret with the credentials of the bucket that the log is stored in, if it is.
    pub credentials: Option<Secret>,
}

/// Reads what there is.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(client: &Client, platform: &Platform, names: &Names) -> Result<ObservedCluster, Error> {
    if platform.spec.postgres.operator.is_none() {
        return Ok(ObservedCluster::default());
    }
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    let found = foreign::find::<Cluster>(client, platform, &names.postgres()).await?;
    let clusters = Api::<Cluster>::namespaced(client.clone(), &names.namespace);
    let live = match found {
        Found::Ours => api::call("read a Cluster", clusters.get_opt(&names.postgres())).await?,
        Found::Free | Found::NotServed | Found::Taken => None,
    };
    let credentials = match archive::wanted(platform) {
        None => None,
        Some((_, bucket)) => {
            api::call("read a Secret", secrets.get_opt(&bucket.credentials_ref.name)).await?
        }
    };
    Ok(ObservedCluster {
        found,
        live,
        ca: api::call("read a Secret", secrets.get_opt(&names.cluster_ca())).await?,
        credentials,
    })
}
