//! From plain numbers to the ledger's requests, and from its outcomes back to plain numbers.

use std::{collections::BTreeMap, sync::Arc};

use payplane_ledger::{
    AccountId, AccountRef, After, Currency, Expect, KINDS, Movement, OperationId, Origin, Outcome,
    PARAMETER_NAMES, ParameterName, Parameters, PaymentState, Phase, Provenance, RefundState, Refusal,
    Request, Scope, Setting, Status, TenantId, Terms, Timestamp, Verdict,
};
use uuid::Uuid;

use crate::ask::{self, Answer, Ask, Done, Id, Payment, Refund, Whom};

const CODES: [&str; 2] = ["USD", "EUR"];
const NEW: u128 = 1 << 64;
const ACCOUNT: u128 = 1 << 80;

pub(crate) fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

pub(crate) fn account(index: usize) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(ACCOUNT + index as u128))
}

pub(crate) fn account_index(id: AccountId) -> usize {
    usize::try_from(id.uuid().as_u128() - ACCOUNT).unwrap()
}

pub(crate) fn operation(id: Id) -> OperationId {
    let new = |number: u32| OperationId::from_uuid(Uuid::from_u128(NEW + u128::from(number)));
    match id {
        Id::New(number) => new(number),
        Id::Expiry(payment) => OperationId::expiry(new(payment)),
        Id::Due(payment) => OperationId::due_capture(new(payment)),
    }
}

pub(crate) fn currency(index: usize) -> Currency {
    Currency::parse(CODES[index]).unwrap()
}

pub(crate) fn status(number: u8) -> Status {
    [Status::Active, Status::FrozenDebit, Status::FrozenCredit, Status::Frozen, Status::Closed]
        [usize::from(number) - 1]
}

pub(crate) fn currency_index(currency: Currency) -> usize {
    CODES.iter().position(|code| *code == currency.code()).unwrap()
}

/// A class by its number.
pub(crate) fn class(number: u8) -> Arc<str> {
    Arc::from(number.to_string())
}

pub(crate) fn parameters(settings: &[ask::Setting]) -> Arc<Parameters> {
    let name = |number: u8| -> ParameterName { PARAMETER_NAMES[usize::from(number) - 1] };
    let scope = |whom: Whom| match whom {
        Whom::Platform => Scope::Platform,
        Whom::Tenant => Scope::Tenant,
        Whom::Class(number) => Scope::Class(class(number)),
        Whom::Wallet(index) => Scope::Wallet(account(index)),
    };
    let setting = |set: &ask::Setting| Setting {
        name: name(set.name),
        scope: scope(set.whom),
        currency: set.currency.map(currency),
        value: set.value,
    };
    let is_suspension = |set: &&ask::Setting| set.name == ask::SUSPENDED;
    let suspended = settings.iter().any(|set| is_suspension(&set));
    let set = settings.iter().filter(|set| !is_suspension(set)).map(setting).collect();
    Arc::new(Parameters::new(set).with_suspension(suspended))
}

pub(crate) fn request(ask: &Ask) -> Request {
    let nothing: Arc<str> = Arc::from("");
    Request {
        tenant: tenant(),
        operation: operation(ask.id),
        kind: KINDS[ask.act as usize - 1],
        from: ask.from.map(reference),
        to: ask.to.map(reference),
        minor: ask.minor,
        currency: ask.currency.map(currency),
        reference: Arc::from(ask.reference.to_string()),
        target: ask.target.map(operation),
        terms: terms(&ask.terms),
        provenance: Provenance {
            origin: Origin::Api,
            key: Arc::clone(&nothing),
            origin_ref: Arc::clone(&nothing),
            actor: Arc::from(ask.actor.to_string()),
            correlation_id: nothing,
        },
        only_known: ask.is_old,
    }
}

/// Accounts with odd numbers are named by a name that stands for two ids, the first of which does not exist.
fn reference(index: usize) -> AccountRef {
    let id = account(index);
    let absent = AccountId::from_uuid(Uuid::from_u128(7));
    if index.is_multiple_of(2) {
        AccountRef::id(id)
    } else {
        AccountRef { first: absent, fallback: Some(id) }
    }
}

