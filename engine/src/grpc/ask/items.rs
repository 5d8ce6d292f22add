//! Items of larger requests: independent ones, and groups that succeed or fail together.

use payplane_ledger::{LINKED_ITEMS_MAX, Request};
use payplane_proto::v1::{self as proto, payment_item::Operation};

use super::{
    Asker, Tag, approve_refund, authorize, capture, create, fail, hand_over, refund, reject_refund, reverse,
    settle, void,
};
use crate::grpc::decode::{Path, Violations};

/// How many operations one call asks for at most.
pub(in crate::grpc) const ITEMS_MAX: usize = 8_000;

/// Requests that succeed or fail together, mostly one.
#[derive(Debug)]
pub(in crate::grpc) struct Group {
    pub(in crate::grpc) requests: Vec<Request>,
    pub(in crate::grpc) tags: Tags,
}

/// What is left here of a group while the ledger has it.
#[derive(Debug)]
pub(in crate::grpc) enum Tags {
    /// An item of its own.
    One(Tag),
    /// Linked items.
    Linked(Vec<Tag>),
}

/// How many operations the items ask for.
pub(in crate::grpc) fn operations(items: &[proto::PaymentItem]) -> usize {
    let count = |item: &proto::PaymentItem| match &item.operation {
        Some(Operation::Linked(linked)) => linked.items.len().max(1),
        _ => 1,
    };
    items.iter().map(count).sum()
}

/// An item at the top: one operation, or linked ones.
pub(in crate::grpc) fn group(
    asker: &Asker,
    at: Path<'_>,
    item: proto::PaymentItem,
    violations: &mut Violations,
) -> Option<Group> {
    match item.operation {
        Some(Operation::Linked(items)) => linked(asker, at.at("linked"), items.items, violations),
        operation => {
            let request = single(asker, at, operation, violations)?;
            let tags = Tags::One(Tag::of(&request));
            Some(Group { requests: vec![request], tags })
        }
    }
}

/// Items that are linked by the id of the first.
pub(in crate::grpc) fn linked(
    asker: &Asker,
    at: Path<'_>,
    items: Vec<proto::PaymentItem>,
    violations: &mut Violations,
) -> Option<Group> {
    if items.is_empty() || LINKED_ITEMS_MAX < items.len() {
        violations.add(at.at("items"), "has a wrong number of entries: expected 1 to 64");
        return None;
    }
    let items = items.into_iter().enumerate();
    let read = items.map(|(index, item)| single(asker, at.entry("items", index), item.operation, violations));
    // Every item is read, so that each says what is wrong with it.
    let read: Vec<Option<Request>> = read.collect();
    Some(tie(read.into_iter().collect::<Option<_>>()?))
}

/// One request alone is not linked to anything: it asks for what it would ask for without the others.
pub(super) fn tie(mut requests: Vec<Request>) -> Group {
    if let [first, _, ..] = &*requests {
        let link = Some(first.operation);
        requests.iter_mut().for_each(|request| request.terms.link = link);
    }
    let tags = Tags::Linked(requests.iter().map(Tag::of).collect());
    Group { requests, tags }
}

fn single(
    asker: &Asker,
    at: Path<'_>,
    operation: Option<Operation>,
    violations: &mut Violations,
) -> Option<Request> {
    match operation {
        Some(Operation::CreatePayment(request)) => {
            create(asker, at.at("create_payment"), request, violations)
        }
        Some(Operation::AuthorizePayment(request)) => {
            authorize(asker, at.at("authorize_payment"), request, violations)
        }
        Some(Operation::CapturePayment(request)) => {
            capture(asker, at.at("capture_payment"), request, violations)
        }
        Some(Operation::VoidPayment(request)) => void(asker, at.at("void_payment"), request, violations),
        Some(Operation::HandOverPayment(request)) => {
            hand_over(asker, at.at("hand_over_payment"), request, violations)
        }
        Some(Operation::SettlePayment(request)) => {
            settle(asker, at.at("settle_payment"), request, violations)
        }
        Some(Operation::FailPayment(request)) => fail(asker, at.at("fail_payment"), request, violations),
        Some(Operation::RefundPayment(request)) => {
            refund(asker, at.at("refund_payment"), request, violations)
        }
        Some(Operation::ApproveRefund(request)) => {
            approve_refund(asker, at.at("approve_refund"), request, violations)
        }
        Some(Operation::RejectRefund(request)) => {
            reject_refund(asker, at.at("reject_refund"), request, violations)
        }
        Some(Operation::ReversePayment(request)) => {
            reverse(asker, at.at("reverse_payment"), request, violations)
        }
        Some(Operation::Linked(_)) => {
            violations.add(at.at("linked"), "is nested: expected an operation that is not linked items");
            None
        }
        None => {
            violations.add(at, "is empty: expected one operation");
            None
        }
    }
}
