//! What `verify` asks of the database: one snapshot of everything, for as long as it takes.
//!
//! Rows come in pages through functions that read past row-level security; what is compared in sets comes back as
//! violations only. A row that makes no sense is a violation too, never an error: errors mean that nothing was proved.

use std::time::Duration;

use payplane_ledger::{BatchId, OperationRow, Sequence, TenantId};
use sqlx::{
    Executor as _, PgConnection, Row as _, ValueRef as _,
    postgres::{PgRow, PgValueFormat},
};
use uuid::Uuid;

use super::{Store, StoreError, floor, journal, row};

/// How many rows come at once: a megabyte or two.
const PAGE: i32 = 4_000;

/// How many examples of each kind of violation are kept.
pub const EXAMPLES_MAX: usize = 10;

/// How long the snapshot may take to open. What follows takes as long as the ledger is large.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that vanishes ends its query. Pages are small parts of large tables, whatever the statistics say.
const BEGIN: &str = "set client_connection_check_interval = '5s'; set statement_timeout = 0; set lock_timeout = '5s'; \
                     set idle_in_transaction_session_timeout = 0; set plan_cache_mode = force_custom_plan; \
                     begin isolation level repeatable read read only";

const SCHEMA: &str = "select coalesce(max(version), 0) from payplane.schema_migrations where success";

const HEAD: &str = "select seal, link from payplane.seal_head";

const JOURNAL: &str = "select * from payplane.verify_journal($1, $2, $3)";

const ROOTS: &str = "select tenant_id, batch_id, root, row_count from payplane.verify_roots($1, $2, $3)";

const SEALS: &str = "select s.seal, s.batch_id, s.link, b.root \
                     from (select * from payplane.seals where seal > $1 order by seal limit $2) s \
                     left join payplane.batches b on b.batch_id = s.batch_id order by s.seal";

/// How many rows there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Decided keys.
    pub journal: i64,
    /// Of these, refused ones.
    pub refused: i64,
    /// Effects on accounts.
    pub postings: i64,
    /// Of all kinds.
    pub accounts: i64,
    /// Known by name.
    pub tenants: i64,
    /// Held or refunded ones.
    pub payments: i64,
    /// Of all phases.
    pub refunds: i64,
    /// Committed ones.
    pub batches: i64,
    /// Roots of tenants.
    pub batch_tenants: i64,
    /// Links of the chain.
    pub seals: i64,
    /// Batches that wait to be sealed.
    pub unsealed: i64,
    /// Changes of wallets' terms.
    pub wallet_changes: i64,
    /// Pairs of a tenant and a currency.
    pub currencies: i64,
    /// Open holds past their deadline that no sweep has ended yet.
    pub overdue_holds: i64,
    /// Settlement accounts below their floor, because their cap was lowered.
    pub settlements_beyond_cap: i64,
}

/// A row of the journal.
#[derive(Debug)]
pub struct StoredRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its key.
    pub operation: Uuid,
    /// Its number.
    pub sequence: Sequence,
    /// What it says, or what is wrong with it.
    pub content: Result<OperationRow, String>,
}

/// The hash over a tenant's rows of a batch, as stored.
#[derive(Debug)]
pub struct StoredRoot {
    /// Whose rows.
    pub tenant: TenantId,
    /// The batch.
    pub batch: BatchId,
    /// The hash.
    pub root: Vec<u8>,
    /// How many rows.
    pub rows: i32,
}

/// A link of the chain, as stored.
#[derive(Debug)]
pub struct StoredSeal {
    /// Its number.
    pub seal: i64,
    /// What it seals.
    pub batch: BatchId,
    /// The link.
    pub link: Vec<u8>,
    /// The batch's root, if there is such a batch.
    pub root: Option<Vec<u8>>,
}

/// One thing that is wrong. Never an amount.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Whose it is.
    #[serde(rename = "tenant", skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Uuid>,
    /// The account.
    #[serde(rename = "account", skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Uuid>,
    /// The operation, payment or refund.
    #[serde(rename = "operation", skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<Uuid>,
    /// The batch.
    #[serde(rename = "batch", skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<i64>,
    /// What is wrong: the columns that differ, or a sentence.
    pub problem: String,
}

/// Tenant, account, operation, batch, what is wrong, and how many of these there are.
type Found = (Option<Uuid>, Option<Uuid>, Option<Uuid>, Option<i64>, String, i64);

