//! Parameters of the ledger.
//!
//! The engine replaces all parameters of a scope at once and knows no versions, so one is changed by reading all, and a
//! change by somebody else in the same moment is lost. The next look finds what this operator wants again.

use payplane_proto::v1 as proto;
use proto::{settings_scope::Scope as Wire, settings_service_client::SettingsServiceClient};

use super::{Engine, EngineError, channel, convert, fault};

/// Whom a parameter is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Every tenant.
    Platform,
    /// The tenant that is spoken for.
    Tenant,
    /// The tenant's wallets of this class.
    Class(String),
}

impl Engine {
    /// Sets how long money is held in this scope if a hold does not say; None takes that away.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn set_hold_timeout(
        &self,
        namespace: &str,
        scope: &Scope,
        seconds: Option<i64>,
    ) -> Result<(), EngineError> {
        let mut client = SettingsServiceClient::new(self.channel.clone());
        let scope = Some(wire(scope));
        let body = proto::GetSettingsRequest { scope: scope.clone() };
        let found = client.get_settings(channel::request(body, Some(namespace))?).await;
        let found = found.map_err(fault::from_status)?.into_inner().settings;
        let settings = convert::with_hold_timeout(&found, seconds);
        if settings == found {
            return Ok(());
        }
        let body = proto::PutSettingsRequest { scope, settings };
        client.put_settings(channel::request(body, Some(namespace))?).await.map_err(fault::from_status)?;
        Ok(())
    }
}

fn wire(scope: &Scope) -> proto::SettingsScope {
    let scope = match scope {
        Scope::Platform => Wire::Platform(proto::PlatformScope {}),
        Scope::Tenant => Wire::Tenant(proto::TenantScope {}),
        Scope::Class(class) => Wire::WalletClass(class.clone()),
    };
    proto::SettingsScope { scope: Some(scope) }
}
