//! The chart: a panel per question, one bar per answer; a line from the least to the greatest where rounds were repeated.

use super::{
    drawing::{BAR, GAP, INK, LEFT, OURS, RIGHT, THEIRS, TITLE, frame, heading, rectangle, text, thousands},
    payments::{Figures, Rounds, Run},
    statistics::Spread,
};

/// One bar.
struct Bar {
    group: String,
    name: &'static str,
    value: Spread,
    color: &'static str,
    note: String,
}

pub fn svg(figures: &Figures) -> String {
    let (mut body, mut y) = (String::new(), 10.0);
    y = panel(&mut body, y, "Payments that became final, per second", &rates(figures));
    y = panel(&mut body, y, "Processor time per payment, ms", &costs(figures));
    y = panel(&mut body, y, "Resident memory of the operator, MiB", &memory(figures));
    frame(&body, y)
}

fn sizes(figures: &Figures) -> [&Rounds; 2] {
    [&figures.few, &figures.many]
}

fn rates(figures: &Figures) -> Vec<Bar> {
    let bars = sizes(figures).map(|rounds| {
        let size = thousands(rounds.last().size as f64);
        let rate = |runs: &[Run]| Spread::of(runs.iter().map(Run::rate));
        let (ours, raw) = (rate(&rounds.operator), rate(&rounds.raw));
        let ratio = format!(" (operator x {:.2})", rounds.ratio().mean);
        [
            Bar {
                group: format!("{size} at once"),
                name: "operator",
                value: ours,
                color: OURS,
                note: String::new(),
            },
            Bar { group: String::new(), name: "raw client", value: raw, color: THEIRS, note: ratio },
        ]
    });
    bars.into_iter().flatten().collect()
}

fn costs(figures: &Figures) -> Vec<Bar> {
    let bars = sizes(figures).map(|rounds| {
        let each =
            |place: usize| Spread::of(rounds.operator.iter().map(|run| run.costs.each(run.size)[place]));
        let size = thousands(rounds.last().size as f64);
        ["operator", "engine", "kube-apiserver", "etcd"]
            .into_iter()
            .enumerate()
            .map(move |(place, name)| Bar {
                group: if place == 0 { format!("{size} at once") } else { String::new() },
                name,
                value: each(place),
                color: if place < 2 { OURS } else { THEIRS },
                note: String::new(),
            })
            .collect::<Vec<_>>()
    });
    bars.into_iter().flatten().collect()
}

fn memory(figures: &Figures) -> Vec<Bar> {
    let mib = |kib: u64| kib as f64 / 1_024.0;
    let bars = sizes(figures).map(|rounds| {
        let of = |value: fn(&Run) -> u64| Spread::of(rounds.operator.iter().map(|run| mib(value(run))));
        let size = thousands(rounds.last().size as f64);
        [
            Bar {
                group: format!("{size} at once"),
                name: "at the peak",
                value: of(|run| run.peak),
                color: OURS,
                note: String::new(),
            },
            Bar {
                group: String::new(),
                name: "all final",
                value: of(|run| run.resident),
                color: OURS,
                note: String::new(),
            },
        ]
    });
    let idle = Spread::of([mib(figures.idle.resident)]);
    let idle =
        Bar { group: "idle".into(), name: "afterwards", value: idle, color: OURS, note: String::new() };
    bars.into_iter().flatten().chain([idle]).collect()
}

/// Draws below `y` and gives the end.
fn panel(body: &mut String, y: f64, title: &str, bars: &[Bar]) -> f64 {
    let most = bars.iter().map(|bar| bar.value.max).fold(f64::MIN_POSITIVE, f64::max);
    let at = |value: f64| LEFT + (RIGHT - LEFT) * value / most;
    let mut y = y + TITLE;
    heading(body, y, title);
    for (place, bar) in bars.iter().enumerate() {
        let Spread { min, median, max } = bar.value;
        if 0 < place && !bar.group.is_empty() {
            y += GAP;
        }
        text(body, 12.0, y + BAR - 4.0, "start", &bar.group);
        text(body, LEFT - 8.0, y + BAR - 5.0, "end", bar.name);
        rectangle(body, LEFT, y, at(median) - LEFT, BAR - 3.0, bar.color);
        rectangle(body, at(min), y + BAR / 2.0 - 2.0, (at(max) - at(min)).max(1.0), 1.0, INK);
        text(body, at(max) + 6.0, y + BAR - 5.0, "start", &format!("{}{}", figure(median), bar.note));
        y += BAR;
    }
    y + GAP
}

/// Small values with two digits more.
fn figure(value: f64) -> String {
    if value < 20.0 { format!("{value:.2}") } else { thousands(value) }
}
