//! The data of an event, as consumers read it. Fields are only ever added; amounts are decimal texts, like in the API.

use payplane_ledger::{
    AccountId, After, Balance, Currency, Decision, Kind, Movement, OperationId, PaymentState, Phase, Posting,
    RefundPhase, RefundState, Status, Verdict, WalletTerms, format_minor, format_sum,
};
use serde::Serialize;
use std::collections::BTreeMap;

use super::time;
use crate::{metrics::reason_label, store::EventRow};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    operation: Operation<'a>,
    /// The wallet of this event, as the operation left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<Wallet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<Payment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<Refund<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refused>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Operation<'a> {
    id: OperationId,
    kind: &'static str,
    sequence: i64,
    seal: i64,
    idempotency_key: &'a str,
    origin_ref: &'a str,
    actor: &'a str,
    correlation_id: &'a str,
    reference: &'a str,
    /// The payment or refund acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<OperationId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wallet {
    id: AccountId,
    currency: String,
    /// Counts the operations on the wallet, without gaps.
    version: i64,
    /// The sequence of the operation before on the same wallet; 0 for none.
    previous_sequence: i64,
    /// What came in or, with a minus, left.
    posted: String,
    /// What more is held for or, with a minus, of it.
    pending: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    counterparty: Option<AccountId>,
    balance: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    posted_debits: String,
    posted_credits: String,
    pending_debits: String,
    pending_credits: String,
    available: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    status: &'static str,
    minimum: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    id: OperationId,
    state: &'static str,
    from: AccountId,
    to: AccountId,
    currency: String,
    amount: String,
    captured: String,
    refunded: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refund<'a> {
    id: OperationId,
    payment: OperationId,
    state: &'static str,
    amount: String,
    currency: String,
    requested_by: &'a str,
    approved_by: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    reason: &'static str,
    /// The field to blame.
    field: &'static str,
    /// What was asked for.
    amount: String,
    currency: String,
}

pub(super) fn of<'a>(row: &EventRow, decision: &'a Decision, posting: Option<&Posting>) -> Body<'a> {
    let (payment, refund) = left(row.operation, decision);
    let refusal = match &decision.verdict {
        Verdict::Done { .. } => None,
        Verdict::Refused(refused) => Some(Refused {
            reason: reason_label(refused.reason),
            field: refused.field.path(),
            amount: format_minor(decision.body.minor, decision.body.currency),
            currency: decision.body.currency.code().to_owned(),
        }),
    };
    let wallet = posting.map(|posting| wallet(decision, posting));
    Body { operation: operation(row, decision), wallet, payment, refund, refusal }
}

fn operation<'a>(row: &EventRow, decision: &'a Decision) -> Operation<'a> {
    let Decision { sequence, body, provenance, .. } = decision;
    Operation {
        id: row.operation,
        kind: kind(body.kind),
        sequence: sequence.0,
        seal: row.seal,
        idempotency_key: &provenance.key,
        origin_ref: &provenance.origin_ref,
        actor: &provenance.actor,
        correlation_id: &provenance.correlation_id,
        reference: &body.reference,
        target: body.target,
        metadata: &body.terms.metadata,
    }
}

/// The payment and the refund as the operation left them.
fn left(id: OperationId, decision: &Decision) -> (Option<Payment>, Option<Refund<'_>>) {
    let subject = decision.body.target.unwrap_or(id);
    let Verdict::Done { after, .. } = &decision.verdict else { return (None, None) };
    match after.as_deref() {
        Some(After::Payment(state)) => (Some(payment(subject, state)), None),
        Some(After::Refund(state, of)) => {
            // Only these act on a refund; the others make one, under their own id.
            let refund_id = if decision.body.kind.targets_refund() { subject } else { id };
            (Some(payment(state.payment, of)), Some(refund(refund_id, state)))
        }
        Some(After::Wallet(_)) => (None, None),
        None => (PaymentState::of_immediate(decision).map(|state| payment(id, &state)), None),
    }
}

