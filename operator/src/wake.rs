//! How one object's change wakes others, without a second watch of the same kind.
//!
//! Each controller listens to a channel of references. Waking an object twice costs one reconcile: the scheduler merges
//! what is waiting. Wallets are also gathered for a moment first, because every payment wakes two.

use std::{collections::HashSet, hash::Hash, time::Duration};

use futures::{Stream, StreamExt, stream};
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{Lookup, ObjectRef},
};
use payplane_crds::{
    Approval, Backup, BackupSchedule, BillingPlan, Payment, Platform, Refund, Restore, ScalingPolicy,
    StandingOrder, Tenant, TenantBilling, TimeoutPolicy, Wallet, reference::WalletReference,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    context::{Guarded, Stores, lists, platform_of, readable},
    engine::PlatformKey,
};

/// How long wallets are gathered before they are refreshed: bounds writes per wallet to two in a second.
pub const GATHER: Duration = Duration::from_millis(500);

/// Reference to an object that may be unreadable.
pub type Ref<K> = ObjectRef<Guarded<K>>;

/// The sending ends.
#[derive(Clone)]
pub struct Wake {
    platforms: UnboundedSender<Ref<Platform>>,
    tenants: UnboundedSender<Ref<Tenant>>,
    wallets: UnboundedSender<Ref<Wallet>>,
    payments: UnboundedSender<Ref<Payment>>,
    refunds: UnboundedSender<Ref<Refund>>,
    standing_orders: UnboundedSender<Ref<StandingOrder>>,
    approvals: UnboundedSender<Ref<Approval>>,
    timeout_policies: UnboundedSender<Ref<TimeoutPolicy>>,
    backups: UnboundedSender<Ref<Backup>>,
    tenant_billings: UnboundedSender<Ref<TenantBilling>>,
    backup_schedules: UnboundedSender<Ref<BackupSchedule>>,
    restores: UnboundedSender<Ref<Restore>>,
    billing_plans: UnboundedSender<Ref<BillingPlan>>,
}

/// The receiving ends, one per controller.
pub struct Wakeups {
    /// Of the Platform controller.
    pub platforms: UnboundedReceiver<Ref<Platform>>,
    /// Of the Tenant controller.
    pub tenants: UnboundedReceiver<Ref<Tenant>>,
    /// Of the Wallet controller.
    pub wallets: UnboundedReceiver<Ref<Wallet>>,
    /// Of the Payment controller.
    pub payments: UnboundedReceiver<Ref<Payment>>,
    /// Of the Refund controller.
    pub refunds: UnboundedReceiver<Ref<Refund>>,
    /// Of the StandingOrder controller.
    pub standing_orders: UnboundedReceiver<Ref<StandingOrder>>,
    /// Of the Approval controller.
    pub approvals: UnboundedReceiver<Ref<Approval>>,
    /// Of the TimeoutPolicy controller.
    pub timeout_policies: UnboundedReceiver<Ref<TimeoutPolicy>>,
    /// Of the Backup controller.
    pub backups: UnboundedReceiver<Ref<Backup>>,
    /// Of the TenantBilling controller.
    pub tenant_billings: UnboundedReceiver<Ref<TenantBilling>>,
    /// Of the BackupSchedule controller.
    pub backup_schedules: UnboundedReceiver<Ref<BackupSchedule>>,
    /// Of the Restore controller.
    pub restores: UnboundedReceiver<Ref<Restore>>,
    /// Of the BillingPlan controller.
    pub billing_plans: UnboundedReceiver<Ref<BillingPlan>>,
}

/// Makes the channels.
pub fn channels() -> (Wake, Wakeups) {
    let (platforms, wake_platforms) = unbounded_channel();
    let (tenants, wake_tenants) = unbounded_channel();
    let (wallets, wake_wallets) = unbounded_channel();
    let (payments, wake_payments) = unbounded_channel();
    let (refunds, wake_refunds) = unbounded_channel();
    let (standing_orders, wake_standing_orders) = unbounded_channel();
    let (approvals, wake_approvals) = unbounded_channel();
    let (timeout_policies, wake_timeout_policies) = unbounded_channel();
    let (backups, wake_backups) = unbounded_channel();
    let (tenant_billings, wake_tenant_billings) = unbounded_channel();
    let (backup_schedules, wake_backup_schedules) = unbounded_channel();
    let (restores, wake_restores) = unbounded_channel();
    let (billing_plans, wake_billing_plans) = unbounded_channel();
    (
        Wake {
            platforms,
            tenants,
            wallets,
            payments,
            refunds,
            standing_orders,
            timeout_policies,
            backups,
            approvals,
            tenant_billings,
            backup_schedules,
            restores,
            billing_plans,
        },
        Wakeups {
            platforms: wake_platforms,
            tenants: wake_tenants,
            wallets: wake_wallets,
            payments: wake_payments,
            refunds: wake_refunds,
            standing_orders: wake_standing_orders,
            approvals: wake_approvals,
            timeout_policies: wake_timeout_policies,
            backups: wake_backups,
            tenant_billings: wake_tenant_billings,
            backup_schedules: wake_backup_schedules,
            restores: wake_restores,
            billing_plans: wake_billing_plans,
        },
    )
}

