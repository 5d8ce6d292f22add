//! Figures as tables, on the screen and between the marks in docs/performance.md.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use super::load::Counts;

const BEGIN: &str = "<!-- Written by `make bench-operator`. Do not edit below. -->";
const END: &str = "<!-- Written by `make bench-operator`. Do not edit above. -->";

/// One side of one round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    pub took: Duration,
    pub created: Duration,
    pub writes: Counts,
    pub peak: u64,
    pub resident: u64,
    pub cost: f64,
}

/// A time in which nothing happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    pub time: Duration,
    pub share: f64,
    pub writes: u64,
    pub resident: u64,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub size: u64,
    pub latencies: Vec<Duration>,
    pub operator: Vec<Run>,
    pub raw: Vec<Run>,
    pub restart: (Duration, u64),
    pub idle: Idle,
    pub facts: u64,
}

/// Prints the tables, and writes them unless PAYPLANE_BENCH_WRITE is 0.
pub fn write(figures: &Figures) {
    let text = tables(figures);
    println!("{text}");
    if std::env::var("PAYPLANE_BENCH_WRITE").is_ok_and(|value| value == "0") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/performance.md has the marks");
    let (_, after) = rest.split_once(END).expect("docs/performance.md has the marks");
    std::fs::write(&path, format!("{before}{BEGIN}\n\n{text}\n{END}{after}")).unwrap();
}

fn tables(figures: &Figures) -> String {
    let mut text = String::new();
    let rate = |run: &Run| figures.size as f64 / run.took.as_secs_f64();
    let pairs = figures.operator.iter().zip(&figures.raw);
    let ratios: Vec<f64> = pairs.map(|(operator, raw)| rate(operator) / rate(raw)).collect();
    let last = figures.operator.last().copied().unwrap_or_default();
    let peak = figures.operator.iter().map(|run| run.peak).max().unwrap_or(0);
    let at = |percent: usize| {
        let times = &figures.latencies;
        times
            .get(times.len().saturating_sub(1) * percent / 100)
            .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let each = |count: u64| format!("{:.3}", count as f64 / figures.size as f64);
    let _ = writeln!(text, "{}\n", machine());
    let _ = writeln!(
        text,
        "After the last round the ledger had {} payments, each once; every object was Completed.\n",
        figures.facts
    );
    text += "| what | measured | wanted |\n|---|---|---|\n";
    let mut line = |what: &str, measured: String, wanted: &str| {
        let _ = writeln!(text, "| {what} | {measured} | {wanted} |");
    };
    line("Payments applied at once", figures.size.to_string(), "10,000");
    line("operator, final per second", triple(figures.operator.iter().map(rate)), "");
    line("raw client, created and patched per second", triple(figures.raw.iter().map(rate)), "");
    let created = |run: &Run| figures.size as f64 / run.created.as_secs_f64();
    line("objects created meanwhile, per second", triple(figures.operator.iter().map(created)), "");
    line("ratio within rounds", triple(ratios.into_iter()), "at least 0.6");
    line("status writes per payment", each(last.writes.payments), "1");
    line("Events written per payment", each(last.writes.events), "");
    line("status writes of wallets, in all", last.writes.wallets.to_string(), "");
    line("other status writes, in all", last.writes.others.to_string(), "0");
    line(
        "processor time of the operator per payment, ms",
        format!("{:.2}", last.cost * 1_000.0 / figures.size as f64),
        "",
    );
    line(
        "creation to final, one at a time, p50 / p99 ms",
        format!("{:.0} / {:.0}", at(50), at(99)),
        "p99 below 250",
    );
    line("operator's memory at the peak, MiB", mib(peak), "under 150");
    line("operator's memory when all are final, MiB", mib(last.resident), "under 60");
    line(
        "restart among them, ready after",
        format!("{:.1} s", figures.restart.0.as_secs_f64()),
        "under 30 s",
    );
    line("writes after the restart", figures.restart.1.to_string(), "0");
    let idle = &figures.idle;
    line(
        &format!("idle for {} s, share of a core", idle.time.as_secs()),
        format!("{:.2} %", idle.share * 100.0),
        "under 1 %",
    );
    line("writes meanwhile", idle.writes.to_string(), "0");
    line("memory meanwhile, MiB", mib(idle.resident), "under 60");
    text += "\nTriples are least / median / greatest over the rounds.\n";
    text
}

fn mib(kib: u64) -> String {
    format!("{:.0}", kib as f64 / 1_024.0)
}

fn triple(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(least), Some(median), Some(most)) => format!("{least:.2} / {median:.2} / {most:.2}"),
        _ => "not measured".into(),
    }
}

/// When, at which commit, on what, and how busy that was.
fn machine() -> String {
    let told = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "**debug build**" } else { "release build" };
    format!(
        "{}, commit {}, {profile}. {} cores, Linux {}; load of the machine at the end {}.",
        told("date", &["-u", "+%F %H:%M UTC"]),
        told("git", &["rev-parse", "--short=12", "HEAD"]),
        told("nproc", &[]),
        told("uname", &["-r"]),
        load.split(' ').next().unwrap_or_default(),
    )
}
