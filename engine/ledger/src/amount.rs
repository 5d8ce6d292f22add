//! Amounts: counts of minor units, read from and written as exact decimal text.
//!
//! Accepted is `0` or digits without a leading zero, then optionally a point and one to exponent digits; a leading
//! minus only where asked for. Everything else is refused rather than guessed: signs, spaces, exponents, grouping,
//! other alphabets' digits, `.5`, `5.`, `007`, `-0` and more decimals than the currency has.

use crate::Currency;

/// The longest text that is looked at: a minus, the digits of 64 bits and a point.
pub const AMOUNT_CHARS_MAX: usize = 21;

/// Which values a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// More than zero: money that moves.
    Positive,
    /// Zero or more: a cap.
    NotNegative,
    /// Zero or less: the lowest balance of a wallet.
    NotPositive,
}

/// Why text is no amount. The text of each variant says what was wrong and what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing was given.
    #[error("is empty: expected a decimal such as \"125.00\"")]
    Empty,
    /// Longer than [`AMOUNT_CHARS_MAX`].
    #[error("is too long: expected at most 21 characters")]
    TooLong,
    /// Not of the form that the module describes.
    #[error("is not a plain decimal: expected ASCII digits with at most one point, such as \"125.00\"")]
    Malformed,
    /// More digits after the point than the currency has.
    #[error("has more decimals than the currency: expected at most {0}")]
    TooManyDecimals(u8),
    /// More minor units than a signed 64-bit integer counts.
    #[error("is too large: expected at most 9223372036854775807 minor units")]
    TooLarge,
    /// The field allows no such value.
    #[error("is out of range: expected {}", .0.expectation())]
    OutOfRange(Sign),
}

impl Sign {
    const fn expectation(self) -> &'static str {
        match self {
            Self::Positive => "more than zero",
            Self::NotNegative => "zero or more",
            Self::NotPositive => "zero or less",
        }
    }

    const fn allows(self, minor: i64) -> bool {
        match self {
            Self::Positive => 0 < minor,
            Self::NotNegative => 0 <= minor,
            Self::NotPositive => minor <= 0,
        }
    }
}

/// Reads an amount as minor units of `currency`.
pub fn parse_amount(text: &str, currency: Currency, sign: Sign) -> Result<i64, AmountError> {
    check_shape(text)?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if usize::from(currency.exponent()) < fraction.len() {
        return Err(AmountError::TooManyDecimals(currency.exponent()));
    }
    let missing = usize::from(currency.exponent()) - fraction.len();
    let padding = std::iter::repeat_n(b'0', missing);
    let minor = whole.bytes().chain(fraction.bytes()).chain(padding).try_fold(0_i64, push_digit);
    let minor = minor.ok_or(AmountError::TooLarge)?;
    let minor = if negative { -minor } else { minor };
    if sign.allows(minor) { Ok(minor) } else { Err(AmountError::OutOfRange(sign)) }
}

/// Writes minor units with all decimals of the currency.
pub fn format_minor(minor: i64, currency: Currency) -> String {
    format_sum(i128::from(minor), currency)
}

/// Writes a sum, which may exceed what one account can hold.
pub fn format_sum(minor: i128, currency: Currency) -> String {
    let exponent = usize::from(currency.exponent());
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    let point = if exponent == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn check_shape(text: &str) -> Result<(), AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    if AMOUNT_CHARS_MAX < text.chars().count() {
        return Err(AmountError::TooLong);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let minus_zero = zero && text.starts_with('-');
    let leading_zero = 1 < whole.len() && whole.starts_with('0');
    if !number(whole) || !number(fraction) || leading_zero || minus_zero {
        return Err(AmountError::Malformed);
    }
    Ok(())
}

fn push_digit(sum: i64, digit: u8) -> Option<i64> {
    sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn reads_plain_decimals() {
        let cases = [
            ("125.00", "USD", 12_500),
            ("125.5", "USD", 12_550),
            ("125", "USD", 12_500),
            ("0.01", "USD", 1),
            ("125", "JPY", 125),
            ("0.001", "KWD", 1),
            ("92233720368547758.07", "USD", i64::MAX),
        ];
        for (text, code, minor) in cases {
            assert_eq!(parse_amount(text, currency(code), Sign::Positive), Ok(minor), "{text}");
        }
        assert_eq!(parse_amount("-1.50", currency("USD"), Sign::NotPositive), Ok(-150));
        assert_eq!(parse_amount("0", currency("USD"), Sign::NotPositive), Ok(0));
    }

    #[test]
    fn refuses_everything_else() {
        use AmountError::{Empty, Malformed, OutOfRange, TooLarge, TooLong, TooManyDecimals};
        let cases = [
            ("", Empty),
            ("1234567890123456789012345678901234567890", TooLong),
            ("1e3", Malformed),
            ("1,00", Malformed),
            (" 1", Malformed),
            ("1 ", Malformed),
            ("+1", Malformed),
            (".5", Malformed),
            ("5.", Malformed),
            (".", Malformed),
            ("-", Malformed),
            ("--1", Malformed),
            ("1.2.3", Malformed),
            ("007", Malformed),
            ("00", Malformed),
            ("01.50", Malformed),
            ("-0", Malformed),
            ("-0.00", Malformed),
            ("NaN", Malformed),
            ("inf", Malformed),
            ("١٢٣", Malformed),
            ("1\u{0}", Malformed),
            ("1.001", TooManyDecimals(2)),
            ("1.000", TooManyDecimals(2)),
            ("92233720368547758.08", TooLarge),
            ("0", OutOfRange(Sign::Positive)),
            ("0.00", OutOfRange(Sign::Positive)),
            ("-1", OutOfRange(Sign::Positive)),
        ];
        for (text, error) in cases {
            assert_eq!(parse_amount(text, currency("USD"), Sign::Positive), Err(error), "{text:?}");
        }
        assert_eq!(parse_amount("1.0", currency("JPY"), Sign::Positive), Err(TooManyDecimals(0)));
        assert_eq!(parse_amount("1", currency("USD"), Sign::NotPositive), Err(OutOfRange(Sign::NotPositive)));
    }

    #[test]
    fn writes_all_decimals() {
        let cases = [(12_500, "USD", "125.00"), (-5, "USD", "-0.05"), (0, "KWD", "0.000"), (7, "JPY", "7")];
        for (minor, code, text) in cases {
            assert_eq!(format_minor(minor, currency(code)), text);
        }
        assert_eq!(format_minor(i64::MIN, currency("USD")), "-92233720368547758.08");
    }
}
