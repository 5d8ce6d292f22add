//! Reads of one tenant's rows, under row-level security. Every page is bounded by its caller, every statement by the
//! time that the view allows.

mod history;
mod holds;
mod ledger;
mod payments;
mod refunds;
mod scan;
mod sealed;
mod wallets;

pub use history::{AsOf, BalanceRow, Statement};
pub use holds::HoldSummary;
pub use ledger::TrialLine;
pub use payments::{PaymentFilter, PaymentPage, PaymentRow, ReferenceFilter};
pub use refunds::{RefundPage, RefundRow};
pub use sealed::{HeadRow, SealedOperations};
pub use wallets::{HoldsRow, WalletFilter, WalletPage, WalletRow};

use std::collections::HashMap;

use payplane_ledger::{Decision, OperationId, PaymentState, TenantId, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, row};

const DECISIONS: &str = "select * from payplane.read_decisions($1, $2)";

const PAYMENTS: &str =
    "select row_to_json(p)::text from payplane.payments p where tenant_id = $1 and payment_id = any ($2)";

/// From a time on, and until before a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub start: Option<Timestamp>,
    /// The first moment after it.
    pub end: Option<Timestamp>,
}

/// What was decided about these keys; those that are unknown are left out.
async fn decisions(
    connection: &mut PgConnection,
    tenant: TenantId,
    ids: &[OperationId],
) -> Result<HashMap<OperationId, Decision>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query(DECISIONS).bind(vec![tenant.uuid(); ids.len()]).bind(uuids(ids));
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|found| row::decision(found).map(|(_, id, decision)| (id, decision))).collect()
}

/// Those of the payments that have a state of their own.
async fn states(
    connection: &mut PgConnection,
    tenant: TenantId,
    ids: &[OperationId],
) -> Result<HashMap<OperationId, PaymentState>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = sqlx::query_scalar(PAYMENTS).bind(tenant.uuid()).bind(uuids(ids));
    let texts: Vec<String> = query.fetch_all(connection).await?;
    texts.iter().map(|text| state_of_text(text)).collect()
}

fn state_of_text(text: &str) -> Result<(OperationId, PaymentState), StoreError> {
    row::payment_of_text(text).map(|(_, id, state)| (id, state))
}

/// The decisions in the order of the ids.
fn in_order(
    ids: Vec<OperationId>,
    mut decisions: HashMap<OperationId, Decision>,
) -> Vec<(OperationId, Decision)> {
    ids.into_iter().filter_map(|id| decisions.remove(&id).map(|decision| (id, decision))).collect()
}

fn uuids(ids: &[OperationId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}
