//! Writes one tenant's history into an empty database, for reading only.
//!
//! One transaction, as the owner of the ledger's functions, which may insert and nothing more; so there is all of it or
//! nothing. At its end the database itself refuses every write: the engine that serves it needs no mark, and no other way
//! leads around it for the engine's login.

use std::time::Duration;

use payplane_ledger::{
    BatchId, Change, OperationId, OperationRow, PaymentState, RefundState, Root, TenantId, Timestamp,
};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::types::Oid,
};

use super::{
    DatabaseConfig, ExportedAccount, ExportedTenant, MigrateError, MigrateOptions, StoreError,
    journal::{JournalOids, JournalRows},
    migrate, row,
};
use crate::auth::Role;

/// How long the database may take to answer at first.
const WAIT: Duration = Duration::from_secs(60);

const IS_USED: &str = "select to_regnamespace('payplane') is not null";

const JOURNAL_TYPES: &str = "select 'payplane.journal'::regtype::oid, 'payplane.journal[]'::regtype::oid";

const TENANT: &str = "insert into payplane.tenants (tenant_id, name, default_role) values ($1, $2, $3)";

const NAMESPACE: &str = "insert into payplane.tenant_namespaces (namespace, tenant_id) values ($1, $2)";

const HEAD: &str = "update payplane.seal_head set seal = $1, link = $2";

const ACCOUNTS: &str = "\
insert into payplane.accounts (
    tenant_id, account_id, kind, status, currency, floor_minor, ceiling_minor, posted_debits, posted_credits,
    pending_debits, pending_credits, version, last_operation, class)
select a.tenant_id, a.account_id, a.kind, a.status, a.currency, a.floor_minor, a.ceiling_minor, a.posted_debits,
       a.posted_credits, a.pending_debits, a.pending_credits, a.version, a.last_operation, a.class
from (select (json_populate_record(null::payplane.accounts, t::json)).* from unnest($1::text[]) t) a";

const WALLETS: &str = "\
insert into payplane.wallets (
    tenant_id, account_id, origin, name, owner, metadata, created_at, first_floor_minor, first_ceiling_minor)
select w.tenant_id, w.account_id, w.origin, w.name, w.owner, w.metadata, w.created_at, w.first_floor_minor,
       w.first_ceiling_minor
from (select (json_populate_record(null::payplane.wallets, t::json)).* from unnest($1::text[]) t) w";

const SEALS: &str = "\
insert into payplane.seals (seal, batch_id, link, sealed_us)
select s.seal, s.batch_id, s.link, $4 from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as s (seal, batch_id, link)";

const BATCHES: &str = "\
insert into payplane.batches (batch_id, root, decided_us)
select b.* from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as b (batch_id, root, decided_us)";

const ROOTS: &str = "\
insert into payplane.batch_tenants (tenant_id, batch_id, root, row_count)
select $1, b.* from unnest($2::bigint[], $3::bytea[], $4::integer[]) as b (batch_id, root, row_count)";

const WAITING: &str = "insert into payplane.unsealed (batch_id) select b from unnest($1::bigint[]) b";

const OPERATIONS: &str = "insert into payplane.journal select r.* from unnest($1) r";

/// A state that is there already gives way to the one that came after it.
const PAYMENTS: &str = "\
insert into payplane.payments as p
select w.* from (select (json_populate_record(null::payplane.payments, t::json)).* from unnest($1::text[]) t) w
on conflict (tenant_id, payment_id) do update
set phase = excluded.phase, captured = excluded.captured, refunding = excluded.refunding, refunded = excluded.refunded,
    gateway = excluded.gateway, moved_at_us = excluded.moved_at_us, version = excluded.version";

const REFUNDS: &str = "\
insert into payplane.refunds as r
select w.* from (select (json_populate_record(null::payplane.refunds, t::json)).* from unnest($1::text[]) t) w
on conflict (tenant_id, refund_id) do update
set phase = excluded.phase, approver = excluded.approver, version = excluded.version";

