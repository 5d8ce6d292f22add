//! What to do next about an open Payment. Pure.
//!
//! Keys of steps follow from the payment's id, which follows from the payment's own key, and from where the step starts.
//! A capture is named after what was captured before it, so of all who want to take the next part of a hold, also one
//! who has slept over a newer spec, only one can: the others meet its key and look again. Captures never add up twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use payplane_crds::{
    condition::reason::{
        APPROVAL_REQUIRED, ENGINE_UNAVAILABLE, INSUFFICIENT_FUNDS, LOST_BY_RESTORE, PROGRESSING,
        WALLET_FROZEN,
    },
    wallet::WalletState,
};
use rust_decimal::Decimal;

use crate::engine::{Amount, Outcome, Payment, PaymentRequest, Phase, Refusal, Step, StepRequest};

/// How often one capture is tried that others have tried before, or whose payee was frozen and is not any more.
pub const ATTEMPTS_MAX: u32 = 16;
/// How often a payment is tried for want of funds.
pub const RETRIES_MAX: u32 = 64;
/// How soon to look whether the ledger has done what is due.
const SOON: Duration = Duration::from_secs(5);
/// How soon, if it has not for a while.
const LATER: Duration = Duration::from_secs(60);

/// Who the ledger notes as the approver where the Tenant says that the pull request is the second pair of eyes.
pub const PULL_REQUEST: &str = "pull-request";
/// How soon to look whether the ledger still asks for approval: an Approval wakes the object, a new threshold does not.
pub const APPROVAL: Duration = Duration::from_secs(60);

/// Between a key and the number of an attempt.
const RETRY: &str = " retry ";

/// What to do next.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// Ask the ledger.
    Submit(Box<Wanted>),
    /// Nothing, until something comes that is missing.
    Wait(Waiting),
}

/// What the spec asks for, ready to be asked of the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// The payment or the hold.
    pub request: PaymentRequest,
    /// What shall become of the hold.
    pub wish: Wish,
    /// Until when to try again for want of funds.
    pub retry_until: Option<Timestamp>,
    /// Whether the Tenant says that the pull request is the approval that the ledger may ask for.
    pub is_reviewed: bool,
}

/// What shall become of a hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// Nothing yet; also of a payment without a hold.
    Keep,
    /// This much of it is taken in all.
    Capture {
        /// In all, so far.
        total: Decimal,
        /// Whether the rest is given back.
        is_final: bool,
    },
    /// It is given back.
    Void,
}

/// What is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// As a condition's reason.
    pub reason: &'static str,
    /// One sentence for people.
    pub message: String,
    /// Whether its coming wakes the object. If not, it is looked for again and again.
    pub is_watched: bool,
}

impl Waiting {
    /// Waiting for this, which wakes the object when it comes.
    pub fn new(reason: &'static str, message: &str) -> Self {
        Self { reason, message: message.into(), is_watched: true }
    }

    /// Waiting for this, of which nobody tells.
    pub fn unwatched(reason: &'static str, message: &str) -> Self {
        Self { is_watched: false, ..Self::new(reason, message) }
    }

    /// Waiting for the operator's own next step.
    pub fn begun() -> Self {
        Self::new(PROGRESSING, "Under way.")
    }

    /// Waiting for the Platform's engine.
    pub fn engine() -> Self {
        Self::new(ENGINE_UNAVAILABLE, "The Tenant's Platform has no engine yet.")
    }
}

/// Asks, if everything is there.
pub fn plan(valid: Result<Wanted, Waiting>) -> Next {
    match valid {
        Ok(wanted) => Next::Submit(Box::new(wanted)),
        Err(waiting) => Next::Wait(waiting),
    }
}

