//! What is asked for, who asks, and what of it a repeated key is compared with.

use std::sync::Arc;

use crate::{AccountId, Currency, Origin, PaymentId, TenantId};

/// Microseconds since 1970 by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// An immediate payment that somebody asks for. Shapes and ranges were checked at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The tenant of both accounts.
    pub tenant: TenantId,
    /// Follows from tenant, origin and key.
    pub payment: PaymentId,
    /// The payer.
    pub from: AccountRef,
    /// The payee.
    pub to: AccountRef,
    /// More than zero, in minor units.
    pub minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The caller's text.
    pub reference: Arc<str>,
    /// Who asks.
    pub provenance: Provenance,
}

/// Names an account by its id. A name of a wallet stands for two ids, one per origin; at most one of them exists,
/// because names are unique within a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRef {
    /// Looked for first.
    pub first: AccountId,
    /// Looked for if the first does not exist.
    pub fallback: Option<AccountId>,
}

impl AccountRef {
    /// Names exactly one account.
    pub const fn id(id: AccountId) -> Self {
        Self { first: id, fallback: None }
    }

    /// Every id that the reference may stand for.
    pub fn candidates(&self) -> impl Iterator<Item = AccountId> {
        std::iter::once(self.first).chain(self.fallback)
    }
}

/// Who asked, kept with the decision and never compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Whose key it is.
    pub origin: Origin,
    /// The key as the caller gave it.
    pub key: Arc<str>,
    /// Tells one sender of the key from another.
    pub origin_ref: Arc<str>,
    /// The authenticated subject.
    pub actor: Arc<str>,
    /// Finds the call in logs and traces.
    pub correlation_id: Arc<str>,
}

/// The part of a request that makes it the same request: a repeated key is compared field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The account that pays.
    pub debit: AccountId,
    /// The account that is paid.
    pub credit: AccountId,
    /// In minor units.
    pub minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The caller's text.
    pub reference: Arc<str>,
}
