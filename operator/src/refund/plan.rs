//! What to do next about an open Refund. Pure.

use std::time::Duration;

use crate::{
    controllers::Again,
    engine::{RefundOutcome, RefundPhase, RefundRequest, Refusal},
    payment::Waiting,
};

/// How soon to look whether somebody approved: the ledger wakes nobody.
const APPROVAL: Duration = Duration::from_secs(15);

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Ask the ledger.
    Submit(RefundRequest),
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
    /// Nothing, ever.
    Never(Refusal),
}

/// Why a Refund cannot be asked for.
#[derive(Debug, PartialEq)]
pub enum Unfit {
    /// Something is missing.
    Waiting(Waiting),
    /// It never can.
    Never(Refusal),
}

/// Asks, if everything is there.
pub fn plan(valid: Result<RefundRequest, Unfit>) -> Next {
    match valid {
        Ok(request) => Next::Submit(request),
        Err(Unfit::Waiting(waiting)) => Next::Wait(waiting),
        Err(Unfit::Never(refusal)) => Next::Never(refusal),
    }
}

/// When to look again at a refund that the ledger knows.
pub fn again(outcome: &RefundOutcome) -> Again {
    match &outcome.result {
        Ok(refund) if matches!(refund.phase, RefundPhase::Requested | RefundPhase::Approved) => {
            Again::After(APPROVAL)
        }
        Ok(_) | Err(_) => Again::OnChange,
    }
}
