//! Tenants and callers: what has to be written or known across tenants.

use payplane_ledger::{AccountId, AccountKind, TenantId};
use serde::Deserialize;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::cache::Rates;

/// A tenant as the database keeps it, lists sorted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TenantRow {
    /// Follows from the platform and the name.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// A number of the wire's role; 0 refuses.
    pub default_role: i16,
    /// Whether nothing new may leave its accounts.
    pub suspended: bool,
    /// Namespaces whose service accounts belong to the tenant.
    pub namespaces: Vec<String>,
    /// One per currency.
    pub caps: Vec<CapRow>,
    /// Service accounts with a role of their own.
    pub grants: Vec<GrantRow>,
    /// How often its callers may call; nothing for as often as they like.
    #[serde(skip)]
    pub rates: Option<Rates>,
}

/// How far a settlement account may be debited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CapRow {
    /// Currency code.
    pub currency: String,
    /// Minor units.
    pub minor: i64,
}

/// The role of one service account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GrantRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A number of the wire's role.
    pub role: i16,
}

/// What a tenant still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldingsRow {
    /// Accounts with money or with something held, settlement accounts left out.
    pub accounts: i64,
    /// Payments that are held.
    pub holds: i64,
    /// Refunds that wait.
    pub refunds: i64,
}

/// What the database knows about a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerRow {
    /// The tenant of its namespace.
    pub tenant: TenantId,
    /// A number of the wire's role; 0 refuses.
    pub role: i16,
    /// How often the tenant may call.
    pub rates: Option<Rates>,
}

/// A row of `payplane.find_caller`.
pub(super) type FoundCaller = (Uuid, i16, Option<i32>, Option<i32>);

const PUT_TENANT: &str = "select payplane.put_tenant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

impl Store {
    /// Who a service account is; nothing if its namespace belongs to nobody.
    pub async fn resolve_caller(&self, namespace: &str, name: &str) -> Result<Option<CallerRow>, StoreError> {
        let mut connection = self.connection().await?;
        let row: Option<FoundCaller> = sqlx::query_as("select * from payplane.find_caller($1, $2)")
            .bind(namespace)
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
        Ok(row.map(caller))
    }

    /// The tenant called `name`.
    pub async fn tenant(&self, name: &str) -> Result<Option<TenantRow>, StoreError> {
        let mut connection = self.connection().await?;
        let json: Option<String> = sqlx::query_scalar("select payplane.get_tenant($1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
        let Some(json) = json else { return Ok(None) };
        let row: TenantRow = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("tenant"))?;
        let (per_second, burst) = sqlx::query_as("select * from payplane.tenant_rates($1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
        Ok(Some(TenantRow { rates: rates(per_second, burst), ..row }))
    }

    /// What a tenant still has.
    pub async fn tenant_holdings(&self, tenant: TenantId) -> Result<HoldingsRow, StoreError> {
        let mut connection = self.connection().await?;
        let (accounts, holds, refunds) = sqlx::query_as("select * from payplane.tenant_holdings($1)")
            .bind(tenant.uuid())
            .fetch_one(&mut *connection)
            .await?;
        Ok(HoldingsRow { accounts, holds, refunds })
    }

    /// Brings the tenant to this state; says whether that changed anything.
    pub async fn put_tenant(&self, tenant: &TenantRow) -> Result<bool, StoreError> {
        let own = own_accounts(tenant);
        let mut connection = self.connection().await?;
        let mut transaction = connection.begin().await?;
        let changed: bool = sqlx::query_scalar(PUT_TENANT)
            .bind(tenant.id)
            .bind(&tenant.name)
            .bind(tenant.default_role)
            .bind(tenant.suspended)
            .bind(&tenant.namespaces)
            .bind(tenant.caps.iter().map(|cap| &*cap.currency).collect::<Vec<_>>())
            .bind(tenant.caps.iter().map(|cap| cap.minor).collect::<Vec<_>>())
            .bind(own.iter().map(|(currency, _, _)| *currency).collect::<Vec<_>>())
            .bind(own.iter().map(|(_, kind, _)| *kind as i16).collect::<Vec<_>>())
            .bind(own.iter().map(|(_, _, id)| id.uuid()).collect::<Vec<_>>())
            .bind(tenant.grants.iter().map(|grant| &*grant.namespace).collect::<Vec<_>>())
            .bind(tenant.grants.iter().map(|grant| &*grant.name).collect::<Vec<_>>())
            .bind(tenant.grants.iter().map(|grant| grant.role).collect::<Vec<_>>())
            .fetch_one(&mut *transaction)
            .await?;
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let rates_changed: bool = sqlx::query_scalar("select payplane.put_tenant_rates($1, $2, $3)")
            .bind(tenant.id)
            .bind(tenant.rates.map(|rates| number(rates.calls_per_second)))
            .bind(tenant.rates.map(|rates| number(rates.burst)))
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(changed || rates_changed)
    }
}

pub(super) fn caller((tenant, role, per_second, burst): FoundCaller) -> CallerRow {
    CallerRow { tenant: TenantId::from_uuid(tenant), role, rates: rates(per_second, burst) }
}

fn rates(calls_per_second: Option<i32>, burst: Option<i32>) -> Option<Rates> {
    let number = |number: Option<i32>| u32::try_from(number?).ok();
    Some(Rates { calls_per_second: number(calls_per_second)?, burst: number(burst)? })
}

/// The tenant's own accounts: one of each kind per currency with a cap.
fn own_accounts(tenant: &TenantRow) -> Vec<(&str, AccountKind, AccountId)> {
    let id = TenantId::from_uuid(tenant.id);
    let of = |cap: &'_ CapRow| {
        AccountKind::OF_TENANT.map(|kind| (kind, AccountId::of_tenant(id, kind, &cap.currency)))
    };
    let caps = tenant.caps.iter();
    caps.flat_map(|cap| of(cap).map(|(kind, account)| (&*cap.currency, kind, account))).collect()
}
