//! One run of one side: what it did, what it cost, and, if it was the engine, whether the ledger agrees.

use std::time::Instant;

use sqlx::PgConnection;

use super::{
    engine::{Counted, Engine},
    grpc::{self, Bulk},
    process::{Cpu, Resident},
    requests::{MINOR, Pattern},
    rivals::{Link, pgbench, raw},
    settings::Settings,
    statistics::quantile,
    world::{World, scalar},
};
use crate::support::{eventually, postgres::Postgres};

/// Who moves the money, or pretends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// CreatePayment by so many clients.
    Unary(usize),
    /// The same by few clients, beside whom others are many.
    Few(usize),
    /// CreatePayments.
    Bulk(Bulk),
    /// So many StreamPayments.
    Streams(usize),
    /// A call with nothing to do, by so many clients.
    Empty(usize),
    /// Single transfers by so many clients of pgbench.
    Pgbench(usize, Link),
    /// A raw program.
    Raw(raw::Shape),
}

impl Side {
    /// Moves money through the engine.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Unary(_) | Self::Few(_) | Self::Bulk(_) | Self::Streams(_))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unary(_) | Self::Bulk(_) | Self::Streams(_) => "engine",
            Self::Few(_) => "engine, few",
            Self::Empty(_) => "empty call",
            Self::Pgbench(_, Link::Loopback) => "pgbench",
            Self::Pgbench(_, Link::LocalSocket) => "pgbench, local socket",
            Self::Raw(raw::Shape::Narrow) => "raw, narrow",
            Self::Raw(_) => "raw",
        }
    }

    /// Where its rows are.
    fn schema(self) -> &'static str {
        match self {
            Self::Pgbench(..) => "single",
            Self::Raw(raw::Shape::Narrow) => "narrow",
            Self::Raw(_) => "peer",
            _ => "payplane",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) done: u64,
    pub(crate) turned_away: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Cores in use by PostgreSQL, the engine and the driver.
    pub(crate) cores: [f64; 3],
    pub(crate) wal_bytes: f64,
    pub(crate) disk_bytes: f64,
    pub(crate) batches: f64,
    pub(crate) batch_items: f64,
    pub(crate) memory_misses: f64,
    /// Of the engine, right after the run.
    pub(crate) resident: Resident,
}

/// Counters that a run moves.
struct Before {
    wal: f64,
    disk: f64,
    counted: Counted,
    books: Books,
    cpu: Cpu,
}

/// What the ledger says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books {
    /// Payments in the journal.
    rows: i64,
    /// Minor units that ever left an account.
    moved: i64,
}

pub(crate) async fn run(
    postgres: &Postgres,
    world: &World,
    settings: &Settings,
    side: Side,
    pattern: Pattern,
) -> Run {
    let mut admin = world.database.superuser().await;
    let before = Before {
        wal: wal(&mut admin).await,
        disk: disk(&mut admin, side).await,
        counted: world.engine.counted(),
        books: books(&mut admin).await,
        cpu: world.cpu(),
    };
    let (length, started) = (settings.length, Instant::now());
    let load = match side {
        Side::Unary(clients) | Side::Few(clients) => grpc::unary(world, pattern, clients, length).await,
        Side::Bulk(shape) => grpc::bulk(world, pattern, shape, length).await,
        Side::Streams(streams) => grpc::streams(world, pattern, streams, length).await,
        Side::Empty(clients) => grpc::empty(world, clients, length).await,
        Side::Pgbench(clients, link) => pgbench::run(postgres, world, pattern, (clients, link), length),
        Side::Raw(shape) => raw::run(world, pattern, shape, length).await,
    };
    // Longer than the load took by the time that rivals need to start and connect, which is work too.
    let (cpu, took) = (world.cpu().since(before.cpu), started.elapsed());
    let counted = world.engine.counted();
    let run = Run {
        done: load.done,
        turned_away: load.turned_away,
        per_second: load.per_second(),
        p50: quantile(&load.latencies, 500),
        p99: quantile(&load.latencies, 990),
        cores: cpu.cores(took),
        wal_bytes: wal(&mut admin).await - before.wal,
        disk_bytes: disk(&mut admin, side).await - before.disk,
        batches: counted.batches - before.counted.batches,
        batch_items: counted.batch_items - before.counted.batch_items,
        memory_misses: counted.memory_misses - before.counted.memory_misses,
        resident: world.engine.resident(),
    };
    verify(world, &mut admin, before.books, if side.is_ours() { load.done } else { 0 }).await;
    run
}

/// Rows equal acknowledgements, every cent that left an account reached another, and nothing waits any more.
pub(crate) async fn verify(world: &World, admin: &mut PgConnection, before: Books, acknowledged: u64) {
    let after = books(admin).await;
    let acknowledged = i64::try_from(acknowledged).unwrap();
    let rows = after.rows - before.rows;
    assert_eq!(rows, acknowledged, "rows differ from acknowledgements");
    assert_eq!(after.moved - before.moved, acknowledged * MINOR, "accounts differ from acknowledgements");
    assert_eq!(world.engine.counted().queue_depth, 0.0, "somebody still waits");
}

/// Only while nobody pays.
pub(crate) async fn books(admin: &mut PgConnection) -> Books {
    let statement = "select sum(posted_debits)::bigint, sum(posted_credits)::bigint from payplane.accounts";
    let (moved, credits): (i64, i64) = sqlx::query_as(statement).fetch_one(&mut *admin).await.unwrap();
    assert_eq!(moved, credits, "the books do not balance");
    // Counted, not told by sequence: a committer that was idle may use a number that it drew long ago.
    let statement = "select count(*) from payplane.journal where posted is not null";
    Books { rows: scalar(admin, statement).await, moved }
}

/// At the end of a case: every committed batch gets its place in the chain, and the whole ledger verifies.
pub(crate) async fn verify_all(world: &World) {
    let mut admin = world.database.superuser().await;
    let statement = "select (select count(*) from payplane.batches) = (select count(*) from payplane.seals)
                     and not exists (select from payplane.unsealed)";
    eventually("all batches to be sealed", async || {
        scalar::<bool>(&mut admin, statement).await.then_some(())
    })
    .await;
    let started = Instant::now();
    Engine::verify(&world.database);
    println!("  the ledger verifies, in {:.1} s", started.elapsed().as_secs_f64());
}

async fn wal(admin: &mut PgConnection) -> f64 {
    scalar(admin, "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8").await
}

async fn disk(admin: &mut PgConnection, side: Side) -> f64 {
    let statement = format!(
        "select sum(pg_total_relation_size(oid))::float8 from pg_class
         where relnamespace = '{}'::regnamespace and relkind = 'r'",
        side.schema()
    );
    scalar(admin, &statement).await
}
