//! Invoices as documents: JSON and CSV for machines, HTML and PDF for people. Pure: the same invoice is the same bytes on
//! every replica, but for how it stands with the money, which changes.

mod glyphs;
mod locale;
mod page;
mod pdf;
pub mod statement;

use payplane_billing::{Item, Line, Rate, State};
use payplane_ledger::{Currency, Timestamp, format_minor};
use serde::Serialize;

pub use locale::Locale;
use locale::{ENGLISH, Words};
use page::{Page, PageRow, day, days};

use crate::store::InvoiceRow;

/// What a document says, as machines read it: amounts are plain decimals, times RFC 3339.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    number: i64,
    start: String,
    end: String,
    issued: Option<String>,
    plan_version: String,
    currency: String,
    lines: Vec<DataLine>,
    subtotal: String,
    discount: String,
    taxes: Vec<DataTax>,
    total: String,
    prepaid: String,
    credited: String,
    collected: String,
    due: String,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct DataLine {
    item: String,
    quantity: String,
    free: String,
    amount: String,
    discount: String,
    tax: String,
}

#[derive(Debug, Serialize)]
struct DataTax {
    name: String,
    percent: String,
    amount: String,
}

/// One JSON object.
pub fn json(invoice: &InvoiceRow) -> Vec<u8> {
    // A type of ours always has a JSON form.
    serde_json::to_vec_pretty(&data(invoice)).unwrap_or_default()
}

/// A row per line, discount, tax and total; RFC 4180.
pub fn csv(invoice: &InvoiceRow) -> Vec<u8> {
    let data = data(invoice);
    let mut text = String::from("invoice,kind,item,quantity,free,amount,currency\r\n");
    let mut row = |kind: &str, item: &str, quantity: &str, free: &str, amount: &str| {
        let number = data.number.to_string();
        text.push_str(&row_of_cells(&[&number, kind, item, quantity, free, amount, &data.currency]));
    };
    for line in &data.lines {
        row("line", &line.item, &line.quantity, &line.free, &line.amount);
    }
    row("discount", "", "", "", &data.discount);
    for tax in &data.taxes {
        row("tax", &format!("{} {} %", tax.name, tax.percent), "", "", &tax.amount);
    }
    for (kind, amount) in [("total", &data.total), ("prepaid", &data.prepaid), ("credited", &data.credited)] {
        row(kind, "", "", "", amount);
    }
    for (kind, amount) in [("collected", &data.collected), ("due", &data.due)] {
        row(kind, "", "", "", amount);
    }
    text.into_bytes()
}

/// HTML.
pub fn html(invoice: &InvoiceRow, locale: Locale) -> Vec<u8> {
    page::html(&page(invoice, locale))
}

/// PDF.
pub fn pdf(invoice: &InvoiceRow, locale: Locale) -> Vec<u8> {
    pdf::pdf(&page(invoice, locale))
}

/// What people see: the words and numbers of their language, and no line that says nothing.
fn page(invoice: &InvoiceRow, locale: Locale) -> Page {
    let (words, statement) = (locale.words(), &invoice.document.statement);
    let currency = statement.currency;
    let money = |minor: i64| format_minor(minor, currency);
    let mut rows: Vec<PageRow> = Vec::new();
    let mut row = |cells: [String; 4], is_total| rows.push(PageRow { cells: cells.to_vec(), is_total });
    let sum = |word: &str, amount: String| [word.to_owned(), String::new(), String::new(), amount];
    for line in &statement.lines {
        let DataLine { item, quantity, free, amount, .. } = data_line(line, currency, words);
        let [quantity, free, amount] = [quantity, free, amount].map(|text| locale.number(&text));
        row([item, quantity, free, amount], false);
    }
    row(sum(words.subtotal, locale.number(&money(statement.subtotal))), false);
    if statement.discount != 0 {
        row(sum(words.discount, locale.less(&money(statement.discount))), false);
    }
    for tax in &statement.taxes {
        let name = format!("{} {}\u{a0}%", tax.name, locale.number(&percent(tax.percent)));
        row(sum(&name, locale.number(&money(tax.amount))), false);
    }
    row(sum(words.total, locale.number(&money(statement.total))), true);
    let standing = &invoice.standing;
    let kept = standing.collected - standing.returned;
    for (word, minor) in
        [(words.prepaid, standing.prepaid), (words.credited, standing.credited), (words.collected, kept)]
    {
        if minor != 0 {
            row(sum(word, locale.less(&money(minor))), false);
        }
    }
    row(sum(words.due, locale.number(&money(standing.due()))), true);
    let head = [words.item, words.quantity, words.free].map(str::to_owned).into_iter();
    let head = head.chain([format!("{} ({})", words.amount, currency.code())]).collect();
    Page {
        locale,
        title: format!("{} {}", words.invoice, invoice.number),
        about: about(invoice, locale),
        head,
        sums: rows.len() - statement.lines.len(),
        rows,
    }
}

