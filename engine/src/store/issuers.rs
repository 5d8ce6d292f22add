//! Tenants' own issuers of tokens.

use payplane_ledger::TenantId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CallerRow, Store, StoreError, tenants};

/// How many tenants have an issuer: every engine has all of them in memory.
pub const ISSUERS_MAX: i64 = 1_000;

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerRow {
    /// Exactly as in `iss`; an https URL.
    pub issuer: String,
    /// What tokens must be for.
    pub audience: String,
    /// Certificates that its server is verified with. Empty for those of the system.
    pub ca_pem: String,
    /// Which claim decides the role.
    pub role_claim: String,
    /// Values of the claim and numbers of the wire's roles. The first that fits counts.
    pub roles: Vec<(String, i16)>,
}

/// What became of an issuer. The numbers are those of `put_issuer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutIssuer {
    /// It was so already.
    Same,
    /// It is so now.
    Changed,
    /// Another tenant has this issuer with this audience.
    Taken,
    /// [`ISSUERS_MAX`] other tenants have one.
    Full,
}

impl Store {
    /// Gives a tenant this issuer, or none.
    pub async fn put_issuer(
        &self,
        tenant: TenantId,
        row: Option<&IssuerRow>,
    ) -> Result<PutIssuer, StoreError> {
        let (name, audience) = row.map_or(("", ""), |row| (&*row.issuer, &*row.audience));
        let json = match row {
            Some(row) => serde_json::to_string(row).map_err(|_| StoreError::Corrupt("issuer"))?,
            None => String::new(),
        };
        let mut connection = self.connection().await?;
        let outcome: i16 = sqlx::query_scalar("select payplane.put_issuer($1, $2, $3, $4, $5)")
            .bind(tenant.uuid())
            .bind(name)
            .bind(audience)
            .bind(json)
            .bind(ISSUERS_MAX)
            .fetch_one(&mut *connection)
            .await?;
        Ok(match outcome {
            0 => PutIssuer::Same,
            1 => PutIssuer::Changed,
            2 => PutIssuer::Taken,
            _ => PutIssuer::Full,
        })
    }

    /// What changed in the list of issuers after a change, in order. None for a tenant that has none any more.
    pub async fn issuer_changes(
        &self,
        after: i64,
    ) -> Result<Vec<(TenantId, Option<IssuerRow>, i64)>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(Uuid, String, i64)> = sqlx::query_as("select * from payplane.read_issuers($1)")
            .bind(after)
            .fetch_all(&mut *connection)
            .await?;
        let row = |(tenant, json, change): (Uuid, String, i64)| {
            Ok((TenantId::from_uuid(tenant), issuer(&json)?, change))
        };
        rows.into_iter().map(row).collect()
    }

    /// A tenant's issuer.
    pub async fn issuer(&self, tenant: TenantId) -> Result<Option<IssuerRow>, StoreError> {
        let mut connection = self.connection().await?;
        let json: Option<String> = sqlx::query_scalar("select payplane.get_issuer($1)")
            .bind(tenant.uuid())
            .fetch_one(&mut *connection)
            .await?;
        json.map_or(Ok(None), |json| issuer(&json))
    }

    /// How often a tenant's outside callers may call; nothing if it was archived. The role is the token's.
    pub async fn resolve_outsider(&self, tenant: TenantId) -> Result<Option<CallerRow>, StoreError> {
        let mut connection = self.connection().await?;
        let found: Option<tenants::FoundCaller> = sqlx::query_as("select * from payplane.find_outsider($1)")
            .bind(tenant.uuid())
            .fetch_optional(&mut *connection)
            .await?;
        Ok(found.map(tenants::caller))
    }
}

fn issuer(json: &str) -> Result<Option<IssuerRow>, StoreError> {
    if json.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(json).map(Some).map_err(|_| StoreError::Corrupt("issuer"))
}