fn terms(terms: &ask::Terms) -> Terms {
    Terms {
        timeout_us: terms.timeout,
        capture_at: terms.capture_at.map(Timestamp),
        is_final: terms.is_final,
        up_to: terms.up_to,
        expect: Expect {
            from_version: terms.from_version,
            to_version: terms.to_version,
            from_available_min: terms.available,
        },
        status: terms.status.map(status),
        floor: terms.floor,
        ceiling: terms.ceiling,
        metadata: BTreeMap::new(),
        link: terms.link.map(operation),
        approver: terms.approver.map(|approver| Arc::from(approver.to_string())),
    }
}

/// What the ledger said. `ids` are all numbers that were ever used for payments.
pub(crate) fn answer(outcome: &Outcome, ids: &[Id]) -> (Answer, bool) {
    match outcome {
        Outcome::Declined(refusal) => (declined(*refusal), false),
        Outcome::Decided { decision, replayed } => {
            let answer = match &decision.verdict {
                Verdict::Refused(refusal) => refused(*refusal),
                Verdict::Done { movement, after } => {
                    Answer::Done(Box::new(done(decision.body.debit, movement, after.as_deref(), ids)))
                }
            };
            (answer, *replayed)
        }
    }
}

fn declined(refusal: Refusal) -> Answer {
    // Of these only a missing approval comes from a parameter.
    let is_of_approval = refusal.reason == payplane_ledger::Reason::PaymentApprovalRequired;
    assert_eq!(refusal.limit.is_some(), is_of_approval);
    Answer::Declined(refusal.reason as u8, refusal.field as u8)
}

fn refused(refusal: Refusal) -> Answer {
    let limit = refusal.limit.map(|(name, level)| (name as u8, level as u8));
    Answer::Refused(refusal.reason as u8, refusal.field as u8, limit)
}

fn done(wallet: Option<AccountId>, movement: &Movement, after: Option<&After>, ids: &[Id]) -> Done {
    let transfer = match movement {
        Movement::Transfer(moved) => {
            let index = |id| account_index(id);
            let (from, to) = (index(moved.debit.account), index(moved.credit.account));
            Some((from, to, i128::from(moved.posted), i128::from(moved.pending)))
        }
        _ => None,
    };
    let mut done = Done { transfer, ..Done::default() };
    match after {
        None => {}
        Some(After::Payment(state)) => done.payment = Some(payment(state)),
        Some(After::Refund(state, paid)) => {
            done.payment = Some(payment(paid));
            done.refund = Some(refund(state, ids));
        }
        Some(After::Wallet(terms)) => {
            let (status, floor) = (terms.status as u8, i128::from(terms.floor));
            done.wallet =
                Some((account_index(wallet.unwrap()), status, floor, terms.ceiling.map(i128::from)));
        }
    }
    done
}

pub(crate) fn payment(state: &PaymentState) -> Payment {
    let time = |time: Option<Timestamp>| time.map(|time| i128::from(time.0));
    Payment {
        from: account_index(state.debit),
        to: account_index(state.credit),
        currency: currency_index(state.currency),
        phase: state.phase as u8,
        amount: i128::from(state.amount),
        captured: i128::from(state.captured),
        refunding: i128::from(state.refunding),
        refunded: i128::from(state.refunded),
        deadline: time(state.deadline),
        level: state.deadline_level.map(|level| level as u8),
        capture_at: time(state.capture_at),
        gateway: state.gateway.parse().ok(),
        moved_at: time(state.moved_at),
        version: i128::from(state.version),
    }
}

pub(crate) fn refund(state: &RefundState, ids: &[Id]) -> Refund {
    Refund {
        payment: *ids.iter().find(|id| operation(**id) == state.payment).unwrap(),
        amount: i128::from(state.amount),
        currency: currency_index(state.currency),
        phase: state.phase as u8,
        requester: state.requester.parse().unwrap(),
        approver: state.approver.parse().ok(),
        version: i128::from(state.version),
    }
}

pub(crate) fn is_open(state: &PaymentState) -> bool {
    matches!(state.phase, Phase::Pending | Phase::Processing)
}
