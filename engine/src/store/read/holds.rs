//! How holds do as a whole.

use payplane_ledger::{TenantId, Timestamp};

use crate::store::{Store, StoreError};

/// How many pending holds are looked at for one answer, which bounds what it costs.
const HOLDS_MAX: i32 = 10_000;

/// The pending holds of a tenant, of a class of its wallets, or of everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldSummary {
    /// How many there are, up to a bound.
    pub pending: i64,
    /// How many of them should have ended by their deadline.
    pub overdue: i64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// The earliest deadline that has passed of a hold that sweeps give back.
    pub overdue_since: Option<Timestamp>,
    /// How many were ever given back by their deadline.
    pub reversed: i64,
    /// How many of these the last sweep gave back.
    pub reversed_last: i64,
    /// When a sweep last ended.
    pub swept_at: Option<Timestamp>,
    /// When this was so.
    pub now: Timestamp,
    /// How many of the overdue ones sweeps leave to somebody's decision.
    pub awaiting: i64,
    /// The earliest of their deadlines.
    pub awaiting_since: Option<Timestamp>,
}

type Row = (i64, i64, Option<i64>, Option<i64>, i64, i64, i64, i64, i64, Option<i64>);

impl Store {
    /// How the holds of a tenant do, or of everybody; of wallets of a class, or of all.
    pub async fn hold_summary(
        &self,
        tenant: Option<TenantId>,
        class: Option<&str>,
    ) -> Result<HoldSummary, StoreError> {
        let mut connection = self.connection().await?;
        let query = "select pending, overdue, oldest_us, overdue_us, reversed, last_reversed, swept_us, now_us, \
                     awaiting, awaiting_us \
                     from payplane.hold_summary($1, $2, $3)";
        let row: Row = sqlx::query_as(query)
            .bind(tenant.map(TenantId::uuid))
            .bind(class)
            .bind(HOLDS_MAX)
            .fetch_one(&mut *connection)
            .await?;
        let (
            pending,
            overdue,
            oldest,
            overdue_since,
            reversed,
            reversed_last,
            swept,
            now,
            awaiting,
            awaiting_since,
        ) = row;
        Ok(HoldSummary {
            pending,
            overdue,
            oldest: oldest.map(Timestamp),
            overdue_since: overdue_since.map(Timestamp),
            reversed,
            reversed_last,
            swept_at: (swept != 0).then_some(Timestamp(swept)),
            now: Timestamp(now),
            awaiting,
            awaiting_since: awaiting_since.map(Timestamp),
        })
    }
}
