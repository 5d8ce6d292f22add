//! Walks along the journal, newest first: all of a tenant's lines, or those of one account.
//!
//! An account's lines are a chain: each points at the one before it, and the account at the last. Where the chain stands
//! at a moment of the past is found without an index by account, by whichever is shorter: down the chain from its end,
//! or up the journal from that moment to the account's next line, which points back. With `n` lines of the tenant since
//! then, one of the two takes at most about the square root of `n` steps if the account's lines are spread evenly.

use payplane_ledger::{AccountId, OperationId, Sequence, TenantId, Timestamp};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::TimeRange;
use crate::store::StoreError;

/// How many lines are looked at for one page.
pub(super) const LINES_MAX: usize = 10_000;

/// How many lines one statement brings where not all of them are wanted.
const CHUNK: usize = 1_000;

/// How far down a chain is walked before the journal is searched upwards.
const CHAIN_STEPS_MAX: i32 = 10_000;

/// The longest time between a batch's number and its decision, with room: a committer keeps a number for ten seconds at
/// most. Numbers are drawn in the order of time, so within it numbers and times may disagree.
const DISORDER_US: i64 = 15_000_000;

/// Sequence numbers per batch, as in the migrations.
const PER_BATCH: i64 = payplane_ledger::SEQUENCES_PER_BATCH;

/// The first batch decided at this time or later.
const BATCH_FROM: &str =
    "select batch_id from payplane.batches where decided_us >= $1 order by decided_us limit 1";

/// The last batch decided before this time.
const BATCH_BEFORE: &str =
    "select batch_id from payplane.batches where decided_us < $1 order by decided_us desc limit 1";

/// Down the chain until it is below the bound.
const DOWN_THE_CHAIN: &str = "\
    with recursive history as (
        select a.last_operation as sequence, 0 as steps
        from payplane.accounts a where a.tenant_id = $1 and a.account_id = $2
        union all
        select case when j.debit_account = $2 then j.debit_previous else j.credit_previous end, h.steps + 1
        from history h
        join payplane.journal j on j.tenant_id = $1 and j.sequence = h.sequence and 0 < j.sequence
        where $3 <= h.sequence and h.steps < $4
    )
    select sequence from history order by steps desc limit 1";

/// The account's first line from the bound on points at the one before the bound.
const UP_THE_JOURNAL: &str = "\
    select case when j.debit_account = $2 then j.debit_previous else j.credit_previous end
    from payplane.journal j
    where j.tenant_id = $1 and $3 <= j.sequence and 0 < j.sequence and (j.debit_account = $2 or j.credit_account = $2)
      and j.posted is not null
    order by j.sequence limit 1";

/// Conditions on a line, as columns of `journal j`, `batches b` and `payments p`.
pub(super) type Conditions<'a> = &'a (dyn Fn(&mut QueryBuilder<Postgres>) + Sync);

/// Which lines are walked along.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    /// Whose.
    pub(super) tenant: TenantId,
    /// Of which account; nothing for all of the tenant.
    pub(super) account: Option<AccountId>,
    /// Not further down than this.
    pub(super) lowest: i64,
    /// What makes a line wanted.
    pub(super) conditions: Conditions<'a>,
    /// Whether most lines are wanted.
    pub(super) is_dense: bool,
}

/// Wanted lines, newest first, and where the next page starts.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) operations: Vec<OperationId>,
    pub(super) next: Option<Sequence>,
}

/// Sequence, operation, the line before, whether it is wanted.
type Line = (i64, Uuid, Option<i64>, bool);

