//! What columns, ids and indexes cost: the engine's own tables beside variants of them, each of which changes one thing.
//!
//! One server, durable (`fsync` and `synchronous_commit` are on), one connection per variant, a commit per thousand rows. In
//! each round every variant stores the same rows, and every other round runs them in reverse. What counts is the processor
//! time of the variant's own backend, so neighbours on a shared machine disturb little, against that of the engine's shape
//! in the same round. Beforehand each variant stores some rows, because a random index costs the more the larger it is.
//!
//! Prints a table and writes it into docs/performance.md between its markers. `PAYPLANE_COLUMNS_ROUNDS` (10) and
//! `PAYPLANE_COLUMNS_STORED` (rows beforehand, 200000) choose less or more; `PAYPLANE_BENCH_WRITE=0` leaves the file alone.
// A benchmark fails by panicking, and its figures are no money.
#![allow(clippy::float_arithmetic, clippy::panic, clippy::unwrap_used)]

#[path = "common/page.rs"]
mod page;
#[path = "common/statistics.rs"]
#[allow(dead_code, reason = "shared with other benchmarks, which use all of it")]
mod statistics;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use statistics::{Ratio, Spread};
use support::postgres::{Database, Postgres};

const BATCH: i64 = 1_000;

/// How many batches a variant stores in one round.
const BATCHES_PER_ROUND: i64 = 20;

/// Rows as the engine writes them, with two accounts of ten thousand each; and an id that grows with time.
const SOURCE: &str = "
create unlogged table public.source as
select (n - 1) / 1000 as batch, '00000000-0000-0000-0000-000000000007'::uuid as tenant_id,
       md5('operation' || n)::uuid as operation_id, n as sequence, 1::smallint as kind, 1::smallint as origin, 500::bigint as minor,
       500::bigint as posted, 0::bigint as pending,
       md5('wallet' || (hashint8(n) & 8191))::uuid as debit_account, md5('wallet' || (8192 + (hashint8(n * 31) & 1023)))::uuid as credit_account,
       n - 1 as debit_previous, n as debit_posted_debits, n as debit_posted_credits, 0::bigint as debit_pending_debits,
       0::bigint as debit_pending_credits, n as debit_version,
       n - 1 as credit_previous, n as credit_posted_debits, n as credit_posted_credits, 0::bigint as credit_pending_debits,
       0::bigint as credit_pending_credits, n as credit_version,
       null::uuid as target, 'USD' collate \"C\" as currency, 'order-' || md5('key' || n) collate \"C\" as key, '' as reference, '' as origin_ref,
       'system:serviceaccount:shop:checkout' as actor, md5('correlation' || n)::uuid::text as correlation_id,
       null::smallint as refusal, null::smallint as refusal_field, null::smallint as refusal_limit, null::text as terms, null::text as after,
       (lpad(to_hex(n), 16, '0') || substr(md5(n::text), 1, 16))::uuid as grown
from generate_series(1, $ROWS) n";

const COLUMNS: &str = "tenant_id, operation_id, sequence, kind, origin, minor, posted, pending, debit_account, credit_account, \
    debit_previous, debit_posted_debits, debit_posted_credits, debit_pending_debits, debit_pending_credits, debit_version, \
    credit_previous, credit_posted_debits, credit_posted_credits, credit_pending_debits, credit_pending_credits, credit_version, \
    target, currency, key, reference, origin_ref, actor, correlation_id, refusal, refusal_field, refusal_limit, terms, after";

const ACCOUNTS: &str = "insert into $TABLE (tenant_id, account_id, kind, currency, floor_minor)
select '00000000-0000-0000-0000-000000000007', md5('wallet' || n)::uuid, 1, 'USD', -9000000000000000 from generate_series(0, 9215) n";

const BALANCES: &str = "update $TABLE a
set posted_debits = a.posted_debits + d.debits, posted_credits = a.posted_credits + d.credits, version = a.version + d.counted
from (
    select tenant_id, account_id, sum(debits)::bigint as debits, sum(credits)::bigint as credits, count(*) as counted
    from (
        select tenant_id, debit_account as account_id, posted as debits, 0 as credits from public.source where batch = $1
        union all
        select tenant_id, credit_account, 0, posted from public.source where batch = $1
    ) p
    group by tenant_id, account_id order by tenant_id, account_id
) d
where a.tenant_id = d.tenant_id and a.account_id = d.account_id";

