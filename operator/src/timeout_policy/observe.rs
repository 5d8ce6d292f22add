//! What a TimeoutPolicy depends on, as the caches have it. No calls: whoever changes wakes the policy.

use std::sync::Arc;

use kube::ResourceExt;
use payplane_crds::{TimeoutPolicy, timeout_policy::TimeoutScope};

use crate::{
    context::{Context, Stores, platform_of, readable},
    engine::{Engine, PlatformKey, Scope},
};

/// What a TimeoutPolicy depends on.
pub struct Observed {
    /// Where its parameter stands.
    pub place: Place,
    /// Namespace and name of an older TimeoutPolicy with the same place.
    pub rival: Option<String>,
    /// Whether the Platform or the Tenant is not only not ready, but not there.
    pub is_orphan: bool,
}

/// Where a parameter stands.
pub enum Place {
    /// The Platform has no engine.
    NoPlatform,
    /// The namespace belongs to no ready Tenant; or a Platform has none, and the engine knows no platform without one.
    NoTenant,
    /// There.
    Here {
        /// Connection to the Platform.
        engine: Arc<Engine>,
        /// Namespace to speak for.
        namespace: String,
        /// Whom it is for.
        scope: Scope,
    },
}

impl Observed {
    /// Whom to ask.
    pub fn engine(&self) -> Option<&Engine> {
        match &self.place {
            Place::Here { engine, .. } => Some(engine),
            Place::NoPlatform | Place::NoTenant => None,
        }
    }
}

/// Reads the caches.
pub fn observe(policy: &TimeoutPolicy, context: &Context) -> Observed {
    Observed {
        place: place(policy, context),
        rival: rival(policy, &context.stores),
        is_orphan: is_orphan(policy, &context.stores),
    }
}

fn is_orphan(policy: &TimeoutPolicy, stores: &Stores) -> bool {
    let namespace = policy.namespace().unwrap_or_default();
    match &policy.spec.scope.platform {
        Some(platform) => stores.platform(&PlatformKey { namespace, name: platform.name.clone() }).is_none(),
        None => stores.claimants(&namespace).is_empty(),
    }
}

fn place(policy: &TimeoutPolicy, context: &Context) -> Place {
    let namespace = policy.namespace().unwrap_or_default();
    let TimeoutScope { platform, tenant: _, wallet_class } = &policy.spec.scope;
    if let Some(platform) = platform {
        let key = PlatformKey { namespace, name: platform.name.clone() };
        let Some(engine) = context.engines.get(&key) else { return Place::NoPlatform };
        return match context.stores.a_namespace_of(&key) {
            Some(namespace) => Place::Here { engine, namespace, scope: Scope::Platform },
            None => Place::NoTenant,
        };
    }
    let Some(tenant) = context.stores.tenant_of(&namespace) else { return Place::NoTenant };
    let Some(engine) = context.engines.get(&platform_of(&tenant)) else { return Place::NoPlatform };
    let scope = wallet_class.clone().map_or(Scope::Tenant, Scope::Class);
    Place::Here { engine, namespace, scope }
}

/// The oldest other policy for the same: the first one wins, by time and then by name.
fn rival(policy: &TimeoutPolicy, stores: &Stores) -> Option<String> {
    let place = identity(policy, stores);
    let age = |policy: &TimeoutPolicy| {
        let made = policy.creation_timestamp().map(|time| time.0);
        (made, policy.namespace(), policy.name_any())
    };
    let others = stores.timeout_policies.state();
    let others = others.iter().filter_map(readable);
    let older = others.filter(|other| {
        other.metadata.deletion_timestamp.is_none()
            && age(other) < age(policy)
            && identity(other, stores) == place
    });
    let first = older.min_by_key(|other| age(other))?;
    Some(format!("{}/{}", first.namespace().unwrap_or_default(), first.name_any()))
}

/// What two policies share that set the same parameter: a tenant may have several namespaces.
fn identity(policy: &TimeoutPolicy, stores: &Stores) -> (Option<String>, TimeoutScope) {
    let namespace = policy.namespace().unwrap_or_default();
    let scope = policy.spec.scope.clone();
    if scope.platform.is_some() {
        return (Some(namespace), scope);
    }
    (stores.tenant_of(&namespace).map(|tenant| tenant.name_any()), scope)
}
