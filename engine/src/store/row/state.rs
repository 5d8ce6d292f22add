//! Rows that change: payments, refunds, usages and the terms of wallets. They travel as JSON texts of their tables' rows,
//! because few batches have any and their columns may grow.

use payplane_ledger::{
    Account, AccountId, Change, Currency, Level, Movement, OperationId, OperationRow, PaymentState, Phase,
    RefundPhase, RefundState, Scope, Setting, TenantId, Timestamp, Usage, Verdict,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{json, level, parameter_name};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
struct PaymentRow {
    tenant_id: Uuid,
    payment_id: Uuid,
    debit_account: Uuid,
    credit_account: Uuid,
    currency: String,
    phase: i16,
    amount: i64,
    captured: i64,
    refunding: i64,
    refunded: i64,
    deadline_us: Option<i64>,
    deadline_level: Option<i16>,
    capture_at_us: Option<i64>,
    gateway: String,
    moved_at_us: Option<i64>,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct RefundRow {
    tenant_id: Uuid,
    refund_id: Uuid,
    payment_id: Uuid,
    amount: i64,
    currency: String,
    phase: i16,
    requester: String,
    approver: String,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct UsageRow {
    tenant_id: Uuid,
    subject: Uuid,
    currency: String,
    day: i32,
    day_minor: i64,
    day_count: i64,
    month: i32,
    month_minor: i64,
    month_count: i64,
    version: i64,
}

#[derive(Serialize)]
struct WalletRow {
    tenant_id: Uuid,
    account_id: Uuid,
    status: i16,
    floor_minor: i64,
    ceiling_minor: Option<i64>,
    version: i64,
}

#[derive(Deserialize)]
struct SettingRow {
    tenant_id: Uuid,
    level: i16,
    scope: String,
    name: i16,
    currency: String,
    value: i64,
}

fn text(row: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|_| StoreError::Corrupt("row"))
}

fn phase(code: i16) -> Result<Phase, StoreError> {
    use Phase::{Completed, Expired, Failed, Pending, Processing, Voided};
    let all = [Pending, Processing, Completed, Failed, Voided, Expired];
    all.into_iter().find(|phase| *phase as i16 == code).ok_or(StoreError::Corrupt("phase"))
}

fn refund_phase(code: i16) -> Result<RefundPhase, StoreError> {
    use RefundPhase::{Approved, Completed, Failed, Rejected, Requested};
    let all = [Requested, Approved, Completed, Rejected, Failed];
    all.into_iter().find(|phase| *phase as i16 == code).ok_or(StoreError::Corrupt("phase"))
}

pub(in crate::store) fn payment_text(
    change: &Change<OperationId, PaymentState>,
) -> Result<String, StoreError> {
    let state = &change.now;
    text(&PaymentRow {
        tenant_id: change.tenant.uuid(),
        payment_id: change.id.uuid(),
        debit_account: state.debit.uuid(),
        credit_account: state.credit.uuid(),
        currency: state.currency.code().to_owned(),
        phase: state.phase as i16,
        amount: state.amount,
        captured: state.captured,
        refunding: state.refunding,
        refunded: state.refunded,
        deadline_us: state.deadline.map(|at| at.0),
        deadline_level: state.deadline_level.map(|level| level as i16),
        capture_at_us: state.capture_at.map(|at| at.0),
        gateway: state.gateway.to_string(),
        moved_at_us: state.moved_at.map(|at| at.0),
        version: state.version,
    })
}

pub(in crate::store) fn payment_of_text(
    text: &str,
) -> Result<(TenantId, OperationId, PaymentState), StoreError> {
    let row: PaymentRow = json(text, "payment")?;
    let state = PaymentState {
        debit: AccountId::from_uuid(row.debit_account),
        credit: AccountId::from_uuid(row.credit_account),
        currency: super::currency(&row.currency)?,
        phase: phase(row.phase)?,
        amount: row.amount,
        captured: row.captured,
        refunding: row.refunding,
        refunded: row.refunded,
        deadline: row.deadline_us.map(Timestamp),
        deadline_level: row.deadline_level.map(level).transpose()?,
        capture_at: row.capture_at_us.map(Timestamp),
        gateway: row.gateway.into(),
        moved_at: row.moved_at_us.map(Timestamp),
        version: row.version,
    };
    Ok((TenantId::from_uuid(row.tenant_id), OperationId::from_uuid(row.payment_id), state))
}

pub(in crate::store) fn refund_text(change: &Change<OperationId, RefundState>) -> Result<String, StoreError> {
    let state = &change.now;
    text(&RefundRow {
        tenant_id: change.tenant.uuid(),
        refund_id: change.id.uuid(),
        payment_id: state.payment.uuid(),
        amount: state.amount,
        currency: state.currency.code().to_owned(),
        phase: state.phase as i16,
        requester: state.requester.to_string(),
        approver: state.approver.to_string(),
        version: state.version,
    })
}

pub(in crate::store) fn refund_of_text(
    text: &str,
) -> Result<(TenantId, OperationId, RefundState), StoreError> {
    let row: RefundRow = json(text, "refund")?;
    let state = RefundState {
        payment: OperationId::from_uuid(row.payment_id),
        amount: row.amount,
        currency: super::currency(&row.currency)?,
        phase: refund_phase(row.phase)?,
        requester: row.requester.into(),
        approver: row.approver.into(),
        version: row.version,
    };
    Ok((TenantId::from_uuid(row.tenant_id), OperationId::from_uuid(row.refund_id), state))
}

pub(in crate::store) fn usage_text(change: &Change<(Uuid, Currency), Usage>) -> Result<String, StoreError> {
    let (subject, currency) = change.id;
    let Usage { day, day_minor, day_count, month, month_minor, month_count, version } = change.now;
    let (tenant_id, currency) = (change.tenant.uuid(), currency.code().to_owned());
    text(&UsageRow {
        tenant_id,
        subject,
        currency,
        day,
        day_minor,
        day_count,
        month,
        month_minor,
        month_count,
        version,
    })
}

pub(in crate::store) fn usage_of_text(text: &str) -> Result<(TenantId, Uuid, Currency, Usage), StoreError> {
    let row: UsageRow = json(text, "usage")?;
    let UsageRow {
        tenant_id,
        subject,
        currency,
        day,
        day_minor,
        day_count,
        month,
        month_minor,
        month_count,
        version,
    } = row;
    let usage = Usage { day, day_minor, day_count, month, month_minor, month_count, version };
    Ok((TenantId::from_uuid(tenant_id), subject, super::currency(&currency)?, usage))
}

/// The accounts whose terms an operation changed, as they stand after the batch.
pub(in crate::store) fn wallet_texts(
    operations: &[OperationRow],
    accounts: &[Change<AccountId, Account>],
) -> Result<Vec<String>, StoreError> {
    let is_change = |row: &&OperationRow| {
        matches!(&row.decision.verdict, Verdict::Done { movement: Movement::Wallet(_), .. })
    };
    let mut keys: Vec<(TenantId, AccountId)> = operations
        .iter()
        .filter(is_change)
        .filter_map(|row| Some((row.tenant, row.decision.body.debit?)))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let wallets = accounts.iter().filter(|change| keys.binary_search(&(change.tenant, change.id)).is_ok());
    wallets
        .map(|change| {
            let Account { status, floor, ceiling, balance, .. } = &change.now;
            text(&WalletRow {
                tenant_id: change.tenant.uuid(),
                account_id: change.id.uuid(),
                status: *status as i16,
                floor_minor: *floor,
                ceiling_minor: *ceiling,
                version: balance.version,
            })
        })
        .collect()
}

/// A row of `payplane.settings` and whose it is; the nil id for everybody.
pub(in crate::store) fn setting(text: &str) -> Result<(Uuid, Setting), StoreError> {
    let row: SettingRow = json(text, "setting")?;
    let scope = match level(row.level)? {
        Level::Platform => Scope::Platform,
        Level::Tenant => Scope::Tenant,
        Level::Class => Scope::Class(row.scope.into()),
        Level::Wallet => {
            let id = Uuid::try_parse(&row.scope).map_err(|_| StoreError::Corrupt("scope"))?;
            Scope::Wallet(AccountId::from_uuid(id))
        }
    };
    let currency = if row.currency.is_empty() { None } else { Some(super::currency(&row.currency)?) };
    Ok((row.tenant_id, Setting { name: parameter_name(row.name)?, scope, currency, value: row.value }))
}
