//! What every reconciler shares: clients, caches, connections, and the ways to wake one another.

use std::{collections::BTreeMap, sync::Arc};

use kube::{
    Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};
use payplane_crds::{
    Approval, Backup, BackupSchedule, BillingPlan, Payment, Platform, Refund, Restore, ScalingPolicy,
    StandingOrder, Tenant, TenantBilling, TimeoutPolicy, Wallet, condition::READY,
};
use tokio::sync::watch;

use crate::{
    backoff::Backoff,
    condition::is_true,
    engine::{Engines, PlatformKey},
    events::Events,
    platform::Windows,
    telemetry::Metrics,
    wake::Wake,
};

/// Platform, Tenant, TenantBilling, Wallet, Payment, Refund, Approval, StandingOrder, TimeoutPolicy, ScalingPolicy, Backup,
/// BackupSchedule, Restore, BillingPlan.
const ROOT_KINDS: usize = 14;

/// An object as it comes from a watch: one that cannot be read hurts only itself.
pub type Guarded<K> = DeserializeGuard<K>;

/// Shared by every reconciler.
pub struct Context {
    /// Of the API server.
    pub client: Client,
    /// What flags and the cluster told at the start.
    pub settings: Settings,
    /// Connections to engines.
    pub engines: Engines,
    /// What is watched.
    pub stores: Stores,
    /// Which stores have been filled.
    pub filled: Filled,
    /// Wakes objects of any kind.
    pub wake: Wake,
    /// How often each object failed in a row.
    pub backoff: Backoff,
    /// What engines had answered when their rollout was first looked at.
    pub windows: Windows,
    /// Tells people about transitions.
    pub events: Events,
    /// Counts.
    pub metrics: Metrics,
}

/// What flags and the cluster told at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces in which Platforms are served.
    pub platform_namespaces: Vec<String>,
    /// Image of the engine where a Platform names none.
    pub engine_image: String,
    /// Image of PostgreSQL where a Platform names none.
    pub postgres_image: String,
    /// Image of Kafka where a Platform names none.
    pub kafka_image: String,
    /// Image of Redis where a Platform names none.
    pub redis_image: String,
    /// Image of the operator itself.
    pub operator_image: String,
    /// ServiceAccount that may list what a Backup copies of a Platform's objects.
    pub backup_account: String,
    /// Issuer of the cluster's ServiceAccount tokens.
    pub issuer: String,
    /// Subject of the operator's own token.
    pub subject: String,
}

/// Which stores have been filled, and which follow the API server since. Not the stores' own `wait_until_ready`: of
/// several waiters it wakes only the last, and the controllers themselves wait there.
#[derive(Clone, Debug, Default)]
pub struct Filled {
    /// By kind, whether the store follows.
    kinds: watch::Sender<BTreeMap<&'static str, bool>>,
}

impl Filled {
    /// Notes that the store of this kind has been filled with all that there is.
    pub fn note(&self, kind: &'static str) {
        self.kinds.send_if_modified(|kinds| kinds.insert(kind, true) != Some(true));
    }

    /// Notes that the watch of this kind broke: until the store is filled anew, it may have what is long gone.
    pub fn fell_behind(&self, kind: &'static str) {
        let behind = |follows: &mut bool| std::mem::replace(follows, false);
        self.kinds.send_if_modified(|kinds| kinds.get_mut(kind).is_some_and(behind));
    }

    /// Whether the store of this kind follows the API server, as far as its watch knows.
    pub fn follows(&self, kind: &'static str) -> bool {
        self.kinds.borrow().get(kind).is_some_and(|follows| *follows)
    }

    /// Waits until every store has been filled. Before, a first look would find no Tenant for a Wallet, and say so.
    pub async fn all(&self) {
        // The sender lives as long as `self`, so this ends only with the condition.
        let _ = self.kinds.subscribe().wait_for(|kinds| kinds.len() >= ROOT_KINDS).await;
    }
}

/// The root objects, as of the watches. Open payments, refunds and approvals only: settled ones leave.
#[derive(Clone)]
pub struct Stores {
    /// Every Platform.
    pub platforms: Store<Guarded<Platform>>,
    /// Every Tenant.
    pub tenants: Store<Guarded<Tenant>>,
    /// Every Wallet.
    pub wallets: Store<Guarded<Wallet>>,
    /// Payments that are not settled.
    pub payments: Store<Guarded<Payment>>,
    /// Refunds that are not settled.
    pub refunds: Store<Guarded<Refund>>,
    /// Every ScalingPolicy.
    pub scaling_policies: Store<Guarded<ScalingPolicy>>,
    /// Every StandingOrder.
    pub standing_orders: Store<Guarded<StandingOrder>>,
    /// Approvals that are not settled.
    pub approvals: Store<Guarded<Approval>>,
    /// Every TimeoutPolicy.
    pub timeout_policies: Store<Guarded<TimeoutPolicy>>,
    /// Backups that have not ended.
    pub backups: Store<Guarded<Backup>>,
    /// Every TenantBilling.
    pub tenant_billings: Store<Guarded<TenantBilling>>,
    /// Every BackupSchedule.
    pub backup_schedules: Store<Guarded<BackupSchedule>>,
    /// Restores that have not ended.
    pub restores: Store<Guarded<Restore>>,
    /// Every BillingPlan.
    pub billing_plans: Store<Guarded<BillingPlan>>,
}

