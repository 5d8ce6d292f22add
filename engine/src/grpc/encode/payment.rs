//! Payments and refunds: right after an operation, or as they stand.

use payplane_ledger::{
    AccountId, After, Balance, Decision, Movement, OperationId, PaymentState, RefundPhase, RefundState,
    Verdict,
};
use payplane_proto::v1 as proto;

use super::{amount, balance, level, money, origin, state, timestamp};

/// The payment right after the operation, if that left one.
pub(super) fn payment_after(id: OperationId, decision: &Decision) -> Option<proto::Payment> {
    match &decision.verdict {
        Verdict::Refused(_) => None,
        Verdict::Done { after: None, .. } => {
            let made = PaymentState::of_immediate(decision)?;
            Some(payment(id, decision, &made))
        }
        Verdict::Done { after: Some(after), .. } => match &**after {
            After::Payment(left) => Some(payment(id, decision, left)),
            After::Refund(refund, left) => Some(payment(refund.payment, decision, left)),
            After::Wallet(_) => None,
        },
    }
}

/// The refund right after the operation, if that left one.
pub(super) fn refund_after(id: OperationId, decision: &Decision) -> Option<proto::Refund> {
    match &decision.verdict {
        Verdict::Done { after: Some(after), .. } => match &**after {
            After::Refund(left, payment) => Some(refund(id, decision, left, payment)),
            After::Payment(_) | After::Wallet(_) => None,
        },
        Verdict::Done { after: None, .. } | Verdict::Refused(_) => None,
    }
}

/// The payment as it stands, under the request that made it.
pub(in crate::grpc) fn listed_payment(
    id: OperationId,
    decision: &Decision,
    now: Option<&PaymentState>,
) -> Option<proto::Payment> {
    match now {
        Some(now) => Some(payment(id, decision, now)),
        None => payment_after(id, decision),
    }
}

/// The refund as it stands, under the request that made it.
pub(in crate::grpc) fn listed_refund(
    id: OperationId,
    decision: &Decision,
    (now, payment): (&RefundState, &PaymentState),
) -> proto::Refund {
    refund(id, decision, now, payment)
}

/// A payment that was asked for, as it stands or as it was refused.
pub(in crate::grpc) fn stored_payment(
    id: OperationId,
    decision: &Decision,
    now: Option<&PaymentState>,
) -> proto::PaymentOutcome {
    use proto::payment_outcome::Result;
    let result = match &decision.verdict {
        Verdict::Done { .. } => listed_payment(id, decision, now).map(Result::Payment),
        Verdict::Refused(refused) => Some(Result::Refusal(super::refusal(*refused, decision.body.kind))),
    };
    let origin_ref = decision.provenance.origin_ref.to_string();
    let approver = approver(decision);
    proto::PaymentOutcome { payment_id: id.to_string(), result, replayed: false, origin_ref, approver }
}

/// A refund that was asked for, as it stands or as it was refused.
pub(in crate::grpc) fn stored_refund(
    id: OperationId,
    decision: &Decision,
    now: Option<(&RefundState, &PaymentState)>,
) -> proto::RefundOutcome {
    use proto::refund_outcome::Result;
    let result = match &decision.verdict {
        Verdict::Done { .. } => now.map(|now| Result::Refund(listed_refund(id, decision, now))),
        Verdict::Refused(refused) => Some(Result::Refusal(super::refusal(*refused, decision.body.kind))),
    };
    let origin_ref = decision.provenance.origin_ref.to_string();
    proto::RefundOutcome { refund_id: id.to_string(), result, replayed: false, origin_ref }
}

fn payment(id: OperationId, decision: &Decision, now: &PaymentState) -> proto::Payment {
    let Decision { sequence, body, provenance, decided_at, .. } = decision;
    let currency = now.currency;
    let text = |minor| amount(minor, currency);
    let after = |account| balance_after(decision, account).map(|after| balance(after, currency));
    proto::Payment {
        id: id.to_string(),
        state: state(now.phase).into(),
        amount: Some(money(now.amount, currency)),
        from_wallet_id: now.debit.to_string(),
        to_wallet_id: now.credit.to_string(),
        reference: body.reference.to_string(),
        idempotency_key: provenance.key.to_string(),
        origin: origin(provenance.origin).into(),
        origin_ref: provenance.origin_ref.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
        create_time: Some(timestamp(*decided_at)),
        from_balance: after(now.debit),
        to_balance: after(now.credit),
        captured: text(now.captured),
        refunded: text(now.refunded),
        refunding: text(now.refunding),
        held: text(now.held()),
        sequence: sequence.0,
        deadline: now.deadline.map(timestamp),
        deadline_level: level(now.deadline_level).into(),
        capture_time: now.capture_at.map(timestamp),
        gateway_reference: now.gateway.to_string(),
        metadata: body.terms.metadata.clone().into_iter().collect(),
        approver: approver(decision),
    }
}

/// Who approved the operation, if anybody did.
pub(super) fn approver(decision: &Decision) -> String {
    decision.body.terms.approver.as_deref().unwrap_or_default().to_owned()
}

fn refund(id: OperationId, decision: &Decision, now: &RefundState, of: &PaymentState) -> proto::Refund {
    let Decision { sequence, body, provenance, decided_at, .. } = decision;
    let after = |account| balance_after(decision, account).map(|after| balance(after, now.currency));
    proto::Refund {
        id: id.to_string(),
        payment_id: now.payment.to_string(),
        state: refund_state(now.phase).into(),
        amount: Some(money(now.amount, now.currency)),
        from_wallet_id: of.credit.to_string(),
        to_wallet_id: of.debit.to_string(),
        requester: now.requester.to_string(),
        approver: now.approver.to_string(),
        reference: body.reference.to_string(),
        idempotency_key: provenance.key.to_string(),
        origin: origin(provenance.origin).into(),
        origin_ref: provenance.origin_ref.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
        create_time: Some(timestamp(*decided_at)),
        from_balance: after(of.credit),
        to_balance: after(of.debit),
        sequence: sequence.0,
    }
}

fn balance_after(decision: &Decision, account: AccountId) -> Option<&Balance> {
    let Verdict::Done { movement: Movement::Transfer(transfer), .. } = &decision.verdict else { return None };
    let postings = [&transfer.debit, &transfer.credit];
    postings.into_iter().find(|posting| posting.account == account).map(|posting| &posting.after)
}

const fn refund_state(phase: RefundPhase) -> proto::RefundState {
    match phase {
        RefundPhase::Requested => proto::RefundState::Requested,
        RefundPhase::Approved => proto::RefundState::Approved,
        RefundPhase::Completed => proto::RefundState::Completed,
        RefundPhase::Rejected => proto::RefundState::Rejected,
        RefundPhase::Failed => proto::RefundState::Failed,
    }
}
