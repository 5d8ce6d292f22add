//! The limit: two connections that commit batches of a thousand transfers as fast as PostgreSQL takes them. One statement
//! per commit inserts the rows and updates each touched account once, in the order of accounts. Nobody asks for these
//! payments, nothing is checked or decided, and nobody is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::types::Oid};
use uuid::Uuid;

use super::{
    super::{
        load::{Load, milliseconds},
        requests::{Pattern, Random, new_run},
        world::{World, ids, scalar},
    },
    rows::{BATCH, Batch, CONSTANTS, Rows, Shared},
    way,
};

/// One connection leaves the second core idle, three are no faster (measured, see the research on peers).
const CONNECTIONS: usize = 2;

/// A program stops by itself long before a sequence number of its batches meets another program's.
const BATCHES_MAX: i64 = 1_000_000_000;

/// What is stored, and how it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The engine's row, as one array of rows.
    Rows,
    /// The engine's row, as one array for each column that varies.
    Columns,
    /// A narrow row.
    Narrow,
}

/// Plans as in the engine: nested loops over primary keys keep the order of accounts, so nothing deadlocks.
const PREPARE: &str = "set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set jit = off; \
                       set plan_cache_mode = force_generic_plan; set synchronous_commit = on";

const ROWS: &str = "
with inserted as (insert into peer.journal select r.* from unnest($7) r)
update peer.accounts a
set posted_debits = a.posted_debits + d.debits, posted_credits = a.posted_credits + d.credits,
    version = a.version + d.counted, last_operation = d.last
from unnest($2, $3, $4, $5, $6) as d (account_id, debits, credits, counted, last)
where a.tenant_id = $1 and a.account_id = d.account_id";

const COLUMNS: &str = "
with inserted as (
    insert into peer.journal
    select $1, r.operation, r.sequence, 1, 1, 1, 1, 0, r.debit, r.credit,
           r.sequence, r.sequence, r.sequence, 0, 0, r.sequence, r.sequence, r.sequence, r.sequence, 0, 0, r.sequence,
           null, 'USD', r.key, '', '', $12, $13, null, null, null, null, null
    from unnest($7::uuid[], $8::bigint[], $9::uuid[], $10::uuid[], $11::text[])
        as r (operation, sequence, debit, credit, key)
)
update peer.accounts a
set posted_debits = a.posted_debits + d.debits, posted_credits = a.posted_credits + d.credits,
    version = a.version + d.counted, last_operation = d.last
from unnest($2, $3, $4, $5, $6) as d (account_id, debits, credits, counted, last)
where a.tenant_id = $1 and a.account_id = d.account_id";

const NARROW: &str = "
with inserted as (
    insert into narrow.transfers (key, debit, credit, minor)
    select r.key, r.debit, r.credit, 1 from unnest($3::uuid[], $4::bigint[], $5::bigint[]) as r (key, debit, credit)
)
update narrow.accounts a set balance = a.balance + d.change
from unnest($1::bigint[], $2::bigint[]) as d (id, change)
where a.id = d.id";

pub(crate) async fn run(world: &World, pattern: Pattern, shape: Shape, length: Duration) -> Load {
    let shared = Arc::new(shared(world).await);
    let run: Arc<str> = new_run().into();
    let (way, mut connections) = (way(world), Vec::new());
    for _ in 0..CONNECTIONS {
        let mut connection = way.connect().await.unwrap();
        connection.execute(sqlx::raw_sql(PREPARE)).await.unwrap();
        connections.push(connection);
    }
    let (started, ends) = (Instant::now(), Instant::now() + length);
    let workers = connections.into_iter().enumerate().map(|(worker, mut connection)| {
        let (shared, run) = (shared.clone(), run.clone());
        tokio::spawn(async move {
            let mut random = Random::new(Uuid::new_v4().as_u64_pair().0);
            let mut load = Load::default();
            while Instant::now() < ends {
                let batch = Batch::new(next_number(), pattern, &mut random, &run, worker);
                let asked = Instant::now();
                let touched = commit(&mut connection, &shared, shape, &batch).await;
                load.latencies.push(milliseconds(asked.elapsed()));
                load.done += BATCH as u64;
                assert_eq!(touched, batch.deltas.len() as u64, "every account is updated");
            }
            (load, connection)
        })
    });
    let workers: Vec<_> = workers.collect();
    let (mut loads, mut connections) = (Vec::new(), Vec::new());
    for worker in join_all(workers).await {
        let (load, connection) = worker.unwrap();
        loads.push(load);
        connections.push(connection);
    }
    let load = Load::sum(loads, started.elapsed());
    for connection in connections {
        connection.close().await.unwrap();
    }
    load
}

/// Commits until the table has this many rows.
pub(crate) async fn until(world: &World, pattern: Pattern, shape: Shape, rows: u64) {
    let done = AtomicU64::new(0);
    while done.load(Ordering::Relaxed) < rows {
        let load = run(world, pattern, shape, Duration::from_secs(5)).await;
        done.fetch_add(load.done, Ordering::Relaxed);
    }
}

async fn commit(connection: &mut PgConnection, shared: &Shared, shape: Shape, batch: &Batch) -> u64 {
    let query = match shape {
        Shape::Narrow => sqlx::query(NARROW)
            .bind(batch.of_deltas(|account, _| account as i64))
            .bind(batch.of_deltas(|_, delta| delta.credits - delta.debits))
            .bind(batch.column(|_| Uuid::now_v7()))
            .bind(batch.column(|transfer| transfer.payer as i64))
            .bind(batch.column(|transfer| transfer.payee as i64)),
        Shape::Rows | Shape::Columns => {
            let statement = if shape == Shape::Rows { ROWS } else { COLUMNS };
            let query = sqlx::query(statement)
                .bind(shared.tenant)
                .bind(batch.of_deltas(|account, _| shared.accounts[account]))
                .bind(batch.of_deltas(|_, delta| delta.debits))
                .bind(batch.of_deltas(|_, delta| delta.credits))
                .bind(batch.of_deltas(|_, delta| delta.count))
                .bind(batch.of_deltas(|_, delta| delta.last));
            match shape {
                Shape::Rows => query.bind(Rows { shared, transfers: &batch.transfers }),
                _ => query
                    .bind(batch.column(|transfer| transfer.operation))
                    .bind(batch.column(|transfer| transfer.sequence))
                    .bind(batch.column(|transfer| shared.accounts[transfer.payer]))
                    .bind(batch.column(|transfer| shared.accounts[transfer.payee]))
                    .bind(batch.column(|transfer| transfer.key.clone()))
                    .bind(CONSTANTS[0])
                    .bind(CONSTANTS[1]),
            }
        }
    };
    query.execute(connection).await.unwrap().rows_affected()
}

async fn shared(world: &World) -> Shared {
    let mut admin = world.database.superuser().await;
    let accounts = ids(&world.wallets);
    let of_first = format!("select tenant_id from payplane.accounts where account_id = '{}'", accounts[0]);
    let tenant = scalar(&mut admin, &of_first).await;
    let types = sqlx::query_as("select 'peer.journal'::regtype::oid, 'peer.journal[]'::regtype::oid");
    let (row, array): (Oid, Oid) = types.fetch_one(&mut admin).await.unwrap();
    Shared { tenant, accounts, row, array }
}

/// Unique among all runs of this process, as the engine's are among all its batches.
fn next_number() -> i64 {
    static NUMBER: AtomicI64 = AtomicI64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    assert!(number < BATCHES_MAX);
    number
}
