//! What an export asks of the database: one tenant's accounts and operations, and the chain that they are in. Pages of one
//! snapshot, so nothing in it is of another moment.
//!
//! The tenant's own rows are read under row-level security, as in any other call; the chain is over all tenants, so the
//! roots in it come from a function that sees past that.

use payplane_ledger::{AccountKind, Balance, BatchId, Origin, Root, Sequence, Status, TenantId, Timestamp};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{LedgerView, StoreError, StoredRow, row, verify};

/// How many seals come at once. A batch has some tenants, so this is a megabyte or two at most.
const SEALS: i32 = 1_000;

/// How many accounts come at once.
const ACCOUNTS: i32 = 1_000;

const EPOCH: &str = "select e.epoch, (extract(epoch from now()) * 1000000)::bigint from payplane.epoch e";

const ACCOUNTS_AFTER: &str = "\
select a.account_id, a.kind::int2 as kind, a.status::int2 as status, a.currency::text as currency, a.class,
       a.floor_minor::int8 as floor_minor, a.ceiling_minor::int8 as ceiling_minor, a.posted_debits::int8 as posted_debits,
       a.posted_credits::int8 as posted_credits, a.pending_debits::int8 as pending_debits,
       a.pending_credits::int8 as pending_credits, a.version, a.last_operation,
       w.origin, w.name, w.owner, w.metadata::text as metadata, w.first_floor_minor, w.first_ceiling_minor,
       (extract(epoch from w.created_at) * 1000000)::bigint as created_us
from payplane.accounts a
left join payplane.wallets w on w.tenant_id = a.tenant_id and w.account_id = a.account_id
where a.tenant_id = $1 and ($2::uuid is null or $2 < a.account_id)
order by a.account_id
limit $3";

/// Each batch by itself, so that the plan is one look into the index by sequence whatever the statistics say.
const OPERATIONS: &str = "\
select j.*, b.decided_us
from unnest($2::bigint[]) with ordinality as x(batch_id, place)
join payplane.batches b on b.batch_id = x.batch_id
cross join lateral (
    select j.* from payplane.journal j
    where j.tenant_id = $1 and 0 < j.sequence
      and j.sequence between x.batch_id * 1024 and x.batch_id * 1024 + 1023
    offset 0
) j
order by x.place, j.sequence";

const WAITING: &str = "\
select u.batch_id, t.row_count from payplane.unsealed u
join payplane.batch_tenants t on t.tenant_id = $1 and t.batch_id = u.batch_id
where $2 < u.batch_id order by u.batch_id limit $3";

/// A tenant and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedTenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
}

/// An account as it stands.
#[derive(Clone, Debug)]
pub struct ExportedAccount {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub kind: AccountKind,
    /// Whether it takes part in payments.
    pub status: Status,
    /// The currency's code.
    pub currency: String,
    /// Groups wallets; empty for none.
    pub class: String,
    /// The lowest available balance.
    pub floor: i64,
    /// The highest balance.
    pub ceiling: Option<i64>,
    /// What it holds.
    pub balance: Balance,
    /// The last operation on it.
    pub last: Sequence,
    /// Of the tenant's own accounts nothing.
    pub wallet: Option<ExportedWallet>,
}

/// What a wallet is called and whose it is.
#[derive(Clone, Debug)]
pub struct ExportedWallet {
    /// Where the name comes from.
    pub origin: Origin,
    /// The name.
    pub name: String,
    /// A reference into the caller's system.
    pub owner: String,
    /// A JSON object as text.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The floor that it was made with.
    pub first_floor: i64,
    /// The ceiling that it was made with.
    pub first_ceiling: Option<i64>,
}

/// A link of the chain with what its batch's root is over.
#[derive(Clone, Debug)]
pub struct ExportedSeal {
    /// Its number.
    pub seal: i64,
    /// What it seals.
    pub batch: BatchId,
    /// The link.
    pub link: Root,
    /// The batch's root.
    pub root: Root,
    /// Tenants and their roots, in the order of the tenants' ids.
    pub parts: Vec<(TenantId, Root)>,
    /// How many rows the tenant has in it.
    pub rows: i32,
}

impl LedgerView {
    /// The tenant with this name or id.
    pub async fn tenant(
        &mut self,
        name: Option<&str>,
        id: Option<TenantId>,
    ) -> Result<Option<ExportedTenant>, StoreError> {
        let query = sqlx::query_as("select tenant_id, name from payplane.export_tenant($1, $2)");
        let query = query.bind(name).bind(id.map(TenantId::uuid));
        let found: Option<(Uuid, String)> = query.fetch_optional(&mut self.connection).await?;
        Ok(found.map(|(id, name)| ExportedTenant { id: TenantId::from_uuid(id), name }))
    }

