//! Known keys. The body is compared field by field, in the order of [`first_difference`]: the same body gets the first
//! answer, marked as replayed, and another body a conflict that names the first field that differs.

use crate::{
    Account, AccountId, Body, Field, Kind, Outcome, Reason, Refusal, Request, Snapshot, Terms, table::Slot,
};

/// The answer to a request whose key is known.
pub(super) fn answer(snapshot: &Snapshot, request: &Request) -> Option<Outcome> {
    let decision = snapshot.decisions.get(&(request.tenant, request.operation))?;
    Some(match first_difference(snapshot, request, &decision.body) {
        None => Outcome::Decided { decision: decision.clone(), replayed: true },
        Some(field) => Outcome::Declined(Refusal::new(Reason::IdempotencyConflict, field)),
    })
}

/// The first field in which a repeated key asks for something else. The currency comes early, because the settlement
/// account that a request means follows from it.
fn first_difference(snapshot: &Snapshot, request: &Request, body: &Body) -> Option<Field> {
    let id = |slot: Slot<Account>| snapshot.accounts.key(slot).1;
    let account = |reference: Option<_>| -> Option<AccountId> {
        reference.and_then(|reference| snapshot.resolve(request.tenant, &reference)).map(id)
    };
    let from = if request.kind == Kind::ChangeWallet { Field::Wallet } else { Field::From };
    let target = if request.kind.targets_refund() { Field::Refund } else { Field::Payment };
    let differs = [
        (Field::Kind, request.kind != body.kind),
        (Field::Currency, request.currency.is_some_and(|currency| currency != body.currency)),
        (Field::Amount, request.minor != body.minor),
        (from, account(request.from) != body.debit),
        (Field::To, account(request.to) != body.credit),
        (Field::Reference, request.reference != body.reference),
        (target, request.target != body.target),
    ];
    first(differs).or_else(|| first_difference_of_terms(&request.terms, &body.terms))
}

fn first_difference_of_terms(asked: &Terms, known: &Terms) -> Option<Field> {
    first([
        (Field::Timeout, asked.timeout_us != known.timeout_us),
        (Field::CaptureTime, asked.capture_at != known.capture_at),
        (Field::Final, asked.is_final != known.is_final),
        (Field::UpTo, asked.up_to != known.up_to),
        (Field::Expect, asked.expect != known.expect),
        (Field::Status, asked.status != known.status),
        (Field::Minimum, asked.floor != known.floor),
        (Field::Maximum, asked.ceiling != known.ceiling),
        (Field::Metadata, asked.metadata != known.metadata),
        (Field::Items, asked.link != known.link),
    ])
}

fn first<const FIELDS: usize>(differs: [(Field, bool); FIELDS]) -> Option<Field> {
    differs.into_iter().find_map(|(field, differs)| differs.then_some(field))
}
