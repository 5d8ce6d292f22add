//! Reached thresholds on their way to Kafka: they wait in a table of their own, because no operation of the journal is behind
//! them.

use payplane_ledger::{AccountId, OperationId, TenantId};
use sqlx::{FromRow as _, Row as _, postgres::PgRow};

use super::{EventSession, Letter, Names, STEP_TIMEOUT};
use crate::store::{ReachedThreshold, StoreError, error::bounded};

/// How many one page has at most.
const THRESHOLDS_MAX: i32 = 1_000;

/// A reached threshold, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// What the tenant is called.
    pub tenant_name: String,
    /// The fact.
    pub reached: ReachedThreshold,
}

impl ThresholdRow {
    /// The event's name among letters. It has no wallet: the tenant stands for it.
    pub fn letter(&self, problem: Option<String>) -> Letter {
        Letter {
            tenant: self.tenant,
            operation: OperationId::from_uuid(self.reached.id),
            account: AccountId::from_uuid(self.tenant.uuid()),
            seal: self.reached.seal,
            problem,
        }
    }
}

impl EventSession {
    /// Thresholds that wait to be published, in the order in which they were noticed.
    pub async fn thresholds(&mut self) -> Result<Vec<ThresholdRow>, StoreError> {
        self.read_thresholds(false).await
    }

    /// Those of letters that are to be sent again.
    pub async fn threshold_retries(&mut self) -> Result<Vec<ThresholdRow>, StoreError> {
        self.read_thresholds(true).await
    }

    async fn read_thresholds(&mut self, retries: bool) -> Result<Vec<ThresholdRow>, StoreError> {
        let query = sqlx::query("select * from payplane.read_thresholds($1, $2)");
        let query = query.bind(retries).bind(THRESHOLDS_MAX);
        let rows = bounded("read", STEP_TIMEOUT, query.fetch_all(&mut self.connection)).await?;
        rows.iter().map(threshold).collect()
    }

    /// Takes those out that were sent, and keeps what was refused. False if somebody else publishes by now.
    pub async fn settle_thresholds(&mut self, letters: &[Letter]) -> Result<bool, StoreError> {
        let names = Names::of(letters);
        let query = sqlx::query_scalar("select payplane.settle_thresholds($1, $2, $3, $4)")
            .bind(self.epoch)
            .bind(names.tenants)
            .bind(names.operations)
            .bind(names.problems);
        bounded("settle", STEP_TIMEOUT, query.fetch_one(&mut self.connection)).await
    }
}

fn threshold(row: &PgRow) -> Result<ThresholdRow, StoreError> {
    Ok(ThresholdRow {
        tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
        tenant_name: row.try_get::<Option<String>, _>("tenant_name")?.unwrap_or_default(),
        reached: ReachedThreshold::from_row(row)?,
    })
}
