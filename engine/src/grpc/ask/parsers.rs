//! Whole requests under fuzz, as bytes on the wire: what can be decoded at all is either asked of the ledger, in its
//! range, or refused by name; and never both, and never neither.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use payplane_ledger::{KINDS, Kind, Origin, PlatformId, TenantId};
use payplane_proto::v1::{self as proto, payment_item::Operation, wallet_ref::Ref};
use proptest::{
    option,
    prelude::{BoxedStrategy, Just, Strategy, any},
    prop_oneof,
    sample::select,
};
use prost::Message as _;
use tonic::Code;
use uuid::Uuid;

use super::{Asker, Group, group, operations, split};
use crate::{
    auth::Role,
    fuzz::{fuzz, spoiled, texts},
    grpc::decode::{Path, Violations},
};

fn asker(role: Role) -> Asker {
    Asker {
        platform: PlatformId::from_uuid(Uuid::from_u128(1)),
        tenant: TenantId::from_uuid(Uuid::from_u128(2)),
        origin: Origin::Api,
        role,
        actor: "somebody".into(),
        is_machine: false,
        correlation_id: "call".into(),
        only_known: false,
    }
}

/// For whoever chooses inputs.
pub(crate) const LAWS: [fn(); 2] = [items, splits];

fn items() {
    kinds_of_items();
}

/// All that a caller can ask for in an item; of one chosen input that cannot be said.
#[cfg(test)]
#[test]
fn items_of_every_kind() {
    assert_eq!(kinds_of_items().into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13]);
}

/// The kinds of the items that were taken.
fn kinds_of_items() -> BTreeSet<i32> {
    let kinds = RefCell::new(BTreeSet::new());
    fuzz("items", &spoiled(item().prop_map(|item| item.encode_to_vec())), |bytes| {
        let Ok(item) = proto::PaymentItem::decode(&*bytes) else { return false };
        let asks = operations(std::slice::from_ref(&item));
        let read = |role| {
            let mut violations = Violations::default();
            let found = group(&asker(role), Path::Root, item.clone(), &mut violations);
            violations.finish(found)
        };
        let taken = checked(&read(Role::Admin));
        assert!(taken.as_ref().is_none_or(|taken| taken.len() == asks));
        // Who may do less is never allowed more.
        let less = checked(&read(Role::Viewer));
        assert!(less.is_none() || less == taken);
        kinds.borrow_mut().extend(taken.iter().flatten().map(|kind| *kind as i32));
        taken.is_some()
    });
    kinds.into_inner()
}

#[cfg_attr(test, test)]
pub(crate) fn splits() {
    fuzz("splits", &spoiled(whole().prop_map(|whole| whole.encode_to_vec())), |bytes| {
        let Ok(whole) = proto::SplitPaymentRequest::decode(&*bytes) else { return false };
        let mut violations = Violations::default();
        let found = split(&asker(Role::Admin), whole, &mut violations);
        checked(&violations.finish(found)).is_some()
    });
}

/// Messages that contain themselves, as deep as the reader goes and deeper, on a stack of the usual size.
#[cfg(test)]
#[test]
fn nested_items() {
    let mut bytes = Vec::new();
    let (mut refused, mut unread) = (0, 0);
    for _ in 0..200 {
        // As the linked items of an item.
        for tag in [0x0a, 0x62] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.append(&mut bytes);
            bytes = outer;
        }
        match proto::PaymentItem::decode(&*bytes) {
            Err(_) => unread += 1,
            Ok(item) => {
                let mut violations = Violations::default();
                let found = group(&asker(Role::Admin), Path::Root, item, &mut violations);
                assert_eq!(violations.finish(found).unwrap_err().code(), Code::InvalidArgument);
                refused += 1;
            }
        }
    }
    assert!(20 < refused && 20 < unread, "{refused} {unread}");
    println!("parser of nested items: {refused} depths refused, {unread} not read at all");
}

