//! What is there already of Kafka, and what it depends on. Only reads.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
    storage::v1::StorageClass,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use payplane_crds::{Platform, kafka::ManagedKafka};

use super::{
    operated::observe::{self as operated, ObservedOperated},
    secrets::READER,
};
use crate::{
    api,
    error::Error,
    meta::{labels, selector},
    platform::names::Names,
};

/// What is there now.
#[derive(Debug, Default)]
pub struct ObservedKafka {
    /// Secret of the nodes' certificate.
    pub tls: Option<Secret>,
    /// Secret by which the engine connects: ours, or the one that describes somebody else's Kafka.
    pub client: Option<Secret>,
    /// Whether the StorageClass is there that the Platform names; true if it names none.
    pub has_storage_class: bool,
    /// The nodes as they run here.
    pub nodes: Option<StatefulSet>,
    /// UIDs of the nodes' volumes.
    pub volumes: Vec<String>,
    /// Secrets of users, of those too whom the Platform names no more.
    pub readers: Vec<Secret>,
    /// Users whose Secret's name somebody else has taken.
    pub taken: Vec<String>,
    /// What there is of Strimzi's objects.
    pub operated: ObservedOperated,
}

/// Reads what there is; nothing where the Platform has no Kafka.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(client: &Client, platform: &Platform, names: &Names) -> Result<ObservedKafka, Error> {
    let Some(kafka) = &platform.spec.kafka else { return Ok(ObservedKafka::default()) };
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    let secret = async |name: String| api::call("read a Secret", secrets.get_opt(&name)).await;
    let name = external_secret(platform).map_or_else(|| names.kafka_client(), String::from);
    let mut observed = ObservedKafka {
        tls: secret(names.kafka_tls()).await?,
        client: secret(name).await?,
        has_storage_class: has_storage_class(client, platform).await?,
        operated: operated::observe(client, platform, names).await?,
        ..ObservedKafka::default()
    };
    if let Some(managed) = &kafka.managed {
        workload(client, managed, names, &mut observed).await?;
        readers(&secrets, managed, names, &mut observed).await?;
    }
    Ok(observed)
}

async fn workload(
    client: &Client,
    managed: &ManagedKafka,
    names: &Names,
    observed: &mut ObservedKafka,
) -> Result<(), Error> {
    let sets = Api::<StatefulSet>::namespaced(client.clone(), &names.namespace);
    observed.nodes = api::call("read Kafka", sets.get_opt(&names.kafka())).await?;
    let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &names.namespace);
    for ordinal in 0..managed.replicas {
        let claim = api::call("read a claim", claims.get_opt(&names.kafka_claim(ordinal))).await?;
        observed.volumes.extend(claim.and_then(|claim| claim.uid()));
    }
    Ok(())
}

async fn readers(
    secrets: &Api<Secret>,
    managed: &ManagedKafka,
    names: &Names,
    observed: &mut ObservedKafka,
) -> Result<(), Error> {
    let ours = ListParams::default().labels_from(&selector(&names.platform, READER).into_iter().collect());
    observed.readers = api::call("list users' Secrets", secrets.list(&ours)).await?.items;
    let marks = labels(&names.platform, READER);
    for user in &managed.users {
        let live = api::call("read a Secret", secrets.get_opt(&names.kafka_reader(&user.name))).await?;
        let is_ours = |live: &Secret| marks.iter().all(|(key, value)| live.labels().get(key) == Some(value));
        if live.is_some_and(|live| !is_ours(&live)) {
            observed.taken.push(user.name.clone());
        }
    }
    Ok(())
}

/// The Secret that describes somebody else's Kafka.
pub fn external_secret(platform: &Platform) -> Option<&str> {
    Some(platform.spec.kafka.as_ref()?.external.as_ref()?.secret_ref.name.as_str())
}

/// The StorageClass that a Platform names for its log.
pub fn storage_class(platform: &Platform) -> Option<&str> {
    let kafka = platform.spec.kafka.as_ref()?;
    let operated = kafka.operator.as_ref().map(|operated| &operated.storage);
    let storage = kafka.managed.as_ref().map(|managed| &managed.storage).or(operated)?;
    storage.storage_class_name.as_deref()
}

async fn has_storage_class(client: &Client, platform: &Platform) -> Result<bool, Error> {
    let Some(name) = storage_class(platform) else { return Ok(true) };
    let classes = Api::<StorageClass>::all(client.clone());
    Ok(api::call("read a StorageClass", classes.get_opt(name)).await?.is_some())
}
