//! Kafka that Strimzi runs for a Platform: nodes, the topic of all events, and the engine as a user who may write to it.
//!
//! Strimzi makes the nodes, their certificates and the Service. Ours is the engine's password, which Strimzi reads from the
//! Secret that the engine has, too. The engine gets Kafka when its authority is known. Nothing here ever stops a Platform:
//! money does not wait for Kafka, so what is missing is told in `KafkaReady` and nowhere else.

pub mod build;
pub mod observe;
pub mod report;

use kube::{Client, Resource};

use super::KAFKA_PORT;
use crate::{
    error::Error,
    meta::short_hash,
    platform::{
        foreign::{
            self, Found,
            strimzi::{Kafka, KafkaNodePool, KafkaTopic, KafkaUser},
        },
        names::Names,
        validate::{Refused, rejected},
    },
};
use build::OperatedParts;
use observe::ObservedOperated;

/// What has to be installed.
pub const VENDOR: &str = "Strimzi 0.49 or newer";

impl Names {
    /// Pool of nodes. Nodes are called after Kafka and pool, and the names of hosts have at most 63 characters.
    pub fn kafka_pool(&self) -> String {
        format!("pool-{}", &short_hash([self.platform.as_bytes()])[..8])
    }

    /// The topic of all events, as an object.
    pub fn kafka_topic(&self) -> String {
        format!("{}-kafka-events", self.platform)
    }

    /// The engine as a user, and Strimzi's Secret for it, which nobody reads.
    pub fn kafka_user(&self) -> String {
        format!("{}-kafka-engine", self.platform)
    }

    /// Secret of the authority that signs the nodes' certificates, which Strimzi makes.
    pub fn kafka_ca(&self) -> String {
        format!("{}-cluster-ca-cert", self.kafka())
    }

    /// Host and port of the Service that Strimzi makes.
    pub fn kafka_bootstrap(&self) -> String {
        format!("{}:{KAFKA_PORT}", self.host(&format!("{}-kafka-bootstrap", self.kafka())))
    }
}

/// What came of writing it.
#[derive(Debug)]
pub enum Operated {
    /// Something has to be changed by a person first.
    Refused(Refused),
    /// The objects are as wanted; this is what Strimzi says of them.
    Applied(Box<Seen>),
}

/// The objects as they are.
#[derive(Debug)]
pub struct Seen {
    /// The brokers.
    pub kafka: Kafka,
    /// The topic of all events.
    pub topic: KafkaTopic,
    /// The engine.
    pub user: KafkaUser,
}

/// Writes what Strimzi is to run.
///
/// # Errors
/// When the API server gives no answer, or somebody else was faster.
pub async fn act(
    client: &Client,
    parts: Option<OperatedParts>,
    observed: &ObservedOperated,
) -> Result<Option<Operated>, Error> {
    let Some(parts) = parts else { return Ok(None) };
    if let Some(refused) = refusal(&parts, observed) {
        return Ok(Some(Operated::Refused(refused)));
    }
    match Box::pin(write(client, parts, observed)).await {
        Ok(seen) => Ok(Some(Operated::Applied(Box::new(seen)))),
        Err(error) => Ok(Some(Operated::Refused(rejected(&error).ok_or(error)?))),
    }
}

fn refusal(parts: &OperatedParts, observed: &ObservedOperated) -> Option<Refused> {
    fn of<K: Resource<DynamicType = ()>>(object: &K, found: &Found) -> Option<Refused> {
        foreign::refusal::<K>(found, object.meta().name.as_deref().unwrap_or_default(), VENDOR)
    }
    of(&parts.kafka, &observed.kafka)
        .or_else(|| of(&parts.pool, &observed.pool))
        .or_else(|| of(&parts.topic, &observed.topic))
        .or_else(|| of(&parts.user, &observed.user))
}

/// The pool first: Strimzi complains about Kafka without one.
async fn write(client: &Client, parts: OperatedParts, observed: &ObservedOperated) -> Result<Seen, Error> {
    let OperatedParts { kafka, pool, topic, user } = parts;
    foreign::bring::<KafkaNodePool>(client, &pool, &observed.pool).await?;
    Ok(Seen {
        kafka: foreign::bring(client, &kafka, &observed.kafka).await?,
        topic: foreign::bring(client, &topic, &observed.topic).await?,
        user: foreign::bring(client, &user, &observed.user).await?,
    })
}
