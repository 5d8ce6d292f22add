//! What to do next about an open Approval. Pure.

use std::time::Duration;

use jiff::Timestamp;
use payplane_crds::Approval;

use crate::{
    controllers::Again,
    engine::{self, DecisionRequest, Refusal},
    payment::{Waiting, Wanted},
};

/// Whether an Approval can be used.
#[derive(Debug, PartialEq)]
pub enum Fit {
    /// It can.
    Decides(DecisionRequest),
    /// It can, for a payment that the ledger is now asked for.
    Pays(Box<Wanted>),
    /// It was: the refund's id, and how it stands.
    Done(String, Box<engine::Refund>),
    /// Something is missing.
    Waiting(Waiting),
    /// It never can.
    Never(Refusal),
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Ask the ledger.
    Ask(DecisionRequest),
    /// Ask the ledger for the payment, as approved.
    Pay(Box<Wanted>),
    /// Nothing: the ledger has it.
    Tell(String, Box<engine::Refund>),
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
    /// Nothing, ever.
    Never(Refusal),
}

/// Asks, if it can be used.
pub fn plan(fit: Fit) -> Next {
    match fit {
        Fit::Decides(request) => Next::Ask(request),
        Fit::Pays(wanted) => Next::Pay(wanted),
        Fit::Done(id, stands) => Next::Tell(id, stands),
        Fit::Waiting(waiting) => Next::Wait(waiting),
        Fit::Never(refusal) => Next::Never(refusal),
    }
}

/// When to look again at an Approval that waits: whatever is missing wakes it, but its end does not.
pub fn again(approval: &Approval, now: Timestamp) -> Again {
    let left = approval.spec.expires_at.as_ref().map(|at| at.0.duration_since(now));
    let left = left.and_then(|left| Duration::try_from(left).ok());
    // A moment later, or it would look a moment too early.
    left.map_or(Again::OnChange, |left| Again::After(left + Duration::from_millis(100)))
}
