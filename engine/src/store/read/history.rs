//! What an account held, and what happened to it.

use payplane_ledger::{AccountId, Balance, Decision, OperationId, Sequence, TenantId, Timestamp};
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::{
    HeadRow, TimeRange, decisions, in_order,
    scan::{Scan, bounds, last_below, within},
    sealed,
};
use crate::store::{Store, StoreError, row};

/// A moment of the past.
#[derive(Clone, Copy, Debug)]
pub enum AsOf {
    /// After everything that was decided until then.
    Time(Timestamp),
    /// After this place in the journal.
    Sequence(Sequence),
}

/// What an account held.
#[derive(Debug)]
pub struct BalanceRow {
    /// Then.
    pub balance: Balance,
    /// The last operation that is part of it, and when it was decided.
    pub last: Option<(Sequence, Timestamp)>,
    /// How far the ledger was sealed when it was looked at.
    pub head: HeadRow,
}

/// Some operations on an account, newest first.
#[derive(Debug)]
pub struct Statement {
    /// The operations.
    pub operations: Vec<(OperationId, Decision)>,
    /// Where the next page starts; nothing on the last page.
    pub next: Option<Sequence>,
}

/// Down the chain from the given line to the first one that was sealed by then and decided in time.
const LAST_SEALED: &str = "\
    with recursive history as (
        select j.sequence, case when j.debit_account = $2 then j.debit_previous else j.credit_previous end as previous,
               b.decided_us,
               b.decided_us <= $4 and exists (
                   select 1 from payplane.seals s where s.batch_id = b.batch_id and s.seal <= $5) as counts
        from payplane.journal j
        join payplane.batches b on b.batch_id = j.sequence / 1024
        where j.tenant_id = $1 and j.sequence = $3 and 0 < j.sequence
        union all
        select j.sequence, case when j.debit_account = $2 then j.debit_previous else j.credit_previous end,
               b.decided_us,
               b.decided_us <= $4 and exists (
                   select 1 from payplane.seals s where s.batch_id = b.batch_id and s.seal <= $5)
        from history h
        join payplane.journal j on j.tenant_id = $1 and j.sequence = h.previous and 0 < j.sequence
        join payplane.batches b on b.batch_id = j.sequence / 1024
        where not h.counts
    )
    select h.sequence, h.decided_us,
           case when j.debit_account = $2 then j.debit_posted_debits else j.credit_posted_debits end as posted_debits,
           case when j.debit_account = $2 then j.debit_posted_credits else j.credit_posted_credits end
               as posted_credits,
           case when j.debit_account = $2 then j.debit_pending_debits else j.credit_pending_debits end
               as pending_debits,
           case when j.debit_account = $2 then j.debit_pending_credits else j.credit_pending_credits end
               as pending_credits,
           case when j.debit_account = $2 then j.debit_version else j.credit_version end as version
    from history h
    join payplane.journal j on j.tenant_id = $1 and j.sequence = h.sequence and 0 < j.sequence
    where h.counts";

impl Store {
    /// What an account held at a moment, from sealed batches.
    pub async fn balance_at(
        &self,
        tenant: TenantId,
        account: AccountId,
        at: AsOf,
    ) -> Result<BalanceRow, StoreError> {
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        // First, so that nothing is counted that the watermark does not cover.
        let head = sealed::head(connection).await?;
        let (bound, until_us) = match at {
            AsOf::Sequence(sequence) => (sequence.0.saturating_add(1), i64::MAX),
            AsOf::Time(Timestamp(us)) => {
                let times = TimeRange { start: None, end: Some(Timestamp(us.saturating_add(1))) };
                (bounds(connection, times).await?.1, us)
            }
        };
        let start = last_below(connection, (tenant, account), bound).await?;
        let query = sqlx::query(LAST_SEALED)
            .bind(tenant.uuid())
            .bind(account.uuid())
            .bind(start.0)
            .bind(until_us)
            .bind(head.seal);
        let found = query.fetch_optional(connection).await?;
        view.end().await?;
        let Some(found) = found else {
            return Ok(BalanceRow { balance: Balance::default(), last: None, head });
        };
        let last = (Sequence(found.try_get("sequence")?), Timestamp(found.try_get("decided_us")?));
        Ok(BalanceRow { balance: row::balance(&found, "")?, last: Some(last), head })
    }

    /// Operations that changed an account, newest first, from `start` on.
    pub async fn statement(
        &self,
        tenant: TenantId,
        account: AccountId,
        times: TimeRange,
        (start, limit): (Option<Sequence>, usize),
    ) -> Result<Statement, StoreError> {
        let mut view = self.view(tenant).await?;
        let connection = view.connection()?;
        let (lowest, above) = bounds(connection, times).await?;
        let start = match start {
            Some(start) => start,
            None => last_below(connection, (tenant, account), above).await?,
        };
        let conditions = |query: &mut QueryBuilder<Postgres>| within(times, query);
        let scan = Scan { tenant, account: Some(account), lowest, conditions: &conditions, is_dense: true };
        let found = scan.page(connection, start, limit).await?;
        let decided = decisions(connection, tenant, &found.operations).await?;
        view.end().await?;
        Ok(Statement { operations: in_order(found.operations, decided), next: found.next })
    }
}
