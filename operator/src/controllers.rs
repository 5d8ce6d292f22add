//! What each controller watches, what wakes it, and whom it wakes.
//!
//! There is one watch per kind and one controller per root kind. Streams run in this order: watch, prune, keep in the
//! store, wake dependants, reconcile; so whoever is woken sees the change. Changes that do not matter to anybody, such
//! as a balance in a status, are dropped before the last two.

mod billing;
mod children;
mod drive;
mod foreign;

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, TryStreamExt};
use kube::{
    Api, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::store::Writer,
        watcher::{self, Event},
    },
};
use payplane_crds::{
    Approval, ApprovalState, Backup, BackupSchedule, BackupState, BillingPlan, Payment, PaymentState,
    Platform, Refund, RefundState, Restore, RestoreState, ScalingPolicy, StandingOrder, Tenant,
    TenantBilling, TimeoutPolicy, Wallet,
    condition::{ENGINE_READY, READY},
};
use tokio_util::sync::CancellationToken;

use crate::{
    condition::find,
    context::{Context, Guarded},
    engine::PlatformKey,
    meta,
    status::Reported,
    wake::{self, Ref, Wakeups},
    watch::{self, Health, fingerprint},
};

use drive::control;
pub use drive::{Again, Reconciled};

/// A rolling update changes many children of a Platform at once, and so does the onboarding of a Tenant; one look at the end
/// is enough.
const SETTLE: Duration = Duration::from_millis(200);

/// What feeds the controllers.
pub struct Sources {
    /// The writing ends of the stores.
    pub writers: Writers,
    /// The receiving ends of the wake-up channels.
    pub wakeups: Wakeups,
    /// Where watches tell how they do.
    pub health: Arc<Health>,
}

/// The writing ends of the stores.
pub struct Writers {
    /// Of Platforms.
    pub platforms: Writer<Guarded<Platform>>,
    /// Of Tenants.
    pub tenants: Writer<Guarded<Tenant>>,
    /// Of Wallets.
    pub wallets: Writer<Guarded<Wallet>>,
    /// Of Payments.
    pub payments: Writer<Guarded<Payment>>,
    /// Of Refunds.
    pub refunds: Writer<Guarded<Refund>>,
    /// Of ScalingPolicies.
    pub scaling_policies: Writer<Guarded<ScalingPolicy>>,
    /// Of StandingOrders.
    pub standing_orders: Writer<Guarded<StandingOrder>>,
    /// Of Approvals.
    pub approvals: Writer<Guarded<Approval>>,
    /// Of TimeoutPolicies.
    pub timeout_policies: Writer<Guarded<TimeoutPolicy>>,
    /// Of Backups.
    pub backups: Writer<Guarded<Backup>>,
    /// Of TenantBillings.
    pub tenant_billings: Writer<Guarded<TenantBilling>>,
    /// Of BackupSchedules.
    pub backup_schedules: Writer<Guarded<BackupSchedule>>,
    /// Of Restores.
    pub restores: Writer<Guarded<Restore>>,
    /// Of BillingPlans.
    pub billing_plans: Writer<Guarded<BillingPlan>>,
}

/// Runs every controller until `stop`, and returns when the last reconcile has ended.
pub async fn run(context: Arc<Context>, sources: Sources, stop: CancellationToken) {
    let Sources { writers, wakeups, health } = sources;
    tokio::spawn(announce(context.clone()));
    tokio::spawn(children::wake_by_children(context.clone(), health.clone()));
    tokio::spawn(children::wake_by_jobs(context.clone(), health.clone()));
    tokio::spawn(foreign::wake_by_foreign(context.clone(), health.clone()));
    tokio::spawn(children::wake_by_children_of_tenants(context.clone(), health.clone()));
    tokio::spawn(children::wake_by_api_keys(context.clone(), health.clone()));
    tokio::spawn(children::wake_by_namespaces(context.clone(), health.clone()));
    tokio::join!(
        platforms(&context, writers.platforms, wake::listen(wakeups.platforms), &health, &stop),
        tenants(&context, writers.tenants, wake::listen(wakeups.tenants), &health, &stop),
        wallets(&context, writers.wallets, wake::gather(wakeups.wallets, wake::GATHER), &health, &stop),
        payments(&context, writers.payments, wake::listen(wakeups.payments), &health, &stop),
        refunds(&context, writers.refunds, wake::listen(wakeups.refunds), &health, &stop),
        scaling_policies(&context, writers.scaling_policies, &health, &stop),
        standing_orders(
            &context,
            writers.standing_orders,
            wake::listen(wakeups.standing_orders),
            &health,
            &stop
        ),
        approvals(&context, writers.approvals, wake::listen(wakeups.approvals), &health, &stop),
        timeout_policies(
            &context,
            writers.timeout_policies,
            wake::listen(wakeups.timeout_policies),
            &health,
            &stop
        ),
        backups(&context, writers.backups, wake::listen(wakeups.backups), &health, &stop),
        billing::tenant_billings(
            &context,
            writers.tenant_billings,
            wake::listen(wakeups.tenant_billings),
            &health,
            &stop
        ),
        backup_schedules(
            &context,
            writers.backup_schedules,
            wake::listen(wakeups.backup_schedules),
            &health,
            &stop
        ),
        restores(&context, writers.restores, wake::listen(wakeups.restores), &health, &stop),
        billing::billing_plans(
            &context,
            writers.billing_plans,
            wake::listen(wakeups.billing_plans),
            &health,
            &stop
        ),
    );
}

