//! Invoices, and what a tenant used under a range of seals.
//!
//! Usage is read from the tenant's own batches, in pages by batch number, through the indexes that the ledger has anyway:
//! it costs what the tenant did in the period and not what the ledger holds. Sealed rows never change, so pages need no
//! common snapshot.

mod agreed;
mod collection;
mod meter;
mod prepaid;
mod recorded;
mod threshold;
mod turn;

pub use agreed::{Agreed, Agreements};
pub(crate) use collection::Sides;
pub use collection::{Attempt, CreditNotePage, CreditNoteRow};
pub use prepaid::NewGrant;
pub use recorded::{Recorded, UsageEvent, UsageSum};
pub(crate) use threshold::Counting;
pub use threshold::ReachedThreshold;
pub use turn::Turn;

use std::collections::HashSet;

use payplane_billing::{Period, Standing, Statement, Usage, Use};
use payplane_ledger::{AccountId, AccountKind, Currency, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{Executor as _, FromRow, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Store, StoreError};

pub(super) use meter::Meter;
use meter::Stored;
pub(super) use turn::Turns;

/// How many batches of a tenant one statement reads: at most half a million operations, mostly a few thousand.
const BATCHES_MAX: i64 = 512;

/// The same where operations themselves are not read.
const STORED_BATCHES_MAX: i64 = 65_536;

/// What an invoice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Lines, taxes and totals.
    pub statement: Statement,
    /// All that was used of the ledger's metrics, priced or not, and what others recorded of what is priced.
    pub usage: Usage,
    /// What prepaid credits pay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepaid: Vec<Use>,
    /// The parts of a period that was cut, at least two; nothing otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartRow>,
}

/// A part of a period, with a plan of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRow {
    /// The plan's version.
    pub version: String,
    /// From when on, in microseconds since 1970.
    pub start_us: i64,
    /// Until before when.
    pub end_us: i64,
    /// Usage of the seals up to and including this one, after the part before.
    pub through_seal: i64,
    /// What was used in it; a wallet is active in the part in which it was so first.
    pub usage: Usage,
}

/// An invoice, issued or about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceRow {
    /// Of the tenant's series.
    pub number: i64,
    /// From when on, and until before when.
    pub period: Period,
    /// Usage of the seals after this one,
    pub after_seal: i64,
    /// up to and including this one.
    pub through_seal: i64,
    /// Usage of others up to and including this number.
    pub through_event: i64,
    /// What it says.
    pub document: Document,
    /// When it was issued; nothing before that.
    pub issued_at: Option<Timestamp>,
    /// How it stands with the money.
    pub standing: Standing,
    /// The last attempt to collect.
    pub last_attempt: Option<Attempt>,
}

/// Invoices, newest first.
#[derive(Clone, Debug)]
pub struct InvoicePage {
    /// At most as many as were asked for.
    pub invoices: Vec<InvoiceRow>,
    /// Where the next page starts.
    pub next: Option<i64>,
}

/// Invoices with how they stand: few rows each, by the keys of the tables that follow on them.
macro_rules! invoices {
    ($which:literal) => {
        concat!(
            "select i.number, i.start_us, i.end_us, i.after_seal, i.through_seal, i.through_event, i.document, ",
            "i.issued_us, i.total_minor, i.prepaid_minor, n.credited, c.* from payplane.invoices i ",
            "cross join lateral (select coalesce(max(n.credited_after), 0) as credited from payplane.credit_notes n ",
            "where n.tenant_id = i.tenant_id and n.invoice = i.number) n ",
            "cross join lateral (select coalesce(sum(c.posted) filter (where c.direction = 1), 0)::bigint as collected, ",
            "coalesce(sum(c.posted) filter (where c.direction = 2), 0)::bigint as returned, ",
            "(count(*) filter (where c.direction = 1))::integer as attempts, ",
            "(count(*) filter (where c.direction = 2))::integer as returns, ",
            "(array_agg(c.refusal order by c.attempt desc) filter (where c.direction = 1))[1] as refusal, ",
            "(array_agg(c.refusal_field order by c.attempt desc) filter (where c.direction = 1))[1] as refusal_field, ",
            "max(c.decided_us) filter (where c.direction = 1) as attempted_us from payplane.collections c ",
            "where c.tenant_id = i.tenant_id and c.invoice = i.number) c where i.tenant_id = $1 and ",
            $which
        )
    };
}

const INVOICES: &str = invoices!("i.number <= $2 order by i.number desc limit $3");

