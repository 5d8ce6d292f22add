//! What was tried to collect for an invoice, who may collect, and credit notes.

use payplane_billing::Standing;
use payplane_ledger::{
    AccountId, AccountKind, Currency, FIELDS, Field, OperationId, REASONS, Reason, TenantId, Timestamp,
};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// The last attempt to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was decided.
    pub at: Timestamp,
    /// Why not, if it was refused.
    pub refusal: Option<(Reason, Field)>,
    /// How often it was tried to give back.
    pub returns: i32,
}

/// A credit note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditNoteRow {
    /// Of the tenant's series.
    pub number: i64,
    /// What it corrects.
    pub invoice: i64,
    /// By how much, in minor units.
    pub minor: i64,
    /// Of the invoice.
    pub currency: String,
    /// For people.
    pub reason: String,
    /// When.
    pub issued_at: Timestamp,
}

/// Credit notes, newest first.
#[derive(Clone, Debug)]
pub struct CreditNotePage {
    /// At most as many as were asked for.
    pub notes: Vec<CreditNoteRow>,
    /// Where the next page starts.
    pub next: Option<i64>,
}

const CREDIT_NOTES: &str = "\
    select n.number, n.invoice, n.credited_after - n.credited_before as minor, i.currency, n.reason, n.issued_us
    from payplane.credit_notes n
    join payplane.invoices i on i.tenant_id = n.tenant_id and i.number = n.invoice
    where n.tenant_id = $1 and n.number <= $2 order by n.number desc limit $3";

/// Whose wallets a collection is between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides {
    pub(crate) payer: TenantId,
    pub(crate) receiver: TenantId,
    pub(crate) currency: Currency,
}

impl Store {
    /// Makes a wallet a collector, or takes that back; says whether there is such a wallet.
    pub async fn put_collector(
        &self,
        tenant: TenantId,
        wallet: &str,
        collects: bool,
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.put_collector($1, $2, $3)");
        Ok(query.bind(tenant.uuid()).bind(wallet).bind(collects).fetch_one(&mut *connection).await?)
    }

    /// Suspends a tenant because it owes, limits each of its payments, or takes that back; says whether that changed
    /// anything.
    pub async fn put_billing_measures(
        &self,
        tenant: TenantId,
        suspended: bool,
        maximum: Option<(i64, Currency)>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.put_billing_measures($1, $2, $3, $4)")
            .bind(tenant.uuid())
            .bind(suspended)
            .bind(maximum.map(|(_, currency)| currency.to_string()))
            .bind(maximum.map(|(minor, _)| minor));
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// Makes sure that money can go between the two, and says whether the receiver's wallets are collectors.
    pub(crate) async fn open_clearing(&self, sides: Sides, wallets: &[&str]) -> Result<bool, StoreError> {
        let clearing = |tenant| AccountId::of_tenant(tenant, AccountKind::Clearing, sides.currency.code());
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.open_clearing($1, $2, $3, $4, $5, $6)")
            .bind(sides.payer.uuid())
            .bind(clearing(sides.payer).uuid())
            .bind(sides.receiver.uuid())
            .bind(clearing(sides.receiver).uuid())
            .bind(wallets.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .bind(sides.currency.code());
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// Notes how an attempt ended, if it was decided; says whether it was.
    pub(crate) async fn record_collection(
        &self,
        tenant: TenantId,
        (invoice, direction, attempt): (i64, i16, i32),
        operations: &[(TenantId, OperationId)],
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.record_collection($1, $2, $3, $4, $5, $6)")
            .bind(tenant.uuid())
            .bind(invoice)
            .bind(direction)
            .bind(attempt)
            .bind(operations.iter().map(|(tenant, _)| tenant.uuid()).collect::<Vec<Uuid>>())
            .bind(operations.iter().map(|(_, operation)| operation.uuid()).collect::<Vec<Uuid>>());
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// Issues a credit note and gives its number, or that of the note that has the key. Nothing if there is no such
    /// invoice; 0 if it would take more than was invoiced.
    pub async fn issue_credit_note(
        &self,
        tenant: TenantId,
        (invoice, minor): (i64, i64),
        (key, reason): (&str, &str),
    ) -> Result<Option<i64>, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.issue_credit_note($1, $2, $3, $4, $5)")
            .bind(tenant.uuid())
            .bind(invoice)
            .bind(minor)
            .bind(key)
            .bind(reason);
        Ok(query.fetch_one(&mut *connection).await?)
    }

    /// A tenant's credit notes from a number downwards.
    pub async fn credit_notes(
        &self,
        tenant: TenantId,
        start: Option<i64>,
        limit: usize,
    ) -> Result<CreditNotePage, StoreError> {
        let mut view = self.view(tenant).await?;
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let query =
            sqlx::query_as(CREDIT_NOTES).bind(tenant.uuid()).bind(start.unwrap_or(i64::MAX)).bind(wanted);
        let mut notes: Vec<CreditNoteRow> = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let next = notes.get(limit).map(|note| note.number);
        notes.truncate(limit);
        Ok(CreditNotePage { notes, next })
    }
}

impl FromRow<'_, PgRow> for CreditNoteRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            invoice: row.try_get("invoice")?,
            minor: row.try_get("minor")?,
            currency: row.try_get("currency")?,
            reason: row.try_get("reason")?,
            issued_at: Timestamp(row.try_get("issued_us")?),
        })
    }
}

pub(super) fn standing(row: &PgRow) -> Result<Standing, sqlx::Error> {
    Ok(Standing {
        total: row.try_get("total_minor")?,
        prepaid: row.try_get("prepaid_minor")?,
        credited: row.try_get("credited")?,
        collected: row.try_get("collected")?,
        returned: row.try_get("returned")?,
        attempts: row.try_get("attempts")?,
        is_refused: row.try_get::<Option<i16>, _>("refusal")?.is_some(),
    })
}

pub(super) fn last_attempt(row: &PgRow) -> Result<Option<Attempt>, sqlx::Error> {
    let Some(at) = row.try_get::<Option<i64>, _>("attempted_us")?.map(Timestamp) else { return Ok(None) };
    let number = |column| row.try_get::<Option<i16>, _>(column);
    let reason = number("refusal")?.and_then(|code| REASONS.into_iter().find(|known| *known as i16 == code));
    let field =
        number("refusal_field")?.and_then(|code| FIELDS.into_iter().find(|known| *known as i16 == code));
    Ok(Some(Attempt { at, refusal: reason.zip(field), returns: row.try_get("returns")? }))
}