/// Platforms: woken by themselves and by their children; wake their tenants when engines come and go.
async fn platforms(
    context: &Arc<Context>,
    writer: Writer<Guarded<Platform>>,
    woken: impl Stream<Item = Ref<Platform>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, |platform| {
        let conditions = platform.current();
        let state = |type_| find(conditions, type_).map(|condition| condition.status.clone());
        let paused = platform.annotations().get(meta::PAUSED);
        fingerprint((platform.uid(), platform.metadata.generation, state(READY), state(ENGINE_READY), paused))
    })
    .inspect_ok(move |guarded| {
        let key =
            PlatformKey { namespace: guarded.namespace().unwrap_or_default(), name: guarded.name_any() };
        here.wake.dependants_of_platform(&here.stores, &key);
    });
    control(context, changes.boxed(), context.stores.platforms.clone(), woken, SETTLE, stop).await;
}

/// Tenants: woken by themselves, their Platform and their namespaces; wake their wallets and payments.
async fn tenants(
    context: &Arc<Context>,
    writer: Writer<Guarded<Tenant>>,
    woken: impl Stream<Item = Ref<Tenant>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, |tenant| {
        let ready = find(tenant.current(), READY).map(|condition| condition.status.clone());
        let id = tenant.status.as_ref().and_then(|status| status.tenant_id.clone());
        fingerprint((tenant.uid(), tenant.metadata.generation, ready, id, departure(tenant)))
    })
    .inspect_ok(move |guarded| {
        if let Ok(tenant) = &guarded.0 {
            here.wake.dependants_of_tenant(&here.stores, tenant);
        }
    });
    control(context, changes.boxed(), context.stores.tenants.clone(), woken, SETTLE, stop).await;
}

/// Wallets: woken by themselves, their Tenant, decided payments and the refresher; wake payments that name them.
async fn wallets(
    context: &Arc<Context>,
    writer: Writer<Guarded<Wallet>>,
    woken: impl Stream<Item = Ref<Wallet>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, use_of).inspect_ok(move |guarded| {
        if let Ok(wallet) = &guarded.0 {
            here.wake.dependants_of_wallet(&here.stores, wallet);
        }
    });
    control(context, changes.boxed(), context.stores.wallets.clone(), woken, Duration::ZERO, stop).await;
}

/// Payments: those that are not settled, so that memory follows open work; wake their Approvals. Every change passes: a payment
/// whose status was wiped comes back into view with nothing else changed, and must be asked about again.
async fn payments(
    context: &Arc<Context>,
    writer: Writer<Guarded<Payment>>,
    woken: impl Stream<Item = Ref<Payment>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let open = watch::config().fields(&open_states(&PaymentState::SETTLED));
    let here = context.clone();
    let changes = kept(context, writer, open, health, |_| None).inspect_ok(move |guarded| {
        let (namespace, name) = (guarded.namespace().unwrap_or_default(), guarded.name_any());
        here.wake.approvals_of(&here.stores, &namespace, &name);
    });
    control(context, changes.boxed(), context.stores.payments.clone(), woken, Duration::ZERO, stop).await;
}

/// Refunds: those that are not settled; woken by their Payment, their Approvals and their Tenant; wake their Approvals.
async fn refunds(
    context: &Arc<Context>,
    writer: Writer<Guarded<Refund>>,
    woken: impl Stream<Item = Ref<Refund>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let open = watch::config().fields(&open_states(&RefundState::SETTLED));
    let here = context.clone();
    let changes = kept(context, writer, open, health, |_| None).inspect_ok(move |guarded| {
        let (namespace, name) = (guarded.namespace().unwrap_or_default(), guarded.name_any());
        here.wake.approvals_of(&here.stores, &namespace, &name);
    });
    control(context, changes.boxed(), context.stores.refunds.clone(), woken, Duration::ZERO, stop).await;
}