impl Scan<'_> {
    /// Up to `limit` wanted lines from `start` on downwards.
    pub(super) async fn page(
        &self,
        connection: &mut PgConnection,
        start: Sequence,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let mut found = Found { operations: Vec::new(), next: Some(start) };
        let mut looked_at = 0;
        while let Some(start) = found.next.filter(|_| looked_at < LINES_MAX) {
            // One more than needed, to know whether there is another page.
            let needed = limit - found.operations.len() + 1;
            let chunk = if self.is_dense { needed } else { needed.max(CHUNK) };
            let lines = self.lines(&mut *connection, start, chunk).await?;
            looked_at += lines.len();
            let is_end = lines.len() < chunk;
            found.next =
                lines.last().and_then(|(_, _, previous, _)| *previous).filter(|_| !is_end).map(Sequence);
            for (sequence, operation, _, is_wanted) in lines {
                if found.operations.len() == limit {
                    found.next = Some(Sequence(sequence));
                    return Ok(found);
                }
                if is_wanted {
                    found.operations.push(OperationId::from_uuid(operation));
                }
            }
        }
        Ok(found)
    }

    async fn lines(
        &self,
        connection: &mut PgConnection,
        start: Sequence,
        chunk: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let mut query = match self.account {
            None => self.of_tenant(start, chunk as i64),
            Some(account) => self.of_account(account, start, chunk as i32),
        };
        Ok(query.build_query_as().fetch_all(connection).await?)
    }

    fn of_tenant(&self, start: Sequence, chunk: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("select j.sequence, j.operation_id, j.sequence - 1, (true");
        (self.conditions)(&mut query);
        query.push(
            ") from payplane.journal j join payplane.batches b on b.batch_id = j.sequence / 1024 \
             left join payplane.payments p on p.tenant_id = j.tenant_id and p.payment_id = j.operation_id \
             where j.tenant_id = ",
        );
        query.push_bind(self.tenant.uuid()).push(" and j.sequence <= ").push_bind(start.0);
        query.push(" and ").push_bind(self.lowest);
        query.push(" <= j.sequence and 0 < j.sequence order by j.sequence desc limit ");
        query.push_bind(chunk);
        query
    }

    fn of_account(&self, account: AccountId, start: Sequence, chunk: i32) -> QueryBuilder<Postgres> {
        let (tenant, account) = (self.tenant.uuid(), account.uuid());
        let mut query = QueryBuilder::new(
            "with recursive history as (select j.sequence, j.operation_id, case when j.debit_account = ",
        );
        query.push_bind(account).push(
            " then j.debit_previous else j.credit_previous end as previous, 1 as place \
             from payplane.journal j where j.tenant_id = ",
        );
        query.push_bind(tenant).push(" and j.sequence = ").push_bind(start.0);
        query
            .push(" and ")
            .push_bind(self.lowest)
            .push(" <= j.sequence and 0 < j.sequence and j.posted is not null and ");
        query.push_bind(account).push(
            " in (j.debit_account, j.credit_account) \
             union all select j.sequence, j.operation_id, case when j.debit_account = ",
        );
        query.push_bind(account).push(
            " then j.debit_previous else j.credit_previous end, h.place + 1 \
             from history h join payplane.journal j on j.sequence = h.previous and 0 < j.sequence and j.tenant_id = ",
        );
        query.push_bind(tenant).push(" where h.place < ").push_bind(chunk);
        query.push(" and ").push_bind(self.lowest).push(" <= h.previous) ");
        query.push("select h.sequence, h.operation_id, h.previous, (true");
        (self.conditions)(&mut query);
        query.push(
            ") from history h join payplane.journal j on j.sequence = h.sequence and 0 < j.sequence and j.tenant_id = ",
        );
        query.push_bind(tenant).push(
            " join payplane.batches b on b.batch_id = j.sequence / 1024 \
             left join payplane.payments p on p.tenant_id = j.tenant_id and p.payment_id = j.operation_id \
             order by h.place",
        );
        query
    }
}

/// Sequence numbers that hold every line of the times, and lines around: the lowest, and the first above.
pub(super) async fn bounds(
    connection: &mut PgConnection,
    times: TimeRange,
) -> Result<(i64, i64), StoreError> {
    let mut bounds = (1, i64::MAX);
    if let Some(Timestamp(start_us)) = times.start {
        let query = sqlx::query_scalar(BATCH_BEFORE).bind(start_us.saturating_sub(DISORDER_US));
        let batch: Option<i64> = query.fetch_optional(&mut *connection).await?;
        bounds.0 = batch.map_or(1, |batch| (batch + 1) * PER_BATCH);
    }
    if let Some(Timestamp(end_us)) = times.end {
        let query = sqlx::query_scalar(BATCH_FROM).bind(end_us.saturating_add(DISORDER_US));
        let batch: Option<i64> = query.fetch_optional(&mut *connection).await?;
        bounds.1 = batch.map_or(i64::MAX, |batch| batch * PER_BATCH);
    }
    Ok(bounds)
}

/// The account's last line below the bound; zero if there is none.
pub(super) async fn last_below(
    connection: &mut PgConnection,
    (tenant, account): (TenantId, AccountId),
    bound: i64,
) -> Result<Sequence, StoreError> {
    let down = sqlx::query_scalar(DOWN_THE_CHAIN)
        .bind(tenant.uuid())
        .bind(account.uuid())
        .bind(bound)
        .bind(CHAIN_STEPS_MAX);
    let reached: i64 = down.fetch_optional(&mut *connection).await?.unwrap_or_default();
    if reached < bound {
        return Ok(Sequence(reached));
    }
    let up = sqlx::query_scalar(UP_THE_JOURNAL).bind(tenant.uuid()).bind(account.uuid()).bind(bound);
    let found: Option<i64> = up.fetch_optional(connection).await?;
    Ok(Sequence(found.unwrap_or_default()))
}

/// The condition that a line is of these times.
pub(super) fn within(times: TimeRange, query: &mut QueryBuilder<Postgres>) {
    if let Some(start) = times.start {
        query.push(" and b.decided_us >= ").push_bind(start.0);
    }
    if let Some(end) = times.end {
        query.push(" and b.decided_us < ").push_bind(end.0);
    }
}
