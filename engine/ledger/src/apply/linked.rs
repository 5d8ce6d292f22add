//! Requests that succeed or fail together.
//!
//! 1. A key twice in the group, or some keys known and others not: a conflict for every item.
//! 2. All known: each item gets its first answer if every body is the same. If one differs, the group is not the one that
//!    was decided, and no item of it gets an answer.
//! 3. None known: the items are decided in order, each on what those before it left. At the first refusal everything is
//!    taken back. If any item is refused without a trace, so are all, and nothing is stored. Else the refusal is stored
//!    for the item that it is about, and all others are stored as refused because of it.

use super::{Case, apply_new, find, repeat, store};
use crate::{
    Body, Field, Kind, OperationId, Outcome, Reason, Refusal, Request, Snapshot, Timestamp, Verdict,
};

/// How many operations can succeed or fail together.
pub const LINKED_ITEMS_MAX: usize = 64;

/// Decides requests that succeed or fail together; the caller passes at most [`LINKED_ITEMS_MAX`], each with the
/// operation of the first as its `link`. One outcome per request, in their order.
pub fn apply_linked(snapshot: &mut Snapshot, requests: &[Request], now: Timestamp) -> Vec<Outcome> {
    if let [request] = requests {
        return vec![super::apply(snapshot, request, now)];
    }
    let known = requests.iter().filter(|request| is_known(snapshot, request)).count();
    if has_duplicates(requests) || (known != 0 && known != requests.len()) {
        return vec![conflict(); requests.len()];
    }
    if known != 0 { repeated(snapshot, requests) } else { decide(snapshot, requests, now) }
}

/// Which item failed, and why.
struct Failure {
    item: usize,
    refusal: Refusal,
}

fn decide(snapshot: &mut Snapshot, requests: &[Request], now: Timestamp) -> Vec<Outcome> {
    snapshot.begin();
    let mut outcomes = Vec::with_capacity(requests.len());
    for (item, request) in requests.iter().enumerate() {
        let outcome = apply_new(snapshot, request, now);
        let Some(refusal) = refusal_of(&outcome) else {
            outcomes.push(outcome);
            continue;
        };
        // The failing decision holds its body, which a declined request has none of.
        outcomes.push(outcome);
        let bodies = if refusal.reason.is_definitive() {
            all_bodies(snapshot, requests, &outcomes, now)
        } else {
            Err(Failure { item, refusal })
        };
        snapshot.rollback();
        return match bodies {
            Ok(bodies) => store_refused(snapshot, requests, bodies, Failure { item, refusal }, now),
            Err(failure) => declined(requests.len(), &failure),
        };
    }
    snapshot.commit();
    outcomes
}

/// The bodies of all items: those decided so far, and those that were never reached. An unreached item that would be
/// refused without a trace fails the group, because such reasons precede all that are stored.
fn all_bodies(
    snapshot: &mut Snapshot,
    requests: &[Request],
    decided: &[Outcome],
    now: Timestamp,
) -> Result<Vec<Body>, Failure> {
    let body_of = |outcome: &Outcome| match outcome {
        Outcome::Decided { decision, .. } => Some(decision.body.clone()),
        Outcome::Declined(_) => None,
    };
    let mut bodies: Vec<Body> = decided.iter().filter_map(body_of).collect();
    for (item, request) in requests.iter().enumerate().skip(decided.len()) {
        let body = match find::find(snapshot, request, now) {
            Ok(found) => Ok(found.body),
            Err(refusal) if is_absent(refusal) => {
                body_on_earlier(requests, &bodies, request).unwrap_or(Err(refusal))
            }
            Err(refusal) => Err(refusal),
        };
        let body = body.map_err(|refusal| Failure { item, refusal })?;
        bodies.push(body);
    }
    Ok(bodies)
}

/// The body of an item whose payment or refund is not there, because an earlier item of the group would have made it.
fn body_on_earlier(
    requests: &[Request],
    bodies: &[Body],
    request: &Request,
) -> Option<Result<Body, Refusal>> {
    let makes_target = |kind: Kind| match request.kind.targets_refund() {
        true => matches!(kind, Kind::Refund | Kind::Reverse),
        false => kind.makes_payment(),
    };
    let is_target = |earlier: &Request| {
        earlier.tenant == request.tenant
            && Some(earlier.operation) == request.target
            && makes_target(earlier.kind)
    };
    let mut earlier = requests.iter().zip(bodies);
    let currency = earlier.find(|(earlier, _)| is_target(earlier)).map(|(_, body)| body.currency)?;
    Some(find::same_currency(request, currency).map(|()| find::body(request, currency, None, None)))
}

fn store_refused(
    snapshot: &mut Snapshot,
    requests: &[Request],
    bodies: Vec<Body>,
    failure: Failure,
    now: Timestamp,
) -> Vec<Outcome> {
    let linked = Refusal::new(Reason::LinkedItemRefused, Field::Items);
    let items = requests.iter().zip(bodies).enumerate();
    let store_one = |(item, (request, body)): (usize, (&Request, Body))| {
        let refusal = if item == failure.item { failure.refusal } else { linked };
        let case = Case { request, now, sequence: snapshot.next_sequence() };
        store(snapshot, &case, body, Verdict::Refused(refusal))
    };
    items.map(store_one).collect()
}

fn declined(items: usize, failure: &Failure) -> Vec<Outcome> {
    let linked = Refusal::new(Reason::LinkedItemDeclined, Field::Items);
    let refusal = |item| if item == failure.item { failure.refusal } else { linked };
    (0..items).map(|item| Outcome::Declined(refusal(item))).collect()
}

fn repeated(snapshot: &Snapshot, requests: &[Request]) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> =
        requests.iter().filter_map(|request| repeat::answer(snapshot, request)).collect();
    if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Decided { .. })) {
        return outcomes;
    }
    let without_answer = |outcome| match outcome {
        Outcome::Decided { .. } => conflict(),
        differs => differs,
    };
    outcomes.into_iter().map(without_answer).collect()
}

fn refusal_of(outcome: &Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Declined(refusal) => Some(*refusal),
        Outcome::Decided { decision, .. } => match &decision.verdict {
            Verdict::Refused(refusal) => Some(*refusal),
            Verdict::Done { .. } => None,
        },
    }
}

const fn is_absent(refusal: Refusal) -> bool {
    matches!(refusal.reason, Reason::PaymentNotFound | Reason::RefundNotFound)
}

const fn conflict() -> Outcome {
    Outcome::Declined(Refusal::new(Reason::IdempotencyConflict, Field::Items))
}

fn is_known(snapshot: &Snapshot, request: &Request) -> bool {
    snapshot.decisions.contains_key(&(request.tenant, request.operation))
}

fn has_duplicates(requests: &[Request]) -> bool {
    let key = |request: &Request| -> (_, OperationId) { (request.tenant, request.operation) };
    let seen_before = |(item, request): (usize, &Request)| {
        requests[..item].iter().any(|earlier| key(earlier) == key(request))
    };
    requests.iter().enumerate().any(seen_before)
}
