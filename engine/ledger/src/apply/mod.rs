//! The rule book: one file per group of kinds, and one per thing that several of them ask.
//!
//! A request is decided in this order:
//! 1. [`repeat`]: a known key gets its first answer again, or a conflict that names the field.
//! 2. [`find`]: the accounts, the payment and the refund that it is about. What is refused here may be mended, so it
//!    leaves no trace.
//! 3. The rule of its kind. What is refused here is stored and answered for ever.
//!
//! Guaranteed: reasons are looked for in the order of their numbers, the payer's side before the payee's; a rule looks
//! for every reason before it changes anything, so a refused request changes nothing but its own decision.

mod expect;
mod find;
mod hold;
mod limits;
mod linked;
mod money;
mod payment;
mod refund;
mod repeat;
mod reverse;
mod wallet;

use self::{
    find::{Found, Subject},
    hold::Give,
};
use crate::{
    Body, Decision, Field, Kind, OperationId, Outcome, Phase, Reason, Refusal, Request, Sequence, Snapshot,
    TenantId, Timestamp, Verdict,
};

pub use self::linked::{LINKED_ITEMS_MAX, apply_linked};

/// A request while it is decided.
#[derive(Clone, Copy)]
struct Case<'a> {
    request: &'a Request,
    now: Timestamp,
    /// The number of its decision.
    sequence: Sequence,
}

impl Case<'_> {
    const fn key(&self) -> (TenantId, OperationId) {
        (self.request.tenant, self.request.operation)
    }
}

/// Decides one request and changes the snapshot accordingly. Equal arguments give equal results.
///
/// The caller decides at most [`BATCH_ITEMS_MAX`](crate::BATCH_ITEMS_MAX) requests against one snapshot.
pub fn apply(snapshot: &mut Snapshot, request: &Request, now: Timestamp) -> Outcome {
    match repeat::answer(snapshot, request) {
        Some(known) => known,
        None => apply_new(snapshot, request, now),
    }
}

/// Decides a request whose key is not known.
fn apply_new(snapshot: &mut Snapshot, request: &Request, now: Timestamp) -> Outcome {
    let Found { body, subject } = match find::find(snapshot, request, now) {
        Ok(found) => found,
        Err(refusal) => return Outcome::Declined(refusal),
    };
    let case = Case { request, now, sequence: snapshot.next_sequence() };
    let verdict = rule(snapshot, &case, subject).unwrap_or_else(Verdict::Refused);
    store(snapshot, &case, body, verdict)
}

/// Applies the rule of the request's kind.
fn rule(snapshot: &mut Snapshot, case: &Case<'_>, subject: Subject) -> Result<Verdict, Refusal> {
    let request = case.request;
    match (request.kind, subject) {
        (Kind::Pay, Subject::Accounts(parties)) => payment::pay(snapshot, case, parties),
        (Kind::Authorize, Subject::Accounts(parties)) => payment::authorize(snapshot, case, parties),
        (Kind::ChangeWallet, Subject::Wallet(wallet)) => wallet::change(snapshot, case, wallet),
        (Kind::Capture, Subject::Payment(on)) => {
            hold::capture(snapshot, case, on, request.minor, request.terms.is_final)
        }
        (Kind::CaptureDue, Subject::Payment(on)) => hold::capture(snapshot, case, on, 0, true),
        (Kind::Void, Subject::Payment(on)) => hold::void(snapshot, case, on),
        (Kind::Expire, Subject::Payment(on)) => {
            hold::release(snapshot, case, on, Give { from: Phase::Pending, to: Phase::Expired })
        }
        (Kind::HandOver, Subject::Payment(on)) => hold::hand_over(snapshot, case, on),
        (Kind::Settle, Subject::Payment(on)) => hold::settle(snapshot, case, on),
        (Kind::Fail, Subject::Payment(on)) => {
            hold::release(snapshot, case, on, Give { from: Phase::Processing, to: Phase::Failed })
        }
        (Kind::Refund, Subject::Payment(on)) => refund::refund(snapshot, case, on, request.minor),
        (Kind::Reverse, Subject::Payment(on)) => reverse::reverse(snapshot, case, on),
        (Kind::ApproveRefund, Subject::Refund(on)) => refund::approve(snapshot, case, on),
        (Kind::RejectRefund, Subject::Refund(on)) => refund::reject(snapshot, case, on),
        // `find` gives each kind the subject that it has above.
        _ => Err(Refusal::new(Reason::WrongState, Field::Kind)),
    }
}

fn store(snapshot: &mut Snapshot, case: &Case<'_>, body: Body, verdict: Verdict) -> Outcome {
    let Case { request, now, sequence } = *case;
    let decision =
        Decision { sequence, body, provenance: request.provenance.clone(), decided_at: now, verdict };
    Outcome::Decided { decision: snapshot.decide(case.key(), decision), replayed: false }
}

const fn refuse_if(holds: bool, reason: Reason, field: Field) -> Result<(), Refusal> {
    if holds { Err(Refusal::new(reason, field)) } else { Ok(()) }
}
