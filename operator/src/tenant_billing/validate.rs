//! From an object and what it depends on to what can be asked, or to what is missing.

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::{TenantBilling, condition::reason::NO_TENANT};

use super::{Answer, observe::Observed};
use crate::{engine::BillingRequest, meta::short_hash, payment::Waiting};

/// The request, if everything is there.
///
/// # Errors
/// Why nothing can be asked.
pub fn validate(billing: &TenantBilling, observed: &Observed) -> Result<BillingRequest, Answer> {
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
    Ok(BillingRequest {
        namespace,
        plan: billing.spec.plan.clone(),
        plan_version: plan_version(billing),
        period: billing.spec.period.clone(),
        begin: begin(billing),
        grace_seconds: billing.spec.grace_seconds,
    })
}

/// Follows from what the plan says, so that the same plan has the same version wherever it is applied.
fn plan_version(billing: &TenantBilling) -> String {
    // A type of ours always has a JSON form.
    let text = serde_json::to_vec(&billing.spec.plan).unwrap_or_default();
    short_hash([text.as_slice()])
}

fn begin(billing: &TenantBilling) -> Timestamp {
    let start = billing.spec.period.start.clone().or_else(|| billing.creation_timestamp());
    start.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests;
