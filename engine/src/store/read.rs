//! Reads of one tenant's rows, under row-level security. Every page is bounded by its caller.

use payplane_ledger::{
    Account, AccountId, Currency, Decision, Origin, PaymentId, Sequence, TenantId, Timestamp,
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Store, StoreError, row};

/// A wallet with everything that is told about it.
#[derive(Clone, Debug)]
pub struct WalletRow {
    /// Its id.
    pub id: AccountId,
    /// Empty for a settlement account.
    pub name: String,
    /// The owner in the caller's system.
    pub owner: String,
    /// Who named it.
    pub origin: Origin,
    /// When it was created.
    pub created_at: Timestamp,
    /// What deciding knows of it.
    pub account: Account,
}

/// Some wallets, in the order of their ids.
#[derive(Debug)]
pub struct WalletPage {
    /// The wallets.
    pub wallets: Vec<WalletRow>,
    /// Whether there are more.
    pub more: bool,
}

/// Some payments, newest first.
#[derive(Debug)]
pub struct PaymentPage {
    /// The payments.
    pub payments: Vec<(PaymentId, Decision)>,
    /// Where the next page starts; nothing on the last page.
    pub next: Option<Sequence>,
}

/// Totals of one currency.
#[derive(Debug)]
pub struct TrialLine {
    /// The currency.
    pub currency: Currency,
    /// Sum of posted debits.
    pub debits: i128,
    /// Sum of posted credits.
    pub credits: i128,
    /// How many accounts.
    pub accounts: i64,
    /// How many transfers.
    pub transfers: i64,
}

macro_rules! wallet_columns {
    ($rest:literal) => {
        concat!(
            "select account_id, coalesce(name, '') as name, owner, origin, kind, status, currency, floor_minor, ",
            "posted_debits, posted_credits, pending_debits, pending_credits, version, last_transfer, ",
            "(extract(epoch from created_at) * 1000000)::bigint as created_at_us from payplane.accounts ",
            $rest
        )
    };
}

/// Nobody sees tenants' rows but through this session setting, so the condition on the tenant is for the index.
const WALLETS_BY_ID: &str = wallet_columns!("where tenant_id = $1 and account_id = any ($2)");
const WALLET_BY_NAME: &str = wallet_columns!("where tenant_id = $1 and name = $2");
const WALLETS_AFTER: &str = wallet_columns!(
    "where tenant_id = $1 and $2 < account_id and kind = 1 and ($3 = 0 or origin = $3) order by account_id limit $4"
);

const DECISIONS: &str = "select * from payplane.read_decisions($1, $2)";

const TENANT_TRANSFERS: &str = "select sequence, payment_id from payplane.transfers \
                                where tenant_id = $1 and sequence < $2 order by sequence desc limit $3";

