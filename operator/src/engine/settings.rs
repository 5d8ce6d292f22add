//! Parameters of the ledger, and how the holds do that they are for.
//!
//! The engine replaces all parameters of a scope at once and knows no versions, so one is changed by reading all, and a
//! change by somebody else in the same moment is lost. The next look finds what this operator wants again.

use jiff::Timestamp;
use payplane_crds::timeout_policy::OverdueAction;
use payplane_proto::v1 as proto;
use proto::{
    ledger_service_client::LedgerServiceClient, settings_scope::Scope as Wire,
    settings_service_client::SettingsServiceClient,
};

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

/// How long money is held, and what then.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HoldLimits {
    /// If a hold does not say; None for what a less specific scope sets.
    pub timeout_seconds: Option<i64>,
    /// At most; None for what a less specific scope sets.
    pub maximum_seconds: Option<i64>,
    /// What becomes of a hold past its deadline; None for what a less specific scope sets.
    pub action: Option<OverdueAction>,
}

/// How holds do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HoldSummary {
    /// How many are pending, up to a bound.
    pub pending: i64,
    /// How many of them are past their deadline.
    pub overdue: i64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// The earliest deadline that has passed of those that sweeps give back.
    pub overdue_since: Option<Timestamp>,
    /// How many were ever given back by their deadline.
    pub reversed: i64,
    /// How many of these by the last sweep.
    pub reversed_last: i64,
    /// When a sweep last ended.
    pub swept_at: Option<Timestamp>,
    /// When this was so, by the same clock.
    pub read_at: Timestamp,
    /// How many of the overdue ones nobody gives back before somebody decides.
    pub awaiting: i64,
    /// The earliest of their deadlines.
    pub awaiting_since: Option<Timestamp>,
}

impl Engine {
    /// Sets how long money is held in this scope and what then, and nothing else.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn set_hold_limits(
        &self,
        namespace: &str,
        scope: &Scope,
        limits: HoldLimits,
    ) -> Result<(), EngineError> {
        let mut client = SettingsServiceClient::new(self.channel.clone());
        let scope = Some(wire(scope));
        let body = proto::GetSettingsRequest { scope: scope.clone() };
        let found = client.get_settings(channel::request(body, Some(namespace))?).await;
        let found = found.map_err(fault::from_status)?.into_inner().settings;
        let settings = convert::with_hold_limits(&found, limits);
        if settings == found {
            return Ok(());
        }
        let body = proto::PutSettingsRequest { scope, settings };
        client.put_settings(channel::request(body, Some(namespace))?).await.map_err(fault::from_status)?;
        Ok(())
    }

    /// How the holds of this scope do.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn hold_summary(&self, namespace: &str, scope: &Scope) -> Result<HoldSummary, EngineError> {
        let body = proto::GetHoldSummaryRequest { scope: Some(wire(scope)) };
        let mut client = LedgerServiceClient::new(self.channel.clone());
        let answer = client.get_hold_summary(channel::request(body, Some(namespace))?).await;
        convert::hold_summary(&answer.map_err(fault::from_status)?.into_inner())
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