/// ScalingPolicies: woken by themselves and by their clock; wake the Platform whose engines they scale.
async fn scaling_policies(
    context: &Arc<Context>,
    writer: Writer<Guarded<ScalingPolicy>>,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let here = context.clone();
    let changes = kept(context, writer, watch::config(), health, |policy| {
        let is_leaving = policy.metadata.deletion_timestamp.is_some();
        fingerprint((policy.uid(), policy.metadata.generation, is_leaving))
    })
    .inspect_ok(move |guarded| {
        if let Ok(policy) = &guarded.0 {
            here.wake.platform_of_policy(policy);
        }
    });
    let store = context.stores.scaling_policies.clone();
    control(context, changes.boxed(), store, futures::stream::pending(), Duration::ZERO, stop).await;
}

/// StandingOrders: woken by themselves, by their clock, and by their payments when those are settled or deleted.
async fn standing_orders(
    context: &Arc<Context>,
    writer: Writer<Guarded<StandingOrder>>,
    woken: impl Stream<Item = Ref<StandingOrder>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let changes = kept(context, writer, watch::config(), health, |order| {
        let is_leaving = order.metadata.deletion_timestamp.is_some();
        fingerprint((order.uid(), order.metadata.generation, is_leaving))
    });
    let store = context.stores.standing_orders.clone();
    control(context, changes.boxed(), store, woken, Duration::ZERO, stop).await;
}

/// Approvals: those that are not settled; woken by their Refund or Payment, also when it settles, and their Tenant.
async fn approvals(
    context: &Arc<Context>,
    writer: Writer<Guarded<Approval>>,
    woken: impl Stream<Item = Ref<Approval>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let open = watch::config().fields(&open_states(&ApprovalState::SETTLED));
    let changes = kept(context, writer, open, health, |_| None);
    control(context, changes.boxed(), context.stores.approvals.clone(), woken, Duration::ZERO, stop).await;
}

/// TimeoutPolicies: woken by themselves, their Tenant or Platform, and one that was deleted and was first.
async fn timeout_policies(
    context: &Arc<Context>,
    writer: Writer<Guarded<TimeoutPolicy>>,
    woken: impl Stream<Item = Ref<TimeoutPolicy>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let changes = kept(context, writer, watch::config(), health, |policy| {
        let is_leaving = policy.metadata.deletion_timestamp.is_some();
        fingerprint((policy.uid(), policy.metadata.generation, policy.finalizers(), is_leaving))
    });
    let store = context.stores.timeout_policies.clone();
    control(context, changes.boxed(), store, woken, Duration::ZERO, stop).await;
}

/// Backups: those that have not ended; woken by their Job.
async fn backups(
    context: &Arc<Context>,
    writer: Writer<Guarded<Backup>>,
    woken: impl Stream<Item = Ref<Backup>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let open = watch::config().fields(&open_states(&BackupState::SETTLED));
    let changes = kept(context, writer, open, health, |_| None);
    control(context, changes.boxed(), context.stores.backups.clone(), woken, Duration::ZERO, stop).await;
}

/// What of a Wallet those wait for who name it: that it is there and takes part in payments. Its balance is no news.
fn use_of(wallet: &Wallet) -> Option<u64> {
    let ready = find(wallet.current(), READY).map(|condition| condition.status.clone());
    let status = wallet.status.as_ref();
    let (id, state) =
        (status.and_then(|status| status.wallet_id.clone()), status.and_then(|status| status.state));
    fingerprint((wallet.uid(), wallet.metadata.generation, ready, id, state, departure(wallet)))
}

/// What decides whether and how an object goes.
fn departure<K: kube::Resource>(object: &K) -> (bool, bool, bool) {
    (meta::is_held(object), meta::is_leaving(object), meta::may_go(object))
}

/// BackupSchedules: woken by themselves, by their clock, and by their Backups when those have ended or were deleted.
async fn backup_schedules(
    context: &Arc<Context>,
    writer: Writer<Guarded<BackupSchedule>>,
    woken: impl Stream<Item = Ref<BackupSchedule>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let changes = kept(context, writer, watch::config(), health, |schedule| {
        fingerprint((schedule.uid(), schedule.metadata.generation, meta::is_leaving(schedule)))
    });
    let store = context.stores.backup_schedules.clone();
    control(context, changes.boxed(), store, woken, Duration::ZERO, stop).await;
}