/// The kinds of the requests, each in its range. Otherwise it was refused for a reason that the caller can mend.
fn checked(read: &Result<Group, tonic::Status>) -> Option<Vec<Kind>> {
    let group = match read {
        Ok(group) => group,
        Err(status) => {
            assert!(matches!(status.code(), Code::InvalidArgument | Code::PermissionDenied), "{status:?}");
            assert!(!status.message().is_empty());
            return None;
        }
    };
    for request in &group.requests {
        let key = &*request.provenance.key;
        assert!(
            (1..=256).contains(&key.len()) && key.bytes().all(|byte| (32..127).contains(&byte)),
            "{key:?}"
        );
        assert!(0 <= request.minor && KINDS.contains(&request.kind));
        if matches!(request.kind, Kind::Pay | Kind::Authorize) {
            assert!(0 < request.minor && request.currency.is_some());
            assert!(request.from.is_some() && request.to.is_some() && request.target.is_none());
        } else {
            assert!(request.target.is_some(), "{request:?}");
        }
        // As it is stored.
        let terms = serde_json::to_string(&request.terms).unwrap();
        assert_eq!(serde_json::from_str::<payplane_ledger::Terms>(&terms).unwrap(), request.terms);
    }
    Some(group.requests.iter().map(|request| request.kind).collect())
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![12 => "[ -~]{1,40}", 1 => texts("[a-z]{0,257}")]
}

fn note() -> impl Strategy<Value = String> {
    prop_oneof![12 => "[a-z ]{0,30}", 1 => texts("[a-z ]{250,260}")]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![12 => Just(Uuid::from_u128(7).to_string()), 1 => texts("[0-9a-f-]{36}")]
}

fn money() -> impl Strategy<Value = Option<proto::Money>> {
    let amount =
        prop_oneof![12 => "[1-9][0-9]{0,3}(\\.[0-9]{2})?", 1 => texts("-?[0-9]{0,22}(\\.[0-9]{0,4})?")];
    let currency = prop_oneof![12 => Just("USD".to_owned()), 1 => texts("[A-Z]{3}")];
    option::weighted(0.9, (amount, currency).prop_map(|(amount, currency)| proto::Money { amount, currency }))
}

fn wallet() -> impl Strategy<Value = Option<proto::WalletRef>> {
    let reference = prop_oneof![
        4 => prop_oneof![12 => "[a-z0-9/-]{1,20}", 1 => texts("[a-z]{0,260}")].prop_map(Ref::Name),
        2 => id().prop_map(Ref::Id),
        1 => select(vec![
            Ref::Settlement(proto::Settlement {}),
            Ref::Clearing(proto::Clearing {}),
            Ref::Fee(proto::Fee {}),
            Ref::Suspense(proto::Suspense {}),
        ]),
    ];
    option::weighted(0.95, option::weighted(0.95, reference).prop_map(|r#ref| proto::WalletRef { r#ref }))
}

fn time() -> impl Strategy<Value = (Option<prost_types::Duration>, Option<prost_types::Timestamp>)> {
    let seconds = || prop_oneof![3 => 1..100_000_i64, 1 => any::<i64>()];
    let nanos = || prop_oneof![3 => 0..1_000_000_000_i32, 1 => any::<i32>()];
    let duration = (seconds(), nanos()).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    let time = (seconds(), nanos()).prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos });
    (option::weighted(0.3, duration), option::weighted(0.3, time))
}

fn expect() -> impl Strategy<Value = Option<proto::Expect>> {
    let expect = (any::<Option<u64>>(), any::<Option<u64>>(), money());
    option::weighted(
        0.2,
        expect.prop_map(|(from_version, to_version, from_available_min)| proto::Expect {
            from_version,
            to_version,
            from_available_min,
        }),
    )
}

fn labels() -> impl Strategy<Value = HashMap<String, String>> {
    let name = prop_oneof![12 => "[a-z0-9._/-]{1,20}", 1 => texts("[a-z]{0,66}")];
    let sizes = prop_oneof![24 => 0..3_usize, 1 => 15..18_usize];
    sizes.prop_flat_map(move |size| proptest::collection::hash_map(name.clone(), note(), size))
}

