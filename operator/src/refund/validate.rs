//! From an object and what it depends on to a request that can be sent, or to why not.

use kube::ResourceExt;
use payplane_crds::{
    Refund, RefundSpec,
    condition::reason::{
        ENGINE_UNAVAILABLE, NO_TENANT, PAYMENT_NOT_FOUND, PAYMENT_NOT_READY, TREASURY_REQUIRED, WRONG_STATE,
    },
};

use super::{
    observe::{Found, Observed},
    plan::Unfit,
};
use crate::{
    engine::{self, Amount, Asked, Phase, RefundRequest, Refusal},
    lost,
    payment::Waiting,
};

const REFUSED: &str = "The ledger refused the payment, so there is nothing to give back.";
const TREASURY: &str = "The payment went to one of the tenant's own accounts, so giving it back brings money into the tenant. \
                        Say so with settlement: true, which needs the ClusterRole payplane-treasury.";

/// The request, if everything is there.
///
/// # Errors
/// The first thing that is missing, or that makes it impossible.
pub fn validate(refund: &Refund, observed: &Observed) -> Result<RefundRequest, Unfit> {
    if !observed.has_tenant {
        return Err(waiting(NO_TENANT, "The namespace belongs to no Tenant that is Ready."));
    }
    match &observed.payment {
        Found::NotAsked => Err(Unfit::Waiting(Waiting::engine())),
        Found::NoObject => {
            let name = refund.spec.payment.name.as_deref().unwrap_or_default();
            let message = format!("payment: there is no Payment {name:?} in this namespace.");
            Err(waiting(PAYMENT_NOT_FOUND, &message))
        }
        Found::Undecided => Err(waiting(PAYMENT_NOT_READY, "payment: the ledger has not decided it yet.")),
        Found::NotInLedger => {
            let message = "payment: the ledger has no such payment in this tenant.";
            Err(Unfit::Waiting(Waiting::unwatched(PAYMENT_NOT_FOUND, message)))
        }
        Found::Refused => Err(never(WRONG_STATE, "payment", REFUSED)),
        Found::Unanswered(error) => {
            Err(Unfit::Waiting(Waiting::unwatched(ENGINE_UNAVAILABLE, &error.advice())))
        }
        Found::Known { pays_own_account: true, .. } if refund.spec.settlement != Some(true) => {
            Err(never(TREASURY_REQUIRED, "settlement", TREASURY))
        }
        Found::Known { stands, .. } if is_early(stands) => {
            Err(waiting(PAYMENT_NOT_READY, "payment: nothing of the hold was captured yet."))
        }
        Found::Known { id, .. } => {
            Ok(RefundRequest { asked: lost::asked(refund, observed.lost), ..request(refund, id) })
        }
    }
}

/// Asked for now it would be refused for good, although money may still move.
fn is_early(stands: &engine::Payment) -> bool {
    matches!(stands.phase, Phase::Pending | Phase::Processing)
        && !stands.captured.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

fn waiting(reason: &'static str, message: &str) -> Unfit {
    Unfit::Waiting(Waiting::new(reason, message))
}

fn never(reason: &'static str, field: &str, message: &str) -> Unfit {
    Unfit::Never(Refusal { reason, field: field.into(), message: message.into(), definitive: false })
}

/// What makes it the same refund wherever it is applied.
pub fn key(refund: &Refund) -> String {
    let default = || format!("{}/{}", refund.namespace().unwrap_or_default(), refund.name_any());
    refund.spec.idempotency_key.clone().unwrap_or_else(default)
}

fn request(refund: &Refund, payment_id: &str) -> RefundRequest {
    let namespace = refund.namespace().unwrap_or_default();
    let RefundSpec { payment: _, amount, currency, settlement: _, reason, requested_by, idempotency_key: _ } =
        &refund.spec;
    let amount = amount.as_ref().zip(currency.as_ref());
    RefundRequest {
        key: key(refund),
        payment_id: payment_id.into(),
        amount: amount
            .map(|(amount, currency)| Amount { amount: amount.0.clone(), currency: currency.0.clone() }),
        reference: reason.clone().unwrap_or_default(),
        origin_ref: refund.uid().unwrap_or_default(),
        requester: requested_by.clone(),
        asked: Asked::default(),
        namespace,
    }
}

#[cfg(test)]
mod tests;
