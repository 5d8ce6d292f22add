//! What billing costs: usage of others against a plain `COPY` of the same rows, and payments with and without closing.
//!
//! One server, durable (`fsync` and `synchronous_commit` are on), one engine in this process, over gRPC.
//!
//! 1. In each round one sender records events in requests of the largest size, a commit each, and one connection copies the
//!    same rows, in commits of the same size, into a table like the engine's, with its keys and indexes. Every other round
//!    runs them in reverse. A third of the rate of `COPY` is the goal. What is repeated is not counted: ids are new.
//! 2. In each round payers pay for the same time with and without somebody who closes one period after the other. That each
//!    event is recorded, and each payment in an invoice, is checked at the end.
//!
//! 3. At last many tenants' periods end at the same moment, see `midnight`.
//!
//! Prints a table and writes it into docs/performance.md between its markers. `PAYPLANE_BILLING_ROUNDS` (10),
//! `PAYPLANE_BILLING_REQUESTS` (of 8,000 events per round, 10), `PAYPLANE_BILLING_SECONDS` (of payments per half round, 5) and
//! `PAYPLANE_BILLING_PAYERS` (32) choose less or more; so does `PAYPLANE_BILLING_TENANTS` (10,000) for the last part. No rounds, or
//! no tenants, leave these parts out; `PAYPLANE_BENCH_WRITE=0` leaves the file alone.
// A benchmark fails by panicking, and its figures are no money.
#![allow(clippy::float_arithmetic, clippy::panic, clippy::unwrap_used)]

mod load;
mod midnight;
#[path = "../common/page.rs"]
mod page;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "shared with other benchmarks, which use all of it")]
mod process;
#[path = "../common/statistics.rs"]
#[allow(dead_code, reason = "shared with other benchmarks, which use all of it")]
mod statistics;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use load::Load;
use payplane_billing::{EventPrice, Metric, Model, Period, Plan, Price, Rate, Terms};
use payplane_engine::billing;
use payplane_ledger::{Currency, TenantId, Timestamp};
use payplane_proto::v1 as proto;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use statistics::{Ratio, Spread};
use support::{postgres::Postgres, world::World};

const EVENTS: i64 = 8_000;
const SECOND: i64 = 1_000_000;

struct Bench {
    world: World,
    database: PgConnection,
    tenant: TenantId,
    begin: Timestamp,
    /// Of the next event.
    next: i64,
    /// Payments so far.
    payments: Arc<AtomicI64>,
}

#[tokio::main]
async fn main() {
    statistics::check();
    let rounds = page::number("PAYPLANE_BILLING_ROUNDS", 10);
    let requests = page::number("PAYPLANE_BILLING_REQUESTS", 10).max(1);
    let seconds = page::number("PAYPLANE_BILLING_SECONDS", 5).max(1);
    let payers = page::number("PAYPLANE_BILLING_PAYERS", 32).max(1);
    let tenants = page::number("PAYPLANE_BILLING_TENANTS", 10_000);
    let postgres = Postgres::start(&["shared_buffers = 1GB", "max_wal_size = 16GB"]);
    let mut bench = Bench::new(&postgres).await;
    let (mut usage, mut payments) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        usage.push(bench.usage(requests, round % 2 == 1).await);
        println!(
            "usage, round {} of {rounds}: {:.0} and {:.0} per second",
            round + 1,
            usage[usage.len() - 1].0,
            usage[usage.len() - 1].1
        );
    }
    let mut closes = 0;
    for round in 0..rounds {
        let (pair, closed) = bench.payments(seconds, payers, round % 2 == 1).await;
        closes += closed;
        payments.push(pair);
        println!(
            "payments, round {} of {rounds}: {:.0} while {closed} periods were closed, {:.0} without",
            round + 1,
            pair.0,
            pair.1
        );
    }
    bench.check(rounds * requests * EVENTS).await;
    let mut text = String::new();
    if rounds != 0 {
        text = table(&usage, &payments, closes, (rounds, requests, seconds, payers));
    }
    if tenants != 0 {
        text = format!("{text}\n{}", midnight::run(&mut bench, tenants, seconds, payers).await);
    }
    println!("\n{text}");
    if page::number("PAYPLANE_BENCH_WRITE", 1) != 0 {
        page::write("bench-billing", &text);
    }
}

