//! Lines of the journal, and how far it is sealed.

use payplane_ledger::{
    AccountId, After, Currency, Decision, Kind, Movement, OperationId, Verdict, WalletTerms,
};
use payplane_proto::v1::{self as proto, operation::Result};

use super::{
    amount, balance, money, origin,
    payment::{payment_after, refund_after},
    refusal, timestamp,
    wallet::{maximum, status},
};
use crate::{
    store::HeadRow,
    verify::{Check, Report},
};

pub(in crate::grpc) fn operation(id: OperationId, decision: &Decision) -> proto::Operation {
    let Decision { sequence, body, provenance, decided_at, verdict: _ } = decision;
    let mut line = proto::Operation {
        id: id.to_string(),
        kind: kind(body.kind).into(),
        sequence: sequence.0,
        create_time: Some(timestamp(*decided_at)),
        result: result(id, decision),
        target_id: body.target.map(|target| target.to_string()).unwrap_or_default(),
        debit_wallet_id: body.debit.map(|account| account.to_string()).unwrap_or_default(),
        credit_wallet_id: body.credit.map(|account| account.to_string()).unwrap_or_default(),
        reference: body.reference.to_string(),
        idempotency_key: provenance.key.to_string(),
        origin: origin(provenance.origin).into(),
        origin_ref: provenance.origin_ref.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
        ..Default::default()
    };
    if let Verdict::Done { movement, .. } = &decision.verdict {
        put_movement(&mut line, movement, body.currency);
    }
    line
}

fn result(id: OperationId, decision: &Decision) -> Option<Result> {
    let subject = decision.body.target.unwrap_or(id);
    match &decision.verdict {
        Verdict::Refused(refused) => Some(Result::Refusal(refusal(*refused, decision.body.kind))),
        Verdict::Done { after: Some(after), .. } => match &**after {
            After::Payment(_) => payment_after(subject, decision).map(Result::Payment),
            After::Refund(..) => {
                // Only these act on a refund; the others make one, under their own id.
                let refund = if decision.body.kind.targets_refund() { subject } else { id };
                refund_after(refund, decision).map(Result::Refund)
            }
            After::Wallet(terms) => Some(Result::WalletChange(wallet_change(terms, decision.body.currency))),
        },
        Verdict::Done { after: None, .. } => payment_after(subject, decision).map(Result::Payment),
    }
}

fn put_movement(line: &mut proto::Operation, movement: &Movement, currency: Currency) {
    match movement {
        Movement::None => {}
        Movement::Transfer(transfer) => {
            line.debit_wallet_id = transfer.debit.account.to_string();
            line.credit_wallet_id = transfer.credit.account.to_string();
            line.posted = Some(money(transfer.posted, currency));
            line.pending = Some(money(transfer.pending, currency));
            line.debit_balance = Some(balance(&transfer.debit.after, currency));
            line.credit_balance = Some(balance(&transfer.credit.after, currency));
        }
        Movement::Wallet(posting) => {
            line.debit_wallet_id = posting.account.to_string();
            line.debit_balance = Some(balance(&posting.after, currency));
        }
    }
}

fn wallet_change(terms: &WalletTerms, currency: Currency) -> proto::WalletChange {
    proto::WalletChange {
        status: status(terms.status).into(),
        minimum: amount(terms.floor, currency),
        maximum: maximum(terms.ceiling, currency),
    }
}

/// The operation as one account sees it: what left has a minus. Nothing if it did not change the account.
pub(in crate::grpc) fn statement_line(
    id: OperationId,
    decision: &Decision,
    account: AccountId,
) -> Option<proto::StatementLine> {
    let Decision { sequence, body, provenance, decided_at, verdict } = decision;
    let Verdict::Done { movement, .. } = verdict else { return None };
    let posting = movement.postings().find(|posting| posting.account == account)?;
    let other = movement.postings().find(|posting| posting.account != account);
    let (posted, pending) = match movement {
        Movement::Transfer(transfer) if transfer.debit.account == account => {
            (-transfer.posted, -transfer.pending)
        }
        Movement::Transfer(transfer) => (transfer.posted, transfer.pending),
        Movement::None | Movement::Wallet(_) => (0, 0),
    };
    Some(proto::StatementLine {
        operation_id: id.to_string(),
        kind: kind(body.kind).into(),
        sequence: sequence.0,
        time: Some(timestamp(*decided_at)),
        posted: amount(posted, body.currency),
        pending: amount(pending, body.currency),
        balance: Some(balance(&posting.after, body.currency)),
        counterparty_wallet_id: other.map(|other| other.account.to_string()).unwrap_or_default(),
        target_id: body.target.map(|target| target.to_string()).unwrap_or_default(),
        reference: body.reference.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
    })
}

pub(in crate::grpc) fn report(report: &Report) -> proto::VerifyLedgerResponse {
    let check = |check: &Check| proto::LedgerCheck {
        name: check.name.to_owned(),
        proves: check.proves.to_owned(),
        examined: check.examined,
        violations: check.violations,
    };
    proto::VerifyLedgerResponse {
        sound: report.sound,
        checks: report.checks.iter().map(check).collect(),
        // Plain structs of numbers, texts and options always have a text form.
        report: serde_json::to_string(report).unwrap_or_default(),
    }
}

pub(in crate::grpc) fn head(row: &HeadRow) -> proto::SealHead {
    use std::fmt::Write as _;
    let mut link = String::with_capacity(64);
    for byte in row.link {
        // Writing to memory does not fail.
        let _ = write!(link, "{byte:02x}");
    }
    proto::SealHead {
        seal: row.seal,
        link,
        decide_time: row.decided_at.map(timestamp),
        seal_time: row.sealed_at.map(timestamp),
    }
}

const fn kind(kind: Kind) -> proto::OperationKind {
    match kind {
        Kind::Pay => proto::OperationKind::Pay,
        Kind::Authorize => proto::OperationKind::Authorize,
        Kind::Capture => proto::OperationKind::Capture,
        Kind::Void => proto::OperationKind::Void,
        Kind::Expire => proto::OperationKind::Expire,
        Kind::CaptureDue => proto::OperationKind::CaptureDue,
        Kind::HandOver => proto::OperationKind::HandOver,
        Kind::Settle => proto::OperationKind::Settle,
        Kind::Fail => proto::OperationKind::Fail,
        Kind::Refund => proto::OperationKind::Refund,
        Kind::ApproveRefund => proto::OperationKind::ApproveRefund,
        Kind::RejectRefund => proto::OperationKind::RejectRefund,
        Kind::Reverse => proto::OperationKind::Reverse,
        Kind::ChangeWallet => proto::OperationKind::ChangeWallet,
    }
}

#[cfg(test)]
mod tests {
    use payplane_ledger::KINDS;

    use super::*;

    #[test]
    fn numbers_on_the_wire_are_those_that_are_stored() {
        for known in KINDS {
            assert_eq!(kind(known) as i32, known as i32, "{known:?}");
        }
    }
}
