//! Figures as tables, on the screen and between the marks in docs/performance.md.

use std::{fmt::Write as _, path::Path, time::Duration};

use super::{
    chart,
    counts::Holdings,
    drawing::thousands,
    machine::Machine,
    page,
    payments::{self, Rounds, Run},
    settings::Settings,
    statistics::{Spread, quantile},
    tenants,
};

/// Everything that one run of the program found.
pub struct Report {
    pub settings: Settings,
    pub payments: payments::Figures,
    pub tenants: tenants::Figures,
}

/// A complete run replaces what stands between the markers; any other leaves its findings beside what cargo builds.
pub fn write(report: &Report) {
    let (text, svg) = (markdown(report), chart::svg(&report.payments));
    println!("{text}");
    if !report.settings.writes_docs || !report.settings.is_complete() {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(scratch.join("performance-operator.md"), text).unwrap();
        std::fs::write(scratch.join("performance-operator.svg"), svg).unwrap();
        println!("docs/ is left as it is; the report is in {}", scratch.display());
        return;
    }
    page::write("bench-operator", &text);
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance-operator.svg");
    std::fs::write(chart, svg).unwrap();
}

fn markdown(report: &Report) -> String {
    let Report { settings, payments, tenants } = report;
    let mut text = head(settings, payments);
    text += &growth(payments);
    text += &alone(payments);
    text += &onboarding(tenants);
    text + "Triples are least / median / greatest over the rounds. Bounds are those of the geometric mean of the ratios \
            within rounds (one-sided, Student's t on logarithms, 95 %).\n"
}

fn head(settings: &Settings, payments: &payments::Figures) -> String {
    let Machine { date, commit, processors, processor, memory_gib, kernel, .. } =
        Machine::look(&std::env::temp_dir());
    let profile = if cfg!(debug_assertions) { "**debug builds**" } else { "release builds" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{date}, commit {commit}, {profile}. {processors} cores ({processor}), {memory_gib:.0} GiB, {kernel}; load of the \
         machine at the end {}. etcd does not wait for its disk; PostgreSQL does. {} rounds of {} wanted.\n\n\
         At the end the ledger had {} payments of this run, each once, and every object was Completed.\n\n\
         ![Payments through the operator](performance-operator.svg)\n\n",
        load.split(' ').next().unwrap_or_default(),
        payments.many.operator.len(),
        settings.rounds,
        thousands(payments.facts as f64),
    )
}

/// How cost grows with the number of Payments.
fn growth(figures: &payments::Figures) -> String {
    let sizes = [&figures.few, &figures.many];
    let names = sizes.map(|rounds| thousands(rounds.last().size as f64));
    let mut text =
        format!("| Payments at once | {} | {} | wanted |\n|---|---|---|---|\n", names[0], names[1]);
    let mut line = |what: &str, cell: &dyn Fn(&Rounds) -> String, wanted: &str| {
        let _ = writeln!(text, "| {what} | {} | {} | {wanted} |", cell(sizes[0]), cell(sizes[1]));
    };
    let of = |runs: &[Run], value: fn(&Run) -> f64, digits: usize| triple(runs.iter().map(value), digits);
    line("operator, final per second", &|rounds| of(&rounds.operator, Run::rate, 0), "");
    line("raw client, created and patched per second", &|rounds| of(&rounds.raw, Run::rate, 0), "");
    line("ratio", &|rounds| bound(rounds), "at least 0.6 at 10,000");
    let created = |run: &Run| run.size as f64 / run.created.as_secs_f64();
    line("objects created meanwhile, per second", &|rounds| of(&rounds.operator, created, 0), "");
    let each = |rounds: &Rounds, place: usize| {
        let run = rounds.last();
        format!("{:.3}", run.writes[place] as f64 / run.size.max(1) as f64)
    };
    line("status writes per payment", &|rounds| each(rounds, 0), "1");
    line("all writes per payment, with Events and wallets", &|rounds| each(rounds, 3), "");
    line("Events written per payment", &|rounds| each(rounds, 2), "");
    line("status writes of wallets, in all", &|rounds| rounds.last().writes[1].to_string(), "");
    for (place, who) in ["operator", "engine", "API server", "etcd"].into_iter().enumerate() {
        let cost =
            |rounds: &Rounds| triple(rounds.operator.iter().map(|run| run.costs.each(run.size)[place]), 2);
        line(&format!("processor time of the {who} per payment, ms"), &cost, "");
    }
    let raw = |rounds: &Rounds| triple(rounds.raw.iter().map(|run| run.costs.each(run.size)[2]), 2);
    line("of the API server per object of the raw client, ms", &raw, "");
    line(
        "operator's memory at the peak, MiB",
        &|rounds| of(&rounds.operator, |run| mib(run.peak), 0),
        "under 150",
    );
    line(
        "operator's memory when all are final, MiB",
        &|rounds| of(&rounds.operator, |run| mib(run.resident), 0),
        "under 60",
    );
    let calls = figures.many.last().calls;
    text + &format!("\nThe API server was asked per payment, with its creation, for: {calls}.\n\n")
}