/// Restores: those that have not ended; woken by their Job.
async fn restores(
    context: &Arc<Context>,
    writer: Writer<Guarded<Restore>>,
    woken: impl Stream<Item = Ref<Restore>> + Send + 'static,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let open = watch::config().fields(&open_states(&RestoreState::SETTLED));
    let changes = kept(context, writer, open, health, |_| None);
    control(context, changes.boxed(), context.stores.restores.clone(), woken, Duration::ZERO, stop).await;
}

/// A field selector for objects that are in none of these states.
fn open_states(settled: &[&str]) -> String {
    settled.iter().map(|state| format!("status.state!={state}")).collect::<Vec<_>>().join(",")
}

/// Watches a root kind, keeps it in its store, and lets pass what changes the fingerprint.
fn kept<K: Reconciled, P: Fn(&K) -> Option<u64> + Send + 'static>(
    context: &Arc<Context>,
    writer: Writer<Guarded<K>>,
    config: watcher::Config,
    health: &Arc<Health>,
    print: P,
) -> impl Stream<Item = watcher::Result<Guarded<K>>> + Send + use<K, P> {
    let (metrics, here) = (context.metrics.clone(), context.clone());
    let api = Api::<Guarded<K>>::all(context.client.clone());
    watch::events(api, config, K::KIND, metrics, health.clone())
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(gone)) => forget::<K>(&here, gone),
            Ok(Event::InitDone) => here.filled.note(K::KIND),
            Ok(Event::Apply(_) | Event::Init | Event::InitApply(_)) => {}
            Err(_) => here.filled.fell_behind(K::KIND),
        })
        .applied_objects()
        .predicate_filter(move |guarded: &Guarded<K>| mark(guarded, &print), Default::default())
}

/// None lets every change pass. An unreadable object passes once per generation: saying so changes it again.
fn mark<K>(guarded: &Guarded<K>, print: impl Fn(&K) -> Option<u64>) -> Option<u64> {
    match &guarded.0 {
        Ok(object) => print(object),
        Err(invalid) => fingerprint((&invalid.metadata.uid, invalid.metadata.generation)),
    }
}

/// Whatever this process remembers of an object goes with it.
fn forget<K: Reconciled>(context: &Context, gone: &Guarded<K>) {
    let (namespace, name) = (gone.namespace().unwrap_or_default(), gone.name_any());
    context.backoff.forget(&(K::KIND, namespace.clone(), name.clone()));
    if K::KIND == BackupSchedule::KIND {
        context.metrics.backups.set([&namespace, &name], None);
    }
    if K::KIND == TenantBilling::KIND {
        context.metrics.set_unpaid(&namespace, &name, None);
    }
    if K::KIND == Refund::KIND || K::KIND == Payment::KIND {
        context.wake.approvals_of(&context.stores, &namespace, &name);
    }
    if K::KIND == BillingPlan::KIND {
        context.wake.users_of_plan(&context.stores, &namespace, &name);
    }
    if K::KIND == Platform::KIND {
        context.engines.remove(&PlatformKey { namespace, name });
    }
    if K::KIND == TimeoutPolicy::KIND {
        context.wake.timeout_policies(&context.stores);
    }
    if let Some(policy) = (gone as &dyn std::any::Any).downcast_ref::<Guarded<ScalingPolicy>>()
        && let Ok(policy) = &policy.0
    {
        context.wake.platform_of_policy(policy);
    }
    // Settled payments leave the cache; so do deleted ones.
    if let Some(payment) = (gone as &dyn std::any::Any).downcast_ref::<Guarded<Payment>>()
        && let Ok(payment) = &payment.0
    {
        context.wake.standing_order_of(payment);
    }
    // So do Backups that have ended.
    if let Some(backup) = (gone as &dyn std::any::Any).downcast_ref::<Guarded<Backup>>()
        && let Ok(backup) = &backup.0
    {
        context.wake.backup_schedule_of(backup);
    }
    if let Some(billing) = (gone as &dyn std::any::Any).downcast_ref::<Guarded<TenantBilling>>()
        && let Ok(billing) = &billing.0
    {
        context.wake.billings_of_tenant(&context.stores, &billing.spec.tenant_ref.name);
        let namespace = billing.namespace().unwrap_or_default();
        context.wake.plans_of_namespace(&context.stores, &namespace);
    }
    if let Some(tenant) = (gone as &dyn std::any::Any).downcast_ref::<Guarded<Tenant>>()
        && let Ok(tenant) = &tenant.0
    {
        // Another Tenant may have waited for these namespaces.
        context.wake.dependants_of_tenant(&context.stores, tenant);
    }
}

async fn announce(context: Arc<Context>) {
    context.filled.all().await;
    context.metrics.set_synced();
    tracing::info!("every cache is filled");
}

#[cfg(test)]
mod tests;
