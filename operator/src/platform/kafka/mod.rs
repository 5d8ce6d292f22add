//! Kafka of a Platform: the nodes, or the Secret that describes somebody else's, and what the engine gets of it.
//!
//! The order is that of the Platform itself, and after PostgreSQL's: nothing of money waits for Kafka. Nodes know each other by
//! their certificate; everybody else logs in, and may do what [`rights`] has written and nothing else. The engine's login
//! outlives the Platform with the volumes.

pub mod build;
pub mod observe;
pub mod operated;
pub mod report;
pub mod rights;
pub mod secrets;
pub mod validate;

use kube::Client;

use super::names::Names;
use crate::{apply, error::Error};
use build::KafkaParts;
use k8s_openapi::api::apps::v1::StatefulSet;
use observe::ObservedKafka;
use rights::Rights;

/// Port of the nodes' listener for clients, which are encrypted and log in.
pub const KAFKA_PORT: i32 = 9093;
/// Port of their listener for each other.
const NODES_PORT: i32 = 9095;
/// The engine's topic, as the engine calls it when no Secret says otherwise.
const TOPIC: &str = "payplane.events";

/// What the builders need to know: names and hashes, no secrets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MadeKafka {
    /// Name of the Secret by which the engine connects.
    pub secret: String,
    /// Changes when nodes must restart; they read their certificate only then.
    pub broker_hash: String,
    /// Changes with the password of any user, and with any volume, which is where Kafka keeps them.
    pub logins_hash: String,
}

/// What runs here.
#[derive(Debug)]
pub struct Nodes {
    /// The nodes.
    pub stateful_set: StatefulSet,
    /// How far users and their rights are.
    pub rights: Rights,
}

impl Names {
    /// StatefulSet, Service, ConfigMap and PodDisruptionBudget of Kafka; and what its nodes call themselves to each other.
    pub fn kafka(&self) -> String {
        format!("{}-kafka", self.platform)
    }

    /// Secret with the nodes' certificate.
    pub fn kafka_tls(&self) -> String {
        format!("{}-kafka-nodes-tls", self.platform)
    }

    /// Secret by which the engine connects.
    pub fn kafka_client(&self) -> String {
        format!("{}-kafka-client", self.platform)
    }

    /// Secret by which a user connects that the Platform names.
    pub fn kafka_reader(&self, user: &str) -> String {
        format!("{}-kafka-user-{user}", self.platform)
    }

    /// Job that brings users and their rights to what the Platform asks for.
    pub fn kafka_rights(&self, hash: &str) -> String {
        format!("{}-kafka-rights-{}", self.platform, &hash[..8])
    }

    /// Hosts of the nodes, in the order of their ordinals.
    pub fn kafka_nodes(&self, replicas: i32) -> Vec<String> {
        (0..replicas)
            .map(|ordinal| format!("{0}-{ordinal}.{1}", self.kafka(), self.host(&self.kafka())))
            .collect()
    }

    /// Claim of a node's volume, as its StatefulSet names it.
    fn kafka_claim(&self, ordinal: i32) -> String {
        format!("data-{}-{ordinal}", self.kafka())
    }
}

/// Hosts with this port, as clients want them.
fn servers(hosts: &[String], port: i32) -> String {
    hosts.iter().map(|host| format!("{host}:{port}")).collect::<Vec<_>>().join(",")
}

/// Writes what is run here.
///
/// # Errors
/// When the API server does not accept it.
pub async fn act(
    client: &Client,
    parts: Option<KafkaParts>,
    observed: &ObservedKafka,
) -> Result<Option<Nodes>, Error> {
    let Some(KafkaParts { config, service, budget, mut stateful_set, rights }) = parts else {
        return Ok(None);
    };
    apply::apply(client, &config).await?;
    apply::apply(client, &service).await?;
    if let Some(budget) = &budget {
        apply::apply(client, budget).await?;
    }
    let rights = rights::bring(client, &rights, observed.nodes.as_ref(), &mut stateful_set).await?;
    Ok(Some(Nodes { stateful_set: apply::apply(client, &stateful_set).await?, rights }))
}
