//! What to do next about a TenantBilling, and when to look again. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Answer, Billed};
use crate::{controllers::Again, engine::BillingRequest};

/// How many periods one look closes at most: a year that was missed takes a few looks, and each of them shows.
pub const CLOSES_MAX: usize = 12;

/// How old the shown usage may be.
const REFRESH: Duration = Duration::from_mins(5);

/// A little after the moment, because the database's clock may be a little behind.
const MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Nothing: this is the answer.
    Say(Answer),
    /// Close what is over, and look at what is open.
    Bill(Box<BillingRequest>),
}

/// Asks, if everything is there.
pub fn plan(valid: Result<BillingRequest, Answer>) -> Next {
    match valid {
        Ok(request) => Next::Bill(Box::new(request)),
        Err(answer) => Next::Say(answer),
    }
}

/// When the open period is closed.
pub fn closes_at(billed: &Billed) -> Timestamp {
    let grace = SignedDuration::from_secs(billed.grace_seconds);
    billed.preview.invoice.end.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// Again when the open period closes, but not later than the shown usage is old.
pub fn again(billed: &Billed, now: Timestamp) -> Again {
    if billed.has_more {
        return Again::After(Duration::ZERO);
    }
    let left = closes_at(billed).duration_since(now).saturating_add(MARGIN);
    // In the past only if the clocks disagree.
    let left = Duration::try_from(left).unwrap_or_default().max(Duration::from_secs(1));
    Again::After(left.min(REFRESH))
}

#[cfg(test)]
mod tests;