fn bound(rounds: &Rounds) -> String {
    let ratio = rounds.ratio();
    let Spread { min, median, max } = ratio.spread;
    let lower = if ratio.lower.is_nan() { "no bound".into() } else { format!("{:.2} at least", ratio.lower) };
    format!("{min:.2} / {median:.2} / {max:.2}, {lower}")
}

/// What is measured once.
fn alone(figures: &payments::Figures) -> String {
    let mut text = "| one at a time, and afterwards | measured | wanted |\n|---|---|---|\n".to_owned();
    let mut line = |what: &str, measured: String, wanted: &str| {
        let _ = writeln!(text, "| {what} | {measured} | {wanted} |");
    };
    let times: Vec<f64> = figures.latencies.iter().map(Duration::as_secs_f64).collect();
    let at = |thousandths| quantile(&times, thousandths) * 1_000.0;
    line(
        &format!(
            "creation to final, {} payments in {} s, p50 / p99 / most, ms",
            times.len(),
            times.len() / 10
        ),
        format!("{:.0} / {:.0} / {:.0}", at(500), at(990), at(1_000)),
        "p99 below 250",
    );
    let size = thousands(figures.many.last().size as f64);
    let restart = &figures.restart;
    line(
        &format!("restart among {size}, ready after"),
        format!("{:.1} s", restart.ready.as_secs_f64()),
        "under 30 s",
    );
    let written = if restart.writes == 0 { "0".to_owned() } else { restart.written.clone() };
    line("writes after the restart", written, "0");
    let idle = &figures.idle;
    let share = format!("{:.2} %", idle.share * 100.0);
    line(&format!("{size} settled, idle for {} s, share of a core", idle.time.as_secs()), share, "under 1 %");
    line("writes meanwhile", idle.writes.to_string(), "0");
    line("memory meanwhile, MiB", format!("{:.0}", mib(idle.resident)), "under 60");
    text + "\n"
}

fn onboarding(figures: &tenants::Figures) -> String {
    let tenants = thousands(figures.wanted as f64);
    let mut text = format!("| {tenants} Tenants at once | measured |\n|---|---|\n");
    let mut line = |what: &str, measured: String| {
        let _ = writeln!(text, "| {what} | {measured} |");
    };
    let each = |count: u64| format!("{:.1}", count as f64 / figures.wanted.max(1) as f64);
    let rate = figures.ready as f64 / figures.took.as_secs_f64();
    line("Ready", format!("{} after {:.0} s", thousands(figures.ready as f64), figures.took.as_secs_f64()));
    line("onboarded per second", format!("{rate:.1}"));
    let (reads, writes) = figures.requests;
    line("API calls per tenant, reads + writes", format!("{} + {}", each(reads), each(writes)));
    let costs = figures.costs.each(figures.wanted.max(1)).map(|cost| format!("{cost:.1}"));
    line("processor time per tenant, ms: operator + engine + API server + etcd", costs.join(" + "));
    let memory = format!("{:.0} / {:.0}", mib(figures.peak), mib(figures.resident));
    line("operator's memory at the peak / afterwards, MiB", memory);
    line("writes in the ten seconds after that", figures.afterwards.to_string());
    let restart = &figures.restart;
    let again = format!(
        "{:.1} s, {} + {}",
        restart.ready.as_secs_f64(),
        restart.requests - restart.writes,
        restart.writes
    );
    line("restart among them: ready after, reads + writes", again);
    line(&format!("{tenants} namespaces alone added: {WHERE}"), held(figures.of_namespaces));
    line(&format!("the Tenants added to that, with a namespace each: {WHERE}"), held(figures.of_tenants));
    text + &format!("\nThe API calls per tenant, with its creation: {}.\n\n", figures.calls)
}

const WHERE: &str = "API server (of it heap) + etcd, MiB; stored, MiB";

fn held(held: Holdings) -> String {
    let Holdings { server, heap, etcd, stored } = held;
    format!("{server:.0} ({heap:.0}) + {etcd:.0}; {stored:.1}")
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

fn triple(values: impl Iterator<Item = f64>, digits: usize) -> String {
    let Spread { min, median, max } = Spread::of(values);
    format!("{min:.digits$} / {median:.digits$} / {max:.digits$}")
}
