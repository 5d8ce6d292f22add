//! What became of requests, alone and as items.

use payplane_ledger::{Kind, Outcome, Verdict};
use payplane_proto::v1::{self as proto, item_outcome::Outcome as Item};

use super::{
    payment::{approver, payment_after, refund_after},
    refusal,
};
use crate::grpc::ask::{Tag, Tags};

/// How much is told about what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grpc) enum View {
    /// Everything.
    Full,
    /// Ids and states.
    Brief,
}

/// What every outcome says beside its result.
struct Common<T> {
    id: String,
    result: Option<T>,
    replayed: bool,
    origin_ref: String,
    approver: String,
}

/// Reads the outcome: the refusal, or what `done` makes of the decision.
fn common<T>(
    tag: Tag,
    outcome: &Outcome,
    refused: impl FnOnce(proto::Refusal) -> T,
    done: impl FnOnce(&payplane_ledger::Decision) -> Option<T>,
) -> Common<T> {
    let id = tag.subject().to_string();
    match outcome {
        Outcome::Declined(refusal_of) => {
            let result = Some(refused(refusal(*refusal_of, tag.kind)));
            Common { id, result, replayed: false, origin_ref: String::new(), approver: String::new() }
        }
        Outcome::Decided { decision, replayed } => {
            let result = match &decision.verdict {
                Verdict::Refused(refusal_of) => Some(refused(refusal(*refusal_of, tag.kind))),
                Verdict::Done { .. } => done(decision),
            };
            let origin_ref = decision.provenance.origin_ref.to_string();
            Common { id, result, replayed: *replayed, origin_ref, approver: approver(decision) }
        }
    }
}

pub(in crate::grpc) fn payment_outcome(tag: Tag, outcome: &Outcome, view: View) -> proto::PaymentOutcome {
    use proto::payment_outcome::Result;
    let done =
        |decision: &_| payment_after(tag.subject(), decision).map(|made| Result::Payment(view.payment(made)));
    let Common { id, result, replayed, origin_ref, approver } = common(tag, outcome, Result::Refusal, done);
    proto::PaymentOutcome { payment_id: id, result, replayed, origin_ref, approver }
}

pub(in crate::grpc) fn refund_outcome(tag: Tag, outcome: &Outcome, view: View) -> proto::RefundOutcome {
    use proto::refund_outcome::Result;
    let done =
        |decision: &_| refund_after(tag.refund(), decision).map(|made| Result::Refund(view.refund(made)));
    let Common { result, replayed, origin_ref, .. } = common(tag, outcome, Result::Refusal, done);
    proto::RefundOutcome { refund_id: tag.refund().to_string(), result, replayed, origin_ref }
}

/// The refund that a reversal makes has the reversal's own id.
pub(in crate::grpc) fn reversal_outcome(tag: Tag, outcome: &Outcome, view: View) -> proto::ReversalOutcome {
    use proto::reversal_outcome::Result;
    let done = |decision: &_| match refund_after(tag.operation, decision) {
        Some(made) => Some(Result::Refund(view.refund(made))),
        None => payment_after(tag.subject(), decision).map(|left| Result::Payment(view.payment(left))),
    };
    let Common { id, result, replayed, origin_ref, .. } = common(tag, outcome, Result::Refusal, done);
    proto::ReversalOutcome { payment_id: id, result, replayed, origin_ref }
}

/// The outcome of one item at the top of a request.
pub(in crate::grpc) fn items(tags: &Tags, outcomes: &[Outcome], view: View) -> proto::ItemOutcome {
    let outcome = match (tags, outcomes) {
        (Tags::One(tag), [outcome]) => return item(*tag, outcome, view),
        (Tags::One(_), _) => None,
        (Tags::Linked(tags), outcomes) => {
            let outcomes =
                tags.iter().zip(outcomes).map(|(tag, outcome)| item(*tag, outcome, view)).collect();
            Some(Item::Linked(proto::LinkedOutcomes { outcomes }))
        }
    };
    proto::ItemOutcome { outcome }
}

pub(in crate::grpc) fn item(tag: Tag, outcome: &Outcome, view: View) -> proto::ItemOutcome {
    let outcome = match tag.kind {
        Kind::Refund | Kind::ApproveRefund | Kind::RejectRefund => {
            Item::Refund(refund_outcome(tag, outcome, view))
        }
        Kind::Reverse => Item::Reversal(reversal_outcome(tag, outcome, view)),
        Kind::Pay
        | Kind::Authorize
        | Kind::Capture
        | Kind::Void
        | Kind::Expire
        | Kind::CaptureDue
        | Kind::HandOver
        | Kind::Settle
        | Kind::Fail
        | Kind::ChangeWallet => Item::Payment(payment_outcome(tag, outcome, view)),
    };
    proto::ItemOutcome { outcome: Some(outcome) }
}

impl View {
    fn payment(self, full: proto::Payment) -> proto::Payment {
        match self {
            Self::Full => full,
            Self::Brief => proto::Payment { id: full.id, state: full.state, ..Default::default() },
        }
    }

    fn refund(self, full: proto::Refund) -> proto::Refund {
        match self {
            Self::Full => full,
            Self::Brief => proto::Refund { id: full.id, state: full.state, ..Default::default() },
        }
    }
}
