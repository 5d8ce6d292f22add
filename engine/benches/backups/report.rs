//! What is told: tables in Markdown.

use std::fmt::Write as _;

use super::{
    cost::{Copies, Half, Log, PAYERS},
    machine::Machine,
    recovery::Recovered,
    settings::Settings,
    statistics::{Ratio, Spread},
    tape::{Ages, Points},
};

/// What is wanted: of what was acknowledged less than a minute is lost, and a ledger is back within a quarter of an hour.
const RPO_SECONDS: f64 = 60.0;
const RTO_SECONDS: f64 = 900.0;

pub(crate) fn markdown(
    machine: &Machine,
    settings: &Settings,
    (stored, log, copies): (u64, &Log, &Copies),
    points: &Points,
    recovered: &Recovered,
) -> String {
    let mut text = head(machine, settings, stored);
    cost(&mut text, log, copies);
    made(&mut text, settings, copies);
    points_table(&mut text, points, recovered);
    steps(&mut text, recovered);
    text
}

fn head(machine: &Machine, settings: &Settings, stored: u64) -> String {
    let Machine { date, commit, processors, processor, memory_gib, kernel, fsync_us } = machine;
    format!(
        "{date}, commit {commit}. {processors} cores ({processor}), {memory_gib:.0} GiB, {kernel}. Writing 8 kB durably takes {:.0} us \
         (best {:.0}, 99 % within {:.0}). {stored} payments stored beforehand; {PAYERS} payers, {} pairs; halves of {} s with and \
         without the stored log; `archive.everySeconds` {}.\n",
        fsync_us.1,
        fsync_us.0,
        fsync_us.2,
        settings.pairs,
        settings.length.as_secs(),
        settings.every,
    )
}

fn cost(text: &mut String, log: &Log, copies: &Copies) {
    text.push_str("\n| payments | with | without | ratio | with 95 % confidence |\n|---|---|---|---|---|\n");
    for (name, pairs) in [("the log stored", &log.pairs), ("a copy being made", &copies.pairs)] {
        let rates = values(pairs, |half| half.per_second);
        let times = values(pairs, |half| half.p99);
        let (slower, longer) = (Ratio::of(&rates), Ratio::of(&times));
        let rate = row(&rates, slower, 0);
        let time = row(&times, longer, 1);
        let _ = writeln!(text, "| {name}: per second | {rate} | {:.2} at least |", slower.lower);
        let _ = writeln!(text, "| {name}: p99, ms | {time} | {:.2} at most |", longer.upper);
    }
}

fn values(pairs: &[[Half; 2]], of: impl Fn(&Half) -> f64) -> Vec<(f64, f64)> {
    pairs.iter().map(|[with, without]| (of(with), of(without))).collect()
}

fn row(pairs: &[(f64, f64)], ratio: Ratio, digits: usize) -> String {
    let with = three(Spread::of(pairs.iter().map(|pair| pair.0)), digits);
    let without = three(Spread::of(pairs.iter().map(|pair| pair.1)), digits);
    format!("{with} | {without} | {}", three(ratio.spread, 2))
}

fn three(spread: Spread, digits: usize) -> String {
    format!("{:.digits$} / {:.digits$} / {:.digits$}", spread.min, spread.median, spread.max)
}

fn made(text: &mut String, settings: &Settings, Copies { copies, .. }: &Copies) {
    let of = |value: fn(&super::programs::Copied) -> f64| Spread::of(copies.iter().map(value));
    let _ = writeln!(
        text,
        "\nTriples are least / median / greatest of {} pairs. A copy under load took {} s to pack and {} s to seal, and has {:.0} MB.",
        settings.pairs,
        three(of(|copied| copied.packed), 1),
        three(of(|copied| copied.sealed), 1),
        of(|copied| copied.bytes as f64 / 1e6).median,
    );
}

fn points_table(text: &mut String, points: &Points, recovered: &Recovered) {
    let _ = writeln!(
        text,
        "\n| what would be lost | payments per second | median, s | p99, s | most, s | wanted |\n|---|---|---|---|---|---|"
    );
    for (name, ages) in [("as many payments as there can be", points.busy), ("few payments", points.quiet)] {
        let Ages { per_second, median, p99, most, looks } = ages;
        let _ = writeln!(
            text,
            "| {name}, {looks} looks | {per_second:.0} | {median:.1} | {p99:.1} | {most:.1} | under {RPO_SECONDS:.0} s: {} |",
            verdict(most < RPO_SECONDS)
        );
    }
    let Recovered { acknowledged, lost, lost_seconds, payments, from_log, .. } = recovered;
    let _ = writeln!(
        text,
        "\nThe server was killed under load and its data directory deleted: of {acknowledged} payments that were acknowledged since \
         the payers had begun {lost} were lost, the first of them acknowledged {lost_seconds:.1} s before the loss (wanted: under \
         {RPO_SECONDS:.0} s, {}). {payments} payments came back, at least {from_log} of them from the log alone; all that was acknowledged \
         before the first lost one was there, and the whole ledger verified.",
        verdict(*lost_seconds < RPO_SECONDS)
    );
}

fn steps(text: &mut String, Recovered { steps, .. }: &Recovered) {
    let total: f64 = steps.iter().map(|(_, seconds)| seconds).sum();
    let _ = writeln!(text, "\n| from the loss to a payment | s |\n|---|---|");
    for (name, seconds) in steps {
        let _ = writeln!(text, "| {name} | {seconds:.1} |");
    }
    let _ = writeln!(
        text,
        "| all (wanted: under {RTO_SECONDS:.0} s, {}) | {total:.1} |",
        verdict(total < RTO_SECONDS)
    );
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**not met**" }
}