type SealRow = (i64, i64, Vec<u8>, Option<Vec<u8>>);

/// How much is wrong, with the first few examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// All of them.
    pub count: i64,
    /// At most [`EXAMPLES_MAX`].
    pub examples: Vec<Violation>,
}

impl Violations {
    /// One more.
    pub fn add(&mut self, violation: Violation) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(violation);
        }
    }

    /// Those of another comparison.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }
}

/// What the database compares by itself, in sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCheck {
    /// Accounts against the sum of their postings.
    Balances,
    /// Each posting against the one before it.
    AccountChains,
    /// Batches' roots against those of their tenants.
    Batches,
    /// Every batch sealed once or waiting to be.
    Sealing,
    /// Payments against the operations on them.
    Payments,
    /// Held totals against open holds.
    Holds,
    /// Refunds against the operations on them.
    Refunds,
    /// Refunds against what was captured.
    RefundCaps,
    /// Debits against credits.
    CurrencySums,
    /// Operations' currencies against their accounts'.
    Currencies,
    /// Wallets' terms against the last change of them.
    WalletTerms,
    /// Clearing accounts of all tenants against zero.
    Clearing,
    /// Attempts to collect against the journal and what was due.
    Collections,
}

impl SetCheck {
    const fn statement(self) -> &'static str {
        match self {
            Self::Balances => "select * from payplane.verify_balances($1)",
            Self::AccountChains => "select * from payplane.verify_account_chains($1)",
            Self::Batches => "select * from payplane.verify_batches($1)",
            Self::Sealing => "select * from payplane.verify_sealing($1)",
            Self::Payments => "select * from payplane.verify_payments($1)",
            Self::Holds => "select * from payplane.verify_holds($1)",
            Self::Refunds => "select * from payplane.verify_refunds($1)",
            Self::RefundCaps => "select * from payplane.verify_refund_caps($1)",
            Self::CurrencySums => "select * from payplane.verify_currency_sums($1)",
            Self::Currencies => "select * from payplane.verify_currencies($1)",
            Self::WalletTerms => "select * from payplane.verify_wallet_terms($1)",
            Self::Clearing => "select * from payplane.verify_clearing($1)",
            Self::Collections => "select * from payplane.verify_collections($1)",
        }
    }
}

/// The whole ledger at one moment. Ends with its connection.
#[derive(Debug)]
pub struct LedgerView {
    pub(super) connection: PgConnection,
}

impl Store {
    /// Opens a snapshot on a connection of its own. It holds back the removal of dead rows for as long as it is open: a
    /// large ledger is better verified on a standby or a restored copy.
    pub async fn ledger_view(&self) -> Result<LedgerView, StoreError> {
        let opened = tokio::time::timeout(OPEN_TIMEOUT, async {
            let mut connection = self.connect().await?;
            connection.execute(sqlx::raw_sql(BEGIN)).await?;
            let found: i64 = sqlx::query_scalar(SCHEMA).fetch_one(&mut connection).await?;
            let wanted = floor::needed_version();
            if found < wanted {
                Err(StoreError::OldSchema { found, wanted })
            } else {
                Ok(LedgerView { connection })
            }
        });
        opened.await.unwrap_or_else(|_| Err(StoreError::timed_out("open")))
    }
}

impl LedgerView {
    /// How many rows there are of each kind.
    pub async fn counts(&mut self) -> Result<Counts, StoreError> {
        let row =
            sqlx::query("select * from payplane.verify_counts()").fetch_one(&mut self.connection).await?;
        Ok(Counts {
            journal: row.try_get("journal")?,
            refused: row.try_get("refused")?,
            postings: row.try_get("postings")?,
            accounts: row.try_get("accounts")?,
            tenants: row.try_get("tenants")?,
            payments: row.try_get("payments")?,
            refunds: row.try_get("refunds")?,
            batches: row.try_get("batches")?,
            batch_tenants: row.try_get("batch_tenants")?,
            seals: row.try_get("seals")?,
            unsealed: row.try_get("unsealed")?,
            wallet_changes: row.try_get("wallet_changes")?,
            currencies: row.try_get("currencies")?,
            overdue_holds: row.try_get("overdue_holds")?,
            settlements_beyond_cap: row.try_get("settlements_beyond_cap")?,
        })
    }

