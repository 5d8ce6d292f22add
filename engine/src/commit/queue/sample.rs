//! Requests for the queue's tests.

use std::sync::Arc;

use payplane_ledger::{AccountId, AccountRef, Currency, Kind, OperationId, Origin, Provenance, Terms};
use uuid::Uuid;

use super::*;

pub(in crate::commit) fn job(tenant: u128) -> (Job, oneshot::Receiver<Answer>) {
    group(tenant, 1)
}

pub(in crate::commit) fn group(tenant: u128, items: usize) -> (Job, oneshot::Receiver<Answer>) {
    let text: Arc<str> = Arc::from("");
    let provenance = Provenance {
        origin: Origin::Api,
        key: text.clone(),
        origin_ref: text.clone(),
        actor: text.clone(),
        correlation_id: text.clone(),
    };
    let request = Request {
        tenant: TenantId::from_uuid(Uuid::from_u128(tenant)),
        operation: OperationId::from_uuid(Uuid::from_u128(1)),
        kind: Kind::Pay,
        from: Some(AccountRef::id(AccountId::from_uuid(Uuid::from_u128(1)))),
        to: Some(AccountRef::id(AccountId::from_uuid(Uuid::from_u128(2)))),
        minor: 1,
        currency: Some(Currency::parse("USD").unwrap()),
        reference: text,
        target: None,
        terms: Terms::default(),
        provenance,
        only_known: false,
    };
    let (answer, receiver) = oneshot::channel();
    (Job { group: vec![request; items], answer }, receiver)
}
