//! Closing periods: which period is next, what was used in it, and its invoice.
//!
//! 1. The next invoice follows from the last one: its period begins where that one ended, its usage after that one's last
//!    seal. The first one begins where the caller says.
//! 2. The cut is the last seal such that it and everything before it was decided before the period's end.
//! 3. Usage is read from sealed batches and from what others recorded, priced by the plan, paid by prepaid credits as far as
//!    they go, and issued by one call of the database, which checks dates,
//!    numbers and the cut again. If the cut has moved meanwhile, all of it is done again, at most five times.
//! 4. Whoever closes a period that is closed gets its invoice. So a crash between any two of these steps, and another
//!    engine that does the same, change nothing.

mod collect;
pub mod document;

pub use collect::{Collect, Receiver, collect};

use payplane_billing::{Credit, CycleError, Overflow, Period, Plan, Standing, consume};
use payplane_ledger::{Refusal, TenantId, Timestamp};

use crate::{
    commit::CommitError,
    store::{Document, InvoiceRow, Store, StoreError},
};

/// The cut can only move until something is decided after the period's end, so once more is mostly enough.
const ATTEMPTS_MAX: u32 = 5;

/// Why there is no invoice.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The calendar.
    #[error(transparent)]
    Cycle(#[from] CycleError),
    /// The amounts.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The period, or its grace, is not over.
    #[error("the period is not over")]
    Open,
    /// The next invoice is of another period.
    #[error("the next invoice is of another period")]
    OutOfOrder,
    /// Nothing was committed, or nobody knows.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// There is no such invoice.
    #[error("there is no such invoice")]
    NoInvoice,
    /// The receiver's wallets take no other tenant's money.
    #[error("the receiver's wallets do not collect")]
    NoGrant,
    /// Refused without a trace.
    #[error("the collection was refused without a trace")]
    Declined(Refusal),
    /// It was tried too often.
    #[error("it was tried too often")]
    TooOften,
}

/// The invoice of a period, and whether it was there before.
#[derive(Clone, Debug)]
pub struct Closed {
    /// As it was issued.
    pub invoice: InvoiceRow,
    /// Whether somebody had closed the period before.
    pub replayed: bool,
}

/// What the next invoice is about.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    number: i64,
    period: Period,
    after_seal: i64,
    after_event: i64,
}

impl Next {
    /// What follows on the last invoice; `begin` is where the first one begins, `period_from` gives the period that begins
    /// at a moment.
    pub async fn find(
        store: &Store,
        tenant: TenantId,
        begin: Timestamp,
        period_from: impl Fn(Timestamp) -> Result<Period, CycleError>,
    ) -> Result<Self, BillingError> {
        let last = store.invoices(tenant, None, 1).await?.invoices.pop();
        let (number, start, after_seal, after_event) = match last {
            Some(last) => (last.number + 1, last.period.end, last.through_seal, last.through_event),
            None => (1, begin, store.billing_cut(begin).await?, 0),
        };
        Ok(Self { number, period: period_from(start)?, after_seal, after_event })
    }

    /// What the invoice would say now, and whether its period is over.
    pub async fn preview(
        &self,
        store: &Store,
        tenant: TenantId,
        plan: &Plan,
    ) -> Result<(InvoiceRow, bool), BillingError> {
        let is_over = self.period.end <= store.now().await?;
        Ok((self.invoice(store, tenant, plan).await?, is_over))
    }

    async fn invoice(
        &self,
        store: &Store,
        tenant: TenantId,
        plan: &Plan,
    ) -> Result<InvoiceRow, BillingError> {
        let through_seal = store.billing_cut(self.period.end).await?.max(self.after_seal);
        let seals = (self.after_seal, through_seal);
        let mut usage = store.usage(tenant, seals, plan.terms().currency).await?;
        let through_event = store.usage_position(tenant).await?;
        let names = plan.terms().events.iter().map(|price| price.name.clone()).collect();
        let positions = (self.after_event, through_event);
        usage.events = store.recorded_usage(tenant, positions, self.period, names).await?;
        let statement = plan.bill(&usage)?;
        let credits = store.prepaid_credits(tenant, "").await?.into_iter();
        let credits = credits.filter(|(currency, _)| *currency == statement.currency);
        let credits: Vec<Credit> = credits.map(|(_, credit)| credit).collect();
        let prepaid = consume(statement.total, &credits, self.period.end);
        let paid = prepaid.iter().map(|used| used.minor).sum();
        let standing = Standing { total: statement.total, prepaid: paid, ..Standing::default() };
        let document = Document { statement, usage, prepaid };
        let Self { number, period, after_seal, .. } = *self;
        Ok(InvoiceRow {
            number,
            period,
            after_seal,
            through_seal,
            through_event,
            document,
            issued_at: None,
            standing,
            last_attempt: None,
        })
    }
}

/// Closes the period that begins at `start`, once `grace_us` have passed since its end.
pub async fn close(
    store: &Store,
    tenant: TenantId,
    plan: &Plan,
    (start, grace_us): (Timestamp, i64),
    (begin, period_from): (Timestamp, impl Fn(Timestamp) -> Result<Period, CycleError>),
) -> Result<Closed, BillingError> {
    let mut attempt = 1;
    loop {
        // Looked for first: whatever is closed meanwhile, the period is then either the next one or has its invoice.
        let next = Next::find(store, tenant, begin, &period_from).await?;
        if next.period.start != start {
            let invoice = store.invoice_of_period(tenant, start).await?.ok_or(BillingError::OutOfOrder)?;
            return Ok(Closed { invoice, replayed: true });
        }
        if store.now().await?.0 < next.period.end.0.saturating_add(grace_us) {
            return Err(BillingError::Open);
        }
        let invoice = next.invoice(store, tenant, plan).await?;
        match store.issue_invoice(tenant, &invoice).await {
            Ok(issued) => return issued_invoice(store, tenant, start, issued).await,
            Err(StoreError::Conflict(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The answer is what is stored, not what was to be stored.
async fn issued_invoice(
    store: &Store,
    tenant: TenantId,
    start: Timestamp,
    issued: bool,
) -> Result<Closed, BillingError> {
    let invoice = store.invoice_of_period(tenant, start).await?;
    let invoice = invoice.ok_or(StoreError::Corrupt("invoice"))?;
    Ok(Closed { invoice, replayed: !issued })
}
