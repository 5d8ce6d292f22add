//! Thresholds: told of once in a period in which they are reached.
//!
//! They are compared where what a period comes to is computed anyway: with each look at the open period, and before it is
//! closed, so that nothing that was used after the last look is missed. Only there plan, period and all usage are known:
//! whoever records usage knows no prices, and counting with each payment would cost each payment. So a threshold is noticed with
//! the next look, and at the latest with the invoice.
//!
//! 1. What is reached follows from what was counted.
//! 2. Its id follows from the tenant, the period's begin, the name, what is measured, and the bound: whoever says it again,
//!    after a crash or on another engine, says the same, and it is stored once.
//! 3. In the same commit it begins to wait for being published.
//!
//! Bounds: [`payplane_billing::THRESHOLDS_MAX`] thresholds, one statement. Another bound under the same name is another
//! threshold. What was reached stays so in its period.

use payplane_billing::{Measure, Threshold};
use payplane_ledger::TenantId;
use uuid::Uuid;

use crate::store::{Counting, InvoiceRow, ReachedThreshold, Store, StoreError};

/// Stores those that the invoice reaches, and gives those of the asked ones that were reached in its period so far.
///
/// # Errors
/// When the database did not answer; then it may have stored them.
pub async fn note(
    store: &Store,
    tenant: TenantId,
    invoice: &InvoiceRow,
    asked: &[Threshold],
) -> Result<Vec<ReachedThreshold>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let (statement, usage) = (&invoice.document.statement, &invoice.document.usage);
    let id = |threshold: &Threshold| id(tenant, invoice.period.start.0, threshold);
    let reached = asked.iter().filter_map(|threshold| {
        threshold.reached(statement, usage).map(|value| (id(threshold), threshold, value))
    });
    let reached: Vec<_> = reached.collect();
    let counting =
        Counting { period: invoice.period, currency: statement.currency, seal: invoice.through_seal };
    store.note_thresholds(tenant, counting, asked.iter().map(id).collect(), &reached).await
}

/// Parts carry their length or have one of their own, so no two thresholds read the same.
fn id(tenant: TenantId, start_us: i64, threshold: &Threshold) -> Uuid {
    let measure = match threshold.measure() {
        Measure::Accrued => "accrued".to_owned(),
        Measure::Metric(metric) => format!("metric {}", *metric as i16),
        Measure::Event(name) => format!("event {name}"),
    };
    let (length, name) = (threshold.name().len(), threshold.name());
    let text = format!("threshold {start_us} {} {length} {name} {measure}", threshold.scaled());
    Uuid::new_v5(&tenant.uuid(), text.as_bytes())
}
