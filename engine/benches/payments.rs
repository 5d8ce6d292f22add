//! Payments per second: the engine against pgbench with the same transaction, on one durable PostgreSQL, in turns.
//!
//! The engine is the release binary as a process of its own, called over loopback gRPC with tokens, one payment per
//! call. pgbench sends the realistic transaction pipelined: insert the transfer under a unique key, update both
//! balances. After every run of the engine, rows must equal acknowledgements and the books must balance.
//!
//! `PAYPLANE_BENCH_SECONDS` (5) and `PAYPLANE_BENCH_PAIRS` (3) choose length and number of runs.
// A test fails by panicking, in its helpers too.
#![allow(clippy::float_arithmetic, clippy::panic, clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use payplane_proto::v1 as proto;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use support::{
    client::{Client, name, usd},
    eventually,
    postgres::Postgres,
    world::World,
};
use uuid::Uuid;

const CLIENTS: usize = 32;
const WALLETS: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Random pairs of wallets.
    Uniform,
    /// Random payers, one payee.
    Hot,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let seconds = setting("PAYPLANE_BENCH_SECONDS", 5);
    let pairs = setting("PAYPLANE_BENCH_PAIRS", 3);
    let postgres = Postgres::start(&["shared_buffers = 1GB", "max_wal_size = 4GB"]);
    let mut world = World::with_engines(&postgres, 1).await;
    fill(&world).await;
    let helper = world.engines.remove(0);
    helper.drain().await.unwrap();
    let (engine, port) = world.spawn_engine();
    println!("engine resident at start: {} MiB", resident_mib(engine.id()));
    let clients = clients(&world, port).await;
    for case in [Case::Uniform, Case::Hot] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            checkpoint(&world).await;
            ours.push(run_engine(&world, &clients, case, Duration::from_secs(seconds)).await);
            checkpoint(&world).await;
            theirs.push(run_pgbench(&postgres, &world, case, seconds, pair));
        }
        report(case, &ours, &theirs);
    }
    println!("engine resident: {} MiB", resident_mib(engine.id()));
    stop(engine);
}

async fn run_engine(world: &World, clients: &[Client], case: Case, length: Duration) -> Run {
    let mut database = world.database.superuser().await;
    let before = transfers(&mut database).await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let run = Uuid::new_v4().simple().to_string();
    let started = Instant::now();
    let workers = clients.iter().enumerate().map(|(worker, client)| {
        let (client, stop, acknowledged) = (client.clone(), stop.clone(), acknowledged.clone());
        let run = run.clone();
        tokio::spawn(async move {
            let mut random = Random(worker as u64 * 7_919 + 1);
            let mut latencies = Vec::new();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let request = request(&format!("{run}-{worker}-{number}"), case, &mut random);
                let outcome = client.pay(request).await.unwrap();
                assert!(
                    matches!(outcome.result, Some(proto::payment_outcome::Result::Payment(_))),
                    "{outcome:?}"
                );
                latencies.push(asked.elapsed());
                acknowledged.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
            latencies
        })
    });
    let workers: Vec<_> = workers.collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies: Vec<Duration> =
        join_all(workers).await.into_iter().flat_map(|worker| worker.unwrap()).collect();
    let took = started.elapsed();
    latencies.sort_unstable();
    let count = acknowledged.load(Ordering::Relaxed);
    assert_eq!(transfers(&mut database).await - before, count as i64, "rows differ from acknowledgements");
    assert_balanced(&mut database).await;
    let percentile = |of: usize| latencies[latencies.len() * of / 100].as_secs_f64() * 1_000.0;
    Run { per_second: count as f64 / took.as_secs_f64(), p50_ms: percentile(50), p99_ms: percentile(99) }
}

fn run_pgbench(postgres: &Postgres, world: &World, case: Case, seconds: u64, pair: u64) -> Run {
    let payee = if case == Case::Hot { "0" } else { "random(0, 9999)" };
    let script = world.database.files.write(
        "pgbench.sql",
        &format!(
            "\\set payer random(1, 9999)\n\\set payee {payee}\n\\startpipeline\nbegin;\n\
             insert into peer.transfers (key, debit, credit, minor) values (gen_random_uuid()::text, :payer, :payee, 1);\n\
             update peer.accounts set balance = balance - 1 where id = :payer;\n\
             update peer.accounts set balance = balance + 1 where id = :payee;\ncommit;\n\\endpipeline\n"
        ),
    );
    let log = world.database.files.path().join(format!("pgbench-{case:?}-{pair}"));
    let output = postgres
        .tool("pgbench")
        .args(["--no-vacuum", "--protocol=extended", "--jobs=2", "--max-tries=100", "--log"])
        .arg(format!("--log-prefix={}", log.display()))
        .args([format!("--client={CLIENTS}"), format!("--time={seconds}")])
        .arg("--file")
        .arg(script)
        .arg(&world.database.name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("tps = ")).unwrap_or_else(|| panic!("{output:?}"));
    let per_second: f64 = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    let (p50_ms, p99_ms) = pgbench_percentiles(world, &format!("pgbench-{case:?}-{pair}"));
    Run { per_second, p50_ms, p99_ms }
}

