//! A row of the journal to a line and back.

use std::sync::Arc;

use payplane_ledger::{
    AccountId, After, Body, Decision, Kind, Movement, OperationId, OperationRow, Posting, Provenance,
    Sequence, TenantId, Terms, Timestamp, Transfer, Verdict,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Minor, Operation, Side, Totals};

/// The line of a row.
pub(in crate::export) fn to_line(row: &OperationRow) -> Result<Operation, serde_json::Error> {
    let Decision { sequence, body, provenance, decided_at, verdict } = &*row.decision;
    let is_plain = body.terms == Terms::default();
    let (after, refusal) = match verdict {
        Verdict::Done { after, .. } => (after.as_ref(), None),
        Verdict::Refused(refusal) => (None, Some(*refusal)),
    };
    let (moved, debit, credit) = sides(body, verdict);
    Ok(Operation {
        sequence: sequence.0,
        id: row.operation.uuid(),
        kind: body.kind,
        origin: provenance.origin,
        key: provenance.key.to_string(),
        origin_ref: provenance.origin_ref.to_string(),
        actor: provenance.actor.to_string(),
        correlation_id: provenance.correlation_id.to_string(),
        decided_at_us: decided_at.0,
        currency: body.currency,
        minor: Minor(body.minor),
        posted: moved.map(|(posted, _)| Minor(posted)),
        pending: moved.map(|(_, pending)| Minor(pending)),
        debit,
        credit,
        target: body.target.map(OperationId::uuid),
        reference: body.reference.to_string(),
        terms: if is_plain { None } else { Some(serde_json::to_string(&body.terms)?) },
        after: after.map(serde_json::to_string).transpose()?,
        refusal,
    })
}

/// What was moved and held, and the two sides: those that changed, or else those that were asked for.
fn sides(body: &Body, verdict: &Verdict) -> (Option<(i64, i64)>, Option<Side>, Option<Side>) {
    let asked = |id: Option<AccountId>| id.map(|id| Side { account: id.uuid(), previous: None, after: None });
    match verdict {
        Verdict::Done { movement: Movement::Transfer(transfer), .. } => {
            let moved = (transfer.posted, transfer.pending);
            (Some(moved), Some(side(&transfer.debit)), Some(side(&transfer.credit)))
        }
        Verdict::Done { movement: Movement::Wallet(posting), .. } => {
            (Some((0, 0)), Some(side(posting)), None)
        }
        Verdict::Done { movement: Movement::None, .. } | Verdict::Refused(_) => {
            (None, asked(body.debit), asked(body.credit))
        }
    }
}

fn side(posting: &Posting) -> Side {
    Side {
        account: posting.account.uuid(),
        previous: Some(posting.previous.0),
        after: Some(Totals::from(&posting.after)),
    }
}

/// The row of a line, or what is wrong with the line.
pub(in crate::export) fn to_row(tenant: TenantId, line: &Operation) -> Result<OperationRow, String> {
    let is_named = line.kind.makes_payment() || line.kind == Kind::ChangeWallet;
    let asked = |side: &Option<Side>| {
        side.as_ref().map(|side| AccountId::from_uuid(side.account)).filter(|_| is_named)
    };
    let body = Body {
        kind: line.kind,
        debit: asked(&line.debit),
        credit: asked(&line.credit),
        minor: line.minor.0,
        currency: line.currency,
        reference: Arc::from(&*line.reference),
        target: line.target.map(OperationId::from_uuid),
        terms: line.terms.as_deref().map_or(Ok(Terms::default()), |text| json(text, "terms"))?,
    };
    let provenance = Provenance {
        origin: line.origin,
        key: Arc::from(&*line.key),
        origin_ref: Arc::from(&*line.origin_ref),
        actor: Arc::from(&*line.actor),
        correlation_id: Arc::from(&*line.correlation_id),
    };
    let decision = Decision {
        sequence: Sequence(line.sequence),
        body,
        provenance,
        decided_at: Timestamp(line.decided_at_us),
        verdict: verdict(line)?,
    };
    let row =
        OperationRow { tenant, operation: OperationId::from_uuid(line.id), decision: Arc::new(decision) };
    // What the row does not hold would be in no hash.
    match to_line(&row) {
        Ok(again) if again == *line => Ok(row),
        _ => Err("says more than an operation has".to_owned()),
    }
}

fn verdict(line: &Operation) -> Result<Verdict, String> {
    if let Some(refusal) = line.refusal {
        return Ok(Verdict::Refused(refusal));
    }
    let after: Option<Box<After>> = line.after.as_deref().map(|text| json(text, "after")).transpose()?;
    Ok(Verdict::Done { movement: movement(line)?, after })
}

fn movement(line: &Operation) -> Result<Movement, String> {
    let Some(posted) = line.posted else { return Ok(Movement::None) };
    let debit = posting(line.debit.as_ref()).ok_or("moves money without a debit")?;
    let Some(credit) = posting(line.credit.as_ref()) else { return Ok(Movement::Wallet(Box::new(debit))) };
    let pending = line.pending.ok_or("moves money and does not say what is held")?;
    Ok(Movement::Transfer(Box::new(Transfer { posted: posted.0, pending: pending.0, debit, credit })))
}

fn posting(side: Option<&Side>) -> Option<Posting> {
    let side = side?;
    Some(Posting {
        account: AccountId::from_uuid(side.account),
        after: side.after?.into(),
        previous: Sequence(side.previous?),
    })
}

/// A text whose hash is over what it means has to be the one way of writing that.
fn json<T: DeserializeOwned + Serialize>(text: &str, what: &str) -> Result<T, String> {
    let value: T = serde_json::from_str(text).map_err(|error| format!("{what}: {error}"))?;
    match serde_json::to_string(&value) {
        Ok(again) if again == text => Ok(value),
        _ => Err(format!("{what} is not written as the ledger writes it")),
    }
}
