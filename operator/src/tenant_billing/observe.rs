//! What a TenantBilling depends on, as the caches have it. No calls: whoever changes wakes it.

use std::sync::Arc;

use kube::ResourceExt;
use payplane_crds::TenantBilling;

use super::full_name;
use crate::{
    context::{Context, Stores, platform_of, readable},
    engine::{Engine, PlatformKey},
};

/// What a TenantBilling depends on.
pub struct Observed {
    /// A namespace of the tenant, to speak for. None if there is no Tenant of this name that is Ready and of a Platform
    /// beside the object.
    pub namespace: Option<String>,
    /// Connection to the Platform.
    pub engine: Option<Arc<Engine>>,
    /// Namespace and name of an older TenantBilling of the tenant.
    pub rival: Option<String>,
}

/// Reads the caches.
pub fn observe(billing: &TenantBilling, context: &Context) -> Observed {
    let found = place(billing, &context.stores);
    let engine = found.as_ref().and_then(|(_, platform)| context.engines.get(platform));
    let rival = rival(billing, &context.stores);
    Observed { namespace: found.map(|(namespace, _)| namespace), engine, rival }
}

/// A namespace of the tenant, and its Platform. One elsewhere gets the answer of one that is absent.
fn place(billing: &TenantBilling, stores: &Stores) -> Option<(String, PlatformKey)> {
    let tenant = stores.ready_tenant(&billing.spec.tenant_ref.name)?;
    let platform = platform_of(&tenant);
    let is_beside = Some(&platform.namespace) == billing.namespace().as_ref();
    let first = tenant.spec.namespaces.first().filter(|_| is_beside)?;
    Some((first.name.clone(), platform))
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
