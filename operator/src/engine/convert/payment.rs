//! Payments and what is done to them.

use payplane_proto::v1 as proto;

use super::{refusal, time, wallet_ref};
use crate::engine::{
    Amount, Changes, EngineError, Fee, FeeRequest, HoldTerms, Outcome, Payment, PaymentRequest, Phase,
    Refusal, StepRequest,
};
use payplane_crds::condition::reason::{IDEMPOTENCY_CONFLICT, LINKED_ITEM_REFUSED};

pub(in crate::engine) fn payment_request(request: &PaymentRequest) -> proto::CreatePaymentRequest {
    // The fees are items of their own; who asks is told beside the message.
    let PaymentRequest { key, from, to, amount, reference, origin_ref, never, metadata, approver, .. } =
        request;
    proto::CreatePaymentRequest {
        idempotency_key: key.clone(),
        from: Some(wallet_ref(from)),
        to: Some(wallet_ref(to)),
        amount: Some(money(amount)),
        reference: reference.clone(),
        origin_ref: origin_ref.clone(),
        expect: never.then(never_met),
        metadata: metadata.clone().into_iter().collect(),
        approved_by: approver.clone().unwrap_or_default(),
        ..Default::default()
    }
}

/// The payment, and each fee under a key that follows from the payment's. Objects cannot have a key with a space.
pub(in crate::engine) fn linked_request(request: &PaymentRequest) -> proto::CreateLinkedRequest {
    let fees = request.fees.iter().zip(1..).map(|(fee, number): (&FeeRequest, u32)| PaymentRequest {
        key: format!("{} fee {number}", request.key),
        to: fee.to.clone(),
        amount: fee.amount.clone(),
        reference: fee.reference.clone(),
        never: false,
        ..request.clone()
    });
    let item = |request: PaymentRequest| proto::PaymentItem {
        operation: Some(proto::payment_item::Operation::CreatePayment(payment_request(&request))),
    };
    proto::CreateLinkedRequest { items: std::iter::once(request.clone()).chain(fees).map(item).collect() }
}

/// No account has been changed so often.
fn never_met() -> proto::Expect {
    proto::Expect { from_version: Some(u64::MAX), ..Default::default() }
}

pub(in crate::engine) fn hold_request(
    request: &PaymentRequest,
    hold: &HoldTerms,
) -> proto::AuthorizePaymentRequest {
    let PaymentRequest { key, from, to, amount, reference, origin_ref, never, metadata, approver, .. } =
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
        metadata: metadata.clone().into_iter().collect(),
        approved_by: approver.clone().unwrap_or_default(),
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

/// The answer to a payment with fees: that of the payment, or the refusal of the one that kept all from being paid.
pub(in crate::engine) fn made_together(answers: Vec<proto::ItemOutcome>) -> Result<Outcome, EngineError> {
    use proto::item_outcome::Outcome as Item;
    let one = |answer: proto::ItemOutcome| match answer.outcome {
        Some(Item::Payment(payment)) => made(Some(payment), false),
        _ => Err(EngineError::Answer("an item without the outcome of a payment")),
    };
    let mut outcomes = answers.into_iter().map(one).collect::<Result<Vec<Outcome>, _>>()?;
    let culprit = outcomes.iter().enumerate().filter_map(|(index, outcome)| {
        let refusal = outcome.result.as_ref().err()?;
        Some((index, refusal.clone()))
    });
    let culprit = culprit.min_by_key(|(_, refusal)| is_of_others(refusal));
    let available = available_at_last(&outcomes);
    let fees = outcomes.iter().skip(1).map(fee).collect();
    let Some(first) = outcomes.first_mut() else { return Err(EngineError::Answer("no outcomes")) };
    first.fees = fees;
    match (culprit, &mut first.result) {
        (Some((0, refusal)), _) => first.result = Err(refusal),
        (Some((index, refusal)), _) => {
            let field = super::fee_field(index - 1, &refusal.field);
            first.result = Err(Refusal { field, ..refusal });
        }
        (None, Ok(payment)) => payment.available = available,
        (None, Err(_)) => {}
    }
    Ok(outcomes.swap_remove(0))
}

/// Whether it says no more than that another item was refused, or that the group is another one.
fn is_of_others(refusal: &Refusal) -> bool {
    refusal.reason == LINKED_ITEM_REFUSED
        || (refusal.reason == IDEMPOTENCY_CONFLICT && refusal.field == super::ALL_FEES)
}

fn fee(outcome: &Outcome) -> Fee {
    let amount = outcome.result.as_ref().ok().map(|payment| payment.captured.clone());
    Fee { payment_id: outcome.payment_id.clone(), amount }
}

/// What payer and payee had when all was paid: the payer paid every item, the payee may have got more than one.
fn available_at_last(outcomes: &[Outcome]) -> Option<(String, String)> {
    let paid: Vec<&Payment> = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).collect();
    let payee = &paid.first()?.to_wallet_id;
    let to = paid.iter().rev().find(|payment| payment.to_wallet_id == *payee)?;
    Some((paid.last()?.available.clone()?.0, to.available.clone()?.1))
}

pub(in crate::engine) fn outcome(answer: Option<proto::PaymentOutcome>) -> Result<Outcome, EngineError> {
    use proto::payment_outcome::Result as Answer;
    let outcome = answer.ok_or(EngineError::Answer("no outcome"))?;
    let proto::PaymentOutcome { payment_id, result, replayed, origin_ref, approver } = outcome;
    let result = match result.ok_or(EngineError::Answer("neither payment nor refusal"))? {
        Answer::Payment(found) => Ok(payment(found)?),
        Answer::Refusal(refused) => Err(refusal(refused)),
    };
    Ok(Outcome { payment_id, origin_ref, replayed, approver, fees: Vec::new(), result })
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

/// A refund is told by its own id, which of a request for one is the operation's, and by its payment's. What was refused
/// has changed nothing; whoever was woken by it, asked again and was refused again would be woken without end.
pub(in crate::engine) fn changes(answer: proto::WatchPaymentsResponse) -> Changes {
    let is_done = |operation: &proto::Operation| {
        !matches!(operation.result, Some(proto::operation::Result::Refusal(_)))
    };
    let ids = |operation: proto::Operation| [operation.id, operation.target_id];
    let done = answer.operations.into_iter().filter(is_done);
    let subjects = done.flat_map(ids).filter(|id| !id.is_empty()).collect();
    Changes { seal: answer.seal, subjects }
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
