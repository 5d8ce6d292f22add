//! What a Platform depends on and what it has already. The only reads; Secrets only in served namespaces.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    core::v1::{PersistentVolumeClaim, Pod, Secret},
    policy::v1::PodDisruptionBudget,
    storage::v1::StorageClass,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use payplane_crds::Platform;

use super::{
    build::ENGINE,
    cluster::observe::{self as cluster, ObservedCluster},
    kafka::observe::{self as kafka, ObservedKafka},
    names::Names,
    rollout, upgrade,
};
use crate::{
    api,
    context::Context,
    error::Error,
    meta::{PLATFORM, selector},
};

/// What is there now.
#[derive(Default)]
pub struct Observed {
    /// Secret of the authority.
    pub ca: Option<Secret>,
    /// Secret of the engine's certificate.
    pub engine_tls: Option<Secret>,
    /// Secret of PostgreSQL's certificate.
    pub postgres_tls: Option<Secret>,
    /// Secret of the database's owner: ours, or the one that an external database is described in.
    pub database_owner: Option<Secret>,
    /// Secret of the engine's role in the database.
    pub database_app: Option<Secret>,
    /// Whether the StorageClass is there that the Platform names; true if it names none.
    pub has_storage_class: bool,
    /// Whether the engine was deployed before.
    pub has_engine: bool,
    /// The engine's budget of disruptions.
    pub budget: Option<PodDisruptionBudget>,
    /// What there is of Kafka.
    pub kafka: ObservedKafka,
    /// PostgreSQL as it runs.
    pub postgres: Option<StatefulSet>,
    /// What there is of a Cluster that CloudNativePG runs.
    pub cluster: ObservedCluster,
    /// The claim of the ledger's volume.
    pub claim: Option<PersistentVolumeClaim>,
    /// What there is of a major upgrade.
    pub upgrade: upgrade::Seen,
    /// The engines as they run, and what became of their pods.
    pub rollout: rollout::Seen,
}

/// Reads what there is.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(platform: &Platform, context: &Context, names: &Names) -> Result<Observed, Error> {
    let client = &context.client;
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    let secret = async |name: String| api::call("read a Secret", secrets.get_opt(&name)).await;
    let owner = owner_secret(platform).map_or_else(|| names.database_owner(), String::from);
    let sets = Api::<StatefulSet>::namespaced(client.clone(), &names.namespace);
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &names.namespace);
    let is_managed = platform.spec.postgres.managed.is_some();
    let rollout = engines(client, names).await?;
    let claim = match is_managed {
        true => api::call("read a claim", claims.get_opt(&names.postgres_claim())).await?,
        false => None,
    };
    let budgets = Api::<PodDisruptionBudget>::namespaced(client.clone(), &names.namespace);
    Ok(Observed {
        ca: secret(names.ca()).await?,
        engine_tls: secret(names.engine_tls()).await?,
        postgres_tls: secret(names.postgres_tls()).await?,
        database_owner: secret(owner).await?,
        database_app: secret(names.database_app()).await?,
        has_storage_class: has_storage_class(client, platform).await?,
        has_engine: rollout.live.is_some(),
        postgres: match is_managed {
            true => api::call("read PostgreSQL", sets.get_opt(&names.postgres())).await?,
            false => None,
        },
        upgrade: upgrade::observe(client, names, claim.as_ref()).await?,
        claim,
        cluster: cluster::observe(client, platform, names).await?,
        rollout,
        budget: api::call("read a budget", budgets.get_opt(&names.engine())).await?.filter(is_ours),
        kafka: kafka::observe(client, platform, names).await?,
    })
}

/// The engines, with the ReplicaSets and pods of this Platform.
async fn engines(client: &Client, names: &Names) -> Result<rollout::Seen, Error> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), &names.namespace);
    let Some(live) = api::call("read the engine", deployments.get_opt(&names.engine())).await? else {
        return Ok(rollout::Seen::default());
    };
    let ours = ListParams::default().labels_from(&selector(&names.platform, ENGINE).into_iter().collect());
    let sets = Api::<ReplicaSet>::namespaced(client.clone(), &names.namespace);
    let pods = Api::<Pod>::namespaced(client.clone(), &names.namespace);
    Ok(rollout::Seen {
        live: Some(live),
        sets: api::call("list the engine's ReplicaSets", sets.list(&ours)).await?.items,
        pods: api::call("list the engine's pods", pods.list(&ours)).await?.items,
    })
}

/// What somebody else made under the same name is not ours to delete.
fn is_ours(budget: &PodDisruptionBudget) -> bool {
    budget.labels().contains_key(PLATFORM)
}

/// The Secret that describes an external database.
pub fn owner_secret(platform: &Platform) -> Option<&str> {
    platform.spec.postgres.external.as_ref().map(|external| external.secret_ref.name.as_str())
}

async fn has_storage_class(client: &Client, platform: &Platform) -> Result<bool, Error> {
    let Some(name) = storage_class(platform) else { return Ok(true) };
    let classes = Api::<StorageClass>::all(client.clone());
    Ok(api::call("read a StorageClass", classes.get_opt(name)).await?.is_some())
}

/// The StorageClass that a Platform names.
pub fn storage_class(platform: &Platform) -> Option<&str> {
    let postgres = &platform.spec.postgres;
    let operated = postgres.operator.as_ref().map(|operated| &operated.storage);
    let storage = postgres.managed.as_ref().map(|managed| &managed.storage).or(operated)?;
    storage.storage_class_name.as_deref()
}
