//! Prepaid credits.

use payplane_billing::Credit;
use payplane_ledger::{Currency, TenantId, Timestamp};
use sqlx::Row as _;

use crate::store::{Store, StoreError};

/// What to grant.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The caller's key.
    pub key: String,
    /// Of the amount.
    pub currency: Currency,
    /// More than zero.
    pub minor: i64,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
}

/// What is not used up, or has the wanted key, in the order of use. Bounded: beyond a thousand open grants the rest waits.
const CREDITS: &str = "\
    select g.key, g.currency, g.minor, g.expires_us, g.granted_us, u.used
    from payplane.prepaid_grants g
    cross join lateral (
        select coalesce(max(u.used_after), 0) as used from payplane.prepaid_uses u
        where u.tenant_id = g.tenant_id and u.key = g.key
    ) u
    where g.tenant_id = $1 and case when $2 <> '' then g.key = $2 else u.used < g.minor end
    order by g.expires_us nulls last, g.granted_us, g.key limit 1000";

impl Store {
    /// Grants prepaid credit; says whether it did. False if the key has a grant.
    pub async fn grant_prepaid(&self, tenant: TenantId, grant: &NewGrant) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.grant_prepaid($1, $2, $3, $4, $5)")
            .bind(tenant.uuid())
            .bind(&grant.key)
            .bind(grant.currency.code())
            .bind(grant.minor)
            .bind(grant.expires.map(|at| at.0));
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// Credits that are not used up, in the order of use; with a key, that one, however much of it is used.
    pub async fn prepaid_credits(
        &self,
        tenant: TenantId,
        key: &str,
    ) -> Result<Vec<(Currency, Credit)>, StoreError> {
        let mut view = self.view(tenant).await?;
        let rows = sqlx::query(CREDITS).bind(tenant.uuid()).bind(key).fetch_all(view.connection()?).await?;
        view.end().await?;
        let credit = |row: &sqlx::postgres::PgRow| {
            let currency: &str = row.try_get("currency")?;
            let currency = Currency::parse(currency).map_err(|_| StoreError::Corrupt("currency"))?;
            let credit = Credit {
                key: row.try_get("key")?,
                granted: row.try_get("minor")?,
                used: row.try_get("used")?,
                expires: row.try_get::<Option<i64>, _>("expires_us")?.map(Timestamp),
                since: Timestamp(row.try_get("granted_us")?),
            };
            Ok((currency, credit))
        };
        rows.iter().map(credit).collect()
    }
}
