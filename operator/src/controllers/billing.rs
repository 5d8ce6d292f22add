//! TenantBillings and BillingPlans: each wakes the other.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt};
use kube::{ResourceExt, runtime::reflector::store::Writer};
use payplane_crds::{BillingPlan, TenantBilling};
use tokio_util::sync::CancellationToken;

use super::{control, kept};
use crate::{
    context::{Context, Guarded},
    wake::Ref,
    watch::{self, Health, fingerprint},
};

/// TenantBillings: woken by themselves, their Tenant, their BillingPlan, and one that was deleted and was first; wake the
/// BillingPlans beside them.
pub(super) async fn tenant_billings(
    context: &Arc<Context>,
    writer: Writer<Guarded<TenantBilling>>,
    woken: impl Stream<Item = Ref<TenantBilling>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, |billing| {
        let agreed = billing.status.as_ref().and_then(|status| status.agreed_plan.as_ref());
        fingerprint((billing.uid(), billing.metadata.generation, agreed.map(|plan| plan.version.clone())))
    })
    .inspect_ok(move |guarded| {
        here.wake.plans_of_namespace(&here.stores, &guarded.namespace().unwrap_or_default());
    });
    let store = context.stores.tenant_billings.clone();
    control(context, changes.boxed(), store, woken, Duration::ZERO, stop).await;
}

/// BillingPlans: woken by themselves and by TenantBillings beside them; wake those that name them.
pub(super) async fn billing_plans(
    context: &Arc<Context>,
    writer: Writer<Guarded<BillingPlan>>,
    woken: impl Stream<Item = Ref<BillingPlan>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, |plan| {
        fingerprint((plan.uid(), plan.metadata.generation))
    })
    .inspect_ok(move |guarded| {
        let namespace = guarded.namespace().unwrap_or_default();
        here.wake.users_of_plan(&here.stores, &namespace, &guarded.name_any());
    });
    let store = context.stores.billing_plans.clone();
    control(context, changes.boxed(), store, woken, Duration::ZERO, stop).await;
}
