//! What was agreed on plans.

use payplane_billing::{Agreement, PARTS_MAX, Period, Plan};
use payplane_ledger::{TenantId, Timestamp};
use sqlx::Row as _;

use crate::store::{InvoiceRow, Store, StoreError};

/// What became of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// It is agreed now, and holds from then on.
    Now(Timestamp),
    /// It was agreed before, and holds from then on.
    Before(Timestamp),
    /// Other terms have this version.
    OtherTerms,
    /// The currency cannot change within a period.
    OtherCurrency,
    /// The open period was cut as often as it can be.
    TooManyCuts,
}

/// What was agreed for a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreements {
    /// How many there are in all.
    pub count: i64,
    /// Those that matter for the period, in the order in which they were agreed.
    pub agreements: Vec<Agreement>,
}

const AGREE: &str = "select answer, effective_us from payplane.agree_plan($1, $2, $3, $4, $5, $6)";

/// The one that holds at the period's start, and those that cut it. Of cuts [`PARTS_MAX`] is more than a period has.
const AGREEMENTS: &str = "\
    select h.number, h.count, a.effective_us, a.cuts, v.terms
    from (
        select max(a.number) as count, max(a.number) filter (where a.effective_us <= $2) as number
        from payplane.plan_agreements a where a.tenant_id = $1
    ) h
    join payplane.plan_agreements a on a.tenant_id = $1
         and (a.number = h.number or a.number > h.number and a.cuts and $2 < a.effective_us and a.effective_us < $3)
    join payplane.plan_versions v on v.tenant_id = a.tenant_id and v.version = a.version
    order by a.number limit $4";

impl Store {
    /// Agrees on a plan from a moment on at which a period begins or, without one, from now on.
    pub async fn agree_plan(
        &self,
        tenant: TenantId,
        plan: &Plan,
        next: Option<Timestamp>,
    ) -> Result<Agreed, StoreError> {
        let terms = plan.terms();
        let text = serde_json::to_string(terms).map_err(|_| StoreError::Corrupt("plan"))?;
        let cuts_max = i32::try_from(PARTS_MAX - 1).unwrap_or(i32::MAX);
        let mut connection = self.connection().await?;
        let query = sqlx::query(AGREE)
            .bind(tenant.uuid())
            .bind(&terms.version)
            .bind(terms.currency.code())
            .bind(text)
            .bind(next.map(|at| at.0))
            .bind(cuts_max);
        let row = query.fetch_one(&mut *connection).await?;
        let effective = row.try_get::<Option<i64>, _>("effective_us")?.map(Timestamp);
        match (row.try_get::<i16, _>("answer")?, effective) {
            (1, Some(effective)) => Ok(Agreed::Now(effective)),
            (2, Some(effective)) => Ok(Agreed::Before(effective)),
            (3, _) => Ok(Agreed::OtherTerms),
            (4, _) => Ok(Agreed::OtherCurrency),
            (5, _) => Ok(Agreed::TooManyCuts),
            _ => Err(StoreError::Corrupt("agreement")),
        }
    }

    /// What was agreed for a period.
    pub async fn agreements(&self, tenant: TenantId, period: Period) -> Result<Agreements, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(AGREEMENTS)
            .bind(tenant.uuid())
            .bind(period.start.0)
            .bind(period.end.0)
            .bind(i64::try_from(PARTS_MAX).unwrap_or(i64::MAX));
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let mut found = Agreements::default();
        for row in &rows {
            found.count = row.try_get("count")?;
            let terms: &str = row.try_get("terms")?;
            let terms = serde_json::from_str(terms).map_err(|_| StoreError::Corrupt("plan"))?;
            let plan = Plan::new(terms).map_err(|_| StoreError::Corrupt("plan"))?;
            let effective = Timestamp(row.try_get("effective_us")?);
            found.agreements.push(Agreement { plan, effective, cuts: row.try_get("cuts")? });
        }
        Ok(found)
    }

    /// Issues an invoice by what was agreed; says whether it did. False if its period has one, a conflict if more was
    /// agreed meanwhile.
    pub async fn issue_agreed_invoice(
        &self,
        tenant: TenantId,
        invoice: &InvoiceRow,
        agreements: i64,
    ) -> Result<bool, StoreError> {
        super::issue(self, tenant, invoice, Some(agreements)).await
    }
}
