//! What a Wallet depends on, as the caches have it. No calls: whoever changes wakes the wallet.

use std::sync::Arc;

use kube::ResourceExt;
use payplane_crds::Wallet;

use crate::{
    context::{Context, platform_of},
    engine::Engine,
};

/// What a Wallet depends on.
pub enum Observed {
    /// The namespace belongs to no Tenant that is Ready.
    NoTenant,
    /// The Tenant's Platform has no engine yet.
    NoEngine,
    /// The ledger can be asked.
    Engine(Arc<Engine>),
}

/// Reads the caches.
pub fn observe(wallet: &Wallet, context: &Context) -> Observed {
    let Some(tenant) = context.stores.tenant_of(&wallet.namespace().unwrap_or_default()) else {
        return Observed::NoTenant;
    };
    context.engines.get(&platform_of(&tenant)).map_or(Observed::NoEngine, Observed::Engine)
}
