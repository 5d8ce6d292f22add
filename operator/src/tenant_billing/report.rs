//! From what the ledger answered to a TenantBilling's status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::events::EventType};
use payplane_crds::{
    TenantBilling, TenantBillingStatus,
    condition::{
        COLLECTABLE, OVERDUE, PLAN_APPLIED, RESTRICTED, SUSPENDED,
        reason::{
            AS_SPECIFIED, ENGINE_UNAVAILABLE, INVALID, INVOICE_UNPAID, NOT_OVERDUE, NOT_RESTRICTED,
            NOT_SUSPENDED, PLAN_AGREED, PROGRESSING, SCOPE_TAKEN, WALLETS_FIT,
        },
    },
    tenant_billing::{AgreedPlan, CollectionStatus, IssuedInvoice, OpenPeriod, ThresholdName},
};

use super::{Agreement, Answer, Billed, Owed, Wallets, plan::closes_at};
use crate::{
    condition::{Conditions, find},
    engine::{EngineError, Invoice},
    status::Reported,
    telemetry::{Metrics, Unpaid},
};

/// The status that tells this answer.
pub fn report(
    billing: &TenantBilling,
    answer: &Answer,
    config_map: Option<String>,
    now: Timestamp,
) -> TenantBillingStatus {
    let conditions = Conditions::new(billing.current(), billing.metadata.generation, now);
    // What the ledger said last stays until it says something else.
    let before = || billing.status.clone().unwrap_or_default();
    let (status, conditions) = match answer {
        Answer::Billed(billed) if billed.has_more => (
            billed_status(billed, config_map),
            conditions.waiting(PROGRESSING, "Periods that are over are being closed."),
        ),
        Answer::Billed(billed) => {
            let message = "Usage is counted, and periods are closed when they are over.";
            let conditions = owing(conditions.ready(AS_SPECIFIED, message), billed.owed.as_ref());
            let mut status = billed_status(billed, config_map);
            status.thresholds_reached = billed.preview.reached.iter().cloned().map(ThresholdName).collect();
            if matches!(billed.agreed, Some(Agreement::Kept { .. })) {
                status.agreed_plan = before().agreed_plan;
            }
            (status, collectable(applied(conditions, billed), billed.wallets.as_ref()))
        }
        Answer::NoPlan { reason: INVALID, message } => (before(), conditions.stalled(INVALID, message)),
        Answer::NoPlan { reason, message } => (before(), conditions.waiting(reason, message)),
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

/// Whether the BillingPlan is the one that is billed by. Absent where none is named.
fn applied<'a>(conditions: Conditions<'a>, billed: &Billed) -> Conditions<'a> {
    let holds = &billed.preview.invoice.plan_version;
    match &billed.agreed {
        None => conditions,
        Some(Agreement::Holds { version, since }) => {
            let message = match *since < billed.preview.invoice.end {
                true => format!("The open period is billed by {holds}."),
                false => format!("{version} holds from {since} on; the open period is billed by {holds}."),
            };
            conditions.set(PLAN_APPLIED, "True", PLAN_AGREED, &message)
        }
        Some(Agreement::Kept { reason, message }) => {
            let message = format!("{message} Billing goes on by what was agreed last: {holds}.");
            conditions.set(PLAN_APPLIED, "False", reason, &message)
        }
    }
}

/// Whether there are wallets that can pay and be paid. Absent where nobody collects.
fn collectable<'a>(conditions: Conditions<'a>, wallets: Option<&Wallets>) -> Conditions<'a> {
    match wallets {
        None => conditions,
        Some(Wallets::Fit) => {
            let message = "The wallets that pay and are paid are there, in the currency of the plan.";
            conditions.set(COLLECTABLE, "True", WALLETS_FIT, message)
        }
        Some(Wallets::Misfit { reason, message }) => conditions.set(COLLECTABLE, "False", reason, message),
    }
}

