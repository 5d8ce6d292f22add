//! pgbench with the realistic transfer: insert it under a unique key, update both balances, commit; in one round trip, as
//! prepared statements, which is the fastest way that pgbench knows. Rows are locked in the order of their ids, so that
//! nothing deadlocks, and the merchant's is the last.

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use super::{
    super::{load::Load, requests::Pattern, world::World},
    HOST, Link, PASSWORD, USER,
};
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
    (clients, link): (usize, Link),
    length: Duration,
) -> Load {
    let files = TempDir::new();
    let mut command = command(postgres, world, &files, pattern, link, length);
    let started = Instant::now();
    let output = command
        .args([
            "--max-tries=100".to_owned(),
            format!("--client={clients}"),
            format!("--jobs={}", clients.min(2)),
        ])
        .output()
        .unwrap();
    let took = started.elapsed();
    let text = checked(output);
    let latencies = latencies(files.path(), false);
    let done = latencies.len() as u64;
    // Its own rate leaves out the time that connecting takes.
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let rate: f64 = rate.unwrap_or_else(|| panic!("no rate in {text}"));
    let took = Duration::from_secs_f64(done as f64 / rate).min(took);
    Load { done, turned_away: 0, took, latencies }
}

/// How long the transfers of one client take that begins so many in a second.
pub(crate) async fn paced(postgres: &Postgres, world: &World, per_second: f64, length: Duration) -> Vec<f64> {
    let files = TempDir::new();
    let mut command = command(postgres, world, &files, Pattern::Uniform, Link::Loopback, length);
    command.arg(format!("--rate={per_second}"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    checked(output);
    latencies(files.path(), true)
}

fn command(
    postgres: &Postgres,
    world: &World,
    files: &TempDir,
    pattern: Pattern,
    link: Link,
    length: Duration,
) -> Command {
    let payee = match pattern {
        Pattern::Uniform => "mod(:payer + random(1, 9999), 10000)",
        Pattern::Hot => "10000",
    };
    let script = format!("\\set payer random(0, 9999)\n\\set payee {payee}\n{SCRIPT}");
    let script = files.write("transfer.sql", &script);
    let mut command = postgres.tool("pgbench");
    if link == Link::Loopback {
        command.env("PGHOST", HOST).env("PGUSER", USER).env("PGPASSWORD", PASSWORD);
    }
    command
        .args(["--no-vacuum", "--protocol=prepared", "--log"])
        .arg(format!("--log-prefix={}", files.path().join("log").display()))
        .args([format!("--time={}", length.as_secs()), "--file".to_owned()])
        .arg(script)
        .arg(&world.database.name);
    command
}

/// What it printed.
fn checked(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// In milliseconds, sorted. The third column of the per-transaction log is the latency in microseconds, or a word for a failure;
/// where transactions have a rate it counts from when one was due, and the seventh is how late it began.
fn latencies(directory: &Path, is_paced: bool) -> Vec<f64> {
    let latency = |line: &str| {
        let column = |number| line.split(' ').nth(number)?.parse::<f64>().ok();
        let late = if is_paced { column(6)? } else { 0.0 };
        Some((column(2)? - late) / 1_000.0)
    };
    let mut latencies: Vec<f64> = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("log.") {
            latencies.extend(std::fs::read_to_string(entry.path()).unwrap().lines().filter_map(latency));
        }
    }
    latencies.sort_by(f64::total_cmp);
    latencies
}
