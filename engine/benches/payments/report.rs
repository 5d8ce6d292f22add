//! What is told: a line per comparison, tables in Markdown, and the files under docs/.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::{
    POSTGRES,
    cases::{CLIENTS_FEWER, Goal, Measured, ROUNDS_WITH_FEWER, per_payment, spread},
    chart,
    drawing::thousands,
    machine::Machine,
    measure::Run,
    overload::{Felt, Overload, Round},
    page,
    rivals::raw::Shape,
    settings::{CLIENTS_MAX, Settings},
    statistics::{Ratio, Spread, quantile},
};

/// Everything that one run of the program found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    /// The faster way to send the engine's rows, where that was asked.
    pub(crate) raw: Option<Shape>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) overload: Option<Overload>,
}

/// One comparison in one line.
pub(crate) fn verdict(measured: &Measured, rival: usize) -> String {
    let ratio = measured.ratio(rival);
    let against = measured.case.rivals[rival].side.name();
    format!("{}: x {} of {against}, {}", measured.case.name, range(ratio.spread, 2), bound(measured, rival))
}

/// The bound that counts, what is wanted, and whether that is had.
fn bound(measured: &Measured, rival: usize) -> String {
    let ratio = measured.ratio(rival);
    let met = match measured.is_met(rival) {
        Some(true) => ", met",
        Some(false) => ", **not met**",
        None => "",
    };
    match measured.case.rivals[rival].goal {
        Goal::Rate(least) => format!("{} at least (wanted: {least:.1}{met})", factor(ratio.lower)),
        Goal::Latency(most) => format!("{} at most (wanted: {most:.1}{met})", factor(ratio.upper)),
        Goal::None => format!("{} at least", factor(ratio.lower)),
    }
}

/// "None" for the bound of a single pair.
fn factor(value: f64) -> String {
    if value.is_nan() { "none".to_owned() } else { format!("{value:.2}") }
}

fn range(Spread { min, median, max }: Spread, digits: usize) -> String {
    format!("{min:.digits$} / {median:.digits$} / {max:.digits$}")
}

fn rates(runs: &[Run]) -> String {
    let Spread { min, median, max } = spread(runs, |run| run.per_second);
    format!("{} / {} / {}", thousands(min), thousands(median), thousands(max))
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.ratios());
        text.push_str(&self.costs());
        text.push_str(&self.memory());
        if let Some(overload) = &self.overload {
            text.push_str(&overloaded(overload));
        }
        text
    }

    /// A complete run replaces what stands between the markers; any other leaves its findings beside what cargo builds.
    pub(crate) fn write(&self) {
        let (text, svg) = (self.markdown(), chart::svg(&self.measured));
        if !self.settings.writes_docs || !self.settings.is_complete() {
            let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
            fs::write(scratch.join("performance.md"), text).unwrap();
            fs::write(scratch.join("performance.svg"), svg).unwrap();
            println!("docs/ is left as it is; the report is in {}", scratch.display());
            return;
        }
        page::write("bench", &text);
        fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.svg"), svg).unwrap();
    }

    fn head(&self) -> String {
        let Machine { date, commit, processors, processor, memory_gib, kernel, fsync_us } = &self.machine;
        let Settings { pairs, length, connections, .. } = &self.settings;
        let (fastest, middle, slow) = fsync_us;
        let runs: usize = self.measured.iter().map(|one| one.ours.len()).sum();
        let payments: u64 = self.measured.iter().flat_map(|one| &one.ours).map(|run| run.done).sum();
        let away: u64 = self.measured.iter().flat_map(|one| &one.ours).map(|run| run.turned_away).sum();
        let pool =
            if *connections == CLIENTS_MAX { "one each".to_owned() } else { format!("{connections} shared") };
        let raw = match self.raw {
            Some(Shape::Columns) => " The raw program sends one array per column, which was the faster way.",
            Some(_) => " The raw program sends one array of rows, which was the faster way.",
            None => "",
        };
        format!(
            "{date}, commit {commit}. {processors} cores ({processor}), {memory_gib:.0} GiB, {kernel}. Writing 8 kB \
             durably takes {middle:.0} us (best {fastest:.0}, 99 % within {slow:.0}). PostgreSQL with {settings}, \
             `fsync` and `synchronous_commit` on. {pairs} rounds of {seconds} s per side, {more} with \
             {CLIENTS_FEWER} clients. HTTP/2 connections of the engine's clients: {pool}.{raw}\n\n\
             After each of {runs} runs of the engine, {payments} payments in all, rows equalled acknowledgements, sums \
             balanced, nobody waited, and at the end of each case every batch was in the chain and the whole ledger verified. Turned away for want of \
             room: {away}.\n\n![Payments per second](performance.svg)\n\n",
            settings = POSTGRES.map(|setting| format!("`{setting}`")).join(", "),
            seconds = length.as_secs(),
            more = pairs * ROUNDS_WITH_FEWER,
            payments = thousands(payments as f64),
            away = thousands(away as f64),
        )
    }

    fn ratios(&self) -> String {
        let mut text = "| case | engine, per second | against | its rate | ratio | with 95 % confidence |\n\
                        |---|---|---|---|---|---|\n"
            .to_owned();
        for one in &self.measured {
            for (rival, runs) in one.theirs.iter().enumerate() {
                let what =
                    if matches!(one.case.rivals[rival].goal, Goal::Latency(_)) { " (p50)" } else { "" };
                let _ = writeln!(
                    text,
                    "| {} | {} | {}{what} | {} | {} | {} |",
                    one.case.name,
                    rates(&one.ours),
                    one.case.rivals[rival].side.name(),
                    rates(runs),
                    range(one.ratio(rival).spread, 2),
                    bound(one, rival)
                );
            }
        }
        text + "\nTriples are least / median / greatest. The bound is that of the geometric mean of the ratios within \
                rounds (one-sided, Student's t on logarithms).\n\n"
    }

    fn costs(&self) -> String {
        let mut text =
            "| case | side | p50 ms | p99 ms | cores: PostgreSQL + engine + driver | WAL bytes | disk bytes \
                        | payments per batch |\n|---|---|---|---|---|---|---|---|\n"
                .to_owned();
        for one in &self.measured {
            for (side, runs) in one.sides() {
                let middle = |value: fn(&Run) -> f64| spread(runs, value).median;
                let cores = [0, 1, 2].map(|who| format!("{:.2}", spread(runs, |run| run.cores[who]).median));
                let batches: f64 = runs.iter().map(|run| run.batches).sum();
                let items: f64 = runs.iter().map(|run| run.batch_items).sum();
                let stores = side.is_ours() || side.name() != "empty call";
                let bytes = |value: fn(&Run) -> f64| {
                    if stores { thousands(per_payment(runs, value)) } else { "".to_owned() }
                };
                let batch = if side.is_ours() { format!("{:.1}", items / batches) } else { String::new() };
                let _ = writeln!(
                    text,
                    "| {} | {} | {:.2} | {:.2} | {} | {} | {} | {batch} |",
                    one.case.name,
                    side.name(),
                    middle(|run| run.p50),
                    middle(|run| run.p99),
                    cores.join(" + "),
                    bytes(|run| run.wal_bytes),
                    bytes(|run| run.disk_bytes),
                );
            }
        }
        text + "\nLatencies are those of calls, of streams those of items, of raw programs those of commits: medians over \
                rounds. Bytes are per payment; a checkpoint before each round makes the log hold images of whole pages, \
                which a longer run would share among more payments.\n\n"
    }

    fn memory(&self) -> String {
        let mut text = "| case | engine at start, MiB | at most | after | batches decided again, % |\n\
                        |---|---|---|---|---|\n"
            .to_owned();
        for one in &self.measured {
            let peak = spread(&one.ours, |run| run.resident.peak).max;
            let sum = |value: fn(&Run) -> f64| one.ours.iter().map(value).sum::<f64>();
            let again = sum(|run| run.memory_misses) / sum(|run| run.batches).max(1.0) * 100.0;
            let (name, idle, after) = (&one.case.name, one.idle, one.after);
            let _ = writeln!(text, "| {name} | {idle:.0} | {peak:.0} | {after:.0} | {again:.1} |");
        }
        text + "\n"
    }
}

