//! What makes a payment: paying at once, and holding money for it.

use std::sync::Arc;

use payplane_ledger::{AccountId, AccountKind, AccountRef, Currency, Expect, Kind, Request, Sign};
use payplane_proto::v1 as proto;

use super::{Asker, Texts, party};
use crate::{
    auth::Role,
    grpc::{
        decode::{self, Path, Violations},
        status,
    },
};

const TIMEOUT_DAYS_MAX: i64 = 366;

pub(in crate::grpc) fn create(
    asker: &Asker,
    at: Path<'_>,
    request: proto::CreatePaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::CreatePaymentRequest {
        idempotency_key,
        from,
        to,
        amount,
        reference,
        origin_ref,
        up_to,
        expect,
        metadata,
        approved_by,
    } = request;
    let texts = Texts::usual(idempotency_key, reference, origin_ref);
    let mut draft = asker.draft(Kind::Pay, at, texts, violations);
    let parties = parties(asker, at, (amount, from, to), violations);
    draft.terms.up_to = up_to;
    draft.terms.metadata = decode::payment_labels(at.at("metadata"), metadata, violations);
    draft.terms.expect = expected(at, expect.as_ref(), parties.currency, violations);
    draft.terms.approver = approver(asker, at.at("approved_by"), approved_by, violations);
    parties.fill(draft)
}

pub(in crate::grpc) fn authorize(
    asker: &Asker,
    at: Path<'_>,
    request: proto::AuthorizePaymentRequest,
    violations: &mut Violations,
) -> Option<Request> {
    let proto::AuthorizePaymentRequest { idempotency_key, from, to, amount, reference, origin_ref, .. } =
        request;
    let texts = Texts::usual(idempotency_key, reference, origin_ref);
    let mut draft = asker.draft(Kind::Authorize, at, texts, violations);
    let parties = parties(asker, at, (amount, from, to), violations);
    draft.terms.expect = expected(at, request.expect.as_ref(), parties.currency, violations);
    draft.terms.metadata = decode::payment_labels(at.at("metadata"), request.metadata, violations);
    draft.terms.approver = approver(asker, at.at("approved_by"), request.approved_by, violations);
    if let Some(timeout) = &request.timeout {
        draft.terms.timeout_us = decode::duration(at.at("timeout"), timeout, TIMEOUT_DAYS_MAX, violations);
    }
    if let Some(time) = &request.capture_time {
        draft.terms.capture_at = decode::time(at.at("capture_time"), time, violations);
    }
    parties.fill(draft)
}

/// Who approved it. The platform alone may say so: it has asked the API server, while a tenant's caller would name anybody.
fn approver(asker: &Asker, field: Path<'_>, name: String, violations: &mut Violations) -> Option<Arc<str>> {
    if name.is_empty() {
        return None;
    }
    if !asker.role.includes(Role::Platform) {
        violations.deny(status::approved_by_not_allowed());
    }
    decode::person(field, &name, violations);
    Some(name.into())
}

/// Who pays whom, and what.
pub(super) struct Parties {
    pub(super) minor: Option<i64>,
    pub(super) currency: Option<Currency>,
    pub(super) from: Option<AccountRef>,
    pub(super) to: Option<AccountRef>,
}

impl Parties {
    /// The request with them, if nothing about them is wrong.
    pub(super) fn fill(self, draft: Request) -> Option<Request> {
        let Self { minor, currency, from, to } = self;
        let (minor, currency, from, to) = (minor?, currency?, from?, to?);
        Some(Request { from: Some(from), to: Some(to), minor, currency: Some(currency), ..draft })
    }
}

fn parties(
    asker: &Asker,
    at: Path<'_>,
    (amount, from, to): (Option<proto::Money>, Option<proto::WalletRef>, Option<proto::WalletRef>),
    violations: &mut Violations,
) -> Parties {
    let money = decode::money(at.at("amount"), amount.as_ref(), Sign::Positive, violations);
    let (minor, currency) = money.unzip();
    let from = payer(asker, at.at("from"), from.as_ref(), currency, violations);
    let to = party(at.at("to"), to.as_ref(), (asker, currency), violations);
    Parties { minor, currency, from, to }
}

/// The role for debiting one of the tenant's own accounts (settlement, clearing, fee, suspense) depends on the request, so
/// it is checked here and not by the guard: by whatever reference, because the ids of these accounts are no secret.
pub(super) fn payer(
    asker: &Asker,
    field: Path<'_>,
    reference: Option<&proto::WalletRef>,
    currency: Option<Currency>,
    violations: &mut Violations,
) -> Option<AccountRef> {
    let from = party(field, reference, (asker, currency), violations)?;
    let is_of_tenant = |currency: Currency| {
        let own = |kind| AccountId::of_tenant(asker.tenant, kind, currency.code());
        AccountKind::OF_TENANT.into_iter().any(|kind| own(kind) == from.first)
    };
    if !asker.role.includes(Role::Treasury) && currency.is_some_and(is_of_tenant) {
        violations.deny(status::treasury_required());
    }
    Some(from)
}

fn expected(
    at: Path<'_>,
    expect: Option<&proto::Expect>,
    currency: Option<Currency>,
    violations: &mut Violations,
) -> Expect {
    let Some(expect) = expect else { return Expect::default() };
    // A version that no account can have is a condition that cannot hold.
    let version = |version: u64| i64::try_from(version).unwrap_or(i64::MAX);
    let field = at.at("expect");
    let least = expect.from_available_min.as_ref().and_then(|money| {
        let wanted = (Sign::NotNegative, currency);
        decode::money_in(field.at("from_available_min"), Some(money), wanted, violations)
    });
    Expect {
        from_version: expect.from_version.map(version),
        to_version: expect.to_version.map(version),
        from_available_min: least,
    }
}
