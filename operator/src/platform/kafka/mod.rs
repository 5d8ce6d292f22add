//! Kafka of a Platform: the broker, or the Secret that describes somebody else's, and what the engine gets of it.
//!
//! The order is that of the Platform itself, and after PostgreSQL's: nothing of money waits for Kafka. The login is made
//! once, because the broker writes it into its log when the volume is prepared, and outlives the Platform with the volume.

pub mod build;
pub mod observe;
pub mod operated;
pub mod report;
pub mod secrets;
pub mod validate;

use kube::Client;

use super::names::Names;
use crate::{apply, error::Error};
use build::KafkaParts;
use k8s_openapi::api::apps::v1::StatefulSet;

/// Port of the broker's encrypted listener.
pub const KAFKA_PORT: i32 = 9093;

/// What the builders need to know: names and hashes, no secrets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MadeKafka {
    /// Name of the Secret by which the engine connects.
    pub secret: String,
    /// Changes when the broker must restart; it reads its certificate only then.
    pub broker_hash: String,
}

impl Names {
    /// StatefulSet, Service and ConfigMap of Kafka.
    pub fn kafka(&self) -> String {
        format!("{}-kafka", self.platform)
    }

    /// Secret with the broker's certificate.
    pub fn kafka_tls(&self) -> String {
        format!("{}-kafka-tls", self.platform)
    }

    /// Secret by which the engine connects to the broker that is run here.
    pub fn kafka_client(&self) -> String {
        format!("{}-kafka-client", self.platform)
    }
}

/// Writes what is run here.
///
/// # Errors
/// When the API server does not accept it.
pub async fn act(client: &Client, parts: Option<KafkaParts>) -> Result<Option<StatefulSet>, Error> {
    let Some(parts) = parts else { return Ok(None) };
    apply::apply(client, &parts.config).await?;
    apply::apply(client, &parts.service).await?;
    Ok(Some(apply::apply(client, &parts.stateful_set).await?))
}