/// Follows an account's chain of transfers from the newest to the oldest, one primary key look-up each. The first
/// page starts at the account's head, a later one at the transfer that the former page named.
const ACCOUNT_TRANSFERS: &str = "\
    with recursive history as (
        select t.sequence, t.payment_id,
               case when t.debit_account = $2 then t.debit_previous else t.credit_previous end as previous, 1 as place
        from payplane.transfers t
        where t.tenant_id = $1 and t.sequence = coalesce($3, (
            select a.last_transfer from payplane.accounts a where a.tenant_id = $1 and a.account_id = $2))
          and (t.debit_account = $2 or t.credit_account = $2)
        union all
        select t.sequence, t.payment_id,
               case when t.debit_account = $2 then t.debit_previous else t.credit_previous end, h.place + 1
        from history h
        join payplane.transfers t on t.tenant_id = $1 and t.sequence = h.previous
        where h.place < $4
    )
    select sequence, payment_id from history order by place";

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

    /// Wallets with ids greater than `after`, of one origin or of both.
    pub async fn wallets_after(
        &self,
        tenant: TenantId,
        after: AccountId,
        origin: Option<Origin>,
        limit: usize,
    ) -> Result<WalletPage, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(WALLETS_AFTER)
            .bind(tenant.uuid())
            .bind(after.uuid())
            .bind(origin.map_or(0, |origin| origin as i16))
            .bind(limit as i64 + 1);
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let more = limit < rows.len();
        let wallets = rows.iter().take(limit).map(wallet).collect::<Result<_, _>>()?;
        Ok(WalletPage { wallets, more })
    }

    /// What was decided about this key.
    pub async fn decision(
        &self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> Result<Option<Decision>, StoreError> {
        let mut connection = self.connection().await?;
        let row = sqlx::query(DECISIONS)
            .bind(vec![tenant.uuid()])
            .bind(vec![payment.uuid()])
            .fetch_optional(&mut *connection)
            .await?;
        Ok(row.as_ref().map(row::decision).transpose()?.map(|(_, _, decision)| decision))
    }

    /// Completed payments, newest first: of one account or of the whole tenant, from `start` on.
    pub async fn payments(
        &self,
        tenant: TenantId,
        account: Option<AccountId>,
        start: Option<Sequence>,
        limit: usize,
    ) -> Result<PaymentPage, StoreError> {
        let wanted = limit as i64 + 1;
        let query = match account {
            None => sqlx::query_as(TENANT_TRANSFERS)
                .bind(tenant.uuid())
                .bind(start.map_or(i64::MAX, |start| start.0.saturating_add(1)))
                .bind(wanted),
            Some(account) => sqlx::query_as(ACCOUNT_TRANSFERS)
                .bind(tenant.uuid())
                .bind(account.uuid())
                .bind(start.map(|start| start.0))
                .bind(wanted as i32),
        };
        let mut view = self.view(tenant).await?;
        let found: Vec<(i64, Uuid)> = query.fetch_all(view.connection()?).await?;
        let next = found.get(limit).map(|(sequence, _)| Sequence(*sequence));
        let ids: Vec<Uuid> = found.into_iter().take(limit).map(|(_, payment)| payment).collect();
        let query = sqlx::query(DECISIONS).bind(vec![tenant.uuid(); ids.len()]).bind(ids);
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let decisions: Result<Vec<_>, StoreError> = rows.iter().map(row::decision).collect();
        let mut payments: Vec<_> =
            decisions?.into_iter().map(|(_, payment, decision)| (payment, decision)).collect();
        payments.sort_by_key(|(_, decision)| std::cmp::Reverse(decision.sequence));
        Ok(PaymentPage { payments, next })
    }

    /// Totals by currency: of one tenant or of everybody.
    pub async fn trial_balance(&self, tenant: Option<TenantId>) -> Result<Vec<TrialLine>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(String, String, String, i64, i64)> =
            sqlx::query_as("select * from payplane.trial_balance($1)")
                .bind(tenant.map(TenantId::uuid))
                .fetch_all(&mut *connection)
                .await?;
        rows.into_iter().map(trial_line).collect()
    }
}

fn trial_line(row: (String, String, String, i64, i64)) -> Result<TrialLine, StoreError> {
    let (code, debits, credits, accounts, transfers) = row;
    let sum = |text: String| text.parse().map_err(|_| StoreError::Corrupt("sum"));
    let (debits, credits) = (sum(debits)?, sum(credits)?);
    Ok(TrialLine { currency: row::currency(&code)?, debits, credits, accounts, transfers })
}

fn wallet(found: &PgRow) -> Result<WalletRow, StoreError> {
    let account = Account {
        currency: row::currency(found.try_get("currency")?)?,
        kind: row::kind(found.try_get("kind")?)?,
        status: row::status(found.try_get("status")?)?,
        floor: found.try_get("floor_minor")?,
        balance: row::balance(found, "")?,
        last: Sequence(found.try_get("last_transfer")?),
    };
    Ok(WalletRow {
        id: AccountId::from_uuid(found.try_get("account_id")?),
        name: found.try_get("name")?,
        owner: found.try_get("owner")?,
        origin: row::origin(found.try_get("origin")?)?,
        created_at: Timestamp(found.try_get("created_at_us")?),
        account,
    })
}
