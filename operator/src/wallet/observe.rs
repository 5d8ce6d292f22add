//! What a Wallet depends on, as the caches have it: whoever changes wakes the wallet. Only of a Wallet that was deleted the
//! namespace is read too.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt, core::PartialObjectMeta};
use payplane_crds::Wallet;

use crate::{
    api,
    context::{Context, platform_of},
    engine::Engine,
    error::Error,
    meta::is_leaving,
};

/// What a Wallet depends on.
pub struct Observed {
    /// Whom to ask.
    pub ledger: Ledger,
    /// Whether no Tenant lists the namespace, ready or not.
    pub is_orphan: bool,
    /// Whether the namespace is being deleted. Only known of a Wallet that was deleted.
    pub is_namespace_leaving: bool,
}

/// Whom to ask.
pub enum Ledger {
    /// The namespace belongs to no Tenant that is Ready.
    NoTenant,
    /// The Tenant's Platform has no engine yet.
    NoEngine,
    /// The ledger can be asked.
    Engine(Arc<Engine>),
}

/// Reads the caches and, for a Wallet that was deleted, its namespace.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(wallet: &Wallet, context: &Context) -> Result<Observed, Error> {
    let namespace = wallet.namespace().unwrap_or_default();
    Ok(Observed {
        ledger: ledger(&namespace, context),
        is_orphan: context.stores.claimants(&namespace).is_empty(),
        is_namespace_leaving: is_leaving(wallet) && is_namespace_leaving(&namespace, context).await?,
    })
}

fn ledger(namespace: &str, context: &Context) -> Ledger {
    let Some(tenant) = context.stores.tenant_of(namespace) else { return Ledger::NoTenant };
    context.engines.get(&platform_of(&tenant)).map_or(Ledger::NoEngine, Ledger::Engine)
}

async fn is_namespace_leaving(name: &str, context: &Context) -> Result<bool, Error> {
    let namespaces = Api::<Namespace>::all(context.client.clone());
    let found: Option<PartialObjectMeta<Namespace>> =
        api::call("read a namespace", namespaces.get_metadata_opt(name)).await?;
    Ok(found.is_none_or(|namespace| is_leaving(&namespace)))
}
