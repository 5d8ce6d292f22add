//! What to do next about an undecided Payment. Pure.

use payplane_crds::condition::reason::ENGINE_UNAVAILABLE;

use crate::engine::PaymentRequest;

/// What to do next.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// Ask the ledger.
    Submit(PaymentRequest),
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
}

/// What is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// As a condition's reason.
    pub reason: &'static str,
    /// One sentence for people.
    pub message: String,
}

impl Waiting {
    /// Waiting for this.
    pub fn new(reason: &'static str, message: &str) -> Self {
        Self { reason, message: message.into() }
    }

    /// Waiting for the Platform's engine.
    pub fn engine() -> Self {
        Self::new(ENGINE_UNAVAILABLE, "The Tenant's Platform has no engine yet.")
    }
}

/// Immediate payments have one step: ask.
pub fn plan(valid: Result<PaymentRequest, Waiting>) -> Next {
    match valid {
        Ok(request) => Next::Submit(request),
        Err(waiting) => Next::Wait(waiting),
    }
}