/// Whether the tenant is late, and what follows. Absent where nobody collects or reminds.
fn owing<'a>(conditions: Conditions<'a>, owed: Option<&Owed>) -> Conditions<'a> {
    let Some(owed) = owed else { return conditions };
    let number = owed.oldest.as_ref().map_or(0, |invoice| invoice.number);
    let conditions = match owed.stage.steps {
        0 => conditions.set(OVERDUE, "False", NOT_OVERDUE, "No unpaid invoice has reached a dunning step."),
        steps => {
            let message = format!("Invoice {number} is not paid; dunning steps reached: {steps}.");
            conditions.set(OVERDUE, "True", INVOICE_UNPAID, &message)
        }
    };
    let conditions = match &owed.stage.payment_maximum {
        None => {
            conditions.set(RESTRICTED, "False", NOT_RESTRICTED, "No payment is limited because of a debt.")
        }
        Some(maximum) => {
            let message = format!(
                "Invoice {number} is not paid: a new payment of more than {} is refused until it is. Put money into the \
                 wallet that pays, or issue a credit note.",
                maximum.0
            );
            conditions.set(RESTRICTED, "True", INVOICE_UNPAID, &message)
        }
    };
    match owed.stage.is_suspended {
        false => conditions.set(SUSPENDED, "False", NOT_SUSPENDED, "Nothing is suspended because of a debt."),
        true => {
            let message = format!(
                "Invoice {number} is not paid: nothing new leaves the tenant's wallets until it is. Put money into the \
                 wallet that pays, or issue a credit note."
            );
            conditions.set(SUSPENDED, "True", INVOICE_UNPAID, &message)
        }
    }
}

/// What to tell people that no condition says: an invoice that is new, and what became of collecting.
pub fn news(billing: &TenantBilling, status: &TenantBillingStatus) -> Vec<(EventType, &'static str, String)> {
    let before = billing.status.as_ref().and_then(|status| status.collection.as_ref());
    let mut news = Vec::new();
    news.extend(issued(billing, status).map(|note| (EventType::Normal, "InvoiceIssued", note)));
    news.extend(plan_changed(billing, status).map(|note| (EventType::Normal, "PlanAgreed", note)));
    let because_of = |type_| refused(billing, status, type_);
    news.extend(because_of(PLAN_APPLIED).map(|note| (EventType::Warning, "PlanNotApplied", note)));
    news.extend(because_of(COLLECTABLE).map(|note| (EventType::Warning, "NotCollectable", note)));
    news.extend(over(billing, status).map(|note| (EventType::Normal, "ThresholdReached", note)));
    let Some(now) = &status.collection else { return news };
    let attempts = |status: &CollectionStatus| (status.invoice, status.attempts);
    if let Some(refusal) = now.refusal.as_ref().filter(|_| before.map(attempts) != Some(attempts(now))) {
        let note = format!(
            "Invoice {} was not collected (attempt {}): {refusal}.",
            now.invoice.unwrap_or_default(),
            now.attempts
        );
        news.push((EventType::Warning, "CollectionRefused", note));
    }
    if before.is_some_and(|before| 0 < before.unpaid) && now.unpaid == 0 {
        news.push((EventType::Normal, "InvoicesPaid", "Nothing is due any more.".to_owned()));
    }
    if now.dunning_step > before.map_or(0, |before| before.dunning_step) {
        let note = format!(
            "Invoice {} is not paid; dunning step {} is reached.",
            now.invoice.unwrap_or_default(),
            now.dunning_step
        );
        news.push((EventType::Warning, "PaymentReminder", note));
    }
    news
}

/// What to tell people, if thresholds are reached that were not before in this period.
fn over(billing: &TenantBilling, status: &TenantBillingStatus) -> Option<String> {
    let start = |status: &TenantBillingStatus| status.period.as_ref().map(|period| period.start.clone());
    let known = billing.status.as_ref().filter(|before| start(before) == start(status));
    let known = known.map(|before| before.thresholds_reached.as_slice()).unwrap_or_default();
    let names = status.thresholds_reached.iter().filter(|name| !known.contains(name));
    let names: Vec<&str> = names.map(|name| name.0.as_str()).collect();
    let accrued = status.accrued.as_deref().unwrap_or_default();
    let currency = status.currency.as_deref().unwrap_or_default();
    (!names.is_empty()).then(|| {
        format!("Reached: {}. The open period comes to {accrued} {currency} so far.", names.join(", "))
    })
}

/// What to tell people, if another version was agreed.
fn plan_changed(billing: &TenantBilling, status: &TenantBillingStatus) -> Option<String> {
    let before = billing.status.as_ref().and_then(|status| status.agreed_plan.as_ref());
    let AgreedPlan { version, since } = status.agreed_plan.as_ref().filter(|now| Some(*now) != before)?;
    let before = before.map(|before| before.version.as_str());
    (before != Some(version.as_str())).then(|| match before {
        None => format!("{version} was agreed."),
        Some(before) => format!("{version} was agreed after {before}; it holds from {} on.", since.0),
    })
}

