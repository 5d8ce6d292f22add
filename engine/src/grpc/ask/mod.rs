//! Who asks, and what they ask the ledger for: proto to [`Request`]. Each reader adds what is wrong to the violations
//! and goes on.

mod items;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
mod payment;
mod refs;
mod split;
mod step;

pub(super) use items::{Group, ITEMS_MAX, Tags, group, linked, operations};
pub(super) use payment::{authorize, create};
pub(super) use refs::{is_own_account, wallet_ref};
pub(super) use split::split;
pub(super) use step::{
    approve_refund, capture, fail, hand_over, refund, reject_refund, reverse, settle, void,
};

use std::sync::Arc;

use payplane_ledger::{
    KeySpace, Kind, OperationId, Origin, PlatformId, Provenance, Request, TenantId, Terms,
};
use tonic::Status;

use self::refs::party;
use super::{
    Api, Call,
    decode::{self, Path, Violations},
    status,
};
use crate::auth::Role;

/// Who asks, and what follows from that for every request of a call.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) platform: PlatformId,
    pub(super) tenant: TenantId,
    pub(super) origin: Origin,
    pub(super) role: Role,
    /// Who acts: the caller, or the person for whom the platform does.
    actor: Arc<str>,
    /// Whether the platform acts for nobody but itself.
    is_machine: bool,
    correlation_id: Arc<str>,
    /// Whether what it asks for may be lost by a restore, and nobody consents to do it again.
    only_known: bool,
}

/// What is left here of a request while the ledger has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    pub(super) operation: OperationId,
    pub(super) target: Option<OperationId>,
}

/// The texts that every request has, and what their fields are called in it.
#[derive(Debug)]
struct Texts {
    key: (&'static str, String),
    reference: (&'static str, String),
    origin_ref: String,
}

impl Tag {
    pub(super) const fn of(request: &Request) -> Self {
        let Request { kind, operation, target, .. } = request;
        Self { kind: *kind, operation: *operation, target: *target }
    }

    /// The payment or refund that the request is about: the one that it acts on, or else makes.
    pub(super) fn subject(&self) -> OperationId {
        self.target.unwrap_or(self.operation)
    }

    /// The refund that the request is about: a refund that is asked for has the id of the request.
    pub(super) fn refund(&self) -> OperationId {
        if self.kind.targets_refund() { self.subject() } else { self.operation }
    }
}

impl Texts {
    fn usual(key: String, reference: String, origin_ref: String) -> Self {
        Self { key: ("idempotency_key", key), reference: ("reference", reference), origin_ref }
    }
}

impl Api {
    /// Who asks, for a method that asks the ledger for something.
    pub(super) async fn asker<T>(&self, request: &tonic::Request<T>) -> Result<Asker, Status> {
        let call = Call::of(request)?;
        let tenant = call.tenant()?;
        let platform = self.engine.platform().await.map_err(|error| status::of_store(&error))?;
        let Call { caller, on_behalf_of, correlation_id, asked } = call;
        let only_known = asked.is_lost(self.engine.store.epoch());
        let (origin, role) = (caller.origin, caller.role);
        let is_machine = role == Role::Platform && on_behalf_of.is_none();
        let actor = on_behalf_of.unwrap_or(caller.subject);
        Ok(Asker { platform, tenant, origin, role, actor, is_machine, correlation_id, only_known })
    }
}

impl Asker {
    /// Checks the texts and puts them into an otherwise empty request.
    fn draft(&self, kind: Kind, at: Path<'_>, texts: Texts, violations: &mut Violations) -> Request {
        let Texts { key: (key_field, key), reference: (reference_field, reference), origin_ref } = texts;
        decode::idempotency_key(at.at(key_field), &key, violations);
        decode::text(at.at(reference_field), &reference, violations);
        decode::origin_ref(at.at("origin_ref"), &origin_ref, violations);
        Request {
            tenant: self.tenant,
            operation: OperationId::for_key(self.platform, self.tenant, self.origin, space(kind), &key),
            kind,
            from: None,
            to: None,
            minor: 0,
            currency: None,
            reference: shared(reference),
            target: None,
            terms: Terms::default(),
            provenance: self.provenance(shared(key), shared(origin_ref)),
            only_known: self.only_known,
        }
    }

    fn provenance(&self, key: Arc<str>, origin_ref: Arc<str>) -> Provenance {
        let (actor, correlation_id) = (Arc::clone(&self.actor), Arc::clone(&self.correlation_id));
        Provenance { origin: self.origin, key, origin_ref, actor, correlation_id }
    }

    /// Refuses the request unless the caller's role includes this one.
    pub(super) fn need(&self, role: Role, violations: &mut Violations) {
        if !self.role.includes(role) {
            violations.deny(status::role_required(self.role, role));
        }
    }

    /// Refuses the request unless somebody decides it: the platform alone is no second pair of eyes.
    pub(super) fn need_person(&self, violations: &mut Violations) {
        if self.is_machine {
            violations.deny(status::on_behalf_of_required());
        }
    }

    /// A change of a wallet, still without the wallet and what changes.
    pub(super) fn wallet_change(
        &self,
        (key, reference, origin_ref): (String, String, String),
        violations: &mut Violations,
    ) -> Request {
        let texts = Texts::usual(key, reference, origin_ref);
        self.draft(Kind::ChangeWallet, Path::Root, texts, violations)
    }
}

/// Keys of these never meet each other.
const fn space(kind: Kind) -> KeySpace {
    match kind {
        Kind::Pay | Kind::Authorize => KeySpace::Payment,
        Kind::Refund => KeySpace::Refund,
        Kind::Settle | Kind::Fail => KeySpace::GatewayEvent,
        Kind::ChangeWallet => KeySpace::Wallet,
        // Expiry and captures by date have ids of their own and no keys; nobody can ask for them here.
        Kind::Capture
        | Kind::Void
        | Kind::Expire
        | Kind::CaptureDue
        | Kind::HandOver
        | Kind::ApproveRefund
        | Kind::RejectRefund
        | Kind::Reverse => KeySpace::Step,
    }
}

/// An empty text needs no memory of its own.
fn shared(text: String) -> Arc<str> {
    if text.is_empty() { Arc::default() } else { Arc::from(text) }
}
