//! Wakes open Payments and Refunds when somebody changes them over gRPC: a capture, a void, an approval.
//!
//! Every five seconds one task looks which tenants have any that wait, and keeps one watch of the engine for each, which
//! tells only what is about payments of custom resources. A watch that broke goes on behind the last seal that it told; one
//! that is new wakes all that wait once, for what happened before it. At most [`TENANTS_MAX`] tenants are followed, because
//! an engine serves 200 watches; the others' objects are looked at when they are due and every quarter of an hour.
//!
//! What a watch tells is never believed: it only wakes, and whoever is woken asks the ledger. So the ids in a status serve.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, pin_mut};
use kube::ResourceExt;
use payplane_crds::{Payment, PaymentState, Refund, RefundState};
use tokio::task::JoinHandle;

use crate::{
    context::{Context, platform_of, readable},
    engine::{Changes, EngineError, PlatformKey},
};

/// Between two looks at who has something that waits: a watch begins and ends so much later.
const PERIOD: Duration = Duration::from_secs(5);
/// After a watch ended or could not be made.
const PAUSE: Duration = Duration::from_secs(2);
/// Tenants that are followed at once.
pub const TENANTS_MAX: usize = 64;

/// Whom to follow: the Tenant's name, by its Platform, and one of its namespaces.
type Followed = BTreeMap<String, (PlatformKey, String)>;

/// Runs until the process ends.
pub async fn run(context: Arc<Context>) {
    context.filled.all().await;
    let mut watches: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let wanted = waiting_tenants(&context);
        watches.retain(|tenant, watch| {
            let is_wanted = wanted.contains_key(tenant) && !watch.is_finished();
            if !is_wanted {
                watch.abort();
            }
            is_wanted
        });
        for (tenant, (platform, namespace)) in wanted {
            if watches.len() < TENANTS_MAX && !watches.contains_key(&tenant) {
                let watch = follow(context.clone(), tenant.clone(), platform, namespace);
                watches.insert(tenant, tokio::spawn(watch));
            }
        }
        // Tenants and Platforms come and go; that is looked at now and then.
        tokio::time::sleep(PERIOD).await;
    }
}

/// The Tenants that have an object that waits.
fn waiting_tenants(context: &Context) -> Followed {
    let namespaces: HashSet<String> = waiting(context).into_iter().map(|waiting| waiting.namespace).collect();
    let tenant_of = |namespace: String| {
        let tenant = context.stores.tenant_of(&namespace)?;
        Some((tenant.name_any(), (platform_of(&tenant), namespace)))
    };
    namespaces.into_iter().filter_map(tenant_of).collect()
}

/// An object that waits, and its id in the ledger as its status has it.
struct Waiting {
    namespace: String,
    name: String,
    id: Option<String>,
    is_payment: bool,
}

fn waiting(context: &Context) -> Vec<Waiting> {
    let payments = context.stores.payments.state();
    let payments = payments.iter().filter_map(readable).filter_map(waiting_payment);
    let refunds = context.stores.refunds.state();
    payments.chain(refunds.iter().filter_map(readable).filter_map(waiting_refund)).collect()
}

fn waiting_payment(payment: &Payment) -> Option<Waiting> {
    let status = payment.status.as_ref().filter(|status| status.state == PaymentState::Pending)?;
    let (namespace, name) = (payment.namespace()?, payment.name_any());
    Some(Waiting { namespace, name, id: status.payment_id.clone(), is_payment: true })
}

fn waiting_refund(refund: &Refund) -> Option<Waiting> {
    let status = refund.status.as_ref().filter(|status| status.state == RefundState::Requested)?;
    let (namespace, name) = (refund.namespace()?, refund.name_any());
    Some(Waiting { namespace, name, id: status.refund_id.clone(), is_payment: false })
}

/// Until nobody waits any more. A failure is no news: the next try comes soon, and an engine that is away is told elsewhere.
async fn follow(context: Arc<Context>, tenant: String, platform: PlatformKey, namespace: String) {
    let mut seal = None;
    loop {
        if let Err(error) = watch(&context, (&tenant, &platform, &namespace), &mut seal).await {
            tracing::debug!(tenant, error = %error, "a watch of the ledger ended and comes again");
        }
        // An engine that is away is not asked without end.
        tokio::time::sleep(PAUSE).await;
    }
}

async fn watch(
    context: &Context,
    (tenant, platform, namespace): (&str, &PlatformKey, &str),
    seal: &mut Option<i64>,
) -> Result<(), EngineError> {
    let Some(engine) = context.engines.get(platform) else { return Ok(()) };
    let changes = match engine.watch_changes(namespace, *seal).await {
        Ok(changes) => changes,
        Err(error) => {
            // Such as another ledger, whose chain is shorter: begin anew.
            *seal = None;
            return Err(error);
        }
    };
    pin_mut!(changes);
    if seal.is_none() {
        wake(context, tenant, |_| true);
    }
    while let Some(told) = changes.next().await {
        let Changes { seal: told, subjects } = told?;
        *seal = Some(told);
        let subjects: HashSet<String> = subjects.into_iter().collect();
        if !subjects.is_empty() {
            wake(context, tenant, |id| id.is_some_and(|id| subjects.contains(id)));
        }
    }
    Ok(())
}

/// Wakes what waits in the tenant's namespaces and is meant.
fn wake(context: &Context, tenant: &str, is_meant: impl Fn(Option<&String>) -> bool) {
    for waiting in waiting(context).into_iter().filter(|waiting| is_meant(waiting.id.as_ref())) {
        let owner = context.stores.tenant_of(&waiting.namespace);
        if owner.is_none_or(|owner| owner.name_any() != tenant) {
            continue;
        }
        match waiting.is_payment {
            true => context.wake.payment(&waiting.namespace, &waiting.name),
            false => context.wake.refund(&waiting.namespace, &waiting.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payment(state: &str) -> Payment {
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1", "kind": "Payment",
            "metadata": {"name": "rent", "namespace": "shop"},
            "spec": {"from": {"name": "a"}, "to": {"name": "b"}, "amount": "1.00", "currency": "USD"},
            "status": {"state": state, "paymentId": "p", "conditions": []},
        }))
        .unwrap()
    }

    #[test]
    fn only_what_the_ledger_holds_can_be_changed_there() {
        let cases = [("New", false), ("AwaitingApproval", false), ("Pending", true), ("Completed", false)];
        for (state, waits) in cases {
            let found = waiting_payment(&payment(state));
            assert_eq!(found.and_then(|found| found.id).as_deref(), waits.then_some("p"), "{state}");
        }
    }
}
