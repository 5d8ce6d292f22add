//! The Payments of a StandingOrder, from the API server: settled ones are not in the cache. The only read.

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};
use payplane_crds::{
    Payment, StandingOrder,
    condition::{SETTLED, STALLED, SUCCEEDED, reason::INSUFFICIENT_FUNDS},
};

use super::build;
use crate::{
    api,
    condition::{find, is_true},
    context::{Context, Guarded},
    error::Error,
    meta::STANDING_ORDER,
    status::Reported,
};

/// More than an order can have: its settled ones are pruned, its open ones bounded.
const PAGE: u32 = 500;

/// A Payment of the order.
#[derive(Clone, Debug)]
pub struct Child {
    /// The time that it is for.
    pub time: Timestamp,
    /// The object.
    pub payment: Payment,
}

/// Where a Payment stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stand {
    /// Something may still happen.
    Open,
    /// The money moved.
    Paid,
    /// It did not, for this reason.
    Refused(String),
}

impl Child {
    /// Where it stands, as its object tells.
    pub fn stand(&self) -> Stand {
        let conditions = self.payment.current();
        match find(conditions, SETTLED).filter(|settled| settled.status == "True") {
            None => Stand::Open,
            Some(_) if is_true(conditions, SUCCEEDED) => Stand::Paid,
            Some(settled) => Stand::Refused(settled.reason.clone()),
        }
    }

    /// Whether only a person can help it.
    pub fn is_stalled(&self) -> bool {
        is_true(self.payment.current(), STALLED)
    }

    /// Whether it was refused because the payer had too little.
    pub fn is_short(&self) -> bool {
        self.stand() == Stand::Refused(INSUFFICIENT_FUNDS.into())
    }
}

/// Lists them, oldest first.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(order: &StandingOrder, context: &Context) -> Result<Vec<Child>, Error> {
    let namespace = order.namespace().unwrap_or_default();
    let payments = Api::<Guarded<Payment>>::namespaced(context.client.clone(), &namespace);
    let ours = ListParams::default().labels(&format!("{STANDING_ORDER}={}", order.name_any())).limit(PAGE);
    let found = api::call("list the Payments of an order", payments.list(&ours)).await?;
    let readable = found.items.into_iter().filter_map(|guarded| guarded.0.ok());
    Ok(children(order, readable))
}

/// Those that are the order's by name and key, oldest first.
pub fn children(order: &StandingOrder, payments: impl Iterator<Item = Payment>) -> Vec<Child> {
    let child = |payment| Some(Child { time: build::time_of(order, &payment)?, payment });
    let mut children: Vec<_> = payments.filter_map(child).collect();
    children.sort_by_key(|child| child.time);
    children
}
