//! Wallets with their balances, and what is held to leave them.

use payplane_ledger::{Account, AccountId, OperationId, Origin, PaymentState, Sequence, TenantId, Timestamp};
use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::store::{
    Store, StoreError, row,
    wallets::{Labels, labels, labels_text},
};

/// A wallet with everything that is told about it.
#[derive(Clone, Debug)]
pub struct WalletRow {
    /// Its id.
    pub id: AccountId,
    /// Empty for one of the tenant's own accounts.
    pub name: String,
    /// The owner in the caller's system.
    pub owner: String,
    /// The caller's labels.
    pub metadata: Labels,
    /// When it was created; nothing for one of the tenant's own accounts.
    pub created_at: Option<Timestamp>,
    /// The floor and the ceiling that it was created with.
    pub first_terms: (i64, Option<i64>),
    /// What deciding knows of it.
    pub account: Account,
}

/// Which wallets are asked for. Empty texts and labels ask for all.
#[derive(Clone, Debug, Default)]
pub struct WalletFilter {
    /// Who named them.
    pub origin: Option<Origin>,
    /// Their owner.
    pub owner: String,
    /// Their class.
    pub class: String,
    /// Labels that they all have.
    pub metadata: Labels,
}

/// Some wallets, in the order of their ids.
#[derive(Debug)]
pub struct WalletPage {
    /// The wallets.
    pub wallets: Vec<WalletRow>,
    /// Whether there are more.
    pub more: bool,
}

/// A wallet and what is held to leave it, as of one moment.
#[derive(Debug)]
pub struct HoldsRow {
    /// The wallet.
    pub wallet: WalletRow,
    /// The payments that hold its money, in the order of their ids.
    pub holds: Vec<(OperationId, PaymentState)>,
    /// Whether there are more.
    pub more: bool,
}

macro_rules! wallet_columns {
    ($rest:literal) => {
        concat!(
            "select a.account_id, coalesce(w.name, '') as name, coalesce(w.owner, '') as owner, a.kind, a.status, ",
            "a.currency, a.class, a.floor_minor, a.ceiling_minor, a.posted_debits, a.posted_credits, ",
            "a.pending_debits, a.pending_credits, a.version, a.last_operation, ",
            "coalesce(w.first_floor_minor, 0) as first_floor_minor, w.first_ceiling_minor, ",
            "coalesce(w.metadata, '{}')::text as metadata, ",
            "(extract(epoch from w.created_at) * 1000000)::bigint as created_at_us from payplane.accounts a ",
            "left join payplane.wallets w on w.tenant_id = a.tenant_id and w.account_id = a.account_id ",
            $rest
        )
    };
}

/// Nobody sees tenants' rows but through this session setting, so the condition on the tenant is for the index.
const WALLETS_BY_ID: &str = wallet_columns!("where a.tenant_id = $1 and a.account_id = any ($2)");
const WALLET_BY_NAME: &str = wallet_columns!("where w.tenant_id = $1 and w.name = $2 and a.tenant_id = $1");
const WALLETS_OF_TENANT: &str = wallet_columns!("where a.kind = 1 and a.tenant_id = ");

const OPEN_HOLDS: &str = "select row_to_json(p)::text from payplane.payments p where tenant_id = $1 \
                          and debit_account = $2 and phase in (1, 2) order by payment_id limit $3";

/// Both statements of a read see the same moment.
const ONE_MOMENT: &str = "set transaction isolation level repeatable read";

