//! The sums that prove the books.

use payplane_ledger::{Currency, TenantId};

use crate::store::{Store, StoreError, row};

/// Totals of one currency.
#[derive(Debug)]
pub struct TrialLine {
    /// The currency.
    pub currency: Currency,
    /// Sum of posted debits.
    pub debits: i128,
    /// Sum of posted credits.
    pub credits: i128,
    /// How many accounts.
    pub accounts: i64,
    /// How many operations moved money.
    pub transfers: i64,
}

impl Store {
    /// Totals by currency: of one tenant or of everybody.
    pub async fn trial_balance(&self, tenant: Option<TenantId>) -> Result<Vec<TrialLine>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(String, String, String, i64, i64)> =
            sqlx::query_as("select * from payplane.trial_balance($1)")
                .bind(tenant.map(TenantId::uuid))
                .fetch_all(&mut *connection)
                .await?;
        rows.into_iter().map(trial_line).collect()
    }
}

fn trial_line(row: (String, String, String, i64, i64)) -> Result<TrialLine, StoreError> {
    let (code, debits, credits, accounts, transfers) = row;
    let sum = |text: String| text.parse().map_err(|_| StoreError::Corrupt("sum"));
    let (debits, credits) = (sum(debits)?, sum(credits)?);
    Ok(TrialLine { currency: row::currency(&code)?, debits, credits, accounts, transfers })
}
