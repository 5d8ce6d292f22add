//! Who names a BillingPlan, as the caches have it. No calls: whoever changes wakes it.

use kube::ResourceExt;
use payplane_crds::BillingPlan;

use super::version_of;
use crate::context::{Context, readable};

/// A TenantBilling that names the plan.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Whether it says that it has agreed on this version.
    pub is_current: bool,
}

/// Reads the caches; in the order of the names.
pub fn observe(plan: &BillingPlan, context: &Context) -> Vec<User> {
    let (namespace, name, version) = (plan.namespace(), plan.name_any(), version_of(plan));
    let found = context.stores.tenant_billings.state();
    let names_it = found.iter().filter_map(readable).filter(|billing| {
        let reference = billing.spec.plan_ref.as_ref();
        billing.namespace() == namespace && reference.is_some_and(|reference| reference.name == name)
    });
    let mut users: Vec<User> = names_it
        .map(|billing| {
            let agreed = billing.status.as_ref().and_then(|status| status.agreed_plan.as_ref());
            let is_current = agreed.is_some_and(|agreed| agreed.version == version);
            User { name: billing.name_any(), is_current }
        })
        .collect();
    users.sort_unstable();
    users
}
