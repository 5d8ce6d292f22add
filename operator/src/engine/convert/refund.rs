//! Refunds.

use payplane_proto::v1 as proto;

use super::{payment::money, refusal, time};
use crate::engine::{
    Amount, DecisionRequest, EngineError, Refund, RefundOutcome, RefundPhase, RefundRequest,
};

pub(in crate::engine) fn refund_request(request: &RefundRequest) -> proto::RefundPaymentRequest {
    let RefundRequest {
        namespace: _,
        key,
        payment_id,
        amount,
        reference,
        origin_ref,
        requester: _,
        asked: _,
    } = request;
    proto::RefundPaymentRequest {
        idempotency_key: key.clone(),
        payment_id: payment_id.clone(),
        amount: amount.as_ref().map(money),
        reference: reference.clone(),
        origin_ref: origin_ref.clone(),
    }
}

pub(in crate::engine) fn approval_request(request: &DecisionRequest) -> proto::ApproveRefundRequest {
    proto::ApproveRefundRequest {
        idempotency_key: request.key.clone(),
        refund_id: request.refund_id.clone(),
        reference: String::new(),
        origin_ref: request.origin_ref.clone(),
    }
}

pub(in crate::engine) fn rejection_request(request: &DecisionRequest) -> proto::RejectRefundRequest {
    proto::RejectRefundRequest {
        idempotency_key: request.key.clone(),
        refund_id: request.refund_id.clone(),
        reference: String::new(),
        origin_ref: request.origin_ref.clone(),
    }
}

pub(in crate::engine) fn refunded(
    answer: Option<proto::RefundOutcome>,
) -> Result<RefundOutcome, EngineError> {
    use proto::refund_outcome::Result as Answer;
    let outcome = answer.ok_or(EngineError::Answer("no outcome"))?;
    let proto::RefundOutcome { refund_id, result, replayed, origin_ref } = outcome;
    let result = match result.ok_or(EngineError::Answer("neither refund nor refusal"))? {
        Answer::Refund(found) => Ok(refund(found)?),
        Answer::Refusal(refused) => Err(refusal(refused)),
    };
    Ok(RefundOutcome { refund_id, origin_ref, replayed, result })
}

fn refund(found: proto::Refund) -> Result<Refund, EngineError> {
    let phase = phase(found.state())?;
    let is_of_resource = found.origin() == proto::Origin::Resource;
    let proto::Money { amount, currency } =
        found.amount.ok_or(EngineError::Answer("a refund without amount"))?;
    let available = found.from_balance.zip(found.to_balance).map(|(from, to)| (from.available, to.available));
    Ok(Refund {
        phase,
        payment_id: found.payment_id,
        amount: Amount { amount, currency },
        key: found.idempotency_key,
        is_of_resource,
        requester: found.requester,
        approver: found.approver,
        available,
        decided_at: time(found.create_time),
    })
}

fn phase(state: proto::RefundState) -> Result<RefundPhase, EngineError> {
    use proto::RefundState as State;
    match state {
        State::Unspecified => Err(EngineError::Answer("a refund without state")),
        State::Requested => Ok(RefundPhase::Requested),
        State::Approved => Ok(RefundPhase::Approved),
        State::Completed => Ok(RefundPhase::Completed),
        State::Rejected => Ok(RefundPhase::Rejected),
        State::Failed => Ok(RefundPhase::Failed),
    }
}