const INVOICE_OF_PERIOD: &str = invoices!("i.start_us = $2");

const INVOICE: &str = invoices!("i.number = $2");

const ISSUE: &str =
    "select payplane.issue_invoice($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

const ISSUE_AGREED: &str =
    "select payplane.issue_agreed_invoice($15, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// One page of a tenant's batches in the order of their numbers, and what is counted of those under the seals. The bounds
/// are computed first: under row-level security a condition that multiplies, which could fail and so tell something, is
/// looked at after the policy, and no index would serve it. What goes over the clearing account is the bill itself.
const USAGE: &str = "\
    with page as materialized (
        select t.batch_id, t.row_count, s.seal, s.sealed_us,
               t.batch_id * 1024 as first, (t.batch_id + 1) * 1024 as above
        from payplane.batch_tenants t
        left join lateral (
            select s.seal, s.sealed_us from payplane.seals s where s.batch_id = t.batch_id offset 0
        ) s on true
        where t.tenant_id = $1 and $2 <= t.batch_id and t.batch_id <= $3
        order by t.batch_id limit $4
    ),
    operations as materialized (
        select j.kind, j.posted, j.currency, j.debit_account, j.credit_account
        from page p
        cross join lateral (
            select j.* from payplane.journal j
            where j.tenant_id = $1 and p.first <= j.sequence and j.sequence < p.above and 0 < j.sequence
            offset 0
        ) j
        where $5 < p.seal and p.seal <= $6 and j.refusal is null
          and j.debit_account is distinct from $8 and j.credit_account is distinct from $8
    ),
    touched as (
        select distinct w.account_id
        from operations o
        cross join lateral (values (o.debit_account), (o.credit_account)) as w (account_id)
        where o.posted is not null and o.kind <> 14
    )
    select (select count(*) from page) as batches, (select max(batch_id) from page) as last_batch,
           (
               select coalesce(sum(p.row_count), 0)::bigint from page p where $5 < p.seal and p.seal <= $6
           ) as stored,
           (
               select ((extract(epoch from clock_timestamp()) * 1000000)::bigint - min(p.sealed_us))
               from page p where $5 < p.seal and p.seal <= $6
           ) as lag_us,
           count(*) filter (where o.kind = 1) as payments,
           count(*) filter (where o.kind = 2) as holds,
           count(*) filter (where o.kind in (10, 11, 13) and 0 < o.posted) as refunds,
           coalesce(sum(o.posted) filter (where o.kind in (1, 3, 6, 8) and o.currency = $7), 0)::text as volume,
           (
               select coalesce(array_agg(t.account_id), '{}') from touched t
               cross join lateral (
                   select a.kind from payplane.accounts a
                   where a.tenant_id = $1 and a.account_id = t.account_id offset 0
               ) a
               where a.kind = 1
           ) as wallets
    from operations o";

/// One page of a tenant's batches and how many operations those up to a seal have, refused ones too.
const STORED: &str = "\
    with page as materialized (
        select t.batch_id, t.row_count, s.seal
        from payplane.batch_tenants t
        left join lateral (select s.seal from payplane.seals s where s.batch_id = t.batch_id offset 0) s on true
        where t.tenant_id = $1 and $2 <= t.batch_id and t.batch_id <= $3
        order by t.batch_id limit $4
    )
    select count(*) as batches, max(p.batch_id) as last_batch,
           coalesce(sum(p.row_count) filter (where p.seal <= $5), 0)::bigint as stored
    from page p";

