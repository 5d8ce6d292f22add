//! What is there already of Kafka, and what it depends on. Only reads.

use k8s_openapi::api::{core::v1::Secret, storage::v1::StorageClass};
use kube::{Api, Client};
use payplane_crds::Platform;

use super::operated::observe::{self as operated, ObservedOperated};
use crate::{api, error::Error, platform::names::Names};

/// What is there now.
#[derive(Debug, Default)]
pub struct ObservedKafka {
    /// Secret of the broker's certificate.
    pub tls: Option<Secret>,
    /// Secret by which the engine connects: ours, or the one that describes somebody else's Kafka.
    pub client: Option<Secret>,
    /// Whether the StorageClass is there that the Platform names; true if it names none.
    pub has_storage_class: bool,
    /// What there is of Strimzi's objects.
    pub operated: ObservedOperated,
}

/// Reads what there is; nothing where the Platform has no Kafka.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(client: &Client, platform: &Platform, names: &Names) -> Result<ObservedKafka, Error> {
    if platform.spec.kafka.is_none() {
        return Ok(ObservedKafka::default());
    }
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    let secret = async |name: String| api::call("read a Secret", secrets.get_opt(&name)).await;
    let name = external_secret(platform).map_or_else(|| names.kafka_client(), String::from);
    Ok(ObservedKafka {
        tls: secret(names.kafka_tls()).await?,
        client: secret(name).await?,
        has_storage_class: has_storage_class(client, platform).await?,
        operated: operated::observe(client, platform, names).await?,
    })
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
