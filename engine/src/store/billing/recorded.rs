//! Usage that others record.
//!
//! An invoice has what was recorded up to its number and happened before its period's end, less what the invoices before
//! it have. Both bounds only grow from invoice to invoice, so each event is in the first one that reaches it, and in no
//! other.

use std::collections::BTreeMap;

use payplane_billing::Period;
use payplane_ledger::{TenantId, Timestamp};
use sqlx::Row as _;

use crate::store::{Store, StoreError};

/// Something that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageEvent {
    /// Who counts.
    pub source: String,
    /// What the source calls it.
    pub id: String,
    /// What plans call it.
    pub metric: String,
    /// Zero or more.
    pub quantity: i64,
    /// When it happened.
    pub at: Timestamp,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded now.
    Now = 1,
    /// It was there already.
    Before = 2,
    /// Its source and id are another event's.
    Conflict = 3,
    /// Its period is invoiced, and it was to be refused then.
    Late = 4,
}

/// What was used in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageSum {
    /// The first moment.
    pub start: Timestamp,
    /// Who counted it; empty for all together.
    pub source: String,
    /// The sum.
    pub quantity: i64,
    /// How many events.
    pub events: i64,
}

/// Two ranges, each read through its own index: what was recorded since the last invoice, and what had been before but
/// happened after that one's period. Usage before billing began is in no invoice.
const OF_INVOICE: &str = "\
    with first as (
        select coalesce((select i.start_us from payplane.invoices i where i.tenant_id = $1 and i.number = 1), $4) as start_us
    )
    select e.metric, sum(e.quantity)::text as quantity
    from (
        select e.metric, e.quantity from payplane.usage_events e, first
        where e.tenant_id = $1 and $2 < e.position and e.position <= $3 and e.time_us < $5
          and first.start_us <= e.time_us
        union all
        select e.metric, e.quantity from payplane.usage_events e, first
        where e.tenant_id = $1 and $4 <= e.time_us and e.time_us < $5 and e.position <= $2
          and first.start_us <= e.time_us
    ) e
    where e.metric = any ($6)
    group by e.metric";

const IN_WINDOWS: &str = "\
    select (e.time_us - $3) / $5 as place, case when $6 then e.source else '' end as source,
           sum(e.quantity)::text as quantity, count(*) as events
    from payplane.usage_events e
    where e.tenant_id = $1 and e.metric = $2 and $3 <= e.time_us and e.time_us < $4
    group by 1, 2 order by 1, 2
    limit $7";

impl Store {
    /// Records events in one commit; gives what became of each.
    pub async fn record_usage(
        &self,
        tenant: TenantId,
        events: &[UsageEvent],
        refuse_late: bool,
    ) -> Result<Vec<Recorded>, StoreError> {
        let texts =
            |part: fn(&UsageEvent) -> &String| events.iter().map(|event| part(event).clone()).collect();
        let (sources, ids, metrics): (Vec<String>, Vec<String>, Vec<String>) =
            (texts(|event| &event.source), texts(|event| &event.id), texts(|event| &event.metric));
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.record_usage($1, $2, $3, $4, $5, $6, $7)")
            .bind(tenant.uuid())
            .bind(sources)
            .bind(ids)
            .bind(metrics)
            .bind(events.iter().map(|event| event.quantity).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.at.0).collect::<Vec<_>>())
            .bind(refuse_late);
        let answers: Vec<i16> = query.fetch_one(&mut *connection).await?;
        let known = [Recorded::Now, Recorded::Before, Recorded::Conflict, Recorded::Late];
        let recorded = |code: &i16| known.into_iter().find(|known| *known as i16 == *code);
        answers.iter().map(|code| recorded(code).ok_or(StoreError::Corrupt("usage"))).collect()
    }

    /// The number of what was recorded last; everything up to it is committed.
    pub async fn usage_position(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let mut view = self.view(tenant).await?;
        let query =
            sqlx::query_scalar("select h.position from payplane.usage_heads h where h.tenant_id = $1");
        let found: Option<i64> = query.bind(tenant.uuid()).fetch_optional(view.connection()?).await?;
        view.end().await?;
        Ok(found.unwrap_or_default())
    }

    /// What an invoice has of recorded usage: by name, of these names.
    pub async fn recorded_usage(
        &self,
        tenant: TenantId,
        (after, through): (i64, i64),
        period: Period,
        names: Vec<String>,
    ) -> Result<BTreeMap<String, i64>, StoreError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(OF_INVOICE)
            .bind(tenant.uuid())
            .bind(after)
            .bind(through)
            .bind(period.start.0)
            .bind(period.end.0)
            .bind(names);
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        rows.iter().map(|row| Ok((row.try_get("metric")?, quantity(row)?))).collect()
    }

    /// What was used of a metric in a range, by windows of some microseconds, and by who counted it if that is asked for; empty
    /// ones are left out. At most so many sums.
    pub async fn usage_in_windows(
        &self,
        tenant: TenantId,
        metric: &str,
        range: Period,
        (window_us, by_source): (i64, bool),
        max: i64,
    ) -> Result<Vec<UsageSum>, StoreError> {
        let mut view = self.view(tenant).await?;
        let query = sqlx::query(IN_WINDOWS)
            .bind(tenant.uuid())
            .bind(metric)
            .bind(range.start.0)
            .bind(range.end.0)
            .bind(window_us)
            .bind(by_source)
            .bind(max);
        let rows = query.fetch_all(view.connection()?).await?;
        view.end().await?;
        let sum = |row: &sqlx::postgres::PgRow| {
            let place: i64 = row.try_get("place")?;
            let start = Timestamp(range.start.0 + place * window_us);
            Ok(UsageSum {
                start,
                source: row.try_get("source")?,
                quantity: quantity(row)?,
                events: row.try_get("events")?,
            })
        };
        rows.iter().map(sum).collect()
    }
}

fn quantity(row: &sqlx::postgres::PgRow) -> Result<i64, StoreError> {
    let text: &str = row.try_get("quantity")?;
    text.parse().map_err(|_| StoreError::Corrupt("sum of usage"))
}
