//! Parameters, as they are set.

use payplane_ledger::{Scope, Setting, TenantId};
use sqlx::Row as _;
use uuid::Uuid;

use super::{Store, StoreError, row};

/// How many settings a tenant has at most, over all its scopes: each payment looks through all of them.
pub const TENANT_SETTINGS_MAX: i64 = 1_000;

/// What became of new settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// They are in force.
    Changed,
    /// They were in force before.
    Unchanged,
    /// The tenant has [`TENANT_SETTINGS_MAX`] in other scopes.
    TooMany,
}

impl Store {
    /// Makes these the only settings of a scope. Those of the platform are written whoever the tenant is.
    pub async fn put_settings(
        &self,
        tenant: TenantId,
        scope: &Scope,
        settings: &[Setting],
    ) -> Result<SettingsChange, StoreError> {
        let owner = if *scope == Scope::Platform { Uuid::nil() } else { tenant.uuid() };
        let currency = |setting: &Setting| setting.currency.map(|code| code.to_string()).unwrap_or_default();
        let mut connection = self.connection().await?;
        let changed: Option<bool> =
            sqlx::query_scalar("select payplane.put_settings($1, $2, $3, $4, $5, $6, $7)")
                .bind(owner)
                .bind(scope.level() as i16)
                .bind(scope_text(scope))
                .bind(settings.iter().map(|setting| setting.name as i16).collect::<Vec<_>>())
                .bind(settings.iter().map(currency).collect::<Vec<_>>())
                .bind(settings.iter().map(|setting| setting.value).collect::<Vec<_>>())
                .bind(TENANT_SETTINGS_MAX)
                .fetch_one(&mut *connection)
                .await?;
        Ok(match changed {
            None => SettingsChange::TooMany,
            Some(true) => SettingsChange::Changed,
            Some(false) => SettingsChange::Unchanged,
        })
    }

    /// Everything that is set for a tenant and for everybody.
    pub async fn settings(&self, tenant: TenantId) -> Result<Vec<Setting>, StoreError> {
        let mut connection = self.connection().await?;
        let found = sqlx::query("select settings from payplane.read_settings($1)")
            .bind(vec![tenant.uuid()])
            .fetch_one(&mut *connection)
            .await?;
        let texts: Vec<String> = found.try_get::<Option<_>, _>("settings")?.unwrap_or_default();
        texts.iter().map(|text| row::setting(text).map(|(_, setting)| setting)).collect()
    }
}

fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Platform | Scope::Tenant => String::new(),
        Scope::Class(class) => class.to_string(),
        Scope::Wallet(wallet) => wallet.to_string(),
    }
}
