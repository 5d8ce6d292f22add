//! What a Tenant does: takes its namespaces, makes what it wants in each, removes what it no longer wants, and registers
//! with the engine. Every step can be repeated.

use std::collections::BTreeMap;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{LimitRange, ResourceQuota},
        networking::v1::NetworkPolicy,
        rbac::v1::RoleBinding,
    },
};
use kube::{Resource, ResourceExt};
use payplane_crds::Tenant;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Answer, Valid,
    build::{self, Children, NAMES},
    claim::Claim,
    observe::Place,
};
use crate::{apply, context::Context, engine::Address, error::Error, meta::tenant_labels};

/// Writes, then asks the engine: whoever is registered finds its namespaces ready, and already isolated.
///
/// # Errors
/// When the API server does not accept something.
pub async fn act(tenant: &Tenant, context: &Context, valid: &Valid<'_>) -> Result<Answer, Error> {
    for (place, claim) in &valid.claims {
        take(tenant, context, place, *claim).await?;
        let children = build::children(tenant, &place.name);
        if *claim == Claim::Create {
            fill(context, &place.name, valid.engine.address(), &children).await?;
            continue;
        }
        announce(context, &place.name, valid.engine.address()).await?;
        furnish(tenant, context, &place.name, &children).await?;
    }
    for namespace in valid.left {
        furnish(tenant, context, namespace, &Children::default()).await?;
    }
    Ok(match valid.engine.put_tenant(tenant).await {
        Ok(id) => Answer::Registered(id),
        Err(error) => Answer::Failed(error),
    })
}

/// Takes the access of the groups away. Quotas and isolation stay: pods may still run.
///
/// # Errors
/// When the API server does not accept it.
pub async fn unbind(tenant: &Tenant, context: &Context, namespace: &str) -> Result<(), Error> {
    let [.., roles] = NAMES;
    bring::<RoleBinding>(context, namespace, &[], roles, &tenant_labels(&tenant.name_any())).await
}

async fn take(tenant: &Tenant, context: &Context, place: &Place, claim: Claim) -> Result<(), Error> {
    let owner = tenant.name_any();
    match claim {
        Claim::Own => Ok(()),
        Claim::Adopt => {
            let adopted = build::namespace::adopted(&place.name, &owner, place.version.clone());
            apply::apply(&context.client, &adopted).await.map(|_| ())
        }
        // Not an apply: that would take over what somebody else makes at this very moment.
        Claim::Create => {
            match apply::create(&context.client, &build::namespace::created(&place.name, &owner)).await? {
                true => Ok(()),
                false => Err(Error::Raced { operation: "create a namespace" }),
            }
        }
    }
}

async fn announce(context: &Context, namespace: &str, address: &Address) -> Result<(), Error> {
    apply::apply(&context.client, &build::config_map::address(namespace, address)).await.map(|_| ())
}

/// Makes what is wanted in a namespace that this very look has made: nothing of it is there, so nothing is read. What a crash
/// leaves unfinished the next look finds and furnishes.
async fn fill(context: &Context, namespace: &str, address: &Address, wanted: &Children) -> Result<(), Error> {
    apply::make(&context.client, &build::config_map::address(namespace, address)).await?;
    for policy in &wanted.policies {
        apply::make(&context.client, policy).await?;
    }
    for limit in &wanted.limits {
        apply::make(&context.client, limit).await?;
    }
    for quota in &wanted.quotas {
        apply::make(&context.client, quota).await?;
    }
    for binding in &wanted.bindings {
        apply::make(&context.client, binding).await?;
    }
    Ok(())
}

/// Makes of a namespace what is wanted. Isolation comes before access.
async fn furnish(
    tenant: &Tenant,
    context: &Context,
    namespace: &str,
    wanted: &Children,
) -> Result<(), Error> {
    let labels = tenant_labels(&tenant.name_any());
    let [quotas, limits, policies, roles] = NAMES;
    bring::<NetworkPolicy>(context, namespace, &wanted.policies, policies, &labels).await?;
    bring::<LimitRange>(context, namespace, &wanted.limits, limits, &labels).await?;
    bring::<ResourceQuota>(context, namespace, &wanted.quotas, quotas, &labels).await?;
    bring::<RoleBinding>(context, namespace, &wanted.bindings, roles, &labels).await
}

/// Applies the wanted ones of a kind, and removes the others that we made.
async fn bring<K>(
    context: &Context,
    namespace: &str,
    wanted: &[K],
    names: &[&str],
    labels: &BTreeMap<String, String>,
) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned,
{
    for child in wanted {
        apply::apply(&context.client, child).await?;
    }
    let is_wanted = |name: &str| wanted.iter().any(|child| child.name_any() == name);
    for name in names.iter().filter(|name| !is_wanted(name)) {
        apply::prune::<K>(&context.client, namespace, name, labels).await?;
    }
    Ok(())
}