fn overloaded(overload: &Overload) -> String {
    let rounds = &overload.rounds;
    let of = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    let refusals = overload.refusals();
    let (goodput, quiet) = (overload.goodput(), overload.quiet(|felt| felt.payment));
    let hints: usize = rounds.iter().map(|round| round.with_hint).sum();
    let failed: usize = rounds.iter().map(|round| round.failed).sum();
    let line = |ratio: Ratio, bound: f64, word: &str| {
        format!("{}, {} at {word}", range(ratio.spread, 2), factor(bound))
    };
    let felt = |what: fn(&Felt) -> f64| {
        let median =
            |whose: fn(&Round) -> &Felt| Spread::of(rounds.iter().map(|round| what(whose(round)))).median;
        format!("{:.2} / {:.2}", median(|round| &round.quiet_alone), median(|round| &round.quiet_beside))
    };
    let both = |what: fn(&Felt) -> f64| format!("{}: {}", felt(what), range(overload.quiet(what).spread, 2));
    let [peak, offered, done] =
        [of(|round| round.peak), of(|round| round.offered), of(|round| round.goodput)]
            .map(|rate| thousands(rate.median));
    format!(
        "| overload | |\n|---|---|\n\
         | peak, per second | {peak} |\n\
         | offered | {offered} |\n\
         | done | {done} |\n\
         | done / peak (wanted: at least 0.8) | {} |\n\
         | single calls turned away | {}, of them with a time to try again {hints} |\n\
         | how soon, p50 / p99 ms | {:.2} / {:.2} |\n\
         | quiet tenant, p99 ms, alone / beside | {} |\n\
         | beside / alone (wanted: at most 2) | {} |\n\
         | the same of a transfer by pgbench, without any engine | {} |\n\
         | the same of an empty call | {} |\n\
         | the same of a thread that wakes up | {} |\n\
         | calls that failed otherwise | {failed} |\n\
         | engine at most, MiB | {:.0} |\n\nMedians over {} rounds; ratios are least / median / greatest.\n",
        line(goodput, goodput.lower, "least"),
        refusals.len(),
        quantile(&refusals, 500),
        quantile(&refusals, 990),
        felt(|felt| felt.payment),
        line(quiet, quiet.upper, "most"),
        both(|felt| felt.transfer),
        both(|felt| felt.empty_call),
        both(|felt| felt.wake_up),
        of(|round| round.resident).max,
        rounds.len(),
    )
}