fn about(invoice: &InvoiceRow, locale: Locale) -> Vec<String> {
    let words = locale.words();
    let issued = invoice.issued_at.map(|at| format!("{} {}", words.issued, day(at, locale)));
    let version = &invoice.document.statement.plan_version;
    let period = format!("{} ({})", days(invoice.period, locale), words.end_excluded);
    let state = format!("{} {version}, {}", words.plan, state_word(invoice, words));
    [period].into_iter().chain(issued).chain([state]).collect()
}

fn data(invoice: &InvoiceRow) -> Data {
    let (statement, standing) = (&invoice.document.statement, &invoice.standing);
    let currency = statement.currency;
    let money = |minor: i64| format_minor(minor, currency);
    let tax = |tax: &payplane_billing::Tax| DataTax {
        name: tax.name.clone(),
        percent: percent(tax.percent),
        amount: money(tax.amount),
    };
    Data {
        number: invoice.number,
        start: moment(invoice.period.start),
        end: moment(invoice.period.end),
        issued: invoice.issued_at.map(moment),
        plan_version: statement.plan_version.clone(),
        currency: currency.code().to_owned(),
        lines: statement.lines.iter().map(|line| data_line(line, currency, &ENGLISH)).collect(),
        subtotal: money(statement.subtotal),
        discount: money(statement.discount),
        taxes: statement.taxes.iter().map(tax).collect(),
        total: money(statement.total),
        prepaid: money(standing.prepaid),
        credited: money(standing.credited),
        collected: money(standing.collected - standing.returned),
        due: money(standing.due()),
        state: state_word(invoice, &ENGLISH),
    }
}

fn state_word(invoice: &InvoiceRow, words: &Words) -> &'static str {
    let [issued, partly_paid, paid, uncollected] = words.states;
    match invoice.standing.state() {
        State::Issued => issued,
        State::PartlyPaid => partly_paid,
        State::Paid => paid,
        State::Uncollected => uncollected,
    }
}

fn data_line(line: &Line, currency: Currency, words: &Words) -> DataLine {
    let (item, is_amount) = match &line.item {
        Item::BaseFee => (words.base_fee.to_owned(), false),
        Item::Minimum => (words.minimum.to_owned(), false),
        Item::Event(name) => (name.clone(), false),
        // They are numbered from one on.
        Item::Usage(metric) => (words.metrics[*metric as usize - 1].to_owned(), metric.is_amount()),
    };
    // A period that was cut has such a line for each of its plans.
    let item = if line.version.is_empty() { item } else { format!("{item} ({})", line.version) };
    let money = |minor: i64| format_minor(minor, currency);
    let quantity = |count: i64| if is_amount { money(count) } else { count.to_string() };
    DataLine {
        item,
        quantity: quantity(line.quantity),
        free: quantity(line.free),
        amount: money(line.amount),
        discount: money(line.discount),
        tax: money(line.tax),
    }
}

