//! The chart: one bar per side, its length the median, a line from the least to the greatest. Two scales, because bulk
//! is another order of magnitude than single calls.

use super::{
    cases::{Measured, spread},
    drawing::{BAR, GAP, INK, LEFT, OURS, RIGHT, THEIRS, TITLE, frame, heading, rectangle, text, thousands},
    measure::Side,
};

/// All panels, one below the other.
pub(crate) fn svg(measured: &[Measured]) -> String {
    let is_single = |one: &&Measured| matches!(one.case.ours, Side::Unary(clients) if 1 < clients);
    let is_many = |one: &&Measured| matches!(one.case.ours, Side::Bulk(_) | Side::Streams(_));
    let groups = [
        ("One payment per call: payments per second", measured.iter().filter(is_single).collect::<Vec<_>>()),
        ("Many payments per call: payments per second", measured.iter().filter(is_many).collect()),
    ];
    let (mut body, mut y) = (String::new(), 10.0);
    for (title, group) in groups.iter().filter(|(_, group)| !group.is_empty()) {
        y = panel(&mut body, y, title, group);
    }
    frame(&body, y)
}

/// Draws below `y` and gives the end.
fn panel(body: &mut String, y: f64, title: &str, group: &[&Measured]) -> f64 {
    let all = || group.iter().flat_map(|one| one.sides());
    let most = all().map(|(_, runs)| spread(runs, |run| run.per_second).max).fold(1.0, f64::max);
    let at = |value: f64| LEFT + (RIGHT - LEFT) * value / most;
    let mut y = y + TITLE;
    heading(body, y, title);
    for one in group {
        for (place, (side, runs)) in one.sides().enumerate() {
            if place == 0 {
                text(body, 12.0, y + BAR - 4.0, "start", &one.case.name);
            }
            let rate = spread(runs, |run| run.per_second);
            let color = if side.is_ours() { OURS } else { THEIRS };
            rectangle(body, LEFT, y, at(rate.median) - LEFT, BAR - 3.0, color);
            rectangle(
                body,
                at(rate.min),
                y + BAR / 2.0 - 2.0,
                (at(rate.max) - at(rate.min)).max(1.0),
                1.0,
                INK,
            );
            text(body, LEFT - 8.0, y + BAR - 5.0, "end", side.name());
            let ratio = if place == 0 {
                String::new()
            } else {
                format!(" (engine x {:.2})", one.ratio(place - 1).mean)
            };
            let label = format!("{}{ratio}", thousands(rate.median));
            text(body, at(rate.max) + 6.0, y + BAR - 5.0, "start", &label);
            y += BAR;
        }
        y += GAP;
    }
    y
}
