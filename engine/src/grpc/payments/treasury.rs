//! Giving money back may debit one of the tenant's own accounts: when the payment was paid into it. That shows in the
//! payment only, not in the request, so callers without the treasury role have it looked up. Who is paid by a payment
//! never changes, so looking before deciding is safe.

use std::collections::HashMap;

use payplane_ledger::{Field, Kind, OperationId, Outcome, Reason, Refusal};
use tonic::Status;

use super::{Api, Asker, Tag};
use crate::{auth::Role, engine::detached, grpc::status};

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Treasury {
    /// Payments that were looked for and found.
    known: HashMap<OperationId, bool>,
    was_needed: bool,
}

impl Api {
    /// Fails if one of the requests would debit one of the tenant's own accounts and the caller may not.
    pub(super) async fn check_treasury(&self, asker: &Asker, tags: &[Tag]) -> Result<Treasury, Status> {
        let wanted: Vec<OperationId> = tags.iter().filter_map(gives_back).collect();
        if asker.role.includes(Role::Treasury) || wanted.is_empty() {
            return Ok(Treasury::default());
        }
        let (store, tenant) = (self.engine.store.clone(), asker.tenant);
        let found = detached(async move { store.pays_own_account(tenant, &wanted).await }).await;
        let known: HashMap<_, _> = found.map_err(|error| status::of_store(&error))?.into_iter().collect();
        if known.values().any(|is_own| *is_own) {
            return Err(status::treasury_required());
        }
        Ok(Treasury { known, was_needed: true })
    }
}

impl Treasury {
    /// The answers to a group in which a payment is given back that does not exist. If it appears a moment later, it was
    /// not looked at, so the ledger must not be asked.
    pub(super) fn decline(&self, tags: &[Tag]) -> Option<Vec<Outcome>> {
        let is_unknown =
            |tag: &Tag| gives_back(tag).is_some_and(|payment| !self.known.contains_key(&payment));
        if !self.was_needed || !tags.iter().any(is_unknown) {
            return None;
        }
        let refusal = |tag: &Tag| match is_unknown(tag) {
            true => Refusal::new(Reason::PaymentNotFound, Field::Payment),
            false => Refusal::new(Reason::LinkedItemDeclined, Field::Items),
        };
        Some(tags.iter().map(|tag| Outcome::Declined(refusal(tag))).collect())
    }
}

/// The payment that a request gives back.
fn gives_back(tag: &Tag) -> Option<OperationId> {
    tag.target.filter(|_| matches!(tag.kind, Kind::Refund | Kind::Reverse))
}
