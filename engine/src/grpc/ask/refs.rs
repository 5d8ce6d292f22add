//! References to accounts of the caller's tenant.

use payplane_ledger::{AccountId, AccountKind, AccountRef, Currency, Origin, TenantId};
use payplane_proto::v1 as proto;

use super::Asker;
use crate::grpc::decode::{self, Path, Violations};

/// Resolves a reference to ids. `currency` is that of the payment; without one, only a reference to one of the tenant's
/// own accounts fails, and its violation was added where the currency was read.
pub(in crate::grpc) fn wallet_ref(
    field: Path<'_>,
    reference: Option<&proto::WalletRef>,
    (asker, currency): (&Asker, Option<Currency>),
    violations: &mut Violations,
) -> Option<AccountRef> {
    use proto::wallet_ref::Ref;
    let Some(reference) = reference.and_then(|reference| reference.r#ref.as_ref()) else {
        let expected = "expected one of name, id, settlement, clearing, fee and suspense";
        violations.add(field, format!("is missing: {expected}"));
        return None;
    };
    let own = |kind| Some(AccountRef::id(AccountId::of_tenant(asker.tenant, kind, currency?.code())));
    match reference {
        Ref::Name(name) => decode::wallet_name(field.at("name"), name, violations)
            .then(|| named(asker.tenant, asker.origin, name)),
        Ref::Id(id) => {
            decode::uuid(field.at("id"), id, violations).map(|id| AccountRef::id(AccountId::from_uuid(id)))
        }
        Ref::Settlement(_) => own(AccountKind::Settlement),
        Ref::Clearing(_) => own(AccountKind::Clearing),
        Ref::Fee(_) => own(AccountKind::Fee),
        Ref::Suspense(_) => own(AccountKind::Suspense),
    }
}

/// A side of a payment. Clearing is none, by whatever reference: what goes between tenants moves on both sides at once, so
/// only the engine moves it.
pub(in crate::grpc) fn party(
    field: Path<'_>,
    reference: Option<&proto::WalletRef>,
    (asker, currency): (&Asker, Option<Currency>),
    violations: &mut Violations,
) -> Option<AccountRef> {
    let found = wallet_ref(field, reference, (asker, currency), violations)?;
    let clearing =
        |currency: Currency| AccountId::of_tenant(asker.tenant, AccountKind::Clearing, currency.code());
    if currency.is_some_and(|currency| clearing(currency) == found.first) {
        violations.add(field, "is the clearing account: only the engine moves money between tenants");
        return None;
    }
    Some(found)
}

/// Whether a reference means one of the tenant's own accounts, so that a currency has to be known.
pub(in crate::grpc) fn is_own_account(reference: Option<&proto::WalletRef>) -> bool {
    use proto::wallet_ref::Ref;
    let reference = reference.and_then(|reference| reference.r#ref.as_ref());
    reference.is_some_and(|reference| !matches!(reference, Ref::Name(_) | Ref::Id(_)))
}

/// The caller's own name first, then the same name of the other origin: callers of the API may pay into a wallet of a
/// custom resource and the other way round.
fn named(tenant: TenantId, origin: Origin, name: &str) -> AccountRef {
    let id = |origin| AccountId::wallet(tenant, origin, name);
    AccountRef { first: id(origin), fallback: Some(id(origin.other())) }
}