    /// From here on one tenant's rows are seen, to the end of the snapshot.
    pub async fn enter(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let query = sqlx::query("select set_config('payplane.tenant', $1, true)");
        query.bind(tenant.to_string()).execute(&mut self.connection).await?;
        Ok(())
    }

    /// The ledger's epoch, and the time of the snapshot.
    pub async fn epoch(&mut self) -> Result<(i64, Timestamp), StoreError> {
        let (epoch, now): (i64, i64) = sqlx::query_as(EPOCH).fetch_one(&mut self.connection).await?;
        Ok((epoch, Timestamp(now)))
    }

    /// The tenant's accounts by id, after the given one. None: there are no more.
    pub async fn accounts(
        &mut self,
        tenant: TenantId,
        after: Option<Uuid>,
    ) -> Result<Vec<ExportedAccount>, StoreError> {
        let query = sqlx::query(ACCOUNTS_AFTER).bind(tenant.uuid()).bind(after).bind(i64::from(ACCOUNTS));
        let found = query.fetch_all(&mut self.connection).await?;
        found.iter().map(account).collect()
    }

    /// Links of the chain in their order, after the given number, and how many rows of the tenant each seals.
    pub async fn chain(&mut self, tenant: TenantId, after: i64) -> Result<Vec<ExportedSeal>, StoreError> {
        let query = sqlx::query("select * from payplane.export_seals($1, $2)").bind(after).bind(SEALS);
        let found = query.fetch_all(&mut self.connection).await?;
        found.iter().map(|found| seal(found, tenant)).collect()
    }

    /// The tenant's operations in these batches, batch by batch, by sequence.
    pub async fn operations(
        &mut self,
        tenant: TenantId,
        batches: &[i64],
    ) -> Result<Vec<StoredRow>, StoreError> {
        let query = sqlx::query(OPERATIONS).bind(tenant.uuid()).bind(batches);
        let found = query.fetch_all(&mut self.connection).await?;
        found.iter().map(verify::stored_row).collect()
    }

    /// Batches with rows of the tenant that wait to be sealed, after the given one, and how many rows each has.
    pub async fn waiting(&mut self, tenant: TenantId, after: i64) -> Result<Vec<(i64, i32)>, StoreError> {
        let query = sqlx::query_as(WAITING).bind(tenant.uuid()).bind(after).bind(i64::from(SEALS));
        Ok(query.fetch_all(&mut self.connection).await?)
    }
}

fn account(found: &PgRow) -> Result<ExportedAccount, StoreError> {
    let origin: Option<i16> = found.try_get("origin")?;
    let wallet = origin.map(|origin| wallet(found, origin)).transpose()?;
    Ok(ExportedAccount {
        id: found.try_get("account_id")?,
        kind: row::kind(found.try_get("kind")?)?,
        status: row::status(found.try_get("status")?)?,
        currency: found.try_get("currency")?,
        class: found.try_get("class")?,
        floor: found.try_get("floor_minor")?,
        ceiling: found.try_get("ceiling_minor")?,
        balance: row::balance(found, "")?,
        last: Sequence(found.try_get("last_operation")?),
        wallet,
    })
}

fn wallet(found: &PgRow, origin: i16) -> Result<ExportedWallet, StoreError> {
    Ok(ExportedWallet {
        origin: row::origin(origin)?,
        name: found.try_get("name")?,
        owner: found.try_get("owner")?,
        metadata: found.try_get("metadata")?,
        created_at: Timestamp(found.try_get("created_us")?),
        first_floor: found.try_get("first_floor_minor")?,
        first_ceiling: found.try_get("first_ceiling_minor")?,
    })
}

fn seal(found: &PgRow, tenant: TenantId) -> Result<ExportedSeal, StoreError> {
    let root = |bytes: Vec<u8>| Root::try_from(&bytes[..]).map_err(|_| StoreError::Corrupt("root"));
    let list = |column| found.try_get::<Option<Vec<Vec<u8>>>, _>(column).map(Option::unwrap_or_default);
    let tenants: Vec<Uuid> = found.try_get::<Option<_>, _>("tenants")?.unwrap_or_default();
    let counts: Vec<i32> = found.try_get::<Option<_>, _>("row_counts")?.unwrap_or_default();
    let tenants: Vec<TenantId> = tenants.into_iter().map(TenantId::from_uuid).collect();
    let own = tenants.iter().zip(&counts).find(|(other, _)| **other == tenant);
    let rows = own.map_or(0, |(_, count)| *count);
    let roots: Vec<Root> = list("roots")?.into_iter().map(root).collect::<Result<_, _>>()?;
    Ok(ExportedSeal {
        seal: found.try_get("seal")?,
        batch: BatchId(found.try_get("batch_id")?),
        link: root(found.try_get("link")?)?,
        root: root(found.try_get::<Option<_>, _>("root")?.ok_or(StoreError::Corrupt("root"))?)?,
        parts: tenants.into_iter().zip(roots).collect(),
        rows,
    })
}
