//! From an object and what it depends on to what can be asked, or to what is missing.

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::{
    BillingPlan, TenantBilling,
    billing_plan::PlanApply,
    condition::reason::NO_TENANT,
    tenant_billing::{DocumentLocale, DunningStep, PlanTerms},
};

use super::{
    Answer,
    observe::{Observed, Receiver},
};
use crate::{
    billing_plan::version_of,
    engine::{BillingRequest, CollectRequest, WantedPlan},
    meta::short_hash,
    payment::Waiting,
};

/// What is to be done for a tenant's bills.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// What is asked to be billed.
    pub request: BillingRequest,
    /// What is to be agreed on before, if the plan is a BillingPlan.
    pub agreeing: Option<Agreeing>,
    /// How it is collected, if it is.
    pub collecting: Option<Collecting>,
    /// What follows while an invoice is not paid.
    pub dunning: Vec<DunningStep>,
    /// The language of the last invoice's documents, if they are kept.
    pub documents: Option<DocumentLocale>,
}

/// What a TenantBilling with `planRef` wants to be agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Agreeing {
    /// This version: from now on, or from the next period on.
    On {
        /// The version.
        plan: Box<WantedPlan>,
        /// Whether from now on.
        is_now: bool,
    },
    /// Nothing: there is no BillingPlan of this name.
    Missing(String),
}

/// How invoices are collected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collecting {
    /// Who pays whom.
    pub request: CollectRequest,
    /// How long to wait after each refused attempt; the last one repeats.
    pub retry_after_seconds: Vec<i64>,
    /// The receiver, with its grants.
    pub receiver: Receiver,
}

/// The request, if everything is there.
///
/// # Errors
/// Why nothing can be asked.
pub fn validate(billing: &TenantBilling, observed: &Observed) -> Result<Wanted, Answer> {
    if let Some(rival) = &observed.rival {
        return Err(Answer::Taken(rival.clone()));
    }
    let Some(namespace) = observed.namespace.clone() else {
        let name = &billing.spec.tenant_ref.name;
        let message =
            format!("There is no Tenant {name:?} that is Ready and whose Platform is in this namespace.");
        return Err(Answer::Waiting(Waiting::new(NO_TENANT, &message)));
    };
    if observed.engine.is_none() {
        return Err(Answer::Waiting(Waiting::engine()));
    }
    let collecting = collecting(billing, observed, &namespace)?;
    let dunning = billing.spec.dunning.as_ref().map(|dunning| dunning.steps.clone()).unwrap_or_default();
    let request = BillingRequest {
        namespace,
        plan: billing.spec.plan.as_ref().map(own_plan),
        period: billing.spec.period.clone(),
        begin: begin(billing),
        grace_seconds: billing.spec.grace_seconds,
        thresholds: billing.spec.thresholds.clone(),
    };
    let documents = billing.spec.documents.as_ref().map(|documents| documents.locale);
    let agreeing = agreeing(billing, observed.plan.as_ref());
    Ok(Wanted { request, agreeing, collecting, dunning, documents })
}

fn collecting(
    billing: &TenantBilling,
    observed: &Observed,
    namespace: &str,
) -> Result<Option<Collecting>, Answer> {
    let Some(collection) = &billing.spec.collection else { return Ok(None) };
    let wanted = &collection.receiver;
    let Some(receiver) = observed.receiver.clone() else {
        let name = &wanted.tenant_ref.name;
        let message =
            format!("There is no Tenant {name:?} to collect for that is Ready and of the same Platform.");
        return Err(Answer::Waiting(Waiting::new(NO_TENANT, &message)));
    };
    let request = CollectRequest {
        namespace: namespace.to_owned(),
        wallet: collection.wallet.0.clone(),
        receiver: wanted.tenant_ref.name.clone(),
        revenue: wanted.wallet.0.clone(),
        tax: wanted.tax_wallet.as_ref().unwrap_or(&wanted.wallet).0.clone(),
    };
    Ok(Some(Collecting { request, retry_after_seconds: collection.retry_after_seconds.clone(), receiver }))
}

/// The version follows from what the plan says, so that the same plan has the same one wherever it is applied.
fn own_plan(terms: &PlanTerms) -> WantedPlan {
    // A type of ours always has a JSON form.
    let text = serde_json::to_vec(terms).unwrap_or_default();
    WantedPlan { terms: terms.clone(), version: short_hash([text.as_slice()]) }
}

fn agreeing(billing: &TenantBilling, plan: Option<&BillingPlan>) -> Option<Agreeing> {
    let reference = billing.spec.plan_ref.as_ref()?;
    let Some(plan) = plan else { return Some(Agreeing::Missing(reference.name.clone())) };
    let is_now = reference.apply.unwrap_or(plan.spec.apply) == PlanApply::Now;
    let version = version_of(plan);
    let plan = Box::new(WantedPlan { terms: plan.spec.plan.clone(), version });
    Some(Agreeing::On { plan, is_now })
}

fn begin(billing: &TenantBilling) -> Timestamp {
    let start = billing.spec.period.start.clone().or_else(|| billing.creation_timestamp());
    start.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests;
