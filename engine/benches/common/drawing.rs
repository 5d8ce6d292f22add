//! What charts are drawn with: the places, the colours, and four strokes. The bench of the operator draws with it too.

use std::fmt::Write as _;

pub(crate) const WIDTH: f64 = 880.0;
/// Where bars begin; names stand before it.
pub(crate) const LEFT: f64 = 250.0;
/// Where the longest bar ends; figures stand behind it.
pub(crate) const RIGHT: f64 = 700.0;
pub(crate) const BAR: f64 = 16.0;
pub(crate) const GAP: f64 = 12.0;
pub(crate) const TITLE: f64 = 34.0;

pub(crate) const OURS: &str = "#1f6feb";
pub(crate) const THEIRS: &str = "#8c959f";
pub(crate) const INK: &str = "#1f2328";

/// An SVG that needs nothing else: white ground, so that it can be read on any page.
pub(crate) fn frame(body: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// The title of a panel whose first bar is at `y`.
pub(crate) fn heading(body: &mut String, y: f64, title: &str) {
    let words = format!("<tspan font-weight=\"600\" font-size=\"14\">{title}</tspan>");
    text(body, 12.0, y - 14.0, "start", &words);
}

pub(crate) fn rectangle(body: &mut String, x: f64, y: f64, width: f64, height: f64, fill: &str) {
    let rectangle = format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
    );
    body.push_str(&rectangle);
    body.push('\n');
}

pub(crate) fn text(body: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
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
