//! One committer's own connection, and the statements of a batch in their order.
//!
//! A batch is four round trips: begin with its timeouts, lock and read, write, commit. Keys that were decided before
//! cost a fifth. Every step has a bound on the client's side too, because a network that swallows packets answers
//! nothing. After any error the session is thrown away: its state is unknown.

use std::{collections::HashSet, future::Future, time::Duration};

use payplane_ledger::{
    Account, AccountId, Balance, BatchId, Effects, PaymentId, Request, Sequence, Snapshot, TenantId,
    Timestamp, TransferRow, Verdict,
};
use sqlx::{Executor as _, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{StoreError, row};

/// Locks are waited for less long than the client waits for the step, so the server always gives up first. The idle
/// timeout frees the locks of a batch whose engine vanished.
const BEGIN: &str = "begin isolation level read committed; set local lock_timeout = '1s'; \
                     set local statement_timeout = '3s'; set local idle_in_transaction_session_timeout = '4s'";

/// A database may ask for more than the local disk, never for less: a payment is acknowledged once it is durable.
const DURABLE: &str = "select set_config('synchronous_commit', 'on', false) \
                       where current_setting('synchronous_commit') in ('off', 'local')";

const STEP_TIMEOUT: Duration = Duration::from_secs(4);

const LOCK_AND_READ: &str = "select * from payplane.lock_and_read($1, $2, $3, $4, $5)";

const READ_DECISIONS: &str = "select * from payplane.read_decisions($1, $2)";

const COMMIT_BATCH: &str = "select payplane.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
                            $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, \
                            $33)";

/// What to do about an account that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// Wait for it, up to the lock timeout.
    Wait,
    /// Leave it out and say so.
    Skip,
}

/// The accounts are locked and read.
#[derive(Debug)]
pub struct Locked {
    /// What to decide against.
    pub snapshot: Snapshot,
    /// The database's time, after the locks were had.
    pub now: Timestamp,
    /// Accounts that somebody else holds, with [`Locks::Skip`].
    pub busy: HashSet<(TenantId, AccountId)>,
}

/// A connection that commits one batch after another.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
}

impl Session {
    /// Takes a fresh connection.
    pub(super) async fn new(mut connection: PgConnection) -> Result<Self, StoreError> {
        bounded("prepare", connection.execute(sqlx::raw_sql(DURABLE))).await?;
        Ok(Self { connection })
    }