impl Bench {
    async fn new(postgres: &Postgres) -> Self {
        let world = World::with_engines(postgres, 1).await;
        let mut database = world.database.superuser().await;
        let copied = "create schema copied; create table copied.usage_events (like payplane.usage_events including all)";
        database.execute(copied).await.unwrap();
        let id = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'");
        let tenant = TenantId::from_uuid(id.fetch_one(&mut database).await.unwrap());
        for number in 0..64 {
            world.as_role("acme", "operator").wallet(&format!("w{number}"), "USD").await;
            world.fund("acme", &format!("w{number}"), "10000.00").await;
        }
        let begin = world.engines[0].engine.store.now().await.unwrap();
        Self { world, database, tenant, begin, next: 0, payments: Arc::default() }
    }

    /// Events per second: recorded, and copied.
    async fn usage(&mut self, requests: i64, reverse: bool) -> (f64, f64) {
        let events: Vec<Vec<proto::UsageEvent>> = (0..requests).map(|_| self.events()).collect();
        let texts: Vec<String> = events.iter().map(|events| self.rows(events)).collect();
        let per_second = |took: Duration| (requests * EVENTS) as f64 / took.as_secs_f64();
        if reverse {
            let copied = self.copy(texts).await;
            return (per_second(self.record(events).await), per_second(copied));
        }
        let recorded = self.record(events).await;
        (per_second(recorded), per_second(self.copy(texts).await))
    }

    fn events(&mut self) -> Vec<proto::UsageEvent> {
        let first = self.next;
        self.next += EVENTS;
        let event = |number: i64| proto::UsageEvent {
            source: "gateway".to_owned(),
            // Ids of others come in no order.
            id: format!("{:016x}", number.wrapping_mul(-7_046_029_254_386_353_131)),
            metric: "calls".to_owned(),
            quantity: 1 + number % 5,
            time: Some(prost_types::Timestamp { seconds: self.begin.0 / SECOND + 1, nanos: 0 }),
        };
        (first..self.next).map(event).collect()
    }

