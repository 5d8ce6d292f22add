//! API keys in the ledger: hashes, never secrets.

use payplane_proto::v1 as proto;
use proto::api_key_service_client::ApiKeyServiceClient;

use super::{Engine, EngineError, channel, convert, fault};

/// A key as the ledger knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiKey {
    /// The part that is no secret.
    pub id: String,
    /// Its name in the spec.
    pub name: String,
    /// What it may do.
    pub role: payplane_crds::tenant::ApiKeyRole,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// When the ledger first heard of it.
    pub created: jiff::Timestamp,
    /// When it ends. None for a key in use.
    pub expires: Option<jiff::Timestamp>,
    /// Whether its end was decided: no other one is believed then. A key with an end that is not decided is about to be
    /// handed out.
    pub is_ending: bool,
}

impl Engine {
    /// Registers a key, changes its role, or confirms it. The same again changes nothing.
    ///
    /// # Errors
    /// When no answer came, or the ledger does not take it.
    pub async fn put_api_key(&self, tenant: &str, key: &ApiKey) -> Result<(), EngineError> {
        let message = channel::request(convert::api_key_request(tenant, key), None)?;
        let answer = ApiKeyServiceClient::new(self.channel.clone()).put_api_key(message).await;
        answer.map(|_| ()).map_err(fault::from_status)
    }

    /// A tenant's keys that have not ended, the eldest first. None of a tenant that the ledger does not know.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn api_keys(&self, tenant: &str) -> Result<Vec<ApiKey>, EngineError> {
        let message = channel::request(proto::ListApiKeysRequest { tenant: tenant.into() }, None)?;
        match ApiKeyServiceClient::new(self.channel.clone()).list_api_keys(message).await {
            Ok(answer) => convert::api_keys(answer.into_inner()),
            Err(status) => fault::absent::<Vec<ApiKey>>(status).map(Option::unwrap_or_default),
        }
    }

    /// Ends a key, now or at a time. One that is gone is no error.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn end_api_key(
        &self,
        tenant: &str,
        id: &str,
        at: Option<jiff::Timestamp>,
    ) -> Result<(), EngineError> {
        let message = channel::request(convert::end_key_request(tenant, id, at), None)?;
        match ApiKeyServiceClient::new(self.channel.clone()).end_api_key(message).await {
            Ok(_) => Ok(()),
            Err(status) => fault::absent::<()>(status).map(|_| ()),
        }
    }
}
