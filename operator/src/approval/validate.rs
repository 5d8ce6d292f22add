//! From an object and what it depends on to a decision that can be sent, or to why not. Pure.
//!
//! Looked at in this order: the tenant, the Refund or Payment, its hash, who asked for it, whether it is decided already, the expiry.
//! What was decided in time stays decided when the time is over, so the expiry comes last.

use jiff::Timestamp;
use kube::ResourceExt;
use payplane_crds::{
    Approval,
    approval::{Decision, SubjectKind},
    condition::reason::{
        ALREADY_DECIDED, APPROVAL_EXPIRED, BODY_HASH_MISMATCH, ENGINE_UNAVAILABLE, NO_TENANT,
        PAYMENT_NOT_FOUND, REFUND_NOT_FOUND, REFUND_NOT_READY, REQUESTER_UNKNOWN, WRONG_STATE,
    },
};

use super::{
    observe::{Asked, Found, Known, Observed},
    plan::Fit,
};
use crate::{
    engine::{DecisionRequest, RefundPhase, Refusal},
    payment::Waiting,
};

const MISMATCH: &str = "is not the status.bodyHash of the object as it is now, so something else would be decided than what was \
                        read. Read it again and create another Approval.";
const UNKNOWN: &str = "Nobody is known to have asked for the Refund: its spec.requestedBy is absent, or the ledger knows \
                       somebody else under its key. It can be rejected here, or approved over gRPC.";
const EXPIRED: &str = "The time is over. Create another Approval.";
const NOBODY_ASKED: &str = "Nobody is known to ask for the Payment: its spec.requestedBy is absent. Create another Payment that says who asks.";
const NO_APPROVAL: &str = "The ledger has no refund that waits: it was refused, or needed no approval.";

/// What to do, or what keeps it from being done.
pub fn validate(approval: &Approval, observed: &Observed, now: Timestamp) -> Fit {
    if !observed.has_tenant {
        return waiting(NO_TENANT, "The namespace belongs to no Tenant that is Ready.");
    }
    let is_expired = approval.spec.expires_at.as_ref().is_some_and(|at| at.0 <= now);
    match &observed.subject {
        Found::NotAsked => Fit::Waiting(Waiting::engine()),
        Found::Unanswered(error) => Fit::Waiting(Waiting::unwatched(ENGINE_UNAVAILABLE, &error.advice())),
        Found::Undecided { hash, .. } if *hash != approval.spec.body_hash => {
            never(BODY_HASH_MISMATCH, "bodyHash", MISMATCH)
        }
        Found::Known(known) => decide(approval, known, is_expired),
        Found::Payment(asked) => pay(approval, asked, is_expired),
        Found::Undecided { is_over: true, .. } => never(WRONG_STATE, "approves", NO_APPROVAL),
        Found::NoObject | Found::Undecided { .. } if is_expired => {
            never(APPROVAL_EXPIRED, "expiresAt", EXPIRED)
        }
        Found::NoObject => {
            let name = &approval.spec.approves.name;
            let (reason, kind) = match approval.spec.approves.kind {
                SubjectKind::Refund => (REFUND_NOT_FOUND, "Refund"),
                SubjectKind::Payment => (PAYMENT_NOT_FOUND, "Payment"),
            };
            waiting(reason, &format!("approves: there is no {kind} {name:?} in this namespace."))
        }
        Found::Undecided { .. } => {
            waiting(REFUND_NOT_READY, "approves: the ledger has not been asked for this Refund yet.")
        }
    }
}

fn decide(approval: &Approval, known: &Known, is_expired: bool) -> Fit {
    let spec = &approval.spec;
    let approves = spec.decision == Decision::Approve;
    let (stands, asked) = (&known.stands, known.requested_by.as_deref());
    if known.hash != spec.body_hash {
        return never(BODY_HASH_MISMATCH, "bodyHash", MISMATCH);
    }
    // Without this one person could ask once without a name, and approve under their own.
    if approves && asked != Some(&*stands.requester) {
        return never(REQUESTER_UNKNOWN, "approves", UNKNOWN);
    }
    match stands.phase {
        RefundPhase::Requested if is_expired => never(APPROVAL_EXPIRED, "expiresAt", EXPIRED),
        RefundPhase::Requested => Fit::Decides(request(approval, known, approves)),
        phase if stands.approver == spec.approver && (phase != RefundPhase::Rejected) == approves => {
            Fit::Done(known.id.clone(), Box::new(stands.clone()))
        }
        _ if stands.approver.is_empty() => never(WRONG_STATE, "approves", NO_APPROVAL),
        _ => never(ALREADY_DECIDED, "approves", &format!("{} decided about it before.", stands.approver)),
    }
}

/// Who approved what the ledger decided before is the ledger's answer, as is whether who approves is who asked.
fn pay(approval: &Approval, asked: &Asked, is_expired: bool) -> Fit {
    if asked.hash != approval.spec.body_hash {
        return never(BODY_HASH_MISMATCH, "bodyHash", MISMATCH);
    }
    if asked.requested_by.is_none() {
        return never(REQUESTER_UNKNOWN, "approves", NOBODY_ASKED);
    }
    if is_expired {
        return never(APPROVAL_EXPIRED, "expiresAt", EXPIRED);
    }
    match &asked.wanted {
        Ok(wanted) => Fit::Pays(Box::new(wanted.clone())),
        Err(missing) => Fit::Waiting(missing.clone()),
    }
}

/// One person decides once about one refund, whatever their objects are called.
fn request(approval: &Approval, known: &Known, approves: bool) -> DecisionRequest {
    let (verb, approver) = (if approves { "approve" } else { "reject" }, &approval.spec.approver);
    DecisionRequest {
        namespace: approval.namespace().unwrap_or_default(),
        key: format!("{}/{verb}/{approver}", known.id),
        refund_id: known.id.clone(),
        origin_ref: approval.uid().unwrap_or_default(),
        approver: approver.clone(),
        approves,
    }
}

fn waiting(reason: &'static str, message: &str) -> Fit {
    Fit::Waiting(Waiting::new(reason, message))
}

fn never(reason: &'static str, field: &str, message: &str) -> Fit {
    Fit::Never(Refusal { reason, field: field.into(), message: message.into(), definitive: false })
}

#[cfg(test)]
mod tests;