/// The next step from where the payment stands to what is wanted, at this attempt. None if there is none to do.
pub fn step(wanted: &Wanted, payment_id: &str, stands: &Payment, attempt: u32) -> Option<StepRequest> {
    let (path, step) = match (stands.phase, wanted.wish) {
        (Phase::Pending, Wish::Capture { total, is_final }) => capture(stands, total, is_final, attempt)?,
        (Phase::Pending, Wish::Void) => ("void".into(), Step::Void),
        (Phase::Pending, Wish::Keep) => return None,
        // Nothing is held any more, or only the gateway can say what becomes of it.
        (Phase::Processing | Phase::Completed | Phase::Failed | Phase::Voided | Phase::Expired, _) => {
            return None;
        }
    };
    Some(StepRequest {
        namespace: wanted.request.namespace.clone(),
        payment_id: payment_id.into(),
        origin_ref: wanted.request.origin_ref.clone(),
        key: format!("{payment_id}/{path}"),
        step,
        asked: wanted.request.asked.clone(),
    })
}

fn capture(stands: &Payment, total: Decimal, is_final: bool, attempt: u32) -> Option<(String, Step)> {
    let captured = decimal(&stands.captured);
    if captured < total {
        let currency = stands.amount.currency.clone();
        let amount = Amount { amount: total.checked_sub(captured)?.to_string(), currency };
        let path = format!("capture/{}/{attempt}", stands.captured);
        return Some((path, Step::Capture { amount, is_final }));
    }
    // All of it was taken; what is left goes back.
    is_final.then(|| ("void".into(), Step::Void))
}

/// The ledger writes decimals; anything else counts as nothing captured, and the ledger refuses what is too much.
fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap_or_default()
}

/// The request of this attempt: the first one has the payment's own key. Objects cannot have a key with a space.
pub fn attempt(request: &PaymentRequest, number: u32) -> PaymentRequest {
    match number {
        1 => request.clone(),
        _ => PaymentRequest { key: format!("{}{RETRY}{number}", request.key), ..request.clone() },
    }
}

/// Whether a payment in the ledger with this key is one of the attempts at the payment with that key. Fees are not.
pub fn is_attempt_at(key: &str, own: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rest = key.strip_prefix(own);
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix(RETRY).is_some_and(is_number))
}

/// Whether somebody else has to approve it first. The ledger keeps no such answer.
pub fn awaits_approval(outcome: &Outcome) -> bool {
    outcome.result.as_ref().is_err_and(|refusal| refusal.reason == APPROVAL_REQUIRED)
}

/// The request as the Tenant approves it, if the ledger asked for approval and the Tenant says that there was a review.
pub fn reviewed(wanted: &Wanted, request: &PaymentRequest, outcome: &Outcome) -> Option<PaymentRequest> {
    let approver = Some(PULL_REQUEST.into());
    (wanted.is_reviewed && awaits_approval(outcome)).then(|| PaymentRequest { approver, ..request.clone() })
}

/// Whether the ledger was restored, and does not know what is older than that.
pub fn is_lost(refusal: &Refusal) -> bool {
    refusal.reason == LOST_BY_RESTORE
}

/// Whether the payer had too little.
pub fn is_short(outcome: &Outcome) -> bool {
    outcome.result.as_ref().is_err_and(|refusal| refusal.reason == INSUFFICIENT_FUNDS)
}

/// Whether less was taken than the spec asks for.
pub fn falls_short(wish: Wish, stands: &Payment) -> bool {
    matches!(wish, Wish::Capture { total, .. } if decimal(&stands.captured) < total)
}

/// Whether a step that was refused for this may be done later as it is: a capture, when the payee is thawed.
pub fn may_pass(refusal: &Refusal) -> bool {
    refusal.reason == WALLET_FROZEN
}

/// Whether a payee in this state is refused for a reason that may pass.
pub const fn is_frozen(payee: WalletState) -> bool {
    matches!(payee, WalletState::FrozenCredit | WalletState::Frozen)
}

/// When the ledger will change a hold by itself. None if it will not.
pub fn due_in(stands: &Payment, now: Timestamp) -> Option<Duration> {
    if stands.phase != Phase::Pending {
        return None;
    }
    let wait = |at: Timestamp| match at.duration_since(now) {
        ahead if ahead.is_positive() => ahead.unsigned_abs() + Duration::from_secs(1),
        since if SignedDuration::from_secs(-60) < since => SOON,
        _ => LATER,
    };
    [stands.capture_at, stands.deadline].into_iter().flatten().map(wait).min()
}

#[cfg(test)]
mod tests;