    /// Opens the batch's transaction.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        bounded("begin", self.connection.execute(sqlx::raw_sql(BEGIN))).await?;
        Ok(())
    }

    /// Locks every account that the requests may mean and reads what the decision needs.
    pub async fn lock_and_read(&mut self, requests: &[Request], locks: Locks) -> Result<Locked, StoreError> {
        let (account_tenants, accounts) = sorted_accounts(requests);
        let (payment_tenants, payments) = sorted_payments(requests);
        let query = sqlx::query(LOCK_AND_READ)
            .bind(account_tenants)
            .bind(accounts)
            .bind(payment_tenants)
            .bind(payments)
            .bind(locks == Locks::Skip)
            .fetch_one(&mut self.connection);
        let found = bounded("lock", query).await?;
        let mut snapshot = Snapshot::new(BatchId(found.try_get("batch_id")?));
        insert_accounts(&mut snapshot, &found)?;
        let known_tenants: Option<Vec<Uuid>> = found.try_get("known_tenants")?;
        let known_payments: Option<Vec<Uuid>> = found.try_get("known_payments")?;
        if let (Some(tenants), Some(payments)) = (known_tenants, known_payments) {
            self.insert_decisions(&mut snapshot, tenants, payments).await?;
        }
        Ok(Locked { snapshot, now: Timestamp(found.try_get("now_us")?), busy: busy_accounts(&found)? })
    }

    /// Writes what was decided; the database checks it again.
    pub async fn write(&mut self, effects: &Effects, now: Timestamp) -> Result<(), StoreError> {
        let postings = Postings::of(effects);
        let payments = &effects.payments;
        let decisions = || payments.iter().map(|row| &row.decision);
        let bodies = || decisions().map(|decision| &decision.body);
        let provenances = || decisions().map(|decision| &decision.provenance);
        let refusals = || {
            decisions().map(|decision| match decision.verdict {
                Verdict::Completed { .. } => None,
                Verdict::Refused(refusal) => Some(refusal),
            })
        };
        let tenants = &effects.seal.tenants;
        let query = sqlx::query(COMMIT_BATCH)
            .bind(effects.batch.0)
            .bind(now.0)
            .bind(effects.seal.root.to_vec())
            .bind(payments.iter().map(|row| row.tenant.uuid()).collect::<Vec<_>>())
            .bind(payments.iter().map(|row| row.payment.uuid()).collect::<Vec<_>>())
            .bind(decisions().map(|decision| decision.sequence.0).collect::<Vec<_>>())
            .bind(provenances().map(|provenance| provenance.origin as i16).collect::<Vec<_>>())
            .bind(provenances().map(|provenance| &*provenance.key).collect::<Vec<_>>())
            .bind(bodies().map(|body| body.debit.uuid()).collect::<Vec<_>>())
            .bind(bodies().map(|body| body.credit.uuid()).collect::<Vec<_>>())
            .bind(bodies().map(|body| body.minor).collect::<Vec<_>>())
            .bind(bodies().map(|body| body.currency.code()).collect::<Vec<_>>())
            .bind(bodies().map(|body| &*body.reference).collect::<Vec<_>>())
            .bind(provenances().map(|provenance| &*provenance.origin_ref).collect::<Vec<_>>())
            .bind(provenances().map(|provenance| &*provenance.actor).collect::<Vec<_>>())
            .bind(provenances().map(|provenance| &*provenance.correlation_id).collect::<Vec<_>>())
            .bind(refusals().map(|refusal| refusal.map(|refusal| refusal.reason as i16)).collect::<Vec<_>>())
            .bind(refusals().map(|refusal| refusal.map(|refusal| refusal.field.path())).collect::<Vec<_>>())
            .bind(postings.column(|row| row.debit.previous.0))
            .bind(postings.column(|row| row.debit.after.posted_debits))
            .bind(postings.column(|row| row.debit.after.posted_credits))
            .bind(postings.column(|row| row.debit.after.pending_debits))
            .bind(postings.column(|row| row.debit.after.pending_credits))
            .bind(postings.column(|row| row.debit.after.version))
            .bind(postings.column(|row| row.credit.previous.0))
            .bind(postings.column(|row| row.credit.after.posted_debits))
            .bind(postings.column(|row| row.credit.after.posted_credits))
            .bind(postings.column(|row| row.credit.after.pending_debits))
            .bind(postings.column(|row| row.credit.after.pending_credits))
            .bind(postings.column(|row| row.credit.after.version))
            .bind(tenants.iter().map(|root| root.tenant.uuid()).collect::<Vec<_>>())
            .bind(tenants.iter().map(|root| root.root.to_vec()).collect::<Vec<_>>())
            .bind(tenants.iter().map(|root| root.rows).collect::<Vec<_>>())
            .execute(&mut self.connection);
        bounded("write", query).await?;
        Ok(())
    }

    /// Makes it durable. An error here says nothing about whether it is.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        bounded("commit", self.connection.execute(sqlx::raw_sql("commit"))).await?;
        Ok(())
    }

    /// Gives the locks back when there is nothing to write.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        bounded("rollback", self.connection.execute(sqlx::raw_sql("rollback"))).await?;
        Ok(())
    }

    async fn insert_decisions(
        &mut self,
        snapshot: &mut Snapshot,
        tenants: Vec<Uuid>,
        payments: Vec<Uuid>,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(READ_DECISIONS).bind(tenants).bind(payments).fetch_all(&mut self.connection);
        for found in bounded("read", query).await? {
            let (tenant, payment, decision) = row::decision(&found)?;
            snapshot.insert_decision(tenant, payment, decision);
        }
        Ok(())
    }
}

