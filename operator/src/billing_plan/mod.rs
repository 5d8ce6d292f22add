//! BillingPlan: who is billed by it.
//!
//! The plan itself is no fact of the ledger: each TenantBilling that names it asks the ledger to agree on its version, and
//! is woken when the plan changes or goes. This only counts them. There is no finalizer, because nobody needs the object
//! any more whose version was agreed.

mod observe;
mod report;

use kube::ResourceExt;
use payplane_crds::BillingPlan;

use crate::{
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    status,
};

impl Reconciled for BillingPlan {
    const CONCURRENCY: u16 = 1;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        let users = observe::observe(self, context); // reads caches only
        let status = report::report(self, &users, jiff::Timestamp::now()); // pure
        status::write(context, self, &status).await?;
        Ok(Again::OnChange)
    }
}

/// Its version as invoices name it.
pub fn version_of(plan: &BillingPlan) -> String {
    format!("{}@{}", plan.name_any(), plan.spec.version)
}