impl Store {
    /// The database's time.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let mut connection = self.connection().await?;
        let now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        Ok(Timestamp(sqlx::query_scalar(now).fetch_one(&mut *connection).await?))
    }

    /// The last seal such that it and everything before it was decided before a moment.
    pub async fn billing_cut(&self, moment: Timestamp) -> Result<i64, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.billing_cut($1)").bind(moment.0);
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// A tenant's invoices from a number downwards.
    pub async fn invoices(
        &self,
        tenant: TenantId,
        start: Option<i64>,
        limit: usize,
    ) -> Result<InvoicePage, StoreError> {
        let mut view = self.view(tenant).await?;
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let query = sqlx::query_as(INVOICES).bind(tenant.uuid()).bind(start.unwrap_or(i64::MAX)).bind(wanted);
        let mut invoices: Vec<InvoiceRow> = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let next = invoices.get(limit).map(|invoice| invoice.number);
        invoices.truncate(limit);
        Ok(InvoicePage { invoices, next })
    }

    /// The invoice of the period that begins at a moment.
    pub async fn invoice_of_period(
        &self,
        tenant: TenantId,
        start: Timestamp,
    ) -> Result<Option<InvoiceRow>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query_as(INVOICE_OF_PERIOD).bind(tenant.uuid()).bind(start.0);
        let found = query.fetch_optional(view.connection()?).await?;
        view.end().await?;
        Ok(found)
    }

    /// One invoice of a tenant.
    pub async fn invoice(&self, tenant: TenantId, number: i64) -> Result<Option<InvoiceRow>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query_as(INVOICE).bind(tenant.uuid()).bind(number);
        let found = query.fetch_optional(view.connection()?).await?;
        view.end().await?;
        Ok(found)
    }

    /// Issues an invoice; says whether it did. False if its period has one.
    pub async fn issue_invoice(&self, tenant: TenantId, invoice: &InvoiceRow) -> Result<bool, StoreError> {
        issue(self, tenant, invoice, None).await
    }

    /// Counts what a tenant used under the seals after one, up to and including another, page by page.
    async fn count_usage(
        &self,
        tenant: TenantId,
        (after, through): (i64, i64),
        currency: Currency,
    ) -> Result<Counted, StoreError> {
        let mut counted = Counted::default();
        let Some((mut lowest, highest)) = self.billing_window(after, through).await? else {
            return Ok(counted);
        };
        // Each page begins after the last batch of the one before, so this ends.
        loop {
            let _place = self.meter.page().await;
            let mut view = self.view(tenant).await?;
            // Compiling the plan would take longer than running it.
            view.connection()?.execute(sqlx::raw_sql("set local jit = off")).await?;
            let range = (lowest, highest, after, through);
            let last = counted.page(view.connection()?, tenant, range, currency).await?;
            view.end().await?;
            match last {
                Some(last) => lowest = last.saturating_add(1),
                None => return Ok(counted),
            }
        }
    }

    /// How many operations the ledger keeps of a tenant up to a seal. Remembered as far as it came, as usage is.
    pub async fn stored_operations(&self, tenant: TenantId, through: i64) -> Result<i64, StoreError> {
        let Some((lowest, highest)) = self.billing_window(0, through).await? else { return Ok(0) };
        let mut known = self.meter.stored(tenant, through).unwrap_or(Stored { next: lowest, rows: 0 });
        // Each page begins after the last batch of the one before, so this ends.
        while known.next <= highest {
            let _place = self.meter.page().await;
            let mut view = self.view(tenant).await?;
            let query = sqlx::query(STORED)
                .bind(tenant.uuid())
                .bind(known.next)
                .bind(highest)
                .bind(STORED_BATCHES_MAX)
                .bind(through);
            let found = query.fetch_one(view.connection()?).await?;
            view.end().await?;
            known.rows += found.try_get::<i64, _>("stored")?;
            let is_full = found.try_get::<i64, _>("batches")? == STORED_BATCHES_MAX;
            let last = found.try_get::<Option<i64>, _>("last_batch")?.filter(|_| is_full);
            known.next = last.unwrap_or(highest).saturating_add(1);
            self.meter.note_stored(tenant, through, known);
        }
        Ok(known.rows)
    }

    /// Between which batch numbers to look for a range of seals. Remembered: those whose periods end together have one range,
    /// and looking it up costs more than their usage.
    async fn billing_window(&self, after: i64, through: i64) -> Result<Option<(i64, i64)>, StoreError> {
        if through <= after {
            return Ok(None);
        }
        if let Some(known) = self.meter.window((after, through)) {
            return Ok(Some(known));
        }
        let mut connection = self.connection().await?;
        let query = sqlx::query_as("select * from payplane.billing_window($1, $2)").bind(after).bind(through);
        let (lowest, highest): (Option<i64>, Option<i64>) = query.fetch_one(&mut *connection).await?;
        let found = lowest.zip(highest);
        if let Some(window) = found {
            self.meter.note_window((after, through), window);
        }
        Ok(found)
    }
}

