//! Prices and percentages that may have more decimals than money: integers of a fixed number of decimals.

use serde::{Deserialize, Serialize};

/// How many decimals a rate has at most.
pub const RATE_DECIMALS: u32 = 8;

/// Digits before the point: the largest rate is just below ten thousand million.
const WHOLE_DIGITS_MAX: usize = 10;

/// A number of [`RATE_DECIMALS`] decimals, zero or more: a price of one unit in units of the currency, or a percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rate(i64);

/// Why text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not digits with at most one point.
    #[error("is not a plain decimal: expected ASCII digits with at most one point, such as \"0.0025\"")]
    Malformed,
    /// Less than nothing.
    #[error("is negative: expected zero or more")]
    Negative,
    /// Too many digits after the point.
    #[error("has too many decimals: expected at most 8")]
    TooManyDecimals,
    /// Too many digits before the point.
    #[error("is too large: expected at most 10 digits before the point")]
    TooLarge,
}

impl Rate {
    /// One.
    pub const ONE: i128 = 10_i128.pow(RATE_DECIMALS);

    /// Reads text such as `0.0025`; refuses what is not exactly such a number.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        if let Some(rest) = text.strip_prefix('-') {
            return Err(Self::parse(rest).map_or_else(|error| error, |_| RateError::Negative));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || (1 < whole.len() && whole.starts_with('0')) {
            return Err(RateError::Malformed);
        }
        if WHOLE_DIGITS_MAX < whole.len() {
            return Err(RateError::TooLarge);
        }
        let decimals = RATE_DECIMALS as usize;
        let missing = decimals.checked_sub(fraction.len()).ok_or(RateError::TooManyDecimals)?;
        let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing));
        // At most 18 digits: always less than 64 bits hold.
        Ok(Self(digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))))
    }

    /// The number times ten to [`RATE_DECIMALS`].
    pub fn scaled(self) -> i128 {
        i128::from(self.0)
    }

    /// Whether it is more than a hundred, which no discount in percent may be.
    pub fn is_above_hundred(self) -> bool {
        100 * Self::ONE < self.scaled()
    }
}

/// `numerator / denominator`, rounded half up: the one rounding of a line or a tax. Neither may be negative.
pub(crate) fn rounded(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    whole + i128::from(denominator - rest <= rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_exactly_or_refused() {
        let right = [
            ("0", 0),
            ("1", 100_000_000),
            ("0.0025", 250_000),
            ("0.00000001", 1),
            ("9999999999.99999999", 999_999_999_999_999_999),
        ];
        for (text, scaled) in right {
            assert_eq!(Rate::parse(text).map(Rate::scaled), Ok(scaled), "{text}");
        }
        let wrong = [
            ("", RateError::Malformed),
            ("1.", RateError::Malformed),
            (".5", RateError::Malformed),
            ("01", RateError::Malformed),
            ("+1", RateError::Malformed),
            ("1e3", RateError::Malformed),
            ("1,5", RateError::Malformed),
            ("١", RateError::Malformed),
            ("-0.5", RateError::Negative),
            ("--1", RateError::Negative),
            ("0.000000001", RateError::TooManyDecimals),
            ("10000000000", RateError::TooLarge),
        ];
        for (text, error) in wrong {
            assert_eq!(Rate::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn halves_are_rounded_up() {
        let cases =
            [(0, 2, 0), (1, 2, 1), (1, 3, 0), (2, 3, 1), (5, 10, 1), (4, 10, 0), (15, 10, 2), (25, 10, 3)];
        for (numerator, denominator, result) in cases {
            assert_eq!(rounded(numerator, denominator), result, "{numerator}/{denominator}");
        }
    }
}
