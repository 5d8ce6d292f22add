//! How people of a language write numbers and dates, and the words of documents. Everything that people read goes through
//! here; what machines read does not.

/// How numbers, dates and words are written.
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

/// The words of documents.
#[derive(Debug)]
pub struct Words {
    pub(super) invoice: &'static str,
    pub(super) statement: &'static str,
    pub(super) end_excluded: &'static str,
    pub(super) issued: &'static str,
    pub(super) plan: &'static str,
    pub(super) item: &'static str,
    pub(super) period: &'static str,
    pub(super) quantity: &'static str,
    pub(super) free: &'static str,
    pub(super) amount: &'static str,
    pub(super) subtotal: &'static str,
    pub(super) discount: &'static str,
    pub(super) total: &'static str,
    pub(super) prepaid: &'static str,
    pub(super) credited: &'static str,
    pub(super) collected: &'static str,
    pub(super) due: &'static str,
    pub(super) base_fee: &'static str,
    pub(super) minimum: &'static str,
    /// In the order of the metrics.
    pub(super) metrics: [&'static str; 7],
    /// Issued, partly paid, paid, uncollected.
    pub(super) states: [&'static str; 4],
    pub(super) there_are_older: &'static str,
    pub(super) page: &'static str,
    /// Below a PDF that has an escape.
    pub(super) escapes: &'static str,
}

/// The words that JSON and CSV have too.
pub(super) const ENGLISH: Words = Words {
    invoice: "Invoice",
    statement: "Statement of invoices",
    end_excluded: "UTC, the end not included",
    issued: "Issued",
    plan: "Plan",
    item: "Item",
    period: "Period",
    quantity: "Quantity",
    free: "Free",
    amount: "Amount",
    subtotal: "Subtotal",
    discount: "Discount",
    total: "Total",
    prepaid: "Prepaid",
    credited: "Credited",
    collected: "Collected",
    due: "Due",
    base_fee: "base fee",
    minimum: "up to the minimum",
    metrics: ["payments", "volume", "holds", "refunds", "active wallets", "API calls", "stored operations"],
    states: ["issued", "partly paid", "paid", "uncollected"],
    there_are_older: "There are older invoices.",
    page: "Page",
    escapes: "[U+…] stands for a character that this document has no letter for; the HTML document shows it.",
};

const GERMAN: Words = Words {
    invoice: "Rechnung",
    statement: "Rechnungsübersicht",
    end_excluded: "UTC, das Ende nicht eingeschlossen",
    issued: "Ausgestellt",
    plan: "Tarif",
    item: "Posten",
    period: "Zeitraum",
    quantity: "Menge",
    free: "Frei",
    amount: "Betrag",
    subtotal: "Zwischensumme",
    discount: "Rabatt",
    total: "Gesamtbetrag",
    prepaid: "Vorausbezahlt",
    credited: "Gutgeschrieben",
    collected: "Eingezogen",
    due: "Offen",
    base_fee: "Grundgebühr",
    minimum: "bis zum Mindestbetrag",
    metrics: [
        "Zahlungen",
        "Volumen",
        "Reservierungen",
        "Rückerstattungen",
        "aktive Wallets",
        "API-Aufrufe",
        "gespeicherte Vorgänge",
    ],
    states: ["ausgestellt", "teilweise bezahlt", "bezahlt", "nicht eingezogen"],
    there_are_older: "Es gibt ältere Rechnungen.",
    page: "Seite",
    escapes: "[U+…] steht für ein Zeichen, für das dieses Dokument keinen Buchstaben hat; das HTML-Dokument zeigt es.",
};

const FRENCH: Words = Words {
    invoice: "Facture",
    statement: "Relevé des factures",
    end_excluded: "UTC, la fin non comprise",
    issued: "Émise",
    plan: "Tarif",
    item: "Poste",
    period: "Période",
    quantity: "Quantité",
    free: "Gratuit",
    amount: "Montant",
    subtotal: "Sous-total",
    discount: "Remise",
    total: "Total",
    prepaid: "Prépayé",
    credited: "Avoirs",
    collected: "Encaissé",
    due: "Solde dû",
    base_fee: "forfait de base",
    minimum: "jusqu’au minimum",
    metrics: [
        "paiements",
        "volume",
        "réservations",
        "remboursements",
        "portefeuilles actifs",
        "appels d’API",
        "opérations conservées",
    ],
    states: ["émise", "payée en partie", "payée", "non encaissée"],
    there_are_older: "Il y a des factures plus anciennes.",
    page: "Page",
    escapes: "[U+…] remplace un caractère pour lequel ce document n’a pas de lettre ; le document HTML le montre.",
};

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

    /// As a language tag.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::DeCh => "de-CH",
            Self::Fr => "fr",
        }
    }

    pub(super) const fn words(self) -> &'static Words {
        match self {
            Self::En => &ENGLISH,
            Self::De | Self::DeCh => &GERMAN,
            Self::Fr => &FRENCH,
        }
    }

    /// A plain decimal in groups of three.
    pub(super) fn number(self, text: &str) -> String {
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

    /// What is taken off.
    pub(super) fn less(self, text: &str) -> String {
        format!("−{}", self.number(text))
    }

    pub(super) fn date(self, date: jiff::civil::Date) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self {
            Self::En => format!("{year:04}-{month:02}-{day:02}"),
            Self::De | Self::DeCh => format!("{day:02}.{month:02}.{year:04}"),
            Self::Fr => format!("{day:02}/{month:02}/{year:04}"),
        }
    }
}
