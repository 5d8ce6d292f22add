//! Payments and what is done to them.

use payplane_proto::v1 as proto;

use super::{refusal, time, wallet_ref};
use crate::engine::{Amount, EngineError, HoldTerms, Outcome, Payment, PaymentRequest, Phase, StepRequest};

pub(in crate::engine) fn payment_request(request: &PaymentRequest) -> proto::CreatePaymentRequest {
    let PaymentRequest { namespace: _, key, from, to, amount, reference, origin_ref, hold: _, never } =
        request;
    proto::CreatePaymentRequest {
        idempotency_key: key.clone(),
        from: Some(wallet_ref(from)),
        to: Some(wallet_ref(to)),
        amount: Some(money(amount)),
        reference: reference.clone(),
        origin_ref: origin_ref.clone(),
        expect: never.then(never_met),
        ..Default::default()
    }
}

/// No account has been changed so often.
fn never_met() -> proto::Expect {
    proto::Expect { from_version: Some(u64::MAX), ..Default::default() }
}

pub(in crate::engine) fn hold_request(
    request: &PaymentRequest,
    hold: &HoldTerms,
) -> proto::AuthorizePaymentRequest {
    let PaymentRequest { namespace: _, key, from, to, amount, reference, origin_ref, hold: _, never } =
        request;
    let duration = |seconds| prost_types::Duration { seconds, nanos: 0 };
    let timestamp = |at: jiff::Timestamp| prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    };
    proto::AuthorizePaymentRequest {
        idempotency_key: key.clone(),
        from: Some(wallet_ref(from)),
        to: Some(wallet_ref(to)),
        amount: Some(money(amount)),
        reference: reference.clone(),
        origin_ref: origin_ref.clone(),
        timeout: hold.timeout_seconds.map(duration),
        capture_time: hold.capture_at.map(timestamp),
        expect: never.then(never_met),
        ..Default::default()
    }
}

pub(in crate::engine) fn capture_request(
    request: &StepRequest,
    amount: &Amount,
    is_final: bool,
) -> proto::CapturePaymentRequest {
    proto::CapturePaymentRequest {
        idempotency_key: request.key.clone(),
        payment_id: request.payment_id.clone(),
        amount: Some(money(amount)),
        r#final: is_final,
        reference: String::new(),
        origin_ref: request.origin_ref.clone(),
    }
}

pub(in crate::engine) fn void_request(request: &StepRequest) -> proto::VoidPaymentRequest {
    proto::VoidPaymentRequest {
        idempotency_key: request.key.clone(),
        payment_id: request.payment_id.clone(),
        reference: String::new(),
        origin_ref: request.origin_ref.clone(),
    }
}

pub(super) fn money(amount: &Amount) -> proto::Money {
    proto::Money { amount: amount.amount.clone(), currency: amount.currency.clone() }
}

/// The answer to making a payment: one that moves money at once is completed, or the answer is not understood.
pub(in crate::engine) fn made(
    answer: Option<proto::PaymentOutcome>,
    is_hold: bool,
) -> Result<Outcome, EngineError> {
    let outcome = outcome(answer)?;
    match &outcome.result {
        Ok(payment) if payment.available.is_none() => Err(EngineError::Answer("a payment without balances")),
        Ok(payment) if !is_hold && payment.phase != Phase::Completed => {
            Err(EngineError::Answer("an immediate payment that is not completed"))
        }
        _ => Ok(outcome),
    }
}

pub(in crate::engine) fn outcome(answer: Option<proto::PaymentOutcome>) -> Result<Outcome, EngineError> {
    use proto::payment_outcome::Result as Answer;
    let outcome = answer.ok_or(EngineError::Answer("no outcome"))?;
    let proto::PaymentOutcome { payment_id, result, replayed, origin_ref } = outcome;
    let result = match result.ok_or(EngineError::Answer("neither payment nor refusal"))? {
        Answer::Payment(found) => Ok(payment(found)?),
        Answer::Refusal(refused) => Err(refusal(refused)),
    };
    Ok(Outcome { payment_id, origin_ref, replayed, result })
}

fn payment(found: proto::Payment) -> Result<Payment, EngineError> {
    let phase = phase(found.state())?;
    let is_of_resource = found.origin() == proto::Origin::Resource;
    let proto::Money { amount, currency } =
        found.amount.ok_or(EngineError::Answer("a payment without amount"))?;
    let available = found.from_balance.zip(found.to_balance).map(|(from, to)| (from.available, to.available));
    Ok(Payment {
        phase,
        key: found.idempotency_key,
        is_of_resource,
        to_wallet_id: found.to_wallet_id,
        amount: Amount { amount, currency },
        captured: found.captured,
        refunded: found.refunded,
        held: found.held,
        deadline: time(found.deadline),
        capture_at: time(found.capture_time),
        available,
        decided_at: time(found.create_time),
    })
}

fn phase(state: proto::PaymentState) -> Result<Phase, EngineError> {
    use proto::PaymentState as State;
    match state {
        State::Unspecified => Err(EngineError::Answer("a payment without state")),
        State::Pending => Ok(Phase::Pending),
        State::Processing => Ok(Phase::Processing),
        State::Completed => Ok(Phase::Completed),
        State::Failed => Ok(Phase::Failed),
        State::Voided => Ok(Phase::Voided),
        State::Expired => Ok(Phase::Expired),
    }
}
