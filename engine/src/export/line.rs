//! The lines of the file, one JSON object each. See docs/export.md for the fields.
//!
//! A line has one way of being written: what is read is written again and compared, so that no byte of a file could be
//! another one and mean the same. Money is a string of minor units, never a JSON number. A row of the journal becomes a line
//! and the line the same row again ([`operation`]): its hash is over all of it.

use std::{fmt, str::FromStr};

use payplane_ledger::{AccountKind, Balance, Currency, Kind, Origin, Refusal, Root, Status};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use crate::verify::{hex, unhex};

pub(super) mod operation;

/// What a reader has to know to read the file.
pub(super) const FORMAT: &str = "payplane.export.v1";

/// Longer lines are no lines of an export: a seal of 1,000 tenants has a tenth of this.
pub(super) const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Line {
    /// The first.
    Header(Header),
    /// Every account, by id.
    Account(Account),
    /// Every seal, by number.
    Seal(Seal),
    /// The tenant's operations, right after the seal or the wait of their batch.
    Operation(Box<Operation>),
    /// A batch of the tenant that is not sealed yet.
    Waiting(Waiting),
    /// The last.
    Trailer(Trailer),
}

/// What the file is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) tenant_id: Uuid,
    pub(super) tenant: String,
    /// Of the ledger.
    pub(super) epoch: i64,
    pub(super) exported_at_us: i64,
    /// Where the chain ends.
    pub(super) head: Head,
}

/// An end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Head {
    pub(super) seal: i64,
    pub(super) link: Hex,
}

/// An account as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) kind: AccountKind,
    pub(super) status: Status,
    pub(super) currency: Currency,
    pub(super) decimals: u8,
    pub(super) class: String,
    pub(super) floor: Minor,
    pub(super) ceiling: Option<Minor>,
    pub(super) balance: Totals,
    pub(super) last: i64,
    pub(super) wallet: Option<Wallet>,
}

/// What a wallet is called and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wallet {
    pub(super) origin: Origin,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) metadata: serde_json::Map<String, serde_json::Value>,
    pub(super) created_at_us: i64,
    pub(super) first_floor: Minor,
    pub(super) first_ceiling: Option<Minor>,
}

/// What an account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Totals {
    pub(super) posted_debits: Minor,
    pub(super) posted_credits: Minor,
    pub(super) pending_debits: Minor,
    pub(super) pending_credits: Minor,
    pub(super) version: i64,
}

/// A link of the chain, and what its batch's root is over: one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Seal {
    pub(super) seal: i64,
    pub(super) batch: i64,
    /// A label and a root for each tenant, in the order of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Vec<(Hex, Hex)>>,
    /// Of a batch from before there were labels, with rows of this tenant: each tenant's id and root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) named: Option<Vec<(Uuid, Hex)>>,
    /// Of a batch from before there were labels, without rows of this tenant as far as the exporter says: its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Hex>,
    pub(super) link: Hex,
}

/// A batch that is not sealed yet. Its rows are in nobody's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Waiting {
    pub(super) batch: i64,
}

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) sequence: i64,
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    pub(super) key: String,
    pub(super) origin_ref: String,
    pub(super) actor: String,
    pub(super) correlation_id: String,
    pub(super) decided_at_us: i64,
    pub(super) currency: Currency,
    pub(super) minor: Minor,
    pub(super) posted: Option<Minor>,
    pub(super) pending: Option<Minor>,
    pub(super) debit: Option<Side>,
    pub(super) credit: Option<Side>,
    pub(super) target: Option<Uuid>,
    pub(super) reference: String,
    /// The JSON text that the hash is over.
    pub(super) terms: Option<String>,
    /// The JSON text that the hash is over.
    pub(super) after: Option<String>,
    pub(super) refusal: Option<Refusal>,
}

/// An account of an operation; the rest only if the account changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Side {
    pub(super) account: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Totals>,
}

/// How much there was, and a digest of every line before this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trailer {
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) sha256: Hex,
}

/// How many lines there are, without the trailer, and how many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All.
    pub lines: u64,
    /// Accounts.
    pub accounts: u64,
    /// Seals.
    pub seals: u64,
    /// Operations, those that wait included.
    pub operations: u64,
    /// Operations whose batch is not sealed yet.
    pub waiting: u64,
}

/// Minor units, written as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minor(pub(super) i64);

/// A hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hex(pub(super) Root);

impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        i64::from_str(&text).map(Self).map_err(|_| D::Error::custom("money is a string of minor units"))
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text).map(Self).ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

impl From<&Balance> for Totals {
    fn from(balance: &Balance) -> Self {
        Self {
            posted_debits: Minor(balance.posted_debits),
            posted_credits: Minor(balance.posted_credits),
            pending_debits: Minor(balance.pending_debits),
            pending_credits: Minor(balance.pending_credits),
            version: balance.version,
        }
    }
}

impl From<Totals> for Balance {
    fn from(totals: Totals) -> Self {
        Self {
            posted_debits: totals.posted_debits.0,
            posted_credits: totals.posted_credits.0,
            pending_debits: totals.pending_debits.0,
            pending_credits: totals.pending_credits.0,
            version: totals.version,
        }
    }
}

/// Reads a line, without its end.
pub(super) fn parse(text: &str) -> Result<Line, String> {
    let line: Line =
        serde_json::from_str(text).map_err(|error| format!("is no line of an export: {error}"))?;
    match serde_json::to_string(&line) {
        Ok(again) if again == text => Ok(line),
        _ => Err("is not written as an export writes it".to_owned()),
    }
}
