//! What a Payment depends on, as the caches have it. No calls: whoever changes wakes the payment.

use std::sync::Arc;

use kube::ResourceExt;
use payplane_crds::{
    Payment, condition::READY, platform::LostPayments, reference::WalletReference, tenant::ApprovalMode,
};

use crate::{
    condition::is_true,
    context::{Context, Stores, platform_of},
    engine::Engine,
    lost,
    status::Reported,
};

/// What a Payment depends on.
pub struct Observed {
    /// Whether the namespace belongs to a ready Tenant.
    pub has_tenant: bool,
    /// Connection to the Tenant's Platform.
    pub engine: Option<Arc<Engine>>,
    /// The payer.
    pub from: Side,
    /// The payee.
    pub to: Side,
    /// Who gets the fees, in their order.
    pub fees: Vec<Side>,
    /// Whether the Tenant says that the pull request is the second pair of eyes.
    pub is_reviewed: bool,
    /// What the Platform says of payments that a restore lost.
    pub lost: LostPayments,
}

/// One side of a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Not a Wallet object: the ledger knows whether it exists.
    Ledger,
    /// A Wallet object that is not there.
    Absent,
    /// A Wallet object that the ledger has not confirmed.
    NotReady,
    /// A Wallet object that the ledger has confirmed.
    Ready,
}

/// Reads the caches.
pub fn observe(payment: &Payment, context: &Context) -> Observed {
    let namespace = payment.namespace().unwrap_or_default();
    let tenant = context.stores.tenant_of(&namespace);
    let fees = payment.spec.fees.iter().flatten();
    let platform = tenant.as_ref().and_then(|tenant| context.stores.platform(&platform_of(tenant)));
    Observed {
        lost: lost::policy(platform.as_ref()),
        fees: fees.map(|fee| side(&context.stores, &namespace, &fee.to)).collect(),
        is_reviewed: tenant
            .as_ref()
            .is_some_and(|tenant| tenant.spec.approval.mode == ApprovalMode::PullRequest),
        has_tenant: tenant.is_some(),
        engine: tenant.and_then(|tenant| context.engines.get(&platform_of(&tenant))),
        from: side(&context.stores, &namespace, &payment.spec.from),
        to: side(&context.stores, &namespace, &payment.spec.to),
    }
}

fn side(stores: &Stores, namespace: &str, reference: &WalletReference) -> Side {
    let Some(name) = &reference.name else { return Side::Ledger };
    match stores.wallet(namespace, name) {
        None => Side::Absent,
        Some(wallet) if is_true(wallet.current(), READY) => Side::Ready,
        Some(_) => Side::NotReady,
    }
}
