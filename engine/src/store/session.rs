//! One committer's own connection, and the statements of a batch in their order.
//!
//! From memory a batch is one round trip: the function that writes it, committed by itself. Under locks it is four: begin
//! with its timeouts, lock and read, write, commit; keys that were decided before cost a fifth. Every step has a bound on
//! the client's side too, because a network that swallows packets answers nothing. After any error that is not a plain
//! refusal the session is thrown away: its state is unknown.

use std::{sync::Arc, time::Duration};

use payplane_ledger::{
    BatchId, Effects, Parameters, PaymentState, Request, Setting, Snapshot, TenantId, Timestamp,
};
use sqlx::{Executor as _, PgConnection, Row as _, postgres::PgRow, postgres::types::Oid};
use uuid::Uuid;

use super::{
    Store, StoreError,
    error::bounded,
    journal::{JournalOids, JournalRows},
    locked, row,
};
use crate::commit::{self, Batch, Locked, Locks, TenantParameters, Ticket, Written};

/// Locks are waited for less long than the client waits for the step, so the server always gives up first. The idle
/// timeout frees the locks of a batch whose engine vanished. A database may ask for more than the local disk, never for
/// less: a payment is acknowledged once it is durable.
///
/// The rest is for the planner: plans that live as long as the connection, and look rows up by primary key however small a
/// table was when they were made. Costs count rows and nothing else. JIT would compile each plan, which takes a hundred
/// times longer than running it.
const PREPARE: &str = "set lock_timeout = '1s'; set statement_timeout = '3s'; \
                       set idle_in_transaction_session_timeout = '4s'; \
                       select set_config('synchronous_commit', 'on', false) \
                       where current_setting('synchronous_commit') in ('off', 'local'); \
                       set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off; \
                       set enable_hashjoin = off; set enable_mergejoin = off; set enable_hashagg = off; \
                       set random_page_cost = 0; set cpu_tuple_cost = 1";

const BEGIN: &str = "begin isolation level read committed";

const STEP_TIMEOUT: Duration = Duration::from_secs(4);

const JOURNAL_TYPES: &str = "select 'payplane.journal'::regtype::oid, 'payplane.journal[]'::regtype::oid";

const LOCK_AND_READ: &str = "select * from payplane.lock_and_read($1, $2, $3, $4, $5, $6, $7, $8)";

const READ_DECISIONS: &str = "select * from payplane.read_decisions($1, $2)";

const READ_SETTINGS: &str = "select version, settings, suspended from payplane.read_settings($1)";

const COMMIT_BATCH: &str = "select next_batch, now_us from payplane.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, \
                            $10, $11, $12, $13, $14, $15, $16, $17)";

/// A connection that commits one batch after another.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    journal: JournalOids,
    ticket: Option<Ticket>,
}

impl commit::Database for Store {
    type Session = Session;

    async fn session(&self) -> Result<Session, StoreError> {
        let mut connection = self.connect().await?;
        let checked = tokio::time::timeout(STEP_TIMEOUT, self.epoch.check(&mut connection)).await;
        checked.map_err(|_| StoreError::timed_out("read the epoch"))??;
        Session::new(connection).await
    }
}

impl Session {
    async fn new(mut connection: PgConnection) -> Result<Self, StoreError> {
        bounded("prepare", STEP_TIMEOUT, connection.execute(sqlx::raw_sql(PREPARE))).await?;
        let types = sqlx::query_as(JOURNAL_TYPES).fetch_one(&mut connection);
        let (row, array): (Oid, Oid) = bounded("prepare", STEP_TIMEOUT, types).await?;
        Ok(Self { connection, journal: JournalOids { row, array }, ticket: None })
    }

    async fn execute(&mut self, step: &'static str, statement: &'static str) -> Result<(), StoreError> {
        bounded(step, STEP_TIMEOUT, self.connection.execute(sqlx::raw_sql(statement))).await?;
        Ok(())
    }

    async fn insert_decisions(
        &mut self,
        snapshot: &mut Snapshot,
        tenants: Vec<Uuid>,
        operations: Vec<Uuid>,
    ) -> Result<(), StoreError> {
        let query =
            sqlx::query(READ_DECISIONS).bind(tenants).bind(operations).fetch_all(&mut self.connection);
        for found in bounded("read", STEP_TIMEOUT, query).await? {
            let (tenant, operation, decision) = row::decision(&found)?;
            snapshot.insert_decision(tenant, operation, Arc::new(decision));
        }
        Ok(())
    }

    /// Payments that were made at once and never refunded: their state follows from their decision.
    async fn insert_immediates(
        &mut self,
        snapshot: &mut Snapshot,
        tenants: Vec<Uuid>,
        operations: Vec<Uuid>,
    ) -> Result<(), StoreError> {
        let query =
            sqlx::query(READ_DECISIONS).bind(tenants).bind(operations).fetch_all(&mut self.connection);
        for found in bounded("read", STEP_TIMEOUT, query).await? {
            let (tenant, operation, decision) = row::decision(&found)?;
            if let Some(state) = PaymentState::of_immediate(&decision) {
                snapshot.insert_payment(tenant, operation, state);
            }
        }
        Ok(())
    }
}

