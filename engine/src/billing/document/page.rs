//! What people see: HTML and PDF are written from the same page.

use askama::Template;
use payplane_billing::Period;
use payplane_ledger::Timestamp;

use super::locale::Locale;

/// A title, some lines about it, and one table. The first column is text, the others are numbers.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) locale: Locale,
    pub(super) title: String,
    pub(super) about: Vec<String>,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<PageRow>,
    /// How many of the last rows are sums, which are read together.
    pub(super) sums: usize,
}

/// A row with as many cells as the head.
#[derive(Debug)]
pub(super) struct PageRow {
    pub(super) cells: Vec<String>,
    /// Whether it stands out.
    pub(super) is_total: bool,
}

/// The page; its texts are escaped by the template's extension.
#[derive(Template)]
#[template(path = "document.html")]
struct Html<'a> {
    language: &'static str,
    page: &'a Page,
}

/// A page without scripts and without anything from elsewhere.
pub(super) fn html(page: &Page) -> Vec<u8> {
    // The template writes to memory, which does not fail.
    Html { language: page.locale.name(), page }.render().unwrap_or_default().into_bytes()
}

/// From when to when, in days of UTC.
pub(super) fn days(period: Period, locale: Locale) -> String {
    format!("{} – {}", day(period.start, locale), day(period.end, locale))
}

/// The day in UTC.
pub(super) fn day(at: Timestamp, locale: Locale) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0);
    at.map(|at| locale.date(at.to_zoned(jiff::tz::TimeZone::UTC).date())).unwrap_or_default()
}