impl Wake {
    /// Wakes one Platform, such as the owner of a changed child.
    pub fn platform(&self, namespace: &str, name: &str) {
        // Nobody listens only while the process ends.
        let _ = self.platforms.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes one Tenant, such as the owner of a changed child.
    pub fn tenant(&self, name: &str) {
        let _ = self.tenants.send(ObjectRef::new(name));
    }

    /// Wakes one Wallet.
    pub fn wallet(&self, namespace: &str, name: &str) {
        let _ = self.wallets.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes one Payment, such as one that was just approved.
    pub fn payment(&self, namespace: &str, name: &str) {
        let _ = self.payments.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes one Refund, such as one that was just approved.
    pub fn refund(&self, namespace: &str, name: &str) {
        let _ = self.refunds.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes everything that depends on a Platform's engines.
    pub fn dependants_of_platform(&self, stores: &Stores, platform: &PlatformKey) {
        for guarded in stores.tenants.state() {
            let Some(tenant) = readable(&guarded).filter(|tenant| platform_of(tenant) == *platform) else {
                continue;
            };
            let _ = self.tenants.send(ObjectRef::new(&tenant.name_any()));
            self.members_of_tenant(stores, tenant);
        }
    }

    /// Wakes a Tenant's wallets, open payments, refunds and approvals, and the Tenants that want one of its namespaces.
    pub fn dependants_of_tenant(&self, stores: &Stores, tenant: &Tenant) {
        self.members_of_tenant(stores, tenant);
        let name = tenant.name_any();
        let listed = tenant.spec.namespaces.iter();
        let rivals: HashSet<String> = listed
            .flat_map(|namespace| stores.claimants(&namespace.name))
            .map(|rival| rival.name_any())
            .filter(|rival| *rival != name)
            .collect();
        for rival in rivals {
            let _ = self.tenants.send(ObjectRef::new(&rival));
        }
    }

    /// Wakes the open payments that name a Wallet.
    pub fn dependants_of_wallet(&self, stores: &Stores, wallet: &Wallet) {
        let (namespace, name) = (&wallet.metadata.namespace, wallet.name_any());
        let names = |reference: &WalletReference| reference.name.as_deref() == Some(&name);
        let waiting = stores.payments.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|payment| {
                payment.metadata.namespace == *namespace
                    && (names(&payment.spec.from)
                        || names(&payment.spec.to)
                        || payment.spec.fees.iter().flatten().any(|fee| names(&fee.to)))
            })
        });
        send_all(&self.payments, &waiting);
    }

    /// Wakes the open refunds of a Payment.
    pub fn refunds_of_payment(&self, stores: &Stores, payment: &Payment) {
        let (namespace, name) = (&payment.metadata.namespace, payment.name_any());
        let waiting = stores.refunds.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|refund| {
                refund.metadata.namespace == *namespace && refund.spec.payment.name.as_deref() == Some(&name)
            })
        });
        send_all(&self.refunds, &waiting);
    }

    /// Wakes the Platform whose engines a ScalingPolicy scales.
    pub fn platform_of_policy(&self, policy: &ScalingPolicy) {
        if let (Some(namespace), Some(platform)) = (&policy.metadata.namespace, &policy.spec.target.platform)
        {
            self.platform(namespace, &platform.name);
        }
    }

    /// Wakes the StandingOrder that a Payment is of.
    pub fn standing_order_of(&self, payment: &Payment) {
        let owners = payment.owner_references().iter();
        for owner in owners.filter(|owner| owner.kind == <StandingOrder as Resource>::kind(&())) {
            let namespace = payment.metadata.namespace.clone().unwrap_or_default();
            let _ = self.standing_orders.send(ObjectRef::new(&owner.name).within(&namespace));
        }
    }

    /// Wakes the open Approvals of a Refund or a Payment.
    pub fn approvals_of(&self, stores: &Stores, namespace: &str, name: &str) {
        let waiting = stores.approvals.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|approval| {
                approval.metadata.namespace.as_deref() == Some(namespace)
                    && approval.spec.approves.name == name
            })
        });
        send_all(&self.approvals, &waiting);
    }

    /// Wakes every TimeoutPolicy: there are few, and any may have waited for what changed.
    pub fn timeout_policies(&self, stores: &Stores) {
        send_all(&self.timeout_policies, &stores.timeout_policies.state());
    }

    /// Wakes the Backup that a changed Job belongs to.
    pub fn backup(&self, namespace: &str, name: &str) {
        let _ = self.backups.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes the Restore that a changed Job belongs to.
    pub fn restore(&self, namespace: &str, name: &str) {
        let _ = self.restores.send(ObjectRef::new(name).within(namespace));
    }

    /// Wakes the BackupSchedule that a Backup is of.
    pub fn backup_schedule_of(&self, backup: &Backup) {
        let owners = backup.owner_references().iter();
        for owner in owners.filter(|owner| owner.kind == <BackupSchedule as Resource>::kind(&())) {
            let namespace = backup.metadata.namespace.clone().unwrap_or_default();
            let _ = self.backup_schedules.send(ObjectRef::new(&owner.name).within(&namespace));
        }
    }

    /// Wakes the TenantBillings of a Tenant.
    pub fn billings_of_tenant(&self, stores: &Stores, tenant: &str) {
        let of_tenant = stores.tenant_billings.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|billing| billing.spec.tenant_ref.name == tenant)
        });
        send_all(&self.tenant_billings, &of_tenant);
    }

    /// Wakes the TenantBillings that name a BillingPlan.
    pub fn users_of_plan(&self, stores: &Stores, namespace: &str, plan: &str) {
        let users = stores.tenant_billings.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|billing| {
                billing.metadata.namespace.as_deref() == Some(namespace)
                    && billing.spec.plan_ref.as_ref().is_some_and(|reference| reference.name == plan)
            })
        });
        send_all(&self.tenant_billings, &users);
    }

    /// Wakes every BillingPlan of a namespace, because a TenantBilling there came, changed or went: there are few, and it may
    /// have named another one before.
    pub fn plans_of_namespace(&self, stores: &Stores, namespace: &str) {
        let plans = stores.billing_plans.state_filter(|guarded| {
            guarded.0.as_ref().is_ok_and(|plan| plan.metadata.namespace.as_deref() == Some(namespace))
        });
        send_all(&self.billing_plans, &plans);
    }

    /// Wakes the Tenants that list a namespace.
    pub fn claimants_of_namespace(&self, stores: &Stores, namespace: &str) {
        for tenant in stores.claimants(namespace) {
            let _ = self.tenants.send(ObjectRef::new(&tenant.name_any()));
        }
    }

    fn members_of_tenant(&self, stores: &Stores, tenant: &Tenant) {
        send_all(&self.wallets, &stores.wallets.state_filter(|guarded| belongs(guarded, tenant)));
        send_all(&self.payments, &stores.payments.state_filter(|guarded| belongs(guarded, tenant)));
        send_all(&self.refunds, &stores.refunds.state_filter(|guarded| belongs(guarded, tenant)));
        send_all(&self.approvals, &stores.approvals.state_filter(|guarded| belongs(guarded, tenant)));
        self.timeout_policies(stores);
        self.billings_of_tenant(stores, &tenant.name_any());
    }
}

