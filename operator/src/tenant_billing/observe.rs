//! What a TenantBilling depends on, as the caches have it. No calls: whoever changes wakes it.

use std::sync::Arc;

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use payplane_crds::{BillingPlan, TenantBilling};

use super::full_name;
use crate::{
    context::{Context, Stores, lists, platform_of, readable},
    engine::{Engine, PlatformKey},
};

/// What a TenantBilling depends on.
pub struct Observed {
    /// A namespace of the tenant, to speak for. None if there is no Tenant of this name that is Ready and of a Platform
    /// beside the object.
    pub namespace: Option<String>,
    /// Connection to the Platform.
    pub engine: Option<Arc<Engine>>,
    /// The BillingPlan that it names, if it names one that is there.
    pub plan: Option<BillingPlan>,
    /// Namespace and name of an older TenantBilling of the tenant.
    pub rival: Option<String>,
    /// A namespace of the tenant that is paid, and those of its wallets that grant it. None if nothing is collected, or if
    /// there is no such Tenant that is Ready and of the same Platform.
    pub receiver: Option<Receiver>,
}

/// Who takes what is owed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receiver {
    /// A namespace to speak for.
    pub namespace: String,
    /// Wallets, as the ledger calls them, whose Wallets say that they collect.
    pub grants: Vec<String>,
}

/// The label by which a Wallet says that it takes what other tenants owe. Its namespace is the receiver's, so only the
/// receiver can say so.
const COLLECTS: (&str, &str) = ("payplane.io/collects", "billing");

/// Reads the caches.
pub fn observe(billing: &TenantBilling, context: &Context) -> Observed {
    let found = place(billing, &context.stores);
    let engine = found.as_ref().and_then(|(_, platform)| context.engines.get(platform));
    let rival = rival(billing, &context.stores);
    let receiver = found.as_ref().and_then(|(_, platform)| receiver(billing, &context.stores, platform));
    let plan = plan(billing, &context.stores);
    Observed { namespace: found.map(|(namespace, _)| namespace), engine, plan, rival, receiver }
}

fn plan(billing: &TenantBilling, stores: &Stores) -> Option<BillingPlan> {
    let name = &billing.spec.plan_ref.as_ref()?.name;
    let key = ObjectRef::new(name).within(&billing.namespace()?);
    readable(&stores.billing_plans.get(&key)?).cloned()
}

/// A namespace of the tenant, and its Platform. One elsewhere gets the answer of one that is absent.
fn place(billing: &TenantBilling, stores: &Stores) -> Option<(String, PlatformKey)> {
    let tenant = stores.ready_tenant(&billing.spec.tenant_ref.name)?;
    let platform = platform_of(&tenant);
    let is_beside = Some(&platform.namespace) == billing.namespace().as_ref();
    let first = tenant.spec.namespaces.first().filter(|_| is_beside)?;
    Some((first.name.clone(), platform))
}

fn receiver(billing: &TenantBilling, stores: &Stores, platform: &PlatformKey) -> Option<Receiver> {
    let wanted = &billing.spec.collection.as_ref()?.receiver;
    let tenant =
        stores.ready_tenant(&wanted.tenant_ref.name).filter(|tenant| platform_of(tenant) == *platform)?;
    let namespace = tenant.spec.namespaces.first()?.name.clone();
    let names = std::iter::once(&wanted.wallet).chain(&wanted.tax_wallet).map(|wallet| wallet.0.clone());
    let grants = names.filter(|name| {
        let place = name.split_once('/').filter(|(namespace, _)| lists(&tenant, namespace));
        place.is_some_and(|(namespace, name)| grants(stores, namespace, name))
    });
    Some(Receiver { namespace, grants: grants.collect() })
}

fn grants(stores: &Stores, namespace: &str, name: &str) -> bool {
    let found = stores.wallets.get(&ObjectRef::new(name).within(namespace));
    let label = found.as_ref().and_then(readable).and_then(|wallet| {
        wallet.spec.metadata.as_ref().and_then(|labels| labels.get(COLLECTS.0)).map(|label| label.0.clone())
    });
    label.as_deref() == Some(COLLECTS.1)
}

/// The oldest other object for the same tenant in the namespace: the first one wins, by time and then by name. One in
/// another namespace bills nobody.
fn rival(billing: &TenantBilling, stores: &Stores) -> Option<String> {
    let age = |billing: &TenantBilling| (billing.creation_timestamp().map(|time| time.0), billing.name_any());
    let others = stores.tenant_billings.state();
    let older = others.iter().filter_map(readable).filter(|other| {
        other.metadata.deletion_timestamp.is_none()
            && other.namespace() == billing.namespace()
            && other.spec.tenant_ref == billing.spec.tenant_ref
            && age(other) < age(billing)
    });
    older.min_by_key(|other| age(other)).map(full_name)
}
