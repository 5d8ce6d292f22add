//! What the background tasks ask of the database: sealing, the chain's head, and holds that are due.

use payplane_ledger::{OperationId, TenantId};
use uuid::Uuid;

use super::{Store, StoreError};

/// A hold whose deadline has passed or whose date has come.
#[derive(Clone, Copy, Debug)]
pub struct DuePayment {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which it is.
    pub payment: OperationId,
    /// Whether its deadline has passed; otherwise it takes itself.
    pub is_expired: bool,
    /// Since when it is due, in microseconds since 1970.
    pub due_us: i64,
    /// The database's time.
    pub now_us: i64,
}

impl Store {
    /// Seals up to `max` batches and says how many it was; 0 also while another replica seals.
    pub async fn seal(&self, max: i32) -> Result<i32, StoreError> {
        let mut connection = self.connection().await?;
        let query = sqlx::query_scalar("select payplane.seal_batches($1)").bind(max);
        // To the end of all rows: the transaction ends with it.
        let sealed = query.fetch_all(&mut *connection).await?;
        Ok(sealed.first().copied().unwrap_or_default())
    }

    /// Notes that a sweep ended, and which holds it gave back.
    pub async fn record_sweep(&self, ended: &[(TenantId, OperationId)]) -> Result<(), StoreError> {
        let (tenants, payments): (Vec<Uuid>, Vec<Uuid>) =
            ended.iter().map(|(tenant, payment)| (tenant.uuid(), payment.uuid())).unzip();
        let mut connection = self.connection().await?;
        let query = sqlx::query("select payplane.record_sweep($1, $2)").bind(tenants).bind(payments);
        query.execute(&mut *connection).await?;
        Ok(())
    }

    /// Holds that are due, the oldest first, after the given one.
    pub async fn due_payments(
        &self,
        after_us: i64,
        after: OperationId,
        max: i32,
    ) -> Result<Vec<DuePayment>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(Uuid, Uuid, bool, i64, i64)> =
            sqlx::query_as("select * from payplane.due_payments($1, $2, $3)")
                .bind(after_us)
                .bind(after.uuid())
                .bind(max)
                .fetch_all(&mut *connection)
                .await?;
        let due = |(tenant, payment, is_expired, due_us, now_us)| DuePayment {
            tenant: TenantId::from_uuid(tenant),
            payment: OperationId::from_uuid(payment),
            is_expired,
            due_us,
            now_us,
        };
        Ok(rows.into_iter().map(due).collect())
    }
}