fn belongs<K: Resource>(object: &K, tenant: &Tenant) -> bool {
    object.meta().namespace.as_deref().is_some_and(|namespace| lists(tenant, namespace))
}

fn send_all<K>(channel: &UnboundedSender<Ref<K>>, objects: &[std::sync::Arc<Guarded<K>>])
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    for object in objects {
        let _ = channel.send(object.to_object_ref(()));
    }
}

/// A channel as a stream, for a controller.
pub fn listen<T: Send + 'static>(channel: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    stream::unfold(channel, |mut channel| async { channel.recv().await.map(|item| (item, channel)) })
}

/// A channel as a stream that waits a moment after the first item and then gives each different one once.
pub fn gather<T: Eq + Hash + Send + 'static>(
    channel: UnboundedReceiver<T>,
    period: Duration,
) -> impl Stream<Item = T> + Send {
    stream::unfold(channel, move |mut channel| async move {
        let mut gathered = HashSet::from([channel.recv().await?]);
        tokio::time::sleep(period).await;
        while let Ok(item) = channel.try_recv() {
            gathered.insert(item);
        }
        Some((stream::iter(gathered), channel))
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_wakes_each_object_once() {
        let (send, receive) = unbounded_channel();
        for n in 0..1000 {
            send.send(n % 3).unwrap();
        }
        drop(send);
        let mut woken: Vec<i32> = gather(receive, Duration::from_millis(1)).collect().await;
        woken.sort_unstable();
        assert_eq!(woken, [0, 1, 2]);
    }
}