/// What is varied.
#[derive(Clone, Copy, PartialEq)]
enum Table {
    Journal,
    Accounts,
}

/// The engine's table with one change.
struct Variant {
    table: Table,
    name: &'static str,
    change: &'static str,
}

const VARIANTS: [Variant; 11] = [
    Variant { table: Table::Journal, name: "the engine's journal", change: "" },
    Variant {
        table: Table::Journal,
        name: "no index by sequence",
        change: "drop index $NAME_tenant_id_sequence_idx",
    },
    Variant {
        table: Table::Journal,
        name: "no index at all",
        change: "drop index $NAME_tenant_id_sequence_idx; alter table $TABLE drop constraint $NAME_pkey",
    },
    Variant { table: Table::Journal, name: "ids that grow with time", change: "" },
    Variant {
        table: Table::Journal,
        name: "the text of the key as primary key",
        change: "alter table $TABLE drop constraint $NAME_pkey; alter table $TABLE add primary key (tenant_id, origin, key)",
    },
    Variant {
        table: Table::Journal,
        name: "two indexes more, by account",
        change: "create index on $TABLE (tenant_id, debit_account, sequence); create index on $TABLE (tenant_id, credit_account, sequence)",
    },
    Variant { table: Table::Journal, name: "amounts and totals as NUMERIC", change: "$NUMERIC" },
    Variant {
        table: Table::Journal,
        name: "no constraint of two sides",
        change: "alter table $TABLE drop constraint journal_two_sides",
    },
    Variant { table: Table::Accounts, name: "the engine's accounts", change: "" },
    Variant {
        table: Table::Accounts,
        name: "balances as NUMERIC",
        change: "alter table $TABLE alter posted_debits type numeric, alter posted_credits type numeric, \
                 alter pending_debits type numeric, alter pending_credits type numeric",
    },
    Variant {
        table: Table::Accounts,
        name: "an index by a column that changes",
        change: "create index on $TABLE (tenant_id, version)",
    },
];

/// The amounts of a journal's row.
const AMOUNTS: [&str; 11] = [
    "minor",
    "posted",
    "pending",
    "debit_posted_debits",
    "debit_posted_credits",
    "debit_pending_debits",
    "debit_pending_credits",
    "credit_posted_debits",
    "credit_posted_credits",
    "credit_pending_debits",
    "credit_pending_credits",
];

/// A variant at work, and what each round cost.
struct Running<'a> {
    variant: &'a Variant,
    connection: PgConnection,
    backend: i32,
    statement: String,
    microseconds: Vec<f64>,
    bytes: Vec<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    statistics::check();
    let (rounds, stored) = (
        page::number("PAYPLANE_COLUMNS_ROUNDS", 10).max(2),
        page::number("PAYPLANE_COLUMNS_STORED", 200_000),
    );
    let before = stored / BATCH;
    let postgres = Postgres::start(&["shared_buffers = 1GB", "max_wal_size = 16GB", "autovacuum = off"]);
    let database = postgres.database().await;
    let mut admin = database.superuser().await;
    let rows = (before + rounds * BATCHES_PER_ROUND) * BATCH;
    admin.execute(AssertSqlSafe(SOURCE.replace("$ROWS", &rows.to_string()))).await.unwrap();
    admin
        .execute("create index on public.source (batch); create schema variants; analyze public.source")
        .await
        .unwrap();
    let mut running = Vec::new();
    for (number, variant) in VARIANTS.iter().enumerate() {
        running.push(Running::start(&database, variant, number).await);
    }
    for one in &mut running {
        println!("{}: {stored} rows beforehand", one.variant.name);
        one.store(0..before).await;
    }
    admin.execute("checkpoint").await.unwrap();
    for round in 0..rounds {
        let first = before + round * BATCHES_PER_ROUND;
        let mut order: Vec<&mut Running<'_>> = running.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for one in order {
            one.measure(first..first + BATCHES_PER_ROUND).await;
        }
        println!("round {} of {rounds}", round + 1);
    }
    let text = table(&running, rounds, stored);
    println!("\n{text}");
    if page::number("PAYPLANE_BENCH_WRITE", 1) != 0 {
        page::write("bench-columns", &text);
    }
}

