//! Tenants in the ledger.

use payplane_proto::v1 as proto;
use proto::tenant_service_client::TenantServiceClient;

use super::{Engine, EngineError, channel, convert, fault};

/// What a tenant still has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holdings {
    /// Accounts with money or with something held.
    pub accounts: i64,
    /// Payments that are held.
    pub holds: i64,
    /// Refunds that wait.
    pub refunds: i64,
}

impl Engine {
    /// Brings the tenant to the state that the Tenant object asks for, and gives its id in the ledger.
    ///
    /// # Errors
    /// When no answer came, the request can never be valid, or another tenant has one of the namespaces.
    pub async fn put_tenant(&self, tenant: &payplane_crds::Tenant) -> Result<String, EngineError> {
        let message = channel::request(convert::tenant_request(tenant), None)?;
        let answer = TenantServiceClient::new(self.channel.clone()).put_tenant(message).await;
        convert::tenant_id(answer.map_err(fault::from_status)?.into_inner())
    }

    /// Takes all access to a tenant away and suspends it. Its money and its history stay.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn archive_tenant(&self, name: &str) -> Result<(), EngineError> {
        let message = channel::request(convert::archive_request(name), None)?;
        let answer = TenantServiceClient::new(self.channel.clone()).put_tenant(message).await;
        answer.map(|_| ()).map_err(fault::from_status)
    }

    /// What a tenant still has. None if the ledger knows no such tenant.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn tenant_holdings(&self, name: &str) -> Result<Option<Holdings>, EngineError> {
        let message = channel::request(proto::GetTenantHoldingsRequest { name: name.into() }, None)?;
        match TenantServiceClient::new(self.channel.clone()).get_tenant_holdings(message).await {
            Ok(answer) => {
                let proto::GetTenantHoldingsResponse { accounts, holds, refunds } = answer.into_inner();
                Ok(Some(Holdings { accounts, holds, refunds }))
            }
            Err(status) => fault::absent(status),
        }
    }
}