/// A percentage without zeros that say nothing.
pub fn percent(rate: Rate) -> String {
    let (whole, fraction) = (rate.scaled() / Rate::ONE, rate.scaled() % Rate::ONE);
    let text = format!("{whole}.{fraction:08}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}

/// A line of a table for machines.
fn row_of_cells(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// Quoted where it has to be, and never a formula: a spreadsheet would run one.
fn cell(text: &str) -> String {
    let guarded = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if guarded.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use payplane_billing::{Period, Plan, Standing, TaxRate, Terms, Usage};

    use super::*;
    use crate::store::{Document, InvoicePage};

    fn invoice() -> InvoiceRow {
        let plan = Plan::new(Terms {
            version: "1".to_owned(),
            currency: Currency::parse("USD").unwrap(),
            base_fee: 123_456_789,
            prices: Vec::new(),
            events: Vec::new(),
            minimum: 0,
            discount: None,
            discount_until_us: None,
            taxes: vec![TaxRate {
                name: "=<b>\"Tax\", & more".to_owned(),
                percent: Rate::parse("8.1").unwrap(),
            }],
        });
        let usage = Usage::default();
        let statement = plan.unwrap().bill(&usage).unwrap();
        let standing = Standing { total: statement.total, prepaid: 100, ..Standing::default() };
        // November 2026 in UTC.
        let (start, end) = (Timestamp(1_793_491_200_000_000), Timestamp(1_796_083_200_000_000));
        InvoiceRow {
            number: 7,
            period: Period { start, end },
            after_seal: 0,
            through_seal: 0,
            through_event: 0,
            document: Document { statement, usage, prepaid: Vec::new(), parts: Vec::new() },
            issued_at: Some(end),
            standing,
            last_attempt: None,
        }
    }

    #[test]
    fn numbers_and_dates_are_those_of_the_locale() {
        // 1,234,567.89 and 8.1 % of it: 99,999.99909.
        for (name, total, date) in [
            ("en", "1,334,567.89", "2026-11-01"),
            ("de", "1.334.567,89", "01.11.2026"),
            ("de-CH", "1’334’567.89", "01.11.2026"),
            ("fr", "1\u{202f}334\u{202f}567,89", "01/11/2026"),
        ] {
            let page = String::from_utf8(html(&invoice(), Locale::parse(name).unwrap())).unwrap();
            assert!(page.contains(total) && page.contains(date), "{name}: {page}");
            assert!(page.contains(&format!("<html lang=\"{name}\">")), "{page}");
        }
        assert_eq!(Locale::parse("xx"), None);
    }

    #[test]
    fn people_read_their_own_words_and_no_line_that_says_nothing() {
        for (name, words) in [
            ("en", ["Invoice 7", "base fee", "Prepaid"]),
            ("de", ["Rechnung 7", "Grundgebühr", "Vorausbezahlt"]),
            ("fr", ["Facture 7", "forfait de base", "Prépayé"]),
        ] {
            let page = String::from_utf8(html(&invoice(), Locale::parse(name).unwrap())).unwrap();
            assert!(words.iter().all(|word| page.contains(word)), "{name}: {page}");
        }
        let page = String::from_utf8(html(&invoice(), Locale::En)).unwrap();
        assert!(!["Discount", "Credited", "Collected"].iter().any(|word| page.contains(word)), "{page}");
    }

    #[test]
    fn a_statement_has_every_invoice_and_adds_up_by_currency() {
        let mut euros = InvoiceRow { number: 8, ..invoice() };
        euros.document.statement.currency = Currency::parse("EUR").unwrap();
        let invoices = InvoicePage {
            invoices: vec![euros, invoice(), InvoiceRow { number: 6, ..invoice() }],
            next: Some(5),
        };
        let read: serde_json::Value = serde_json::from_slice(&statement::json(&invoices)).unwrap();
        assert_eq!(read["invoices"].as_array().unwrap().len(), 3);
        assert_eq!((&read["totals"][1]["due"], &read["hasMore"]), (&"2669133.78".into(), &true.into()));
        assert_eq!(read["totals"][0]["currency"], "EUR");
        let table = String::from_utf8(statement::csv(&invoices)).unwrap();
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains(",1334567.89,1.00,0.00,0.00,1334566.89,partly paid,USD\r\n"), "{table}");
        let page = String::from_utf8(statement::html(&invoices, Locale::DeCh)).unwrap();
        assert!(page.contains("2’669’133.78") && page.contains("Es gibt ältere"), "{page}");
        assert!(statement::pdf(&invoices, Locale::DeCh).starts_with(b"%PDF"));
    }

    #[test]
    fn what_others_wrote_is_only_text() {
        let page = String::from_utf8(html(&invoice(), Locale::En)).unwrap();
        assert!(!page.contains("<b>") && page.contains("&#60;b&#62;"), "{page}");
        let table = String::from_utf8(csv(&invoice())).unwrap();
        assert!(table.contains("7,tax,\"'=<b>\"\"Tax\"\", & more 8.1 %\",,,100000.00,USD\r\n"), "{table}");
        let read: serde_json::Value = serde_json::from_slice(&json(&invoice())).unwrap();
        assert_eq!(read["total"], "1334567.89");
        assert_eq!((&read["due"], &read["state"]), (&"1334566.89".into(), &"partly paid".into()));
        assert_eq!(read["taxes"][0]["name"], "=<b>\"Tax\", & more");
    }
}
