//! `payplane-operator check`, which `helm test` runs: whether this installation works.
//!
//! With the operator's own rights it reads every kind, which shows that the CRDs are served and the rights are there,
//! and waits until the Lease is renewed, which shows that an operator leads right now.

use std::{error::Error, fmt::Debug, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use payplane_crds::{
    Approval, Backup, BillingPlan, Payment, Platform, Refund, ScalingPolicy, StandingOrder, Tenant,
    TenantBilling, TimeoutPolicy, Wallet,
};
use serde::de::DeserializeOwned;

use crate::{api, args::Args, lease};

/// A leader renews every two seconds; a new one is found within the Lease's fifteen.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Checks, and says what it saw.
///
/// # Errors
/// The first thing that does not work.
pub async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let client = Client::try_default().await?;
    for namespace in args.served_namespaces() {
        count(Api::<Platform>::namespaced(client.clone(), &namespace)).await?;
    }
    count(Api::<Tenant>::all(client.clone())).await?;
    count(Api::<Wallet>::all(client.clone())).await?;
    count(Api::<Payment>::all(client.clone())).await?;
    count(Api::<Refund>::all(client.clone())).await?;
    count(Api::<ScalingPolicy>::all(client.clone())).await?;
    count(Api::<StandingOrder>::all(client.clone())).await?;
    count(Api::<Approval>::all(client.clone())).await?;
    count(Api::<TimeoutPolicy>::all(client.clone())).await?;
    count(Api::<Backup>::all(client.clone())).await?;
    count(Api::<TenantBilling>::all(client.clone())).await?;
    count(Api::<BillingPlan>::all(client.clone())).await?;
    let leases = Api::namespaced(client, &args.namespace);
    let holder = tokio::time::timeout(PATIENCE, see_renewal(&leases)).await;
    let holder =
        holder.map_err(|_| format!("nobody renewed the Lease {} in {PATIENCE:?}", lease::NAME))??;
    tracing::info!(holder, "an operator leads");
    Ok(())
}

async fn count<K>(objects: Api<K>) -> Result<(), Box<dyn Error>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let page = api::call("list objects", objects.list(&ListParams::default().limit(1))).await?;
    tracing::info!(kind = %K::kind(&()), found = page.items.len(), "served and readable");
    Ok(())
}

/// Waits until the Lease changes in somebody's hand, and returns whose.
async fn see_renewal(leases: &Api<Lease>) -> Result<String, Box<dyn Error>> {
    let mut first = None;
    loop {
        if let Some(found) = api::call("read the Lease", leases.get_opt(lease::NAME)).await? {
            let holder =
                found.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
            let version = found.resource_version();
            if first.get_or_insert_with(|| version.clone()) != &version && !holder.is_empty() {
                return Ok(holder);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
