//! From what the ledger answered to a TenantBilling's status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use payplane_crds::{
    TenantBilling, TenantBillingStatus,
    condition::reason::{AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, PROGRESSING, SCOPE_TAKEN},
    tenant_billing::{IssuedInvoice, OpenPeriod},
};

use super::{Answer, Billed, plan::closes_at};
use crate::{
    condition::Conditions,
    engine::{EngineError, Invoice},
    status::Reported,
};

/// The status that tells this answer.
pub fn report(billing: &TenantBilling, answer: &Answer, now: Timestamp) -> TenantBillingStatus {
    let conditions = Conditions::new(billing.current(), billing.metadata.generation, now);
    // What the ledger said last stays until it says something else.
    let before = || billing.status.clone().unwrap_or_default();
    let (status, conditions) = match answer {
        Answer::Billed(billed) if billed.has_more => (
            billed_status(billed),
            conditions.waiting(PROGRESSING, "Periods that are over are being closed."),
        ),
        Answer::Billed(billed) => {
            let message = "Usage is counted, and periods are closed when they are over.";
            (billed_status(billed), conditions.ready(AS_SPECIFIED, message))
        }
        Answer::Taken(first) => {
            let message =
                format!("TenantBilling {first} bills the same Tenant and is older; this one does nothing.");
            (TenantBillingStatus::default(), conditions.stalled(SCOPE_TAKEN, &message))
        }
        Answer::Waiting(waiting) => (before(), conditions.waiting(waiting.reason, &waiting.message)),
        Answer::Failed(error @ EngineError::Invalid { .. }) => {
            (before(), conditions.stalled(INVALID, &error.advice()))
        }
        Answer::Failed(error) => (before(), conditions.waiting(ENGINE_UNAVAILABLE, &error.advice())),
    };
    TenantBillingStatus {
        observed_generation: billing.metadata.generation,
        conditions: conditions.into_vec(),
        ..status
    }
}

/// What to tell people, if an invoice is in the new status that was not in the old one.
pub fn issued(billing: &TenantBilling, status: &TenantBillingStatus) -> Option<String> {
    let number = |status: &TenantBillingStatus| status.last_invoice.as_ref().map(|invoice| invoice.number);
    let shown = billing.status.as_ref().and_then(number);
    let IssuedInvoice { number, total, currency, .. } =
        status.last_invoice.as_ref().filter(|invoice| shown < Some(invoice.number))?;
    Some(format!("Invoice {number} over {total} {currency} was issued."))
}

fn billed_status(billed: &Billed) -> TenantBillingStatus {
    let Invoice { start, end, total, plan_version, .. } = &billed.preview.invoice;
    TenantBillingStatus {
        period: Some(OpenPeriod { start: Time(*start), end: Time(*end), closes_at: Time(closes_at(billed)) }),
        usage: Some(billed.preview.usage.clone()),
        accrued: Some(total.amount.clone()),
        plan_version: Some(plan_version.clone()),
        last_invoice: billed.last.as_ref().map(last),
        ..TenantBillingStatus::default()
    }
}

fn last(invoice: &Invoice) -> IssuedInvoice {
    let Invoice { number, start, end, total, plan_version, issued_at } = invoice;
    IssuedInvoice {
        number: *number,
        total: total.amount.clone(),
        currency: total.currency.clone(),
        start: Time(*start),
        end: Time(*end),
        // An invoice of the list was issued.
        issued_at: Time(issued_at.unwrap_or(*end)),
        plan_version: plan_version.clone(),
    }
}

#[cfg(test)]
mod tests;