impl<'a> Running<'a> {
    async fn start(database: &Database, variant: &'a Variant, number: usize) -> Self {
        let mut connection = database.superuser().await;
        let (origin, name) = match variant.table {
            Table::Journal => ("payplane.journal", format!("journal_{number}")),
            Table::Accounts => ("payplane.accounts", format!("accounts_{number}")),
        };
        let table = format!("variants.{name}");
        let numeric = AMOUNTS.map(|column| format!("alter {column} type numeric")).join(", ");
        let fill = |text: &str| {
            let text = text.replace("$NUMERIC", &format!("alter table {table} {numeric}"));
            text.replace("$TABLE", &table).replace("$NAME", &format!("variants.{name}"))
        };
        // A constraint is named without its schema.
        let change =
            fill(variant.change).replace(&format!("constraint {table}"), &format!("constraint {name}"));
        let fillfactor = if variant.table == Table::Accounts { "with (fillfactor = 70)" } else { "" };
        let create = format!("create table {table} (like {origin} including all) {fillfactor}; {change}");
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        let statement = match variant.table {
            Table::Journal => {
                let columns = if variant.name.starts_with("ids that grow") {
                    COLUMNS.replacen("operation_id", "grown", 1)
                } else {
                    COLUMNS.to_owned()
                };
                format!("insert into {table} select {columns} from public.source where batch = $1")
            }
            Table::Accounts => {
                connection.execute(AssertSqlSafe(fill(ACCOUNTS))).await.unwrap();
                fill(BALANCES)
            }
        };
        connection.execute("set plan_cache_mode = force_generic_plan; set jit = off").await.unwrap();
        let backend = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        Self { variant, connection, backend, statement, microseconds: Vec::new(), bytes: Vec::new() }
    }

    async fn store(&mut self, batches: std::ops::Range<i64>) {
        for batch in batches {
            let mut transaction = self.connection.begin().await.unwrap();
            sqlx::query(AssertSqlSafe(self.statement.as_str()))
                .bind(batch)
                .execute(&mut *transaction)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
    }

    async fn measure(&mut self, batches: std::ops::Range<i64>) {
        let rows = ((batches.end - batches.start) * BATCH) as f64;
        let (used, written) = (used(self.backend), self.written().await);
        self.store(batches).await;
        self.microseconds.push((self::used(self.backend) - used) / 1_000.0 / rows);
        let bytes = self.written().await - written;
        self.bytes.push(bytes / rows);
    }

    /// Bytes of the log so far.
    async fn written(&mut self) -> f64 {
        let query = sqlx::query_scalar::<_, i64>("select (pg_current_wal_insert_lsn() - '0/0')::bigint");
        query.fetch_one(&mut self.connection).await.unwrap() as f64
    }
}

/// Nanoseconds that a process has run on a processor.
fn used(process: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn table(running: &[Running<'_>], rounds: i64, stored: i64) -> String {
    let mut text = format!(
        "{rounds} rounds of {} rows per variant, {stored} rows stored beforehand.\n\n\
         | variant | µs of its backend per payment | against the engine's | with 95 % confidence | bytes of log per payment |\n\
         |---|---|---|---|---|\n",
        BATCHES_PER_ROUND * BATCH
    );
    for one in running {
        let ours = running.iter().find(|other| other.variant.table == one.variant.table).unwrap();
        let pairs: Vec<(f64, f64)> =
            one.microseconds.iter().copied().zip(ours.microseconds.iter().copied()).collect();
        let (cost, ratio) = (Spread::of(one.microseconds.iter().copied()), Ratio::of(&pairs));
        let bytes = Spread::of(one.bytes.iter().copied()).median;
        let _ = writeln!(
            text,
            "| {} | {:.1} / {:.1} / {:.1} | {:.2} / {:.2} / {:.2} | {:.2} to {:.2} | {bytes:.0} |",
            one.variant.name,
            cost.min,
            cost.median,
            cost.max,
            ratio.spread.min,
            ratio.spread.median,
            ratio.spread.max,
            ratio.lower,
            ratio.upper,
        );
    }
    text
}