impl Store {
    /// The accounts with these ids, in no particular order; absent ones are left out.
    pub async fn wallets(&self, tenant: TenantId, ids: &[AccountId]) -> Result<Vec<WalletRow>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(WALLETS_BY_ID).bind(tenant.uuid()).bind(ids);
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        rows.iter().map(wallet).collect()
    }

    /// The wallet with this name, whoever named it.
    pub async fn wallet_named(&self, tenant: TenantId, name: &str) -> Result<Option<WalletRow>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(WALLET_BY_NAME).bind(tenant.uuid()).bind(name);
        let row = query.fetch_optional(view.connection()?).await?;
        view.end().await?;
        row.as_ref().map(wallet).transpose()
    }

    /// Wallets with ids greater than `after`.
    pub async fn wallets_after(
        &self,
        tenant: TenantId,
        after: AccountId,
        filter: &WalletFilter,
        limit: usize,
    ) -> Result<WalletPage, StoreError> {
        let mut query = filtered(tenant, filter)?;
        query.push(" and a.account_id > ").push_bind(after.uuid());
        query.push(" order by a.account_id limit ").push_bind(limit as i64 + 1);
        let mut view = self.view(tenant).await?;
        let rows = query.build().fetch_all(view.connection()?).await?;
        view.end().await?;
        let more = limit < rows.len();
        let wallets = rows.iter().take(limit).map(wallet).collect::<Result<_, _>>()?;
        Ok(WalletPage { wallets, more })
    }

    /// The first of these accounts that exists, with up to `limit` of its open holds.
    pub async fn wallet_with_holds(
        &self,
        tenant: TenantId,
        candidates: &[AccountId],
        limit: usize,
    ) -> Result<Option<HoldsRow>, StoreError> {
        let ids: Vec<Uuid> = candidates.iter().map(|id| id.uuid()).collect();
        let mut view = self.view(tenant).await?;
        sqlx::query(ONE_MOMENT).execute(view.connection()?).await?;
        let query = sqlx::query(WALLETS_BY_ID).bind(tenant.uuid()).bind(ids);
        let found = query.fetch_all(view.connection()?).await?;
        let found = found.iter().map(wallet).collect::<Result<Vec<_>, _>>()?;
        let Some(wallet) = candidates.iter().find_map(|id| found.iter().find(|row| row.id == *id)) else {
            view.end().await?;
            return Ok(None);
        };
        let query =
            sqlx::query_scalar(OPEN_HOLDS).bind(tenant.uuid()).bind(wallet.id.uuid()).bind(limit as i64 + 1);
        let texts: Vec<String> = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let holds = texts.iter().take(limit).map(|text| super::state_of_text(text));
        let holds = holds.collect::<Result<_, _>>()?;
        Ok(Some(HoldsRow { wallet: wallet.clone(), holds, more: limit < texts.len() }))
    }
}

/// Only the conditions that are asked for are part of the statement, so each has the plan that fits it.
fn filtered(tenant: TenantId, filter: &WalletFilter) -> Result<QueryBuilder<Postgres>, StoreError> {
    let mut query = QueryBuilder::new(WALLETS_OF_TENANT);
    query.push_bind(tenant.uuid());
    if let Some(origin) = filter.origin {
        query.push(" and w.origin = ").push_bind(origin as i16);
    }
    if !filter.owner.is_empty() {
        query.push(" and w.tenant_id = a.tenant_id and w.owner = ").push_bind(filter.owner.clone());
    }
    if !filter.class.is_empty() {
        query.push(" and a.class = ").push_bind(filter.class.clone());
    }
    if !filter.metadata.is_empty() {
        query.push(" and w.metadata @> ").push_bind(labels_text(&filter.metadata)?).push("::jsonb");
    }
    Ok(query)
}

fn wallet(found: &PgRow) -> Result<WalletRow, StoreError> {
    let account = Account {
        currency: row::currency(found.try_get("currency")?)?,
        kind: row::kind(found.try_get("kind")?)?,
        status: row::status(found.try_get("status")?)?,
        class: found.try_get::<&str, _>("class")?.into(),
        floor: found.try_get("floor_minor")?,
        ceiling: found.try_get("ceiling_minor")?,
        balance: row::balance(found, "")?,
        last: Sequence(found.try_get("last_operation")?),
    };
    Ok(WalletRow {
        id: AccountId::from_uuid(found.try_get("account_id")?),
        name: found.try_get("name")?,
        owner: found.try_get("owner")?,
        metadata: labels(found.try_get("metadata")?)?,
        created_at: found.try_get::<Option<i64>, _>("created_at_us")?.map(Timestamp),
        first_terms: (found.try_get("first_floor_minor")?, found.try_get("first_ceiling_minor")?),
        account,
    })
}