/// With how many agreements it was made by, if by what was agreed.
async fn issue(
    store: &Store,
    tenant: TenantId,
    invoice: &InvoiceRow,
    agreements: Option<i64>,
) -> Result<bool, StoreError> {
    let statement = &invoice.document.statement;
    let document = serde_json::to_string(&invoice.document).map_err(|_| StoreError::Corrupt("invoice"))?;
    let mut connection = store.connection().await?;
    let query = sqlx::query_scalar(if agreements.is_some() { ISSUE_AGREED } else { ISSUE })
        .bind(tenant.uuid())
        .bind(invoice.number)
        .bind(invoice.period.start.0)
        .bind(invoice.period.end.0)
        .bind(invoice.after_seal)
        .bind(invoice.through_seal)
        .bind(statement.currency.code())
        .bind(statement.total)
        .bind(&statement.plan_version)
        .bind(document)
        .bind(invoice.through_event)
        .bind(invoice.document.prepaid.iter().map(|used| used.key.clone()).collect::<Vec<_>>())
        .bind(invoice.document.prepaid.iter().map(|used| used.before).collect::<Vec<_>>())
        .bind(invoice.document.prepaid.iter().map(|used| used.minor).collect::<Vec<_>>());
    let query = match agreements {
        Some(count) => query.bind(count),
        None => query,
    };
    Ok(query.fetch_one(&mut *connection).await?)
}

/// What the pages so far add up to.
#[derive(Debug, Default)]
struct Counted {
    /// What is stored is what was added.
    usage: Usage,
    volume: i128,
    /// 16 bytes per wallet that was active in the period.
    wallets: HashSet<Uuid>,
    /// How long ago the oldest of it was sealed when it was counted.
    lag_us: i64,
}

impl Counted {
    /// Adds a page; gives its last batch if there may be another page.
    async fn page(
        &mut self,
        connection: &mut PgConnection,
        tenant: TenantId,
        (lowest, highest, after, through): (i64, i64, i64, i64),
        currency: Currency,
    ) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query(USAGE)
            .bind(tenant.uuid())
            .bind(lowest)
            .bind(highest)
            .bind(BATCHES_MAX)
            .bind(after)
            .bind(through)
            .bind(currency.code())
            .bind(AccountId::of_tenant(tenant, AccountKind::Clearing, currency.code()).uuid());
        let found = query.fetch_one(connection).await?;
        self.usage.payments += found.try_get::<i64, _>("payments")?;
        self.usage.holds += found.try_get::<i64, _>("holds")?;
        self.usage.refunds += found.try_get::<i64, _>("refunds")?;
        self.usage.storage += found.try_get::<i64, _>("stored")?;
        self.lag_us = self.lag_us.max(found.try_get::<Option<i64>, _>("lag_us")?.unwrap_or_default());
        let volume: &str = found.try_get("volume")?;
        self.volume += volume.parse::<i128>().map_err(|_| StoreError::Corrupt("volume"))?;
        self.wallets.extend(found.try_get::<Vec<Uuid>, _>("wallets")?);
        let is_full = found.try_get::<i64, _>("batches")? == BATCHES_MAX;
        Ok(found.try_get::<Option<i64>, _>("last_batch")?.filter(|_| is_full))
    }

    fn add(&mut self, more: Self) {
        self.usage.payments += more.usage.payments;
        self.usage.holds += more.usage.holds;
        self.usage.refunds += more.usage.refunds;
        self.usage.storage += more.usage.storage;
        self.volume += more.volume;
        self.wallets.extend(more.wallets);
    }

    /// Without the wallets that were active in one of those before.
    fn usage(&self, before: &[&Self]) -> Result<Usage, StoreError> {
        let volume = i64::try_from(self.volume).map_err(|_| StoreError::Corrupt("volume"))?;
        let is_new = |wallet: &&Uuid| !before.iter().any(|earlier| earlier.wallets.contains(*wallet));
        let active_wallets = self.wallets.iter().filter(is_new).count();
        let active_wallets = i64::try_from(active_wallets).map_err(|_| StoreError::Corrupt("wallets"))?;
        Ok(Usage { volume, active_wallets, ..self.usage.clone() })
    }
}

impl FromRow<'_, PgRow> for InvoiceRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let document: &str = row.try_get("document")?;
        let document = serde_json::from_str(document);
        Ok(Self {
            number: row.try_get("number")?,
            period: Period {
                start: Timestamp(row.try_get("start_us")?),
                end: Timestamp(row.try_get("end_us")?),
            },
            after_seal: row.try_get("after_seal")?,
            through_seal: row.try_get("through_seal")?,
            through_event: row.try_get("through_event")?,
            document: document.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            issued_at: Some(Timestamp(row.try_get("issued_us")?)),
            standing: collection::standing(row)?,
            last_attempt: collection::last_attempt(row)?,
        })
    }
}
