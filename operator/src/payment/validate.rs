//! From an object and what it depends on to a request that can be sent, or to what is still missing.

use kube::ResourceExt;
use payplane_crds::{
    Payment, PaymentSpec,
    condition::reason::{INVALID, NO_TENANT, WALLET_NOT_FOUND, WALLET_NOT_READY},
    payment::Capture,
    reference::WalletReference,
};

use rust_decimal::Decimal;

use super::{
    observe::{Observed, Side},
    plan::{Waiting, Wanted, Wish},
};
use crate::{
    engine::{Amount, Asked, FeeRequest, HoldTerms, PaymentRequest, WalletRef},
    lost,
};

/// The request, if everything is there.
///
/// # Errors
/// The first thing that is missing.
pub fn validate(payment: &Payment, observed: &Observed) -> Result<Wanted, Waiting> {
    if !observed.has_tenant {
        return Err(Waiting::new(NO_TENANT, "The namespace belongs to no Tenant that is Ready."));
    }
    if observed.engine.is_none() {
        return Err(Waiting::engine());
    }
    check("from", &payment.spec.from, observed.from)?;
    check("to", &payment.spec.to, observed.to)?;
    for (index, (fee, side)) in payment.spec.fees.iter().flatten().zip(&observed.fees).enumerate() {
        check(&format!("fees[{index}].to"), &fee.to, *side)?;
    }
    let retry_until = payment.spec.retry_until.as_ref().map(|until| until.0);
    let asked = lost::asked(payment, observed.lost);
    let request = PaymentRequest { asked, ..request(payment) };
    let is_reviewed = observed.is_reviewed;
    Ok(Wanted { request, wish: wish(&payment.spec)?, retry_until, is_reviewed })
}

fn check(field: &str, reference: &WalletReference, side: Side) -> Result<(), Waiting> {
    let name = reference.name.as_deref().unwrap_or_default();
    match side {
        Side::Ledger | Side::Ready => Ok(()),
        Side::Absent => {
            let message = format!("{field}: there is no Wallet {name:?} in this namespace.");
            Err(Waiting::new(WALLET_NOT_FOUND, &message))
        }
        Side::NotReady => {
            Err(Waiting::new(WALLET_NOT_READY, &format!("{field}: Wallet {name:?} is not Ready yet.")))
        }
    }
}

/// What makes it the same payment wherever and whenever it is applied.
pub fn key(payment: &Payment) -> String {
    let name = || format!("{}/{}", payment.namespace().unwrap_or_default(), payment.name_any());
    payment.spec.idempotency_key.clone().unwrap_or_else(name)
}

fn request(payment: &Payment) -> PaymentRequest {
    let namespace = payment.namespace().unwrap_or_default();
    let PaymentSpec { from, to, amount, currency, reference, hold, metadata, fees, requested_by, .. } =
        &payment.spec;
    let currency = &currency.0;
    let fees = fees.iter().flatten().map(|fee| FeeRequest {
        to: wallet(&namespace, &fee.to),
        amount: Amount { amount: fee.amount.0.clone(), currency: currency.clone() },
        reference: fee.reference.clone().unwrap_or_default(),
    });
    let labels = metadata.iter().flatten().map(|(name, value)| (name.clone(), value.0.clone()));
    PaymentRequest {
        key: key(payment),
        from: wallet(&namespace, from),
        to: wallet(&namespace, to),
        amount: Amount { amount: amount.0.clone(), currency: currency.clone() },
        reference: reference.clone().unwrap_or_default(),
        origin_ref: payment.uid().unwrap_or_default(),
        hold: hold.as_ref().map(|hold| HoldTerms {
            timeout_seconds: hold.timeout_seconds,
            capture_at: hold.capture_at.as_ref().map(|at| at.0),
        }),
        metadata: labels.collect(),
        fees: fees.collect(),
        requester: requested_by.clone(),
        approver: None,
        namespace,
        never: false,
        asked: Asked::default(),
    }
}

/// Admission guarantees that at most one of the two is given, and what a total looks like.
fn wish(spec: &PaymentSpec) -> Result<Wish, Waiting> {
    match &spec.capture {
        Some(Capture { total, is_final }) => {
            let total = Decimal::from_str_exact(&total.0)
                .map_err(|_| Waiting::new(INVALID, "capture.total is no decimal number."))?;
            Ok(Wish::Capture { total, is_final: *is_final })
        }
        None if spec.void == Some(true) => Ok(Wish::Void),
        None => Ok(Wish::Keep),
    }
}

/// Admission guarantees that exactly one of the three is given.
fn wallet(namespace: &str, reference: &WalletReference) -> WalletRef {
    match (&reference.name, &reference.id) {
        (Some(name), _) => WalletRef::Name(format!("{namespace}/{name}")),
        (None, Some(id)) => WalletRef::Id(id.clone()),
        (None, None) => WalletRef::Settlement,
    }
}

#[cfg(test)]
mod tests;
