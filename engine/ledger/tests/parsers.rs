//! What the ledger reads that others wrote: amounts, currencies, and the parts of stored rows that are text. No input makes
//! a reader panic; what is taken is written back as it was meant.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

#[path = "../../tests/support/fuzz.rs"]
#[allow(dead_code)]
mod fuzz;

use std::sync::LazyLock;

pub(crate) use fuzz::feed;
use fuzz::{fuzz, numbers, texts};
use payplane_ledger::{
    AMOUNT_CHARS_MAX, After, Currency, PaymentState, RefundState, Sign, Terms, format_minor, parse_amount,
};
use proptest::{prelude::any, sample::select};
use serde::{Serialize, de::DeserializeOwned};

const CODES: [&str; 4] = ["JPY", "USD", "KWD", "CLF"];

/// For whoever chooses inputs.
pub(crate) const LAWS: [fn(); 4] = [amounts, written_amounts_are_read, currencies, terms_and_states_in_rows];

#[cfg(test)]
#[test]
fn every_law_is_held_to_whatever_bytes_are_chosen() {
    for first in 0..u8::try_from(2 * LAWS.len()).unwrap() {
        for chosen in [Vec::new(), vec![0; 100], vec![u8::MAX; 100], (0..=u8::MAX).collect()] {
            feed(&LAWS, &[vec![first], chosen].concat());
        }
    }
}

#[cfg_attr(test, test)]
pub(crate) fn amounts() {
    let signs = vec![Sign::Positive, Sign::NotNegative, Sign::NotPositive];
    let inputs = (texts("-?(0|[1-9][0-9]{0,19})(\\.[0-9]{0,5})?"), select(CODES.to_vec()), select(signs));
    fuzz("amounts", &inputs, |(text, code, sign)| {
        let currency = Currency::parse(code).unwrap();
        let Ok(minor) = parse_amount(&text, currency, sign) else { return false };
        let written = format_minor(minor, currency);
        assert_eq!(parse_amount(&written, currency, sign), Ok(minor));
        // Nothing was rounded and nothing guessed: only zeros at the end may be missing.
        assert!(
            text.len() <= AMOUNT_CHARS_MAX && written.starts_with(&text),
            "{text:?} was read as {written}"
        );
        assert!(written[text.len()..].bytes().all(|byte| matches!(byte, b'0' | b'.')), "{text:?}: {written}");
        true
    });
}

#[cfg_attr(test, test)]
pub(crate) fn written_amounts_are_read() {
    let inputs = (numbers(), select(CODES.to_vec()), any::<bool>());
    fuzz("written amounts", &inputs, |(minor, code, is_floor)| {
        // The smallest number has no counterpart above zero.
        let (minor, currency) = (minor.max(-i64::MAX), Currency::parse(code).unwrap());
        let sign = if is_floor { Sign::NotPositive } else { Sign::Positive };
        let read = parse_amount(&format_minor(minor, currency), currency, sign);
        assert_eq!(read.is_ok(), if is_floor { minor <= 0 } else { 0 < minor }, "{minor} {code}: {read:?}");
        read.inspect(|read| assert_eq!(*read, minor)).is_ok()
    });
}

#[cfg_attr(test, test)]
pub(crate) fn currencies() {
    fuzz("currencies", &texts("(USD|JPY|KWD|CLF|[A-Z]{3})"), |text| {
        Currency::parse(&text).inspect(|currency| assert_eq!(currency.code(), text)).is_ok()
    });
}

#[cfg_attr(test, test)]
pub(crate) fn terms_and_states_in_rows() {
    static TERMS: LazyLock<String> = LazyLock::new(|| {
        let field = "(timeout_us|capture_at|is_final|up_to|status|floor|link|payment|amount|phase)";
        let value = "(-?[0-9]{1,20}|true|null|\"(Active|Closed|USD)\"|\\{\\}|\\[1\\])";
        format!("\\{{(\"{field}\":{value}(,\"{field}\":{value})?)?\\}}")
    });
    fuzz("terms in rows", &texts(&TERMS), |text| is_read::<Terms>(&text));
    let after = r#"\{"Wallet":\{"status":("Active"|"Closed"|7),"floor":-?[0-9]{1,20},"ceiling":(null|[0-9]{1,20})\}\}"#;
    fuzz("states in rows", &texts(after), |text| {
        let _ = (is_read::<PaymentState>(&text), is_read::<RefundState>(&text));
        is_read::<After>(&text)
    });
}

/// Whether it was read; then it is read again from what is written.
fn is_read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) -> bool {
    let Ok(read) = serde_json::from_str::<T>(text) else { return false };
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), read);
    true
}
