//! What is done to a payment or a refund that exists.

use payplane_ledger::{Kind, OperationId, Request, Sign};
use payplane_proto::v1 as proto;

use super::{Asker, Texts};
use crate::{
    auth::Role,
    grpc::decode::{self, Path, Violations},
};

/// What a step acts on: the field that names it and its text.
type Target<'a> = (&'static str, &'a str);

pub(in crate::grpc) fn capture(
    asker: &Asker,
    at: Path<'_>,
    request: proto::CapturePaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::CapturePaymentRequest { idempotency_key, payment_id, amount, r#final, reference, origin_ref } =
        request;
    let texts = Texts::usual(idempotency_key, reference, origin_ref);
    let target = ("payment_id", &*payment_id);
    let mut step = step(asker, at, (Kind::Capture, texts), target, violations);
    part(at, amount.as_ref(), step.as_mut(), violations);
    if let Some(step) = &mut step {
        step.terms.is_final = r#final;
    }
    step
}

pub(in crate::grpc) fn void(
    asker: &Asker,
    at: Path<'_>,
    request: proto::VoidPaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let texts = Texts::usual(request.idempotency_key, request.reference, request.origin_ref);
    step(asker, at, (Kind::Void, texts), ("payment_id", &request.payment_id), violations)
}

/// The gateway's name for the payment is kept as the operation's reference.
pub(in crate::grpc) fn hand_over(
    asker: &Asker,
    at: Path<'_>,
    request: proto::HandOverPaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::HandOverPaymentRequest { idempotency_key, payment_id, gateway_reference, origin_ref } =
        request;
    if gateway_reference.is_empty() {
        violations.add(at.at("gateway_reference"), "is missing: expected what the gateway calls the payment");
    }
    let (key, reference) = (("idempotency_key", idempotency_key), ("gateway_reference", gateway_reference));
    let texts = Texts { key, reference, origin_ref };
    step(asker, at, (Kind::HandOver, texts), ("payment_id", &payment_id), violations)
}

/// The gateway's event is the key, so an event that is delivered twice is one operation.
pub(in crate::grpc) fn settle(
    asker: &Asker,
    at: Path<'_>,
    request: proto::SettlePaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::SettlePaymentRequest { event_id, payment_id, amount, origin_ref } = request;
    let (key, reference) = (("event_id", event_id), ("reference", String::new()));
    let texts = Texts { key, reference, origin_ref };
    let mut step = step(asker, at, (Kind::Settle, texts), ("payment_id", &payment_id), violations);
    part(at, amount.as_ref(), step.as_mut(), violations);
    step
}

pub(in crate::grpc) fn fail(
    asker: &Asker,
    at: Path<'_>,
    request: proto::FailPaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::FailPaymentRequest { event_id, payment_id, reason, origin_ref } = request;
    let texts = Texts { key: ("event_id", event_id), reference: ("reason", reason), origin_ref };
    step(asker, at, (Kind::Fail, texts), ("payment_id", &payment_id), violations)
}

/// Whether it debits a settlement account is known from the payment only; see `payments::treasury`.
pub(in crate::grpc) fn refund(
    asker: &Asker,
    at: Path<'_>,
    request: proto::RefundPaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::RefundPaymentRequest { idempotency_key, payment_id, amount, reference, origin_ref } = request;
    let texts = Texts::usual(idempotency_key, reference, origin_ref);
    let mut step = step(asker, at, (Kind::Refund, texts), ("payment_id", &payment_id), violations);
    part(at, amount.as_ref(), step.as_mut(), violations);
    step
}

pub(in crate::grpc) fn approve_refund(
    asker: &Asker,
    at: Path<'_>,
    request: proto::ApproveRefundRequest,
    violations: &mut Violations,
) -> Option<Request> {
    asker.need(Role::Approver, violations);
    asker.need_person(violations);
    let texts = Texts::usual(request.idempotency_key, request.reference, request.origin_ref);
    step(asker, at, (Kind::ApproveRefund, texts), ("refund_id", &request.refund_id), violations)
}

pub(in crate::grpc) fn reject_refund(
    asker: &Asker,
    at: Path<'_>,
    request: proto::RejectRefundRequest,
    violations: &mut Violations,
) -> Option<Request> {
    asker.need(Role::Approver, violations);
    asker.need_person(violations);
    let texts = Texts::usual(request.idempotency_key, request.reference, request.origin_ref);
    step(asker, at, (Kind::RejectRefund, texts), ("refund_id", &request.refund_id), violations)
}

pub(in crate::grpc) fn reverse(
    asker: &Asker,
    at: Path<'_>,
    request: proto::ReversePaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let texts = Texts::usual(request.idempotency_key, request.reference, request.origin_ref);
    step(asker, at, (Kind::Reverse, texts), ("payment_id", &request.payment_id), violations)
}

fn step(
    asker: &Asker,
    at: Path<'_>,
    (kind, texts): (Kind, Texts),
    (field, id): Target<'_>,
    violations: &mut Violations,
) -> Option<Request> {
    let draft = asker.draft(kind, at, texts, violations);
    let target = decode::uuid(at.at(field), id, violations)?;
    Some(Request { target: Some(OperationId::from_uuid(target)), ..draft })
}

/// An amount that may be left out, which means all that there is.
fn part(
    at: Path<'_>,
    amount: Option<&proto::Money>,
    step: Option<&mut Request>,
    violations: &mut Violations,
) {
    let Some(amount) = amount else { return };
    let money = decode::money(at.at("amount"), Some(amount), Sign::Positive, violations);
    if let (Some((minor, currency)), Some(step)) = (money, step) {
        step.minor = minor;
        step.currency = Some(currency);
    }
}
