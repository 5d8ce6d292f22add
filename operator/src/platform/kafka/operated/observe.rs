//! What there is of Strimzi's objects. Only reads, and none where the Platform asks for no such Kafka.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use payplane_crds::Platform;

use crate::{
    api,
    error::Error,
    platform::{
        foreign::{
            Found, find,
            strimzi::{Kafka, KafkaNodePool, KafkaTopic, KafkaUser},
        },
        names::Names,
    },
};

/// What there is now, by whose it is.
#[derive(Debug, Default)]
pub struct ObservedOperated {
    /// The brokers.
    pub kafka: Found,
    /// Their nodes.
    pub pool: Found,
    /// The topic of all events.
    pub topic: Found,
    /// The engine as a user.
    pub user: Found,
    /// Secret of the authority that signs the nodes' certificates.
    pub ca: Option<Secret>,
}

/// Reads what there is.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(client: &Client, platform: &Platform, names: &Names) -> Result<ObservedOperated, Error> {
    if platform.spec.kafka.as_ref().is_none_or(|kafka| kafka.operator.is_none()) {
        return Ok(ObservedOperated::default());
    }
    let secrets = Api::<Secret>::namespaced(client.clone(), &names.namespace);
    Ok(ObservedOperated {
        kafka: find::<Kafka>(client, platform, &names.kafka()).await?,
        pool: find::<KafkaNodePool>(client, platform, &names.kafka_pool()).await?,
        topic: find::<KafkaTopic>(client, platform, &names.kafka_topic()).await?,
        user: find::<KafkaUser>(client, platform, &names.kafka_user()).await?,
        ca: api::call("read a Secret", secrets.get_opt(&names.kafka_ca())).await?,
    })
}