fn payment(id: OperationId, state: &PaymentState) -> Payment {
    let amount = |minor| format_minor(minor, state.currency);
    Payment {
        id,
        state: phase(state.phase),
        from: state.debit,
        to: state.credit,
        currency: state.currency.code().to_owned(),
        amount: amount(state.amount),
        captured: amount(state.captured),
        refunded: amount(state.refunded),
        deadline: state.deadline.and_then(time),
    }
}

fn refund(id: OperationId, state: &RefundState) -> Refund<'_> {
    Refund {
        id,
        payment: state.payment,
        state: match state.phase {
            RefundPhase::Requested => "REQUESTED",
            RefundPhase::Approved => "APPROVED",
            RefundPhase::Completed => "COMPLETED",
            RefundPhase::Rejected => "REJECTED",
            RefundPhase::Failed => "FAILED",
        },
        amount: format_minor(state.amount, state.currency),
        currency: state.currency.code().to_owned(),
        requested_by: &state.requester,
        approved_by: &state.approver,
    }
}

fn wallet(decision: &Decision, posting: &Posting) -> Wallet {
    let currency = decision.body.currency;
    let (mut posted, mut pending, mut counterparty, mut terms) = (0, 0, None, None);
    if let Verdict::Done { movement, after } = &decision.verdict {
        if let Movement::Transfer(transfer) = movement {
            let is_payer = transfer.debit.account == posting.account;
            let sign = if is_payer { -1 } else { 1 };
            (posted, pending) = (sign * i128::from(transfer.posted), sign * i128::from(transfer.pending));
            counterparty = Some(if is_payer { transfer.credit.account } else { transfer.debit.account });
        }
        if let Some(After::Wallet(changed)) = after.as_deref() {
            terms = Some(wallet_terms(changed, currency));
        }
    }
    Wallet {
        id: posting.account,
        currency: currency.code().to_owned(),
        version: posting.after.version,
        previous_sequence: posting.previous.0,
        posted: format_sum(posted, currency),
        pending: format_sum(pending, currency),
        counterparty,
        balance: totals(&posting.after, currency),
        terms,
    }
}

fn totals(balance: &Balance, currency: Currency) -> Totals {
    let text = |minor| format_minor(minor, currency);
    Totals {
        posted_debits: text(balance.posted_debits),
        posted_credits: text(balance.posted_credits),
        pending_debits: text(balance.pending_debits),
        pending_credits: text(balance.pending_credits),
        available: format_sum(balance.available(), currency),
    }
}

fn wallet_terms(terms: &WalletTerms, currency: Currency) -> Terms {
    Terms {
        status: match terms.status {
            Status::Active => "ACTIVE",
            Status::FrozenDebit => "FROZEN_DEBIT",
            Status::FrozenCredit => "FROZEN_CREDIT",
            Status::Frozen => "FROZEN",
            Status::Closed => "CLOSED",
        },
        minimum: format_minor(terms.floor, currency),
        maximum: terms.ceiling.map(|ceiling| format_minor(ceiling, currency)),
    }
}

const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Processing => "PROCESSING",
        Phase::Completed => "COMPLETED",
        Phase::Failed => "FAILED",
        Phase::Voided => "VOIDED",
        Phase::Expired => "EXPIRED",
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Pay => "PAY",
        Kind::Authorize => "AUTHORIZE",
        Kind::Capture => "CAPTURE",
        Kind::Void => "VOID",
        Kind::Expire => "EXPIRE",
        Kind::CaptureDue => "CAPTURE_DUE",
        Kind::HandOver => "HAND_OVER",
        Kind::Settle => "SETTLE",
        Kind::Fail => "FAIL",
        Kind::Refund => "REFUND",
        Kind::ApproveRefund => "APPROVE_REFUND",
        Kind::RejectRefund => "REJECT_REFUND",
        Kind::Reverse => "REVERSE",
        Kind::ChangeWallet => "CHANGE_WALLET",
    }
}