const FREEZE: &str =
    "select format('alter database %I set default_transaction_read_only = on', current_database())";

/// Nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing is loaded over something.
    #[error("the database has a ledger already: make an empty one")]
    Used,
    /// It could not be brought to this schema.
    #[error("prepare the database")]
    Migrate(#[from] MigrateError),
    /// It did not take what was written.
    #[error("write to the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LoadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A batch with rows of the tenant.
#[derive(Clone, Copy, Debug)]
pub struct LoadedBatch {
    /// Its number.
    pub batch: BatchId,
    /// Over all tenants in it; of one that waits to be sealed over this tenant alone.
    pub root: Root,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Over the tenant's rows.
    pub own: Root,
    /// How many these are.
    pub rows: i32,
    /// Whether it has a seal.
    pub is_sealed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Loader {
    connection: PgConnection,
    journal: JournalOids,
    tenant: TenantId,
}

impl Loader {
    /// Makes the tables, and the tenant with one namespace, whose ServiceAccounts may read.
    pub async fn begin(
        owner: &DatabaseConfig,
        app: &DatabaseConfig,
        tenant: &ExportedTenant,
        namespace: &str,
        epoch: i64,
    ) -> Result<Self, LoadError> {
        let mut connection = owner.options().connect().await?;
        if sqlx::query_scalar(IS_USED).fetch_one(&mut connection).await? {
            return Err(LoadError::Used);
        }
        let options = MigrateOptions { wait: WAIT, any_server: true, ..MigrateOptions::default() };
        migrate::migrate(owner, app, &options).await?;
        let (row, array): (Oid, Oid) = sqlx::query_as(JOURNAL_TYPES).fetch_one(&mut connection).await?;
        connection.execute("begin").await?;
        sqlx::query("update payplane.epoch set epoch = $1").bind(epoch).execute(&mut connection).await?;
        let role =
            sqlx::query("select set_config('role', $1, true)").bind(migrate::definer_of(&app.username));
        role.execute(&mut connection).await?;
        let query = sqlx::query(TENANT).bind(tenant.id.uuid()).bind(&tenant.name).bind(Role::Viewer as i16);
        query.execute(&mut connection).await?;
        sqlx::query(NAMESPACE).bind(namespace).bind(tenant.id.uuid()).execute(&mut connection).await?;
        Ok(Self { connection, journal: JournalOids { row, array }, tenant: tenant.id })
    }

    /// Accounts as they stand.
    pub async fn accounts(&mut self, accounts: &[ExportedAccount]) -> Result<(), LoadError> {
        let texts: Vec<String> = accounts.iter().map(|one| account(self.tenant, one).to_string()).collect();
        sqlx::query(ACCOUNTS).bind(texts).execute(&mut self.connection).await?;
        let texts: Vec<String> =
            accounts.iter().filter_map(|one| Some(wallet(self.tenant, one)?.to_string())).collect();
        sqlx::query(WALLETS).bind(texts).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Links of the chain, and when they were there at the latest.
    pub async fn seals(&mut self, seals: &[(i64, BatchId, Root)], at: Timestamp) -> Result<(), LoadError> {
        let numbers: Vec<i64> = seals.iter().map(|(seal, ..)| *seal).collect();
        let batches: Vec<i64> = seals.iter().map(|(_, batch, _)| batch.0).collect();
        let links: Vec<&[u8]> = seals.iter().map(|(.., link)| &link[..]).collect();
        let query = sqlx::query(SEALS).bind(numbers).bind(batches).bind(links).bind(at.0);
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Batches and the tenant's operations in them.
    pub async fn operations(
        &mut self,
        batches: &[LoadedBatch],
        rows: &[OperationRow],
    ) -> Result<(), LoadError> {
        let ids: Vec<i64> = batches.iter().map(|one| one.batch.0).collect();
        let roots: Vec<&[u8]> = batches.iter().map(|one| &one.root[..]).collect();
        let times: Vec<i64> = batches.iter().map(|one| one.decided_at.0).collect();
        let query = sqlx::query(BATCHES).bind(&ids).bind(roots).bind(times);
        query.execute(&mut self.connection).await?;
        let own: Vec<&[u8]> = batches.iter().map(|one| &one.own[..]).collect();
        let counts: Vec<i32> = batches.iter().map(|one| one.rows).collect();
        let query = sqlx::query(ROOTS).bind(self.tenant.uuid()).bind(&ids).bind(own).bind(counts);
        query.execute(&mut self.connection).await?;
        let waiting: Vec<i64> = batches.iter().filter(|one| !one.is_sealed).map(|one| one.batch.0).collect();
        sqlx::query(WAITING).bind(waiting).execute(&mut self.connection).await?;
        let journal = JournalRows { oids: self.journal, rows };
        sqlx::query(OPERATIONS).bind(journal).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Payments and refunds as they stand after the operations so far, each once.
    pub async fn states(
        &mut self,
        payments: impl IntoIterator<Item = (OperationId, PaymentState)>,
        refunds: impl IntoIterator<Item = (OperationId, RefundState)>,
    ) -> Result<(), LoadError> {
        let tenant = self.tenant;
        let payments =
            payments.into_iter().map(|(id, now)| row::payment_text(&Change { tenant, id, base: 0, now }));
        let payments = payments.collect::<Result<Vec<_>, _>>()?;
        sqlx::query(PAYMENTS).bind(payments).execute(&mut self.connection).await?;
        let refunds =
            refunds.into_iter().map(|(id, now)| row::refund_text(&Change { tenant, id, base: 0, now }));
        let refunds = refunds.collect::<Result<Vec<_>, _>>()?;
        sqlx::query(REFUNDS).bind(refunds).execute(&mut self.connection).await?;
        Ok(())
    }

    /// The end of the chain. From here on nothing is ever written to this database again.
    pub async fn end(mut self, seal: i64, link: Root) -> Result<(), LoadError> {
        sqlx::query(HEAD).bind(seal).bind(&link[..]).execute(&mut self.connection).await?;
        self.connection.execute("set local role none").await?;
        let freeze: String = sqlx::query_scalar(FREEZE).fetch_one(&mut self.connection).await?;
        self.connection.execute(sqlx::raw_sql(AssertSqlSafe(freeze))).await?;
        self.connection.execute("commit").await?;
        Ok(self.connection.close().await?)
    }
}

/// A row of `payplane.accounts`.
fn account(tenant: TenantId, account: &ExportedAccount) -> Value {
    let balance = &account.balance;
    json!({
        "tenant_id": tenant.uuid(), "account_id": account.id, "kind": account.kind as i16,
        "status": account.status as i16, "currency": account.currency, "class": account.class,
        "floor_minor": account.floor, "ceiling_minor": account.ceiling,
        "posted_debits": balance.posted_debits, "posted_credits": balance.posted_credits,
        "pending_debits": balance.pending_debits, "pending_credits": balance.pending_credits,
        "version": balance.version, "last_operation": account.last.0,
    })
}

/// A row of `payplane.wallets`. The tenant's own accounts have none.
fn wallet(tenant: TenantId, account: &ExportedAccount) -> Option<Value> {
    let wallet = account.wallet.as_ref()?;
    let created = jiff::Timestamp::from_microsecond(wallet.created_at.0).unwrap_or_default();
    // What an export says is an object, or it would not have been sound.
    let metadata: Value = serde_json::from_str(&wallet.metadata).unwrap_or_else(|_| json!({}));
    Some(json!({
        "tenant_id": tenant.uuid(), "account_id": account.id, "origin": wallet.origin as i16, "name": wallet.name,
        "owner": wallet.owner, "metadata": metadata, "created_at": created.to_string(),
        "first_floor_minor": wallet.first_floor, "first_ceiling_minor": wallet.first_ceiling,
    }))
}
