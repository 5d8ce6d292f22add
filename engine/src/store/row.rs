//! Rows to domain and back: the numbers that stand for words in the tables.

use std::sync::Arc;

use payplane_ledger::{
    AccountId, AccountKind, After, Balance, Body, Currency, Decision, FIELDS, KINDS, Kind, Level, Movement,
    OperationId, Origin, PARAMETER_NAMES, ParameterName, Posting, Provenance, REASONS, Refusal, Sequence,
    Status, TenantId, Terms, Timestamp, Transfer, Verdict,
};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::StoreError;

mod state;

pub(super) use state::{
    payment_of_text, payment_text, refund_of_text, refund_text, setting, usage_of_text, usage_text,
    wallet_texts,
};

pub(super) fn kind(code: i16) -> Result<AccountKind, StoreError> {
    let kinds = [AccountKind::Wallet].into_iter().chain(AccountKind::OF_TENANT);
    kinds.into_iter().find(|kind| *kind as i16 == code).ok_or(StoreError::Corrupt("kind"))
}

pub(super) fn status(code: i16) -> Result<Status, StoreError> {
    use Status::{Active, Closed, Frozen, FrozenCredit, FrozenDebit};
    let all = [Active, FrozenDebit, FrozenCredit, Frozen, Closed];
    all.into_iter().find(|status| *status as i16 == code).ok_or(StoreError::Corrupt("status"))
}

pub(super) fn origin(code: i16) -> Result<Origin, StoreError> {
    [Origin::Api, Origin::Resource]
        .into_iter()
        .find(|origin| *origin as i16 == code)
        .ok_or(StoreError::Corrupt("origin"))
}

pub(super) fn currency(code: &str) -> Result<Currency, StoreError> {
    Currency::parse(code).map_err(|_| StoreError::Corrupt("currency"))
}

pub(super) fn level(code: i16) -> Result<Level, StoreError> {
    let all = [Level::Platform, Level::Tenant, Level::Class, Level::Wallet];
    all.into_iter().find(|level| *level as i16 == code).ok_or(StoreError::Corrupt("level"))
}

pub(super) fn parameter_name(code: i16) -> Result<ParameterName, StoreError> {
    PARAMETER_NAMES.into_iter().find(|name| *name as i16 == code).ok_or(StoreError::Corrupt("parameter"))
}

fn operation_kind(code: i16) -> Result<Kind, StoreError> {
    KINDS.into_iter().find(|kind| *kind as i16 == code).ok_or(StoreError::Corrupt("operation"))
}

/// A parameter and its level as one number; 0 for none.
pub(super) fn limit_number(limit: Option<(ParameterName, Level)>) -> i16 {
    limit.map_or(0, |(name, level)| name as i16 * 10 + level as i16)
}

fn limit(number: i16) -> Result<Option<(ParameterName, Level)>, StoreError> {
    if number == 0 { Ok(None) } else { Ok(Some((parameter_name(number / 10)?, level(number % 10)?))) }
}

/// Only definitive refusals are stored.
fn refusal(reason: i16, field: i16, limit_number: i16) -> Result<Refusal, StoreError> {
    let reason = REASONS.into_iter().find(|known| *known as i16 == reason && known.is_definitive());
    let field = FIELDS.into_iter().find(|known| *known as i16 == field);
    let (Some(reason), Some(field)) = (reason, field) else { return Err(StoreError::Corrupt("refusal")) };
    Ok(Refusal { reason, field, limit: limit(limit_number)? })
}

fn json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(what))
}

/// A row of `read_decisions`: of the journal, with the time of its batch.
pub(super) fn decision(row: &PgRow) -> Result<(TenantId, OperationId, Decision), StoreError> {
    let text = |column| row.try_get::<String, _>(column).map(Arc::<str>::from);
    let account = |column| row.try_get::<Option<Uuid>, _>(column).map(|id| id.map(AccountId::from_uuid));
    let kind = operation_kind(row.try_get("kind")?)?;
    let terms: Option<&str> = row.try_get("terms")?;
    // Only what was asked for: of an operation on a payment the accounts follow from the payment.
    let is_named = kind.makes_payment() || kind == Kind::ChangeWallet;
    let body = Body {
        kind,
        debit: account("debit_account")?.filter(|_| is_named),
        credit: account("credit_account")?.filter(|_| is_named),
        minor: row.try_get("minor")?,
        currency: currency(row.try_get("currency")?)?,
        reference: text("reference")?,
        target: row.try_get::<Option<Uuid>, _>("target")?.map(OperationId::from_uuid),
        terms: terms.map_or(Ok(Terms::default()), |terms| json(terms, "terms"))?,
    };
    let provenance = Provenance {
        origin: origin(row.try_get("origin")?)?,
        key: text("key")?,
        origin_ref: text("origin_ref")?,
        actor: text("actor")?,
        correlation_id: text("correlation_id")?,
    };
    let decision = Decision {
        sequence: Sequence(row.try_get("sequence")?),
        body,
        provenance,
        decided_at: Timestamp(row.try_get("decided_us")?),
        verdict: verdict(row)?,
    };
    let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
    Ok((tenant, OperationId::from_uuid(row.try_get("operation_id")?), decision))
}

fn verdict(row: &PgRow) -> Result<Verdict, StoreError> {
    if let Some(reason) = row.try_get::<Option<i16>, _>("refusal")? {
        let (field, limit) = (row.try_get("refusal_field")?, row.try_get("refusal_limit")?);
        return Ok(Verdict::Refused(refusal(reason, field, limit)?));
    }
    let after: Option<&str> = row.try_get("after")?;
    let after: Option<Box<After>> = after.map(|text| json(text, "state")).transpose()?;
    Ok(Verdict::Done { movement: movement(row)?, after })
}

fn movement(row: &PgRow) -> Result<Movement, StoreError> {
    let Some(posted) = row.try_get::<Option<i64>, _>("posted")? else { return Ok(Movement::None) };
    let debit = posting(row, "debit_")?.ok_or(StoreError::Corrupt("posting"))?;
    let Some(credit) = posting(row, "credit_")? else { return Ok(Movement::Wallet(Box::new(debit))) };
    let pending = row.try_get("pending")?;
    Ok(Movement::Transfer(Box::new(Transfer { posted, pending, debit, credit })))
}

fn posting(row: &PgRow, prefix: &str) -> Result<Option<Posting>, StoreError> {
    let column = |name: &str| format!("{prefix}{name}");
    let Some(account) = row.try_get::<Option<Uuid>, _>(column("account").as_str())? else { return Ok(None) };
    Ok(Some(Posting {
        account: AccountId::from_uuid(account),
        after: balance(row, prefix)?,
        previous: Sequence(row.try_get(column("previous").as_str())?),
    }))
}

/// The five columns of a balance, whose names begin with `prefix`.
pub(super) fn balance(row: &PgRow, prefix: &str) -> Result<Balance, StoreError> {
    let total = |column: &str| row.try_get(format!("{prefix}{column}").as_str());
    Ok(Balance {
        posted_debits: total("posted_debits")?,
        posted_credits: total("posted_credits")?,
        pending_debits: total("pending_debits")?,
        pending_credits: total("pending_credits")?,
        version: total("version")?,
    })
}
