//! pgbench with the realistic transfer: insert it under a unique key, update both balances, commit; in one round trip, as
//! prepared statements, which is the fastest way that pgbench knows. Rows are locked in the order of their ids, so that
//! nothing deadlocks, and the merchant's is the last.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::super::{load::Load, requests::Pattern, world::World};
use crate::support::{TempDir, postgres::Postgres};

const SCRIPT: &str = "\\set low least(:payer, :payee)
\\set high greatest(:payer, :payee)
\\set change case when :payer < :payee then -1 else 1 end
\\startpipeline
begin;
insert into single.transfers (key, debit, credit, minor) values (gen_random_uuid()::text, :payer, :payee, 1);
update single.accounts set balance = balance + :change where id = :low;
update single.accounts set balance = balance - :change where id = :high;
commit;
\\endpipeline
";

pub(crate) fn run(
    postgres: &Postgres,
    world: &World,
    pattern: Pattern,
    clients: usize,
    length: Duration,
) -> Load {
    let files = TempDir::new();
    let payee = match pattern {
        Pattern::Uniform => "mod(:payer + random(1, 9999), 10000)",
        Pattern::Hot => "10000",
    };
    let script = format!("\\set payer random(0, 9999)\n\\set payee {payee}\n{SCRIPT}");
    let script = files.write("transfer.sql", &script);
    let started = Instant::now();
    let output = postgres
        .tool("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--max-tries=100", "--log"])
        .arg(format!("--log-prefix={}", files.path().join("log").display()))
        .args([format!("--client={clients}"), format!("--jobs={}", clients.min(2))])
        .args([format!("--time={}", length.as_secs()), "--file".to_owned()])
        .arg(script)
        .arg(&world.database.name)
        .output()
        .unwrap();
    let took = started.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let latencies = latencies(files.path());
    let done = latencies.len() as u64;
    // Its own rate leaves out the time that connecting takes.
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let rate: f64 = rate.unwrap_or_else(|| panic!("no rate in {text}"));
    let took = Duration::from_secs_f64(done as f64 / rate).min(took);
    Load { done, turned_away: 0, took, latencies }
}

/// The third column of the per-transaction log is the latency in microseconds, or a word for a failure.
fn latencies(directory: &Path) -> Vec<f64> {
    let mut latencies: Vec<f64> = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("log.") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let latency = |line: &str| line.split(' ').nth(2).and_then(|text| text.parse::<f64>().ok());
            latencies.extend(text.lines().filter_map(latency).map(|us| us / 1_000.0));
        }
    }
    latencies.sort_by(f64::total_cmp);
    latencies
}
