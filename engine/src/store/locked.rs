//! What `lock_and_read` found, as a snapshot.

use std::collections::HashSet;

use payplane_ledger::{Account, AccountId, Balance, Sequence, Snapshot, TenantId};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{StoreError, row};

pub(super) fn insert_accounts(snapshot: &mut Snapshot, found: &PgRow) -> Result<(), StoreError> {
    let Some(ids) = found.try_get::<Option<Vec<Uuid>>, _>("accounts")? else { return Ok(()) };
    let tenants: Vec<Uuid> = found.try_get("account_tenants")?;
    let kinds: Vec<i16> = found.try_get("kinds")?;
    let statuses: Vec<i16> = found.try_get("statuses")?;
    let currencies: Vec<String> = found.try_get("currencies")?;
    let classes: Vec<String> = found.try_get("classes")?;
    let floors: Vec<i64> = found.try_get("floors")?;
    let ceilings: Vec<Option<i64>> = found.try_get("ceilings")?;
    let posted_debits: Vec<i64> = found.try_get("posted_debits")?;
    let posted_credits: Vec<i64> = found.try_get("posted_credits")?;
    let pending_debits: Vec<i64> = found.try_get("pending_debits")?;
    let pending_credits: Vec<i64> = found.try_get("pending_credits")?;
    let versions: Vec<i64> = found.try_get("versions")?;
    let last: Vec<i64> = found.try_get("last_operations")?;
    for (index, id) in ids.into_iter().enumerate() {
        let account = Account {
            currency: row::currency(&currencies[index])?,
            kind: row::kind(kinds[index])?,
            status: row::status(statuses[index])?,
            class: classes[index].as_str().into(),
            floor: floors[index],
            ceiling: ceilings[index],
            balance: Balance {
                posted_debits: posted_debits[index],
                posted_credits: posted_credits[index],
                pending_debits: pending_debits[index],
                pending_credits: pending_credits[index],
                version: versions[index],
            },
            last: Sequence(last[index]),
        };
        snapshot.insert_account(TenantId::from_uuid(tenants[index]), AccountId::from_uuid(id), account);
    }
    Ok(())
}

/// Payments, refunds and usages, each as the JSON text of its row.
pub(super) fn insert_states(snapshot: &mut Snapshot, found: &PgRow) -> Result<(), StoreError> {
    let texts = |column: &str| -> Result<Vec<String>, StoreError> {
        Ok(found.try_get::<Option<Vec<String>>, _>(column)?.unwrap_or_default())
    };
    for text in texts("payments")? {
        let (tenant, id, payment) = row::payment_of_text(&text)?;
        snapshot.insert_payment(tenant, id, payment);
    }
    for text in texts("refunds")? {
        let (tenant, id, refund) = row::refund_of_text(&text)?;
        snapshot.insert_refund(tenant, id, refund);
    }
    for text in texts("usages")? {
        let (tenant, subject, currency, usage) = row::usage_of_text(&text)?;
        snapshot.insert_usage(tenant, subject, currency, usage);
    }
    Ok(())
}

pub(super) fn busy_accounts(found: &PgRow) -> Result<HashSet<(TenantId, AccountId)>, StoreError> {
    let Some(busy) = found.try_get::<Option<Vec<bool>>, _>("busy")? else { return Ok(HashSet::new()) };
    let tenants: Vec<Uuid> = found.try_get("account_tenants")?;
    let ids: Vec<Uuid> = found.try_get("accounts")?;
    let keys = tenants.into_iter().zip(ids).zip(busy).filter(|(_, busy)| *busy);
    Ok(keys.map(|((tenant, id), _)| (TenantId::from_uuid(tenant), AccountId::from_uuid(id))).collect())
}
