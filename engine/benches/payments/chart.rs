//! The chart: one bar per side, its length the median, a line from the least to the greatest. Two scales, because bulk
//! is another order of magnitude than single calls.

use std::fmt::Write as _;

use super::{
    cases::{Measured, spread},
    measure::Side,
};

const WIDTH: f64 = 880.0;
/// Where bars begin; names stand before it.
const LEFT: f64 = 250.0;
/// Where the longest bar ends; figures stand behind it.
const RIGHT: f64 = 700.0;
const BAR: f64 = 16.0;
const GAP: f64 = 12.0;
const TITLE: f64 = 34.0;

const OURS: &str = "#1f6feb";
const THEIRS: &str = "#8c959f";
const INK: &str = "#1f2328";

/// An SVG that needs nothing else: white ground, so that it can be read on any page.
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
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Draws below `y` and gives the end.
fn panel(body: &mut String, y: f64, title: &str, group: &[&Measured]) -> f64 {
    let all = || group.iter().flat_map(|one| one.sides());
    let most = all().map(|(_, runs)| spread(runs, |run| run.per_second).max).fold(1.0, f64::max);
    let at = |value: f64| LEFT + (RIGHT - LEFT) * value / most;
    let mut y = y + TITLE;
    text(
        body,
        12.0,
        y - 14.0,
        "start",
        &format!("<tspan font-weight=\"600\" font-size=\"14\">{title}</tspan>"),
    );
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

fn rectangle(body: &mut String, x: f64, y: f64, width: f64, height: f64, fill: &str) {
    let rectangle = format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
    );
    body.push_str(&rectangle);
    body.push('\n');
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    // Writing to memory does not fail.
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// 12345.6 as 12,346.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if 0 < place && (digits.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