    /// The chain's end as the sealer remembers it.
    pub async fn head(&mut self) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        Ok(sqlx::query_as(HEAD).fetch_optional(&mut self.connection).await?)
    }

    /// What a comparison finds wrong.
    pub async fn search(&mut self, check: SetCheck) -> Result<Violations, StoreError> {
        let query = sqlx::query_as(check.statement()).bind(EXAMPLES_MAX as i32);
        let rows: Vec<Found> = query.fetch_all(&mut self.connection).await?;
        let count = rows.first().map_or(0, |(.., count)| *count);
        let example = |(tenant_id, account_id, operation_id, batch_id, problem, _): Found| Violation {
            tenant_id,
            account_id,
            operation_id,
            batch_id,
            problem,
        };
        Ok(Violations { count, examples: rows.into_iter().map(example).collect() })
    }

    /// Rows of the journal by tenant and number, after the given one. None: there are no more.
    pub async fn journal(&mut self, after: (TenantId, Sequence)) -> Result<Vec<StoredRow>, StoreError> {
        let query = sqlx::query(JOURNAL).bind(after.0.uuid()).bind(after.1.0).bind(PAGE);
        let rows = query.fetch_all(&mut self.connection).await?;
        rows.iter().map(stored_row).collect()
    }

    /// Roots by tenant and batch, after the given one.
    pub async fn roots(&mut self, after: (TenantId, BatchId)) -> Result<Vec<StoredRoot>, StoreError> {
        let query = sqlx::query_as(ROOTS).bind(after.0.uuid()).bind(after.1.0).bind(PAGE);
        let rows: Vec<(Uuid, i64, Vec<u8>, i32)> = query.fetch_all(&mut self.connection).await?;
        let stored = |(tenant, batch, root, rows)| StoredRoot {
            tenant: TenantId::from_uuid(tenant),
            batch: BatchId(batch),
            root,
            rows,
        };
        Ok(rows.into_iter().map(stored).collect())
    }

    /// Links of the chain in their order, after the given number.
    pub async fn seals(&mut self, after: i64) -> Result<Vec<StoredSeal>, StoreError> {
        let query = sqlx::query_as(SEALS).bind(after).bind(i64::from(PAGE));
        let rows: Vec<SealRow> = query.fetch_all(&mut self.connection).await?;
        let stored =
            |(seal, batch, link, root): SealRow| StoredSeal { seal, batch: BatchId(batch), link, root };
        Ok(rows.into_iter().map(stored).collect())
    }
}

pub(super) fn stored_row(found: &PgRow) -> Result<StoredRow, StoreError> {
    let content = row::decision(found).map_err(|error| error.to_string());
    let content = content.and_then(|(tenant, operation, decision)| {
        let row = OperationRow { tenant, operation, decision: decision.into() };
        check_form(found, &row).map(|()| row)
    });
    Ok(StoredRow {
        tenant: TenantId::from_uuid(found.try_get("tenant_id")?),
        operation: found.try_get("operation_id")?,
        sequence: Sequence(found.try_get("sequence")?),
        content,
    })
}

/// The hash covers what a row means. This makes sure that the row could not mean the same and look different: written
/// again, every column is what it was, byte by byte.
fn check_form(found: &PgRow, row: &OperationRow) -> Result<(), String> {
    let mut bytes = Vec::with_capacity(1024);
    journal::encode_row(&mut bytes, row).map_err(|error| error.to_string())?;
    let mut fields = Fields { bytes: &bytes };
    fields.take(4).ok_or("no columns")?;
    for (index, column) in found.columns().iter().enumerate() {
        // The last column is no part of the row: the time of its batch.
        let Some(written) = fields.next() else { return Ok(()) };
        let value = found.try_get_raw(index).map_err(|error| error.to_string())?;
        let stored = if value.is_null() { None } else { Some(value) };
        let is_same = match (&stored, written) {
            (None, None) => true,
            (Some(value), Some(written)) => {
                value.format() == PgValueFormat::Binary
                    && value.as_bytes().is_ok_and(|bytes| bytes == written)
            }
            _ => false,
        };
        if !is_same {
            return Err(format!("{} is not what the engine writes", sqlx::Column::name(column)));
        }
    }
    Ok(())
}

/// A column in binary form; none for null.
type Field<'a> = Option<&'a [u8]>;

/// The columns of a row in binary form: a type, a length, and that many bytes; or a negative length for null.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn next(&mut self) -> Option<Field<'a>> {
        self.take(4)?;
        let length = i32::from_be_bytes(self.take(4)?.try_into().ok()?);
        match usize::try_from(length) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Some(None),
        }
    }
}
