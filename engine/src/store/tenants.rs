//! Tenants, callers and wallets: what is not a payment but has to be written or known across tenants.

use payplane_ledger::{AccountId, Currency, Origin, TenantId};
use serde::Deserialize;
use uuid::Uuid;

use super::{Store, StoreError};

/// A tenant as the database keeps it, lists sorted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TenantRow {
    /// Follows from the platform and the name.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// A number of the wire's role; 0 refuses.
    pub default_role: i16,
    /// Namespaces whose service accounts belong to the tenant.
    pub namespaces: Vec<String>,
    /// One per currency.
    pub caps: Vec<CapRow>,
    /// Service accounts with a role of their own.
    pub grants: Vec<GrantRow>,
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

/// What the database knows about a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerRow {
    /// The tenant of its namespace.
    pub tenant: TenantId,
    /// A number of the wire's role; 0 refuses.
    pub role: i16,
}

/// A wallet to create.
#[derive(Clone, Debug)]
pub struct NewWallet {
    /// Whose.
    pub tenant: TenantId,
    /// Who names it.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// Its currency.
    pub currency: Currency,
    /// The owner in the caller's system.
    pub owner: String,
    /// The lowest balance a debit may leave.
    pub floor: i64,
}

impl NewWallet {
    /// The id that follows from the name.
    pub fn id(&self) -> AccountId {
        AccountId::wallet(self.tenant, self.origin, &self.name)
    }
}

impl Store {
    /// Who a service account is; nothing if its namespace belongs to nobody.
    pub async fn resolve_caller(&self, namespace: &str, name: &str) -> Result<Option<CallerRow>, StoreError> {
        let mut connection = self.connection().await?;
        let row: Option<(Uuid, i16)> = sqlx::query_as("select * from payplane.resolve_caller($1, $2)")
            .bind(namespace)
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
        Ok(row.map(|(tenant, role)| CallerRow { tenant: TenantId::from_uuid(tenant), role }))
    }

    /// The tenant called `name`.
    pub async fn tenant(&self, name: &str) -> Result<Option<TenantRow>, StoreError> {
        let mut connection = self.connection().await?;
        let json: Option<String> = sqlx::query_scalar("select payplane.get_tenant($1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await?;
        json.map(|json| serde_json::from_str(&json).map_err(|_| StoreError::Corrupt("tenant"))).transpose()
    }

    /// Brings the tenant to this state; says whether that changed anything.
    pub async fn put_tenant(&self, tenant: &TenantRow) -> Result<bool, StoreError> {
        let id = TenantId::from_uuid(tenant.id);
        let settlement = |cap: &CapRow| AccountId::settlement(id, &cap.currency).uuid();
        let mut connection = self.connection().await?;
        let changed =
            sqlx::query_scalar("select payplane.put_tenant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
                .bind(tenant.id)
                .bind(&tenant.name)
                .bind(tenant.default_role)
                .bind(&tenant.namespaces)
                .bind(tenant.caps.iter().map(|cap| &*cap.currency).collect::<Vec<_>>())
                .bind(tenant.caps.iter().map(|cap| cap.minor).collect::<Vec<_>>())
                .bind(tenant.caps.iter().map(settlement).collect::<Vec<_>>())
                .bind(tenant.grants.iter().map(|grant| &*grant.namespace).collect::<Vec<_>>())
                .bind(tenant.grants.iter().map(|grant| &*grant.name).collect::<Vec<_>>())
                .bind(tenant.grants.iter().map(|grant| grant.role).collect::<Vec<_>>())
                .fetch_one(&mut *connection)
                .await?;
        Ok(changed)
    }

    /// Creates the wallet unless its name is taken; says whether it did.
    pub async fn create_wallet(&self, wallet: &NewWallet) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let created = sqlx::query_scalar("select payplane.create_wallet($1, $2, $3, $4, $5, $6, $7)")
            .bind(wallet.tenant.uuid())
            .bind(wallet.id().uuid())
            .bind(wallet.origin as i16)
            .bind(&wallet.name)
            .bind(wallet.currency.code())
            .bind(&wallet.owner)
            .bind(wallet.floor)
            .fetch_one(&mut *connection)
            .await?;
        Ok(created)
    }
}
