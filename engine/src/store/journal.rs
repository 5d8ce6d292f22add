//! Rows of the journal as one parameter: an array of the table's own row type in PostgreSQL's binary form. One array of
//! rows instead of one array per column saves the server a temporary table per column and batch.

use payplane_ledger::{Movement, OperationRow, Posting, Terms, Verdict};
use sqlx::{
    Postgres, Type,
    encode::{Encode, IsNull},
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, types::Oid},
};

use super::row::limit_number;

/// The numbers of the table's row type and of its array; each database has its own.
#[derive(Clone, Copy, Debug)]
pub struct JournalOids {
    /// Of `payplane.journal`.
    pub row: Oid,
    /// Of `payplane.journal[]`.
    pub array: Oid,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct JournalRows<'a> {
    /// The types.
    pub oids: JournalOids,
    /// The rows.
    pub rows: &'a [OperationRow],
}

const COLUMNS: u32 = 34;

// Numbers of built-in types; they are part of PostgreSQL's protocol.
const INT2: u32 = 21;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const UUID: u32 = 2950;

impl Type<Postgres> for JournalRows<'_> {
    fn type_info() -> PgTypeInfo {
        // Never asked: `produces` knows the database's own number.
        PgTypeInfo::array_of("payplane.journal")
    }
}

impl Encode<'_, Postgres> for JournalRows<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // One dimension, no nulls, the element's type, how many, counted from one.
        let count = u32::try_from(self.rows.len())?;
        for number in [1, 0, self.oids.row.0, count, 1] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        for row in self.rows {
            with_length(buffer, |buffer| encode_row(buffer, row))?;
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.oids.array))
    }
}

/// The columns in the order of the table.
pub(super) fn encode_row(buffer: &mut Vec<u8>, row: &OperationRow) -> Result<(), BoxDynError> {
    let decision = &row.decision;
    let (body, provenance) = (&decision.body, &decision.provenance);
    buffer.extend_from_slice(&COLUMNS.to_be_bytes());
    uuid(buffer, Some(row.tenant.uuid()));
    uuid(buffer, Some(row.operation.uuid()));
    int8(buffer, Some(decision.sequence.0));
    int2(buffer, Some(body.kind as i16));
    int2(buffer, Some(provenance.origin as i16));
    int8(buffer, Some(body.minor));
    encode_movement(buffer, row);
    uuid(buffer, body.target.map(|id| id.uuid()));
    for value in [
        body.currency.code(),
        &provenance.key,
        &body.reference,
        &provenance.origin_ref,
        &provenance.actor,
        &provenance.correlation_id,
    ] {
        text(buffer, Some(value.as_bytes()))?;
    }
    let (refusal, after) = match &decision.verdict {
        Verdict::Refused(refusal) => (Some(refusal), None),
        Verdict::Done { after, .. } => (None, after.as_ref()),
    };
    int2(buffer, refusal.map(|refusal| refusal.reason as i16));
    int2(buffer, refusal.map(|refusal| refusal.field as i16));
    int2(buffer, refusal.map(|refusal| limit_number(refusal.limit)));
    let terms = if body.terms == Terms::default() { None } else { Some(serde_json::to_vec(&body.terms)?) };
    text(buffer, terms.as_deref())?;
    let after = after.map(serde_json::to_vec).transpose()?;
    text(buffer, after.as_deref())
}

/// From `posted` to `credit_version`.
fn encode_movement(buffer: &mut Vec<u8>, row: &OperationRow) {
    let body = &row.decision.body;
    let Verdict::Done { movement, .. } = &row.decision.verdict else {
        return encode_accounts(buffer, None, (body.debit, None), (body.credit, None));
    };
    match movement {
        Movement::None => encode_accounts(buffer, None, (body.debit, None), (body.credit, None)),
        Movement::Wallet(posting) => {
            encode_accounts(buffer, Some((0, 0)), (Some(posting.account), Some(posting)), (None, None));
        }
        Movement::Transfer(transfer) => encode_accounts(
            buffer,
            Some((transfer.posted, transfer.pending)),
            (Some(transfer.debit.account), Some(&transfer.debit)),
            (Some(transfer.credit.account), Some(&transfer.credit)),
        ),
    }
}

type SideOf<'a> = (Option<payplane_ledger::AccountId>, Option<&'a Posting>);

fn encode_accounts(buffer: &mut Vec<u8>, moved: Option<(i64, i64)>, debit: SideOf<'_>, credit: SideOf<'_>) {
    int8(buffer, moved.map(|(posted, _)| posted));
    int8(buffer, moved.map(|(_, pending)| pending));
    uuid(buffer, debit.0.map(|id| id.uuid()));
    uuid(buffer, credit.0.map(|id| id.uuid()));
    for posting in [debit.1, credit.1] {
        int8(buffer, posting.map(|posting| posting.previous.0));
        int8(buffer, posting.map(|posting| posting.after.posted_debits));
        int8(buffer, posting.map(|posting| posting.after.posted_credits));
        int8(buffer, posting.map(|posting| posting.after.pending_debits));
        int8(buffer, posting.map(|posting| posting.after.pending_credits));
        int8(buffer, posting.map(|posting| posting.after.version));
    }
}

fn uuid(buffer: &mut Vec<u8>, value: Option<uuid::Uuid>) {
    field(buffer, UUID, value.as_ref().map(|value| value.as_bytes()));
}

fn int8(buffer: &mut Vec<u8>, value: Option<i64>) {
    field(buffer, INT8, value.map(i64::to_be_bytes).as_ref());
}

fn int2(buffer: &mut Vec<u8>, value: Option<i16>) {
    field(buffer, INT2, value.map(i16::to_be_bytes).as_ref());
}

/// Of a length that is known and small.
fn field<const N: usize>(buffer: &mut Vec<u8>, kind: u32, value: Option<&[u8; N]>) {
    buffer.extend_from_slice(&kind.to_be_bytes());
    match value {
        Some(bytes) => {
            buffer.extend_from_slice(&(N as i32).to_be_bytes());
            buffer.extend_from_slice(bytes);
        }
        None => buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

fn text(buffer: &mut Vec<u8>, value: Option<&[u8]>) -> Result<(), BoxDynError> {
    buffer.extend_from_slice(&TEXT.to_be_bytes());
    let length = value.map_or(Ok(-1), |bytes| i32::try_from(bytes.len()))?;
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(value.unwrap_or_default());
    Ok(())
}

fn with_length(
    buffer: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), BoxDynError>,
) -> Result<(), BoxDynError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    encode(buffer)?;
    let length = i32::try_from(buffer.len() - start - 4)?;
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
