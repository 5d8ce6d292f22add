//! What was invoiced and what was paid of it: a tenant's last invoices as one document, with what is due in all.

use payplane_ledger::{Currency, format_minor, format_sum};
use serde::Serialize;

use super::{
    locale::{ENGLISH, Locale, Words},
    moment,
    page::{Page, PageRow, days},
    row_of_cells, state_word,
};
use crate::store::{InvoicePage, InvoiceRow};

/// As machines read it: amounts are plain decimals, times RFC 3339.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    invoices: Vec<DataInvoice>,
    totals: Vec<DataTotal>,
    /// Whether there are older invoices than these.
    has_more: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataInvoice {
    number: i64,
    start: String,
    end: String,
    issued: Option<String>,
    currency: String,
    #[serde(flatten)]
    amounts: Amounts,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct DataTotal {
    currency: String,
    #[serde(flatten)]
    amounts: Amounts,
}

#[derive(Debug, Serialize)]
struct Amounts {
    total: String,
    prepaid: String,
    credited: String,
    collected: String,
    due: String,
}

/// One JSON object.
pub fn json(invoices: &InvoicePage) -> Vec<u8> {
    let totals = totals(&invoices.invoices).into_iter();
    let data = Data {
        invoices: invoices.invoices.iter().map(invoice).collect(),
        totals: totals
            .map(|(currency, sums)| DataTotal {
                currency: currency.code().to_owned(),
                amounts: amounts(sums.map(|sum| format_sum(sum, currency))),
            })
            .collect(),
        has_more: invoices.next.is_some(),
    };
    // A type of ours always has a JSON form.
    serde_json::to_vec_pretty(&data).unwrap_or_default()
}

/// A row per invoice; RFC 4180. Totals are for those who add.
pub fn csv(invoices: &InvoicePage) -> Vec<u8> {
    let mut text = String::from("invoice,start,end,total,prepaid,credited,collected,due,state,currency\r\n");
    for DataInvoice { number, start, end, amounts, state, currency, .. } in
        invoices.invoices.iter().map(invoice)
    {
        let Amounts { total, prepaid, credited, collected, due } = &amounts;
        let number = number.to_string();
        text.push_str(&row_of_cells(&[
            &number, &start, &end, total, prepaid, credited, collected, due, state, &currency,
        ]));
    }
    text.into_bytes()
}

/// HTML.
pub fn html(invoices: &InvoicePage, locale: Locale) -> Vec<u8> {
    super::page::html(&page(invoices, locale))
}

/// PDF.
pub fn pdf(invoices: &InvoicePage, locale: Locale) -> Vec<u8> {
    super::pdf::pdf(&page(invoices, locale))
}

fn page(invoices: &InvoicePage, locale: Locale) -> Page {
    let words = locale.words();
    let Words { invoice, period, total, prepaid, credited, collected, due, .. } = words;
    let mut rows: Vec<PageRow> = invoices.invoices.iter().map(|row| invoice_row(row, locale)).collect();
    for (currency, sums) in totals(&invoices.invoices) {
        let mut cells = vec![format!("{} {}", words.total, currency.code())];
        cells.push(String::new());
        cells.extend(sums.map(|sum| locale.number(&format_sum(sum, currency))));
        rows.push(PageRow { cells, is_total: true });
    }
    let mut about = vec![words.end_excluded.to_owned()];
    about.extend(invoices.next.map(|_| words.there_are_older.to_owned()));
    let head = [invoice, period, total, prepaid, credited, collected, due].map(|word| (*word).to_owned());
    let (head, sums) = (head.to_vec(), rows.len() - invoices.invoices.len());
    Page { locale, title: words.statement.to_owned(), about, head, rows, sums }
}

fn invoice_row(row: &InvoiceRow, locale: Locale) -> PageRow {
    let currency = row.document.statement.currency;
    let name = format!("{} {}, {}", row.number, currency.code(), state_word(row, locale.words()));
    let mut cells = vec![name, days(row.period, locale)];
    cells.extend(minors(row).map(|minor| locale.number(&format_minor(minor, currency))));
    PageRow { cells, is_total: false }
}

fn invoice(row: &InvoiceRow) -> DataInvoice {
    let currency = row.document.statement.currency;
    DataInvoice {
        number: row.number,
        start: moment(row.period.start),
        end: moment(row.period.end),
        issued: row.issued_at.map(moment),
        currency: currency.code().to_owned(),
        amounts: amounts(minors(row).map(|minor| format_minor(minor, currency))),
        state: state_word(row, &ENGLISH),
    }
}

fn amounts([total, prepaid, credited, collected, due]: [String; 5]) -> Amounts {
    Amounts { total, prepaid, credited, collected, due }
}

fn minors(row: &InvoiceRow) -> [i64; 5] {
    let standing = &row.standing;
    let collected = standing.collected - standing.returned;
    [row.document.statement.total, standing.prepaid, standing.credited, collected, standing.due()]
}

/// By currency, in the order of their first invoices: a tenant may have changed it.
fn totals(invoices: &[InvoiceRow]) -> Vec<(Currency, [i128; 5])> {
    let mut totals: Vec<(Currency, [i128; 5])> = Vec::new();
    for row in invoices {
        let currency = row.document.statement.currency;
        let at = totals.iter().position(|(known, _)| *known == currency).unwrap_or_else(|| {
            totals.push((currency, [0; 5]));
            totals.len() - 1
        });
        for (sum, minor) in totals[at].1.iter_mut().zip(minors(row)) {
            *sum += i128::from(minor);
        }
    }
    totals
}