/// The transfers laid beside the decisions: nothing where a decision is a refusal.
struct Postings<'a> {
    rows: Vec<Option<&'a TransferRow>>,
}

impl<'a> Postings<'a> {
    fn of(effects: &'a Effects) -> Self {
        let mut transfers = effects.transfers.iter().peekable();
        let rows = effects
            .payments
            .iter()
            .map(|payment| transfers.next_if(|transfer| transfer.sequence == payment.decision.sequence));
        Self { rows: rows.collect() }
    }

    fn column(&self, value: impl Fn(&TransferRow) -> i64) -> Vec<Option<i64>> {
        self.rows.iter().map(|row| row.map(&value)).collect()
    }
}

async fn bounded<T>(
    step: &'static str,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let done = tokio::time::timeout(STEP_TIMEOUT, query).await;
    Ok(done.map_err(|_| StoreError::timed_out(step))??)
}

/// Sorted and without duplicates: the order in which accounts are locked.
fn sorted_accounts(requests: &[Request]) -> (Vec<Uuid>, Vec<Uuid>) {
    let ids = |request: &Request| {
        let tenant = request.tenant;
        let (from, to) = (request.from, request.to);
        [from, to].into_iter().flat_map(move |reference| {
            [Some(reference.first), reference.fallback].into_iter().flatten().map(move |id| (tenant, id))
        })
    };
    let mut keys: Vec<(TenantId, AccountId)> = requests.iter().flat_map(ids).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|(tenant, id)| (tenant.uuid(), id.uuid())).unzip()
}

fn sorted_payments(requests: &[Request]) -> (Vec<Uuid>, Vec<Uuid>) {
    let mut keys: Vec<(TenantId, PaymentId)> =
        requests.iter().map(|request| (request.tenant, request.payment)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|(tenant, id)| (tenant.uuid(), id.uuid())).unzip()
}

fn insert_accounts(snapshot: &mut Snapshot, found: &PgRow) -> Result<(), StoreError> {
    let Some(ids) = found.try_get::<Option<Vec<Uuid>>, _>("accounts")? else { return Ok(()) };
    let tenants: Vec<Uuid> = found.try_get("account_tenants")?;
    let kinds: Vec<i16> = found.try_get("kinds")?;
    let statuses: Vec<i16> = found.try_get("statuses")?;
    let currencies: Vec<String> = found.try_get("currencies")?;
    let floors: Vec<i64> = found.try_get("floors")?;
    let posted_debits: Vec<i64> = found.try_get("posted_debits")?;
    let posted_credits: Vec<i64> = found.try_get("posted_credits")?;
    let pending_debits: Vec<i64> = found.try_get("pending_debits")?;
    let pending_credits: Vec<i64> = found.try_get("pending_credits")?;
    let versions: Vec<i64> = found.try_get("versions")?;
    let last: Vec<i64> = found.try_get("last_transfers")?;
    for (index, id) in ids.into_iter().enumerate() {
        let account = Account {
            currency: row::currency(&currencies[index])?,
            kind: row::kind(kinds[index])?,
            status: row::status(statuses[index])?,
            floor: floors[index],
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

fn busy_accounts(found: &PgRow) -> Result<HashSet<(TenantId, AccountId)>, StoreError> {
    let Some(busy) = found.try_get::<Option<Vec<bool>>, _>("busy")? else { return Ok(HashSet::new()) };
    let tenants: Vec<Uuid> = found.try_get("account_tenants")?;
    let ids: Vec<Uuid> = found.try_get("accounts")?;
    let keys = tenants.into_iter().zip(ids).zip(busy).filter(|(_, busy)| *busy);
    Ok(keys.map(|((tenant, id), _)| (TenantId::from_uuid(tenant), AccountId::from_uuid(id))).collect())
}
