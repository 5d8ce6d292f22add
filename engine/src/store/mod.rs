//! PostgreSQL. All SQL text of the engine is in this folder and in `migrations/`.
//!
//! - [`Session`] is one committer's own connection: what [`crate::commit`] needs of a database.
//! - [`Store`] is a small pool for everything else. Reads of a tenant's rows run in a transaction that names the
//!   tenant, because row-level security shows nothing otherwise.
//! - [`migrate`] brings a database to the schema of this binary.
//!
//! Isolation is READ COMMITTED throughout: decisions are made on rows that are locked, and each statement after the
//! lock sees what was committed while it waited.

mod api_keys;
mod archive;
mod background;
mod billing;
mod connect;
mod epoch;
mod error;
mod events;
mod export;
mod floor;
mod issuers;
mod journal;
mod load;
mod locked;
mod migrate;
mod password;
mod personal;
mod read;
mod revocations;
mod row;
mod session;
mod settings;
mod suitable;
mod tenants;
mod verify;
mod wallets;

pub use api_keys::{API_KEYS_MAX, ApiKeyChange, ApiKeyRow, Hash, NewApiKey, PutApiKey, TENANT_API_KEYS_MAX};
pub use archive::ArchiveRow;
pub use background::DuePayment;
pub use billing::{
    Agreed, Agreements, Attempt, CreditNotePage, CreditNoteRow, Document, InvoicePage, InvoiceRow, NewGrant,
    PartRow, ReachedThreshold, Recorded, Turn, UsageEvent, UsageSum,
};
pub(crate) use billing::{Counting, Sides};
pub use connect::DatabaseConfig;
pub use epoch::{AdoptError, LedgerEpoch, adopt};
pub use error::StoreError;
pub use events::{
    EventLook, EventRow, EventSession, EventStatus, LETTERS_MAX, Letter, LetterAct, LetterRow,
    PAGE_OPERATIONS, ThresholdRow,
};
pub use export::{ExportedAccount, ExportedSeal, ExportedTenant, ExportedWallet};
pub use floor::Schema;
pub use issuers::{ISSUERS_MAX, IssuerRow, PutIssuer};
pub use load::{LoadError, LoadedBatch, Loader};
pub use migrate::{MigrateError, MigrateOptions, migrate, retire};
pub use read::{
    AsOf, BalanceRow, HeadRow, HoldSummary, HoldsRow, PaymentFilter, PaymentPage, PaymentRow,
    ReferenceFilter, RefundPage, RefundRow, SealedOperations, Statement, TimeRange, TrialLine, WalletFilter,
    WalletPage, WalletRow,
};
pub use revocations::{REVOCATIONS_MAX, RevocationKind, RevocationRow};
pub use session::Session;
pub use settings::{SettingsChange, TENANT_SETTINGS_MAX};
pub use suitable::Unsuitable;
pub use tenants::{CallerRow, CapRow, GrantRow, HoldingsRow, TenantRow};
pub use verify::{Counts, LedgerView, SetCheck, StoredRoot, StoredRow, StoredSeal, Violation, Violations};
pub use wallets::{Labels, NewWallet};

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use payplane_ledger::{PlatformId, TenantId};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::{Mutex, OnceCell};

/// How long a connection may take to make, before the database counts as away.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a call may wait for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pool, and what never changes about the database.
#[derive(Debug)]
pub struct Store {
    pool: PgPool,
    options: PgConnectOptions,
    platform: OnceCell<PlatformId>,
    /// The epoch that this engine began with.
    epoch: epoch::Epoch,
    /// A connection of its own for [`Store::probe`], so that a busy pool does not look like a database that is away.
    probe: Mutex<Option<PgConnection>>,
    /// What was counted for invoices.
    meter: billing::Meter,
    /// Who closes and collects.
    turns: billing::Turns,
    /// Whether the database refuses every write, as one does that an export was loaded into.
    read_only: AtomicBool,
}

impl Store {
    /// Connects on first use: the engine starts before its database.
    pub fn new(options: PgConnectOptions, pool_size: u32) -> Self {
        let epoch = epoch::Epoch::default();
        let known = epoch.clone();
        let pool = PgPoolOptions::new()
            .max_connections(pool_size)
            .after_connect(move |connection, _| {
                let known = known.clone();
                Box::pin(async move { known.admit(connection).await })
            })
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(Duration::from_secs(300))
            .connect_lazy_with(options.clone());
        Self {
            pool,
            options,
            platform: OnceCell::new(),
            epoch,
            probe: Mutex::default(),
            meter: billing::Meter::default(),
            turns: billing::Turns::default(),
            read_only: AtomicBool::new(false),
        }
    }

    /// The identity of the ledger, read once.
    pub async fn platform(&self) -> Result<PlatformId, StoreError> {
        // In a box, because every call would carry the room for it otherwise: 4 kB of the 6 that a payment's future had.
        self.platform.get_or_try_init(|| Box::pin(self.read_platform())).await.copied()
    }

    /// Whether the database refused every write when it was looked at last.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Whether the database answers, is no standby and has the schema of this binary.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let mut slot = self.probe.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let found: (bool, i64, bool) = sqlx::query_as(
            "select pg_is_in_recovery(), coalesce(max(version), 0), current_setting('default_transaction_read_only')::bool \
             from payplane.schema_migrations where success",
        )
        .fetch_one(&mut connection)
        .await?;
        let wanted = floor::needed_version();
        if found.1 >= wanted {
            self.epoch.check(&mut connection).await?;
        }
        self.read_only.store(found.2, Ordering::Relaxed);
        // Only kept if it worked: after an error a fresh connection tells more.
        *slot = Some(connection);
        match found {
            (true, ..) => Err(StoreError::ReadOnly),
            (false, version, _) if version < wanted => Err(StoreError::OldSchema { found: version, wanted }),
            (false, ..) => Ok(()),
        }
    }

    /// Closes all connections of the pool.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn read_platform(&self) -> Result<PlatformId, StoreError> {
        let mut connection = self.connection().await?;
        let id = sqlx::query_scalar("select platform_id from payplane.platform")
            .fetch_one(&mut *connection)
            .await?;
        Ok(PlatformId::from_uuid(id))
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect()).await;
        Ok(connected.map_err(|_| StoreError::timed_out("connect"))??)
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// A read-only transaction that sees one tenant's rows.
    async fn view(&self, tenant: TenantId) -> Result<TenantView, StoreError> {
        let mut connection = self.connection().await?;
        let begin = format!(
            "begin isolation level read committed read only; set local statement_timeout = '5s'; \
             set local payplane.tenant = '{}'",
            tenant.uuid()
        );
        // Safe: a UUID prints as hexadecimal digits and dashes.
        let begun = connection.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await;
        let view = TenantView { connection: Some(connection) };
        begun.map(|_| view).map_err(StoreError::from)
    }
}

/// An open transaction. Dropped before [`TenantView::end`], it closes its connection rather than giving it back to the
/// pool in a state that nobody knows.
struct TenantView {
    connection: Option<PoolConnection<Postgres>>,
}

impl TenantView {
    fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.connection.as_deref_mut().ok_or(StoreError::Ended)
    }

    async fn end(mut self) -> Result<(), StoreError> {
        self.connection()?.execute(sqlx::raw_sql("commit")).await?;
        drop(self.connection.take());
        Ok(())
    }
}

impl Drop for TenantView {
    fn drop(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}