/// What to tell people, if something is not as it should be for another reason than before.
fn refused(billing: &TenantBilling, status: &TenantBillingStatus, type_: &str) -> Option<String> {
    let refused = |conditions| find(conditions, type_).filter(|condition| condition.status == "False");
    let (before, now) = (refused(billing.current()), refused(&status.conditions)?);
    (before.map(|before| &before.reason) != Some(&now.reason)).then(|| now.message.clone())
}

/// What to tell people, if an invoice is in the new status that was not in the old one.
fn issued(billing: &TenantBilling, status: &TenantBillingStatus) -> Option<String> {
    let number = |status: &TenantBillingStatus| status.last_invoice.as_ref().map(|invoice| invoice.number);
    let shown = billing.status.as_ref().and_then(number);
    let IssuedInvoice { number, total, currency, .. } =
        status.last_invoice.as_ref().filter(|invoice| shown < Some(invoice.number))?;
    Some(format!("Invoice {number} over {total} {currency} was issued."))
}

fn billed_status(billed: &Billed, config_map: Option<String>) -> TenantBillingStatus {
    let Invoice { start, end, total, plan_version, .. } = &billed.preview.invoice;
    TenantBillingStatus {
        period: Some(OpenPeriod { start: Time(*start), end: Time(*end), closes_at: Time(closes_at(billed)) }),
        usage: Some(billed.preview.usage.clone()),
        accrued: Some(total.amount.clone()),
        forecast: billed.preview.forecast.clone(),
        plan_version: Some(plan_version.clone()),
        currency: Some(total.currency.clone()),
        agreed_plan: match &billed.agreed {
            Some(Agreement::Holds { version, since }) => {
                Some(AgreedPlan { version: version.clone(), since: Time(*since) })
            }
            Some(Agreement::Kept { .. }) | None => None,
        },
        last_invoice: billed.last.as_ref().map(|invoice| IssuedInvoice { config_map, ..last(invoice) }),
        collection: billed.owed.as_ref().map(collection),
        ..TenantBillingStatus::default()
    }
}

fn collection(owed: &Owed) -> CollectionStatus {
    let standing = owed.oldest.as_ref().and_then(|invoice| invoice.standing.as_ref());
    let refusal = owed.hindrance.clone().or_else(|| standing.and_then(|standing| standing.refusal.clone()));
    CollectionStatus {
        unpaid: i64::try_from(owed.unpaid).unwrap_or(i64::MAX),
        due: standing.map(|standing| standing.due.clone()),
        invoice: owed.oldest.as_ref().map(|invoice| invoice.number),
        attempts: standing.map_or(0, |standing| standing.attempts),
        last_attempt_at: standing.and_then(|standing| standing.last_attempt).map(Time),
        next_attempt_at: owed.next_attempt_at.map(Time),
        refusal: refusal.map(|text| text.chars().take(300).collect()),
        dunning_step: i64::try_from(owed.stage.steps).unwrap_or(i64::MAX),
    }
}

fn last(invoice: &Invoice) -> IssuedInvoice {
    let Invoice { number, start, end, total, plan_version, issued_at, standing } = invoice;
    IssuedInvoice {
        number: *number,
        total: total.amount.clone(),
        currency: total.currency.clone(),
        start: Time(*start),
        end: Time(*end),
        // An invoice of the list was issued.
        issued_at: Time(issued_at.unwrap_or(*end)),
        plan_version: plan_version.clone(),
        state: standing.as_ref().map(|standing| standing.state.clone()),
        config_map: None,
    }
}

/// Says to Prometheus what is unpaid. What nobody answered stays as it was.
pub fn measure(metrics: &Metrics, billing: &TenantBilling, answer: &Answer) {
    let (namespace, name) = (billing.namespace().unwrap_or_default(), billing.name_any());
    let owed = match answer {
        Answer::Billed(billed) => billed.owed.as_ref(),
        Answer::Taken(_) => None,
        Answer::NoPlan { .. } | Answer::Waiting(_) | Answer::Failed(_) => return,
    };
    let unpaid = owed.and_then(|owed| Some((owed.unpaid, owed.unpaid_minor.as_ref()?)));
    let unpaid = unpaid.map(|(count, (currency, minor))| Unpaid {
        currency: currency.clone(),
        invoices: i64::try_from(count).unwrap_or(i64::MAX),
        minor: *minor,
    });
    metrics.set_unpaid(&namespace, &name, unpaid);
}

#[cfg(test)]
mod tests;
