//! Finds wallets whose balance changed without a Payment object: by payments over gRPC.
//!
//! Every ten seconds one task pages through the wallets that custom resources made, tenant by tenant, and wakes only
//! those whose version differs from their status. A tenant without Wallet objects costs nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kube::ResourceExt;
use payplane_crds::Tenant;

use crate::{
    context::{Context, platform_of, readable},
    engine::{self, Engine, EngineError},
};

/// Between two rounds: about how old a balance can be that changed over gRPC alone.
const PERIOD: Duration = Duration::from_secs(10);
/// Tenants that are asked about at once.
const CONCURRENCY: usize = 4;

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    context.filled.all().await;
    loop {
        // Payments over gRPC tell nobody here.
        tokio::time::sleep(PERIOD).await;
        let tenants = tenants_with_wallets(&context);
        stream::iter(tenants)
            .for_each_concurrent(CONCURRENCY, |(tenant, namespace)| refresh(&context, tenant, namespace))
            .await;
    }
}

/// Each Tenant that has Wallet objects, with one of its namespaces.
fn tenants_with_wallets(context: &Context) -> Vec<(Tenant, String)> {
    let namespaces: HashSet<String> =
        context.stores.wallets.state().iter().filter_map(|wallet| wallet.namespace()).collect();
    let mut seen = HashSet::new();
    let owned = namespaces
        .into_iter()
        .filter_map(|namespace| Some((context.stores.tenant_of(&namespace)?, namespace)));
    owned.filter(|(tenant, _)| seen.insert(tenant.name_any())).collect()
}

async fn refresh(context: &Context, tenant: Tenant, namespace: String) {
    let Some(engine) = context.engines.get(&platform_of(&tenant)) else { return };
    if let Err(error) = pages(context, &engine, &namespace).await {
        // The next round asks again; an engine that is away is news elsewhere.
        tracing::debug!(tenant = tenant.name_any(), error = %error, "cannot list wallets");
    }
}

async fn pages(context: &Context, engine: &Engine, namespace: &str) -> Result<(), EngineError> {
    let mut token = String::new();
    loop {
        let (wallets, next) = engine.list_wallets(namespace, token).await?;
        wallets.iter().for_each(|wallet| wake_if_changed(context, wallet));
        match next {
            Some(next) => token = next,
            None => return Ok(()),
        }
    }
}

fn wake_if_changed(context: &Context, wallet: &engine::Wallet) {
    let Some((namespace, name)) = wallet.name.split_once('/') else { return };
    let Some(object) =
        context.stores.wallets.get(&kube::runtime::reflector::ObjectRef::new(name).within(namespace))
    else {
        return;
    };
    let shown = readable(&object).and_then(|object| object.status.as_ref()?.version);
    if shown.is_some_and(|shown| shown != wallet.version) {
        context.wake.wallet(namespace, name);
    }
}