fn payment() -> BoxedStrategy<Operation> {
    let parts = (key(), wallet(), wallet(), money(), note(), any::<bool>(), time(), expect());
    (parts, labels(), any::<bool>())
        .prop_map(
            |((key, from, to, amount, text, up_to, (timeout, capture_time), expect), metadata, holds)| {
                let (idempotency_key, reference, origin_ref) = (key, text.clone(), text);
                if holds {
                    Operation::AuthorizePayment(proto::AuthorizePaymentRequest {
                        idempotency_key,
                        from,
                        to,
                        amount,
                        reference,
                        origin_ref,
                        timeout,
                        capture_time,
                        expect,
                        metadata,
                        approved_by: String::new(),
                    })
                } else {
                    Operation::CreatePayment(proto::CreatePaymentRequest {
                        idempotency_key,
                        from,
                        to,
                        amount,
                        reference,
                        origin_ref,
                        up_to,
                        expect,
                        metadata,
                        approved_by: String::new(),
                    })
                }
            },
        )
        .boxed()
}

fn step() -> BoxedStrategy<Operation> {
    let parts = (key(), id(), option::weighted(0.5, money()), note(), any::<bool>(), 0..9);
    parts
        .prop_map(|(key, id, amount, text, last, kind)| {
            let (amount, origin_ref, reference) = (amount.flatten(), text.clone(), text);
            let (idempotency_key, payment_id, refund_id, event_id) = (key.clone(), id.clone(), id, key);
            match kind {
                0 => Operation::CapturePayment(proto::CapturePaymentRequest {
                    idempotency_key,
                    payment_id,
                    amount,
                    r#final: last,
                    reference,
                    origin_ref,
                }),
                1 => Operation::VoidPayment(proto::VoidPaymentRequest {
                    idempotency_key,
                    payment_id,
                    reference,
                    origin_ref,
                }),
                2 => Operation::HandOverPayment(proto::HandOverPaymentRequest {
                    idempotency_key,
                    payment_id,
                    gateway_reference: reference,
                    origin_ref,
                }),
                3 => Operation::SettlePayment(proto::SettlePaymentRequest {
                    event_id,
                    payment_id,
                    amount,
                    origin_ref,
                }),
                4 => Operation::FailPayment(proto::FailPaymentRequest {
                    event_id,
                    payment_id,
                    reason: reference,
                    origin_ref,
                }),
                5 => Operation::RefundPayment(proto::RefundPaymentRequest {
                    idempotency_key,
                    payment_id,
                    amount,
                    reference,
                    origin_ref,
                }),
                6 => Operation::ApproveRefund(proto::ApproveRefundRequest {
                    idempotency_key,
                    refund_id,
                    reference,
                    origin_ref,
                }),
                7 => Operation::RejectRefund(proto::RejectRefundRequest {
                    idempotency_key,
                    refund_id,
                    reference,
                    origin_ref,
                }),
                _ => Operation::ReversePayment(proto::ReversePaymentRequest {
                    idempotency_key,
                    payment_id,
                    reference,
                    origin_ref,
                }),
            }
        })
        .boxed()
}

fn one() -> BoxedStrategy<Operation> {
    prop_oneof![payment(), step()].boxed()
}

fn item() -> impl Strategy<Value = proto::PaymentItem> {
    let single = || option::weighted(0.98, one()).prop_map(|operation| proto::PaymentItem { operation });
    let sizes = prop_oneof![24 => 0..4_usize, 1 => 63..67_usize];
    let linked = sizes.prop_flat_map(move |size| proptest::collection::vec(single(), size));
    let linked = linked.prop_map(|items| Operation::Linked(proto::LinkedItems { items }));
    prop_oneof![
        6 => option::weighted(0.98, one()),
        1 => linked.prop_map(Some),
    ]
    .prop_map(|operation| proto::PaymentItem { operation })
}

fn whole() -> impl Strategy<Value = proto::SplitPaymentRequest> {
    use proto::split_part::Share;
    let share = prop_oneof![1 => money().prop_map(|money| money.map(Share::Amount)), 6 => any::<u32>().prop_map(|weight| Some(Share::Weight(weight)))];
    let part = (wallet(), share, note());
    let part = part.prop_map(|(to, share, reference)| proto::SplitPart { to, share, reference });
    let parts = proptest::collection::vec(part, 0..4);
    (key(), wallet(), money(), parts, note()).prop_map(|(idempotency_key, from, amount, parts, text)| {
        let (reference, origin_ref) = (text.clone(), text);
        proto::SplitPaymentRequest { idempotency_key, from, amount, parts, reference, origin_ref }
    })
}
