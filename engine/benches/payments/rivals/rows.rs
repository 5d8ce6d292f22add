//! A thousand transfers, as columns or as rows of the journal's own type, and what they change on each account.

use std::collections::BTreeMap;

use sqlx::{
    Postgres, Type,
    encode::{Encode, IsNull},
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, types::Oid},
};
use uuid::Uuid;

use super::super::requests::{MINOR, Pattern, Random, key};

/// The engine's largest batch.
pub(super) const BATCH: usize = 1_000;

/// What the engine stores of a caller with a service account, and of a call without a correlation id of its own.
const ACTOR: &str = "system:serviceaccount:acme:bench";
const CORRELATION_ID: &str = "01938a5e-7d3c-7c4e-9c53-5a1d2b8f4e60";

/// What all rows of a program share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) tenant: Uuid,
    /// In the order of ids.
    pub(super) accounts: Vec<Uuid>,
    /// Numbers of the types `peer.journal` and `peer.journal[]` in this database.
    pub(super) row: Oid,
    pub(super) array: Oid,
}

/// A transfer, as places in the order of accounts.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) operation: Uuid,
    pub(super) sequence: i64,
    pub(super) payer: usize,
    pub(super) payee: usize,
    pub(super) key: String,
}

/// What a batch changes on one account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delta {
    pub(super) debits: i64,
    pub(super) credits: i64,
    pub(super) count: i64,
    pub(super) last: i64,
}

/// Transfers of one commit and their sums by account, in the order of accounts.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) transfers: Vec<Transfer>,
    pub(super) deltas: BTreeMap<usize, Delta>,
}

impl Batch {
    /// `number` is unique among all batches of all programs.
    pub(super) fn new(number: i64, pattern: Pattern, random: &mut Random, run: &str, worker: usize) -> Self {
        let mut deltas: BTreeMap<usize, Delta> = BTreeMap::new();
        let transfers = (0..BATCH as i64).map(|line| {
            let (payer, payee) = pattern.pick(random);
            let sequence = number * 1_024 + line;
            for (account, debit, credit) in [(payer, MINOR, 0), (payee, 0, MINOR)] {
                let delta = deltas.entry(account).or_default();
                delta.debits += debit;
                delta.credits += credit;
                delta.count += 1;
                delta.last = sequence;
            }
            let key = key(run, worker, sequence.unsigned_abs());
            Transfer { operation: random.uuid(), sequence, payer, payee, key }
        });
        let transfers = transfers.collect();
        Self { transfers, deltas }
    }

    pub(super) fn column<T>(&self, value: impl Fn(&Transfer) -> T) -> Vec<T> {
        self.transfers.iter().map(value).collect()
    }

    pub(super) fn of_deltas<T>(&self, value: impl Fn(usize, Delta) -> T) -> Vec<T> {
        self.deltas.iter().map(|(account, delta)| value(*account, *delta)).collect()
    }
}

/// `peer.journal[]` in PostgreSQL's binary form. Balances are made up: no engine computes them here, and every number
/// takes the same eight bytes.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) shared: &'a Shared,
    pub(super) transfers: &'a [Transfer],
}

// Numbers of built-in types; they are part of PostgreSQL's protocol.
const INT2: u32 = 21;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const UUID: u32 = 2950;

const COLUMNS: i32 = 34;

impl Type<Postgres> for Rows<'_> {
    fn type_info() -> PgTypeInfo {
        // Never asked: `produces` knows the database's own number.
        PgTypeInfo::array_of("peer.journal")
    }
}

impl Encode<'_, Postgres> for Rows<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // One dimension, no nulls, the element's type, how many, counted from one.
        let count = u32::try_from(self.transfers.len())?;
        for number in [1, 0, self.shared.row.0, count, 1] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        for transfer in self.transfers {
            let start = buffer.len();
            buffer.extend_from_slice(&[0; 4]);
            encode(buffer, self.shared, transfer);
            let length = i32::try_from(buffer.len() - start - 4)?;
            buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.shared.array))
    }
}

/// The columns in the order of the table, with the values of a payment that was made at once.
fn encode(buffer: &mut Vec<u8>, shared: &Shared, transfer: &Transfer) {
    let int8 = |buffer: &mut Vec<u8>, value: i64| field(buffer, INT8, Some(&value.to_be_bytes()));
    let int2 = |buffer: &mut Vec<u8>, value: i16| field(buffer, INT2, Some(&value.to_be_bytes()));
    let uuid = |buffer: &mut Vec<u8>, value: &Uuid| field(buffer, UUID, Some(value.as_bytes()));
    buffer.extend_from_slice(&COLUMNS.to_be_bytes());
    uuid(buffer, &shared.tenant);
    uuid(buffer, &transfer.operation);
    int8(buffer, transfer.sequence);
    int2(buffer, 1);
    int2(buffer, 1);
    for value in [MINOR, MINOR, 0] {
        int8(buffer, value);
    }
    uuid(buffer, &shared.accounts[transfer.payer]);
    uuid(buffer, &shared.accounts[transfer.payee]);
    for _ in 0..2 {
        for value in [transfer.sequence, transfer.sequence, transfer.sequence, 0, 0, transfer.sequence] {
            int8(buffer, value);
        }
    }
    field(buffer, UUID, None);
    for value in ["USD", &transfer.key, "", "", ACTOR, CORRELATION_ID] {
        field(buffer, TEXT, Some(value.as_bytes()));
    }
    for _ in 0..3 {
        field(buffer, INT2, None);
    }
    for _ in 0..2 {
        field(buffer, TEXT, None);
    }
}

fn field(buffer: &mut Vec<u8>, kind: u32, value: Option<&[u8]>) {
    buffer.extend_from_slice(&kind.to_be_bytes());
    let length = value.map_or(-1, |bytes| bytes.len() as i32);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(value.unwrap_or_default());
}

/// The columns that the form with arrays does not send: they are the same in every row.
pub(super) const CONSTANTS: [&str; 2] = [ACTOR, CORRELATION_ID];