impl Stores {
    /// The ready Tenant that lists this namespace. None if there is no such, or more than one: then it is not known
    /// whose money would move.
    pub fn tenant_of(&self, namespace: &str) -> Option<Tenant> {
        let mut found = self.tenants.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|tenant| lists(tenant, namespace) && is_ready(tenant))
        });
        match (found.pop(), found.pop()) {
            (Some(only), None) => readable(&only).cloned(),
            _ => None,
        }
    }

    /// The Tenant of this name, if it is ready.
    pub fn ready_tenant(&self, name: &str) -> Option<Tenant> {
        let found = self.tenants.get(&ObjectRef::new(name))?;
        readable(&found).filter(|tenant| is_ready(tenant)).cloned()
    }

    /// A namespace of a ready Tenant of this Platform: the engine is always spoken to for some tenant.
    pub fn a_namespace_of(&self, platform: &PlatformKey) -> Option<String> {
        let found = self.tenants.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|tenant| platform_of(tenant) == *platform && is_ready(tenant))
        });
        let first = found.iter().filter_map(readable).min_by_key(|tenant| tenant.name_any())?;
        first.spec.namespaces.first().map(|namespace| namespace.name.clone())
    }

    /// The Wallet object of this name.
    pub fn wallet(&self, namespace: &str, name: &str) -> Option<Wallet> {
        let found = self.wallets.get(&ObjectRef::new(name).within(namespace))?;
        readable(&found).cloned()
    }

    /// The Platform of this name.
    pub fn platform(&self, key: &PlatformKey) -> Option<Platform> {
        let found = self.platforms.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
        readable(&found).cloned()
    }

    /// Names of the Platforms whose external database or Redis is described in this Secret, or whose authority another
    /// operator keeps in it.
    pub fn users_of_secret(&self, namespace: &str, secret: &str) -> Vec<String> {
        let uses = |platform: &Platform| {
            platform.namespace().as_deref() == Some(namespace)
                && (keeps_authority(platform, secret)
                    || platform
                        .spec
                        .postgres
                        .external
                        .as_ref()
                        .is_some_and(|db| db.secret_ref.name == secret)
                    || platform.spec.redis.as_ref().is_some_and(|redis| {
                        redis.external.as_ref().is_some_and(|redis| redis.secret_ref.name == secret)
                    }))
        };
        let found = self.platforms.state_filter(|guarded| guarded.0.as_ref().is_ok_and(uses));
        found.iter().map(|guarded| guarded.name_any()).collect()
    }

    /// Every Tenant that lists this namespace.
    pub fn claimants(&self, namespace: &str) -> Vec<Tenant> {
        let lists_it =
            |guarded: &Guarded<Tenant>| guarded.0.as_ref().is_ok_and(|tenant| lists(tenant, namespace));
        let found = self.tenants.state_filter(lists_it);
        found.iter().filter_map(|guarded| readable(guarded).cloned()).collect()
    }
}

/// Whether CloudNativePG or Strimzi keeps the authority of a Platform's servers in this Secret.
fn keeps_authority(platform: &Platform, secret: &str) -> bool {
    crate::platform::foreign_secrets(platform).iter().any(|name| name == secret)
}

/// The object, if it could be read as its kind.
pub fn readable<K>(guarded: &Arc<Guarded<K>>) -> Option<&K> {
    guarded.0.as_ref().ok()
}

/// Whether the Tenant lists the namespace.
pub fn lists(tenant: &Tenant, namespace: &str) -> bool {
    tenant.spec.namespaces.iter().any(|listed| listed.name == namespace)
}

fn is_ready(tenant: &Tenant) -> bool {
    tenant.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

/// The Platform that a Tenant names.
pub fn platform_of(tenant: &Tenant) -> PlatformKey {
    let reference = &tenant.spec.platform_ref;
    PlatformKey { namespace: reference.namespace.clone(), name: reference.name.clone() }
}

/// Namespace and name, for logs and for the backoff's memory.
pub fn identity<K: Resource<DynamicType = ()>>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_the_stores_is_woken() {
        let filled = Filled::default();
        let waiting = (0..8).map(|_| {
            let filled = filled.clone();
            tokio::spawn(async move { filled.all().await })
        });
        let waiting: Vec<_> = waiting.collect();
        for kind in [
            "Platform",
            "Tenant",
            "TenantBilling",
            "Wallet",
            "Payment",
            "Refund",
            "Approval",
            "StandingOrder",
            "TimeoutPolicy",
            "ScalingPolicy",
            "Backup",
            "BackupSchedule",
            "Restore",
            "BillingPlan",
        ] {
            tokio::task::yield_now().await;
            filled.note(kind);
        }
        for waiter in waiting {
            waiter.await.unwrap();
        }
        filled.all().await;
    }

    #[test]
    fn a_store_follows_from_its_filling_until_its_watch_breaks() {
        let filled = Filled::default();
        filled.fell_behind("Payment");
        assert!(!filled.follows("Payment"), "never filled");
        filled.note("Payment");
        filled.note("Refund");
        assert!(filled.follows("Payment"));
        filled.fell_behind("Payment");
        assert!(!filled.follows("Payment"), "its watch broke");
        assert!(filled.follows("Refund"), "another's did not");
        filled.note("Payment");
        assert!(filled.follows("Payment"), "filled anew");
    }
}
