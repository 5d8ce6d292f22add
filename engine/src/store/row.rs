//! Rows to domain and back: the numbers that stand for words in the tables.

use std::sync::Arc;

use payplane_ledger::{
    AccountId, AccountKind, Balance, Body, Currency, Decision, Field, Origin, PaymentId, Provenance, Reason,
    Refusal, Sequence, Status, TenantId, Timestamp, Verdict,
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::StoreError;

pub(super) fn kind(code: i16) -> Result<AccountKind, StoreError> {
    let all = [AccountKind::Wallet, AccountKind::Settlement];
    all.into_iter().find(|kind| *kind as i16 == code).ok_or(StoreError::Corrupt("kind"))
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

/// Only definitive refusals are stored.
fn refusal(code: i16, field: &str) -> Result<Refusal, StoreError> {
    use Reason::{BalanceOverflow, InsufficientFunds, SettlementCapExceeded, WalletClosed, WalletFrozen};
    let reasons = [WalletClosed, WalletFrozen, SettlementCapExceeded, InsufficientFunds, BalanceOverflow];
    let reason = reasons.into_iter().find(|reason| *reason as i16 == code);
    let field = [Field::From, Field::To].into_iter().find(|known| known.path() == field);
    match (reason, field) {
        (Some(reason), Some(field)) => Ok(Refusal { reason, field }),
        _ => Err(StoreError::Corrupt("refusal")),
    }
}

/// A row of `read_decisions`.
pub(super) fn decision(row: &PgRow) -> Result<(TenantId, PaymentId, Decision), StoreError> {
    let text = |column| row.try_get::<String, _>(column).map(Arc::<str>::from);
    let account = |column| row.try_get::<Uuid, _>(column).map(AccountId::from_uuid);
    let body = Body {
        debit: account("debit_account")?,
        credit: account("credit_account")?,
        minor: row.try_get("minor")?,
        currency: currency(row.try_get("currency")?)?,
        reference: text("reference")?,
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
        decided_at: Timestamp(row.try_get("decided_at_us")?),
        verdict: verdict(row)?,
    };
    let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
    Ok((tenant, PaymentId::from_uuid(row.try_get("payment_id")?), decision))
}

fn verdict(row: &PgRow) -> Result<Verdict, StoreError> {
    if let Some(code) = row.try_get::<Option<i16>, _>("refusal")? {
        return Ok(Verdict::Refused(refusal(code, row.try_get("refusal_field")?)?));
    }
    let (debit_after, credit_after) = (balance(row, "debit_")?, balance(row, "credit_")?);
    Ok(Verdict::Completed { debit_after, credit_after })
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