    fn rows(&self, events: &[proto::UsageEvent]) -> String {
        let mut text = String::new();
        for event in events {
            let seconds = event.time.unwrap().seconds;
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                self.tenant.uuid(),
                event.source,
                event.id,
                event.metric,
                event.quantity,
                seconds * SECOND,
                self.next / EVENTS
            );
        }
        text
    }

    async fn record(&self, requests: Vec<Vec<proto::UsageEvent>>) -> Duration {
        let client = self.world.as_platform(Some("acme"));
        let started = Instant::now();
        for events in requests {
            let late = proto::LateUsage::NextInvoice.into();
            let request = proto::RecordUsageRequest { events, late };
            let answer = client.billing.clone().record_usage(request).await.unwrap().into_inner();
            let recorded = i32::from(proto::UsageResult::Recorded);
            assert!(answer.results.iter().all(|result| *result == recorded));
        }
        started.elapsed()
    }

    async fn copy(&mut self, texts: Vec<String>) -> Duration {
        let started = Instant::now();
        for text in texts {
            let mut copy = self.database.copy_in_raw("copy copied.usage_events from stdin").await.unwrap();
            copy.send(text.as_bytes()).await.unwrap();
            copy.finish().await.unwrap();
        }
        started.elapsed()
    }

    /// Payments per second while periods are closed, and while none is; and how many were closed.
    async fn payments(&mut self, seconds: i64, payers: i64, reverse: bool) -> ((f64, f64), i64) {
        let mut rates = [0.0, 0.0];
        let mut closed = 0;
        for closing in [!reverse, reverse] {
            let (load, started) = (Load::start(self, payers), Instant::now());
            let length = Duration::from_secs(u64::try_from(seconds).unwrap());
            if closing {
                while started.elapsed() < length {
                    self.close().await;
                    closed += 1;
                }
            } else {
                tokio::time::sleep(length).await;
            }
            rates[usize::from(!closing)] = load.stop().await.per_second;
        }
        ((rates[0], rates[1]), closed)
    }

    /// Closes a period from the last one's end until now.
    async fn close(&self) -> billing::Closed {
        let store = &self.world.engines[0].engine.store;
        let last = store.invoices(self.tenant, None, 1).await.unwrap().invoices.pop();
        let start = last.map_or(self.begin, |last| last.period.end);
        let end = store.now().await.unwrap();
        let period_from = |start| Ok(Period { start, end });
        billing::close(store, self.tenant, &plan(), (start, 0), (self.begin, period_from)).await.unwrap()
    }

    async fn all_is_sealed(&mut self) {
        support::eventually("all is sealed", async || {
            let left = sqlx::query_scalar::<_, i64>("select count(*) from payplane.unsealed");
            (left.fetch_one(&mut self.database).await.unwrap() == 0).then_some(())
        })
        .await;
    }

    /// Nothing was lost or billed twice.
    async fn check(&mut self, events: i64) {
        self.all_is_sealed().await;
        self.close().await;
        let mut counts = [0; 2];
        for (count, table) in counts.iter_mut().zip(["payplane.usage_events", "copied.usage_events"]) {
            let query = AssertSqlSafe(format!("select count(*) from {table} where source = 'gateway'"));
            *count = sqlx::query_scalar(query).fetch_one(&mut self.database).await.unwrap();
        }
        assert_eq!(counts, [events, events]);
        let store = &self.world.engines[0].engine.store;
        let invoices = store.invoices(self.tenant, None, 1_000_000).await.unwrap().invoices;
        let billed: i64 = invoices.iter().map(|invoice| invoice.document.usage.payments).sum();
        assert_eq!(billed, self.payments.load(Ordering::Relaxed));
        self.database.ping().await.unwrap();
    }
}

fn plan() -> Plan {
    let flat = || Model::Flat(Rate::parse("0.0025").unwrap());
    Plan::new(Terms {
        version: "1".to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 0,
        prices: vec![
            Price { metric: Metric::Payments, free: 0, model: flat() },
            Price { metric: Metric::Volume, free: 0, model: flat() },
        ],
        events: vec![EventPrice { name: "calls".to_owned(), free: 0, model: flat() }],
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: Vec::new(),
    })
    .unwrap()
}

fn table(
    usage: &[(f64, f64)],
    payments: &[(f64, f64)],
    closes: i64,
    (rounds, requests, seconds, payers): (i64, i64, i64, i64),
) -> String {
    let mut text = format!(
        "{rounds} rounds: {requests} requests of {EVENTS} events; {seconds} seconds of {payers} payers, in which {closes} periods \
         were closed in all.\n\n\
         | | per second | beside it, per second | ratio | with 95 % confidence at least |\n|---|---|---|---|---|\n"
    );
    for (name, pairs) in [
        ("`RecordUsage` beside `COPY` (wanted: at least 0.33)", usage),
        ("payments while periods are closed beside without", payments),
    ] {
        let ratio = Ratio::of(pairs);
        let three = |spread: Spread, digits: usize| {
            format!("{:.digits$} / {:.digits$} / {:.digits$}", spread.min, spread.median, spread.max)
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {:.2} |",
            three(Spread::of(pairs.iter().map(|pair| pair.0)), 0),
            three(Spread::of(pairs.iter().map(|pair| pair.1)), 0),
            three(ratio.spread, 2),
            ratio.lower
        );
    }
    text
}
