//! What a request is about: accounts, a payment or a refund, each looked up once. Everything that is refused here may be
//! mended (an account is made, a date comes), so it is never stored. In this order:
//! not found, same wallet, other currency, refund approved by who asked, not due, lost by a restore, payment approved by
//! who asked, not approved.
//!
//! A payment's accounts are found by the payment, a refund's payment by the refund: the caller has read them all.

use std::sync::Arc;

use super::{money::Parties, refuse_if};
use crate::{
    Account, AccountId, AccountRef, Body, Currency, Field, Kind, Level, OperationId, OverdueAction,
    ParameterName, PaymentState, Reason, RefundState, Refusal, Request, Snapshot, Timestamp, table::Slot,
};

/// What a request is about, and what of it is kept.
pub(super) struct Found {
    pub(super) body: Body,
    pub(super) subject: Subject,
}

/// What a request is about.
pub(super) enum Subject {
    Accounts(Parties),
    Wallet(Slot<Account>),
    Payment(OnPayment),
    Refund(OnRefund),
}

/// A payment and its accounts.
#[derive(Clone, Copy)]
pub(super) struct OnPayment {
    pub(super) payment: Slot<PaymentState>,
    pub(super) parties: Parties,
}

/// A refund, its payment and the payment's accounts.
#[derive(Clone, Copy)]
pub(super) struct OnRefund {
    pub(super) refund: Slot<RefundState>,
    pub(super) on: OnPayment,
}

pub(super) fn find(snapshot: &mut Snapshot, request: &Request, now: Timestamp) -> Result<Found, Refusal> {
    let found = match request.kind {
        kind if kind.makes_payment() => accounts(snapshot, request),
        Kind::ChangeWallet => wallet(snapshot, request),
        kind if kind.targets_refund() => refund(snapshot, request),
        _ => payment(snapshot, request, now),
    }?;
    // A known key was answered before.
    refuse_if(request.only_known, Reason::LostByRestore, Field::Key)?;
    if let Subject::Accounts(parties) = &found.subject {
        refuse_unapproved(snapshot, request, parties.debit)?;
    }
    Ok(found)
}

/// What of a request is compared with a repetition. The accounts are those that it names itself.
pub(super) fn body(
    request: &Request,
    currency: Currency,
    debit: Option<AccountId>,
    credit: Option<AccountId>,
) -> Body {
    Body {
        kind: request.kind,
        debit,
        credit,
        minor: request.minor,
        currency,
        reference: Arc::clone(&request.reference),
        target: request.target,
        terms: request.terms.clone(),
    }
}

fn accounts(snapshot: &Snapshot, request: &Request) -> Result<Found, Refusal> {
    let debit = account(snapshot, request, request.from, Field::From)?;
    let credit = account(snapshot, request, request.to, Field::To)?;
    let (payer, payee) = (snapshot.accounts.get(debit), snapshot.accounts.get(credit));
    let currency = request.currency.unwrap_or(payer.currency);
    refuse_if(debit == credit, Reason::SameWallet, Field::To)?;
    refuse_if(payer.currency != currency, Reason::CurrencyMismatch, Field::From)?;
    refuse_if(payee.currency != currency, Reason::CurrencyMismatch, Field::To)?;
    let id = |slot| Some(snapshot.accounts.key(slot).1);
    let body = body(request, currency, id(debit), id(credit));
    Ok(Found { body, subject: Subject::Accounts(Parties { debit, credit }) })
}

/// Four eyes for large payments, whoever pays: by the amount that is asked for. Neither reason is stored, so the same key
/// is decided once somebody else has approved. The approval of what needs none is kept all the same.
fn refuse_unapproved(snapshot: &Snapshot, request: &Request, payer: Slot<Account>) -> Result<(), Refusal> {
    if let Some(approver) = &request.terms.approver {
        let is_own = *approver == request.provenance.actor;
        return refuse_if(is_own, Reason::ApproverIsRequester, Field::Approver);
    }
    match snapshot.parameter(ParameterName::PaymentApprovalFrom, payer) {
        Some((from, level)) if from <= request.minor => {
            let limit = Some((ParameterName::PaymentApprovalFrom, level));
            Err(Refusal { reason: Reason::PaymentApprovalRequired, field: Field::Amount, limit })
        }
        _ => Ok(()),
    }
}