impl commit::Session for Session {
    async fn lock_and_read(
        &mut self,
        requests: &[&Request],
        locks: Locks,
        with_usages: bool,
    ) -> Result<Locked, StoreError> {
        self.execute("begin", BEGIN).await?;
        let (account_tenants, accounts) = sorted(requests.iter().flat_map(|request| {
            let references = [request.from, request.to].into_iter().flatten();
            let ids = references.flat_map(|reference| [Some(reference.first), reference.fallback]);
            ids.flatten().map(|id| (request.tenant, id.uuid())).collect::<Vec<_>>()
        }));
        let (operation_tenants, operations) =
            sorted(requests.iter().map(|request| (request.tenant, request.operation.uuid())));
        let targets = requests.iter().filter_map(|request| Some((request.tenant, request.target?)));
        let (target_tenants, targets) = sorted(targets.map(|(tenant, id)| (tenant, id.uuid())));
        let query = sqlx::query(LOCK_AND_READ)
            .bind(account_tenants)
            .bind(accounts)
            .bind(operation_tenants)
            .bind(operations)
            .bind(target_tenants)
            .bind(targets)
            .bind(locks == Locks::Skip)
            .bind(with_usages)
            .fetch_one(&mut self.connection);
        let found = bounded("lock", STEP_TIMEOUT, query).await?;
        let mut snapshot = Snapshot::new(BatchId(found.try_get("batch_id")?));
        locked::insert_accounts(&mut snapshot, &found)?;
        locked::insert_states(&mut snapshot, &found)?;
        if let Some((tenants, operations)) = pairs(&found, "known_tenants", "known_operations")? {
            self.insert_decisions(&mut snapshot, tenants, operations).await?;
        }
        if let Some((tenants, operations)) = pairs(&found, "immediate_tenants", "immediates")? {
            self.insert_immediates(&mut snapshot, tenants, operations).await?;
        }
        Ok(Locked {
            snapshot,
            now: Timestamp(found.try_get("now_us")?),
            settings_version: found.try_get("settings_version")?,
            busy: locked::busy_accounts(&found)?,
        })
    }

    async fn read_settings(&mut self, tenants: &[TenantId]) -> Result<(i64, TenantParameters), StoreError> {
        let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.uuid()).collect();
        let query = sqlx::query(READ_SETTINGS).bind(ids).fetch_one(&mut self.connection);
        let found = bounded("read", STEP_TIMEOUT, query).await?;
        let texts: Vec<String> = found.try_get::<Option<_>, _>("settings")?.unwrap_or_default();
        let settings = texts.iter().map(|text| row::setting(text)).collect::<Result<Vec<_>, _>>()?;
        let suspended: Vec<Uuid> = found.try_get::<Option<_>, _>("suspended")?.unwrap_or_default();
        let of = |tenant: &TenantId| {
            let is_for = |owner: &Uuid| owner.is_nil() || *owner == tenant.uuid();
            let own: Vec<Setting> = settings
                .iter()
                .filter(|(owner, _)| is_for(owner))
                .map(|(_, setting)| setting.clone())
                .collect();
            let parameters = Parameters::new(own).with_suspension(suspended.contains(&tenant.uuid()));
            (*tenant, Arc::new(parameters))
        };
        Ok((found.try_get("version")?, tenants.iter().map(of).collect()))
    }

    fn ticket(&self) -> Option<Ticket> {
        self.ticket
    }

    async fn write(&mut self, batch: &Batch<'_>) -> Result<Written, StoreError> {
        let Batch { effects, now, settings_version, after } = batch;
        let Effects { batch, operations, payments, refunds, usages, seal, .. } = *effects;
        let roots = &seal.tenants;
        let ticket = self.ticket.take();
        let query = sqlx::query(COMMIT_BATCH)
            .bind(ticket.map(|ticket| ticket.0.0))
            .bind(after.map(|ticket| ticket.0.0))
            .bind(batch.0)
            .bind(now.0)
            .bind(settings_version)
            .bind(&seal.root[..])
            .bind(roots.iter().map(|root| root.tenant.uuid()).collect::<Vec<_>>())
            .bind(roots.iter().map(|root| &root.root[..]).collect::<Vec<_>>())
            .bind(roots.iter().map(|root| root.rows).collect::<Vec<_>>())
            .bind(JournalRows { oids: self.journal, rows: operations })
            .bind(row::wallet_texts(operations, &effects.accounts)?)
            .bind(payments.iter().map(row::payment_text).collect::<Result<Vec<_>, _>>()?)
            .bind(payments.iter().map(|change| change.base).collect::<Vec<_>>())
            .bind(refunds.iter().map(row::refund_text).collect::<Result<Vec<_>, _>>()?)
            .bind(refunds.iter().map(|change| change.base).collect::<Vec<_>>())
            .bind(usages.iter().map(row::usage_text).collect::<Result<Vec<_>, _>>()?)
            .bind(usages.iter().map(|change| change.base).collect::<Vec<_>>())
            // Not "one": outside a transaction the row comes before the commit, and the end of all rows after it.
            .fetch_all(&mut self.connection);
        let found = bounded("write", STEP_TIMEOUT, query).await?;
        let found = found.first().ok_or(StoreError::Ended)?;
        let next_batch = BatchId(found.try_get("next_batch")?);
        self.ticket = Some(Ticket(next_batch));
        Ok(Written { next_batch, now: Timestamp(found.try_get("now_us")?) })
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.execute("commit", "commit").await
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.execute("rollback", "rollback").await
    }
}

/// Sorted and without duplicates: the order in which rows are locked.
fn sorted(keys: impl Iterator<Item = (TenantId, Uuid)>) -> Keys {
    let mut keys: Vec<(TenantId, Uuid)> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|(tenant, id)| (tenant.uuid(), id)).unzip()
}

/// Keys of rows as two columns.
type Keys = (Vec<Uuid>, Vec<Uuid>);

/// Two columns of ids that belong together; nothing if there are none.
fn pairs(found: &PgRow, tenants: &str, ids: &str) -> Result<Option<Keys>, StoreError> {
    let (tenants, ids): (Option<Vec<Uuid>>, Option<Vec<Uuid>>) =
        (found.try_get(tenants)?, found.try_get(ids)?);
    Ok(tenants.zip(ids))
}
