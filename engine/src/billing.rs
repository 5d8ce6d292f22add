//! Closing periods: which period is next, what was used in it, and its invoice.
//!
//! 1. The next invoice follows from the last one: its period begins where that one ended, its usage after that one's last
//!    seal. The first one begins where the caller says.
//! 2. The cut is the last seal such that it and everything before it was decided before the period's end.
//! 3. Usage is read from sealed batches and from what others recorded, priced by the plan, paid by prepaid credits as far as
//!    they go, and issued by one call of the database, which checks dates,
//!    numbers and the cut again. If the cut has moved meanwhile, all of it is done again, at most five times.
//!    Without a plan of the caller's it is priced by what was agreed with the tenant ([`agree`]); then the call checks too that
//!    nothing more was agreed meanwhile.
//!    Before that it is stored which thresholds it reaches ([`note_thresholds`]).
//!    Each look at the database but the counting is in a turn of its own, as each collection is: payments come first.
//! 4. Whoever closes a period that is closed gets its invoice. So a crash between any two of these steps, and another
//!    engine that does the same, change nothing.

mod collect;
pub mod document;
mod priced;
mod threshold;

pub use collect::{Collect, Receiver, collect};
pub use priced::Pricing;
pub use threshold::note as note_thresholds;

use payplane_billing::{Credit, CycleError, Overflow, Period, Plan, Standing, Threshold, Usage, consume};
use payplane_ledger::{Refusal, TenantId, Timestamp};

use crate::{
    commit::CommitError,
    store::{Agreed, Document, InvoiceRow, Store, StoreError, Turn},
};

use priced::Priced;

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
    /// Nothing was agreed with the tenant.
    #[error("there is no plan that was agreed")]
    NoPlan,
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
    /// What was stored at the last invoice's cut; zero if that does not say so.
    stored: i64,
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
        let Some(last) = last else {
            let after_seal = store.billing_cut(begin).await?;
            return Ok(Self {
                number: 1,
                period: period_from(begin)?,
                after_seal,
                after_event: 0,
                stored: 0,
            });
        };
        Ok(Self {
            number: last.number + 1,
            period: period_from(last.period.end)?,
            after_seal: last.through_seal,
            after_event: last.through_event,
            stored: last.document.usage.storage,
        })
    }

    /// What the invoice would say now, and whether its period is over.
    pub async fn preview(
        &self,
        store: &Store,
        tenant: TenantId,
        pricing: impl Into<Pricing<'_>>,
    ) -> Result<(InvoiceRow, bool), BillingError> {
        let is_over = self.period.end <= store.now().await?;
        let priced = Priced::find(store, tenant, self.period, pricing.into()).await?;
        Ok((self.invoice(store, tenant, &priced).await?, is_over))
    }

    /// What the total will be at the period's end, if usage goes on as it did in the part of the period that is open. Of a
    /// preview, which it shows.
    pub async fn forecast(
        &self,
        store: &Store,
        tenant: TenantId,
        pricing: impl Into<Pricing<'_>>,
        shown: &InvoiceRow,
    ) -> Result<i64, BillingError> {
        let now = store.now().await?;
        let priced = Priced::find(store, tenant, self.period, pricing.into()).await?;
        Ok(priced.forecast(&shown.document, now)?)
    }

    async fn invoice(
        &self,
        store: &Store,
        tenant: TenantId,
        priced: &Priced,
    ) -> Result<InvoiceRow, BillingError> {
        let through_seal = store.billing_cut(self.period.end).await?.max(self.after_seal);
        let through_event = store.usage_position(tenant).await?;
        let (seals, positions) = ((self.after_seal, through_seal), (self.after_event, through_event));
        let mut parts = priced.usages(store, tenant, seals, positions, self.stored).await?;
        let statement = priced.bill(&parts)?;
        let together = |sum: Usage, part: &Usage| sum.plus(part).ok_or(Overflow);
        let usage = parts.iter().map(|part| &part.usage).try_fold(Usage::default(), together)?;
        if parts.len() == 1 {
            parts.clear();
        }
        let credits = store.prepaid_credits(tenant, "").await?.into_iter();
        let credits = credits.filter(|(currency, _)| *currency == statement.currency);
        let credits: Vec<Credit> = credits.map(|(_, credit)| credit).collect();
        let prepaid = consume(statement.total, &credits, self.period.end);
        let paid = prepaid.iter().map(|used| used.minor).sum();
        let standing = Standing { total: statement.total, prepaid: paid, ..Standing::default() };
        let document = Document { statement, usage, prepaid, parts };
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
    pricing: impl Into<Pricing<'_>>,
    at: (Timestamp, i64),
    cycle: (Timestamp, impl Fn(Timestamp) -> Result<Period, CycleError>),
) -> Result<Closed, BillingError> {
    close_noting(store, tenant, (pricing, &[]), at, cycle).await
}

/// The same, and stores which thresholds the period reaches before it is closed: so a crash in between loses none.
pub async fn close_noting(
    store: &Store,
    tenant: TenantId,
    (pricing, thresholds): (impl Into<Pricing<'_>>, &[Threshold]),
    (start, grace_us): (Timestamp, i64),
    (begin, period_from): (Timestamp, impl Fn(Timestamp) -> Result<Period, CycleError>),
) -> Result<Closed, BillingError> {
    let (pricing, mut attempt) = (pricing.into(), 1);
    loop {
        let turn = turn(store).await?;
        // Looked for first: whatever is closed meanwhile, the period is then either the next one or has its invoice.
        let next = Next::find(store, tenant, begin, &period_from).await?;
        if next.period.start != start {
            let invoice = store.invoice_of_period(tenant, start).await?.ok_or(BillingError::OutOfOrder)?;
            return Ok(Closed { invoice, replayed: true });
        }
        if store.now().await?.0 < next.period.end.0.saturating_add(grace_us) {
            return Err(BillingError::Open);
        }
        let priced = Priced::find(store, tenant, next.period, pricing).await?;
        // Counting may take long, and has places of its own.
        drop(turn);
        let invoice = next.invoice(store, tenant, &priced).await?;
        let _turn = self::turn(store).await?;
        note_thresholds(store, tenant, &invoice, thresholds).await?;
        let issued = match priced.agreements {
            None => store.issue_invoice(tenant, &invoice).await,
            Some(known) => store.issue_agreed_invoice(tenant, &invoice, known).await,
        };
        match issued {
            Ok(issued) => return issued_invoice(store, tenant, start, issued).await,
            Err(StoreError::Conflict(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A turn; whoever waited for too long may ask again.
async fn turn(store: &Store) -> Result<Turn<'_>, BillingError> {
    store.billing_turn().await.ok_or(BillingError::Commit(CommitError::Busy))
}

/// Agrees on a plan: now, or from the end of the period that is open by the database's clock.
pub async fn agree(
    store: &Store,
    tenant: TenantId,
    (plan, is_now): (&Plan, bool),
    (begin, period_from): (Timestamp, impl Fn(Timestamp) -> Result<Period, CycleError>),
) -> Result<Agreed, BillingError> {
    if is_now {
        return Ok(store.agree_plan(tenant, plan, None).await?);
    }
    let open = Next::find(store, tenant, begin, &period_from).await?.period;
    let now = store.now().await?;
    // Billing may begin later, and periods that are over may not be closed yet.
    let next = if now < open.start { open.start } else { period_from(now)?.end };
    Ok(store.agree_plan(tenant, plan, Some(next)).await?)
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
