//! An invoice as a document: JSON and CSV for machines, HTML for people, escaped. Pure: the same invoice is the same bytes,
//! but for how it stands with the money, which changes.

use askama::Template;
use payplane_billing::{Item, Line, Metric, Rate, State};
use payplane_ledger::{Currency, Timestamp, format_minor};
use serde::Serialize;

use crate::store::InvoiceRow;

/// How numbers and dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locale {
    /// 1,234.50 and 2026-11-30.
    En,
    /// 1.234,50 and 30.11.2026.
    De,
    /// 1’234.50 and 30.11.2026.
    DeCh,
    /// 1 234,50 with narrow spaces, and 30/11/2026.
    Fr,
}

/// Text that the template can mark as language.
impl Locale {
    /// Knows `en`, `de`, `de-CH` and `fr`; nothing means English.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "en" => Some(Self::En),
            "de" => Some(Self::De),
            "de-CH" => Some(Self::DeCh),
            "fr" => Some(Self::Fr),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::DeCh => "de-CH",
            Self::Fr => "fr",
        }
    }

    /// A plain decimal in groups of three.
    fn number(self, text: &str) -> String {
        let (group, point) = match self {
            Self::En => (',', '.'),
            Self::De => ('.', ','),
            Self::DeCh => ('’', '.'),
            Self::Fr => ('\u{202f}', ','),
        };
        let (whole, fraction) =
            text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let mut written = String::new();
        for (index, digit) in whole.char_indices() {
            if index != 0 && (whole.len() - index).is_multiple_of(3) {
                written.push(group);
            }
            written.push(digit);
        }
        if let Some(fraction) = fraction {
            written.push(point);
            written.push_str(fraction);
        }
        written
    }

    fn date(self, date: jiff::civil::Date) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self {
            Self::En => format!("{year:04}-{month:02}-{day:02}"),
            Self::De | Self::DeCh => format!("{day:02}.{month:02}.{year:04}"),
            Self::Fr => format!("{day:02}/{month:02}/{year:04}"),
        }
    }
}

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

/// The page; its texts are escaped by the template's extension.
#[derive(Template)]
#[template(path = "invoice.html")]
struct Page {
    language: &'static str,
    data: Data,
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
        let cells = [&data.number.to_string(), kind, item, quantity, free, amount, &data.currency];
        text.push_str(&cells.map(cell).join(","));
        text.push_str("\r\n");
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

/// A page without scripts and without anything from elsewhere.
pub fn html(invoice: &InvoiceRow, locale: Locale) -> Vec<u8> {
    let mut data = data(invoice);
    let amounts = [
        &mut data.subtotal,
        &mut data.discount,
        &mut data.total,
        &mut data.prepaid,
        &mut data.credited,
        &mut data.collected,
        &mut data.due,
    ];
    amounts.into_iter().for_each(|text| *text = locale.number(text));
    for line in &mut data.lines {
        for text in [&mut line.quantity, &mut line.free, &mut line.amount] {
            *text = locale.number(text);
        }
    }
    for tax in &mut data.taxes {
        (tax.percent, tax.amount) = (locale.number(&tax.percent), locale.number(&tax.amount));
    }
    data.start = day(invoice.period.start, locale);
    data.end = day(invoice.period.end, locale);
    data.issued = invoice.issued_at.map(|at| day(at, locale));
    let page = Page { language: locale.name(), data };
    // The template writes to memory, which does not fail.
    page.render().unwrap_or_default().into_bytes()
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
        lines: statement.lines.iter().map(|line| data_line(line, currency)).collect(),
        subtotal: money(statement.subtotal),
        discount: money(statement.discount),
        taxes: statement.taxes.iter().map(tax).collect(),
        total: money(statement.total),
        prepaid: money(standing.prepaid),
        credited: money(standing.credited),
        collected: money(standing.collected - standing.returned),
        due: money(standing.due()),
        state: match standing.state() {
            State::Issued => "issued",
            State::PartlyPaid => "partly paid",
            State::Paid => "paid",
            State::Uncollected => "uncollected",
        },
    }
}

fn data_line(line: &Line, currency: Currency) -> DataLine {
    let (item, is_amount) = match &line.item {
        Item::BaseFee => ("base fee".to_owned(), false),
        Item::Minimum => ("up to the minimum".to_owned(), false),
        Item::Event(name) => (name.clone(), false),
        Item::Usage(metric) => (metric_name(*metric).to_owned(), metric.is_amount()),
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

const fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Payments => "payments",
        Metric::Volume => "volume",
        Metric::Holds => "holds",
        Metric::Refunds => "refunds",
        Metric::ActiveWallets => "active wallets",
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

/// The day in UTC.
fn day(at: Timestamp, locale: Locale) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0);
    at.map(|at| locale.date(at.to_zoned(jiff::tz::TimeZone::UTC).date())).unwrap_or_default()
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
    use crate::store::Document;

    fn invoice() -> InvoiceRow {
        let plan = Plan::new(Terms {
            version: "1".to_owned(),
            currency: Currency::parse("USD").unwrap(),
            base_fee: 123_456_789,
            prices: Vec::new(),
            events: Vec::new(),
            minimum: 0,
            discount: None,
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