fn wallet(snapshot: &Snapshot, request: &Request) -> Result<Found, Refusal> {
    let wallet = account(snapshot, request, request.from, Field::Wallet)?;
    let currency = snapshot.accounts.get(wallet).currency;
    same_currency(request, currency)?;
    let body = body(request, currency, Some(snapshot.accounts.key(wallet).1), None);
    Ok(Found { body, subject: Subject::Wallet(wallet) })
}

fn payment(snapshot: &mut Snapshot, request: &Request, now: Timestamp) -> Result<Found, Refusal> {
    let on = on_payment(snapshot, request, request.target)?;
    let payment = snapshot.payments.get(on.payment);
    same_currency(request, payment.currency)?;
    let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let is_due = match request.kind {
        Kind::Expire => due(payment.deadline),
        Kind::CaptureDue => due(payment.capture_at),
        _ => true,
    };
    refuse_if(!is_due, Reason::NotDue, Field::Payment)?;
    if request.kind == Kind::Expire {
        refuse_left(snapshot, on)?;
    }
    Ok(Found { body: body(request, payment.currency, None, None), subject: Subject::Payment(on) })
}

/// A hold that stays until somebody decides about it. Not stored, so it is given back once the parameter says so.
fn refuse_left(snapshot: &Snapshot, on: OnPayment) -> Result<(), Refusal> {
    match left_by(snapshot, on) {
        Some(level) => {
            let limit = Some((ParameterName::HoldOverdueAction, level));
            Err(Refusal { reason: Reason::NotDue, field: Field::Payment, limit })
        }
        None => Ok(()),
    }
}

/// Where it is set that the payer's holds stay when they are past their deadline, if it is.
pub(super) fn left_by(snapshot: &Snapshot, on: OnPayment) -> Option<Level> {
    let (action, level) = snapshot.parameter(ParameterName::HoldOverdueAction, on.parties.debit)?;
    (action == OverdueAction::Alert as i64).then_some(level)
}

fn refund(snapshot: &mut Snapshot, request: &Request) -> Result<Found, Refusal> {
    let slot = request.target.and_then(|target| snapshot.refunds.slot(&(request.tenant, target)));
    let slot = slot.ok_or(Refusal::new(Reason::RefundNotFound, Field::Refund))?;
    let refund = snapshot.refunds.get(slot);
    let (payment, currency) = (refund.payment, refund.currency);
    let same_actor = refund.requester == request.provenance.actor;
    let on = on_payment(snapshot, request, Some(payment))?;
    same_currency(request, currency)?;
    let approves_own = request.kind == Kind::ApproveRefund && same_actor;
    refuse_if(approves_own, Reason::ApproverIsRequester, Field::Refund)?;
    let body = body(request, currency, None, None);
    Ok(Found { body, subject: Subject::Refund(OnRefund { refund: slot, on }) })
}

fn account(
    snapshot: &Snapshot,
    request: &Request,
    reference: Option<AccountRef>,
    field: Field,
) -> Result<Slot<Account>, Refusal> {
    let slot = reference.and_then(|reference| snapshot.resolve(request.tenant, &reference));
    slot.ok_or(Refusal::new(Reason::WalletNotFound, field))
}

fn on_payment(
    snapshot: &mut Snapshot,
    request: &Request,
    id: Option<OperationId>,
) -> Result<OnPayment, Refusal> {
    let slot = id.and_then(|id| snapshot.find_payment((request.tenant, id)));
    let payment = slot.ok_or(Refusal::new(Reason::PaymentNotFound, Field::Payment))?;
    let PaymentState { debit, credit, .. } = *snapshot.payments.get(payment);
    let debit = account(snapshot, request, Some(AccountRef::id(debit)), Field::From)?;
    let credit = account(snapshot, request, Some(AccountRef::id(credit)), Field::To)?;
    Ok(OnPayment { payment, parties: Parties { debit, credit } })
}

pub(super) fn same_currency(request: &Request, currency: Currency) -> Result<(), Refusal> {
    let differs = request.currency.is_some_and(|asked| asked != currency);
    refuse_if(differs, Reason::CurrencyMismatch, Field::Currency)
}