/// The third column of the per-transaction log is the latency in microseconds.
fn pgbench_percentiles(world: &World, prefix: &str) -> (f64, f64) {
    let mut latencies: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(world.database.files.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let latency =
                |line: &str| line.split_whitespace().nth(2).and_then(|text| text.parse::<u64>().ok());
            latencies.extend(text.lines().filter_map(latency));
        }
    }
    latencies.sort_unstable();
    let percentile = |of: usize| latencies[latencies.len() * of / 100] as f64 / 1_000.0;
    (percentile(50), percentile(99))
}

fn report(case: Case, ours: &[Run], theirs: &[Run]) {
    for (system, runs) in [("engine", ours), ("pgbench", theirs)] {
        let mut rates: Vec<f64> = runs.iter().map(|run| run.per_second).collect();
        rates.sort_by(f64::total_cmp);
        let middle = |value: fn(&Run) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{case:?} {system}: payments/s min {:.0} median {:.0} max {:.0}; p50 {:.2} ms, p99 {:.2} ms",
            rates[0],
            rates[rates.len() / 2],
            rates[rates.len() - 1],
            middle(|run| run.p50_ms),
            middle(|run| run.p99_ms)
        );
    }
    let mut ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(ours, theirs)| ours.per_second / theirs.per_second).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{case:?} engine / pgbench: min {:.2} median {:.2} max {:.2}",
        ratios[0],
        ratios[ratios.len() / 2],
        ratios[ratios.len() - 1]
    );
}

/// Ten thousand wallets on either side, with money in them.
async fn fill(world: &World) {
    let platform = world.as_platform(None);
    let tenant = proto::Tenant {
        name: "acme".to_owned(),
        namespaces: vec!["acme".to_owned()],
        settlement_caps: vec![usd("90000000000000.00")],
        default_role: proto::Role::Admin.into(),
        ..Default::default()
    };
    platform.tenants.clone().put_tenant(proto::PutTenantRequest { tenant: Some(tenant) }).await.unwrap();
    let admin = world.as_role("acme", "bench");
    let wallets = (0..CLIENTS as u64).map(|worker| {
        let admin = admin.clone();
        tokio::spawn(async move {
            for number in (worker..WALLETS).step_by(CLIENTS) {
                let wallet = format!("w{number}");
                admin.wallet(&wallet, "USD").await;
                let funding = support::client::funding(&format!("fund {wallet}"), &wallet, "1000000.00");
                support::client::paid(&admin.pay(funding).await.unwrap());
            }
        })
    });
    join_all(wallets).await.into_iter().for_each(|worker| worker.unwrap());
    let mut database = world.database.superuser().await;
    let statements = "create schema peer;
        create table peer.accounts (id bigint primary key, balance bigint not null check (0 <= balance))
            with (fillfactor = 70);
        insert into peer.accounts select id, 100000000 from generate_series(0, 9999) id;
        create table peer.transfers (id bigserial primary key, key text not null unique, debit bigint not null,
            credit bigint not null, minor bigint not null, created_at timestamptz not null default now());
        analyze";
    database.execute(sqlx::raw_sql(statements)).await.unwrap();
}

async fn clients(world: &World, port: u16) -> Vec<Client> {
    let token = format!("Bearer {}", world.issuer.token("system:serviceaccount:acme:bench"));
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let clients: Vec<Client> =
        (0..CLIENTS).map(|_| Client::new(address, &[("authorization", &token)])).collect();
    for client in &clients {
        eventually("the engine to serve", async || {
            let request = proto::GetWalletRequest { wallet: Some(name("w0")), ..Default::default() };
            client.wallets.clone().get_wallet(request).await.ok()
        })
        .await;
    }
    clients
}

fn request(key: &str, case: Case, random: &mut Random) -> proto::CreatePaymentRequest {
    let payer = 1 + random.next() % (WALLETS - 1);
    let payee = match case {
        Case::Hot => 0,
        Case::Uniform => (payer + 1 + random.next() % (WALLETS - 2)) % WALLETS,
    };
    support::client::payment(key, &format!("w{payer}"), &format!("w{payee}"), "0.01")
}

async fn checkpoint(world: &World) {
    world.database.superuser().await.execute("checkpoint").await.unwrap();
}

async fn transfers(database: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from payplane.transfers").fetch_one(database).await.unwrap()
}

async fn assert_balanced(database: &mut PgConnection) {
    let statement =
        "select coalesce(sum(posted_credits) - sum(posted_debits), 0)::text from payplane.accounts";
    let sum: String = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(database).await.unwrap();
    assert_eq!(sum, "0", "the books do not balance");
}

fn stop(mut engine: Child) {
    Command::new("kill").args(["-TERM", &engine.id().to_string()]).status().unwrap();
    engine.wait().unwrap();
}

fn resident_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A linear congruential generator: repeatable, and enough to choose wallets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
