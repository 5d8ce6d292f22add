//! Days and months of UTC, by arithmetic alone.

use crate::Timestamp;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
/// From the first of March of the year 0 to 1970.
const DAYS_TO_1970: i64 = 719_468;
/// The Gregorian calendar repeats every 400 years.
const ERA_DAYS: i64 = 146_097;

/// Days since 1970.
pub(crate) fn day_of(now: Timestamp) -> i32 {
    narrow(now.0.div_euclid(DAY_US))
}

/// Months since January of the year 0. Years are taken to begin in March, so that the leap day is a year's last.
pub(crate) fn month_of(now: Timestamp) -> i32 {
    let days = now.0.div_euclid(DAY_US) + DAYS_TO_1970;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    narrow((era * 400 + year_of_era) * 12 + months_since_march + 2)
}

/// Microseconds in 64 bits hold far fewer days than 32 bits count.
fn narrow(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> (i32, i32) {
        let now = Timestamp(seconds * 1_000_000);
        (day_of(now), month_of(now))
    }

    const fn month(year: i32, month: i32) -> i32 {
        year * 12 + month - 1
    }

    #[test]
    fn known_dates() {
        // Seconds from `date -u -d … +%s`.
        let cases = [
            (0, 0, month(1970, 1)),
            (86_399, 0, month(1970, 1)),
            (86_400, 1, month(1970, 1)),
            (68_169_599, 788, month(1972, 2)),
            (68_169_600, 789, month(1972, 2)),
            (68_256_000, 790, month(1972, 3)),
            (951_782_400, 11_016, month(2000, 2)),
            (951_868_800, 11_017, month(2000, 3)),
            (1_709_164_800, 19_782, month(2024, 2)),
            (1_709_251_200, 19_783, month(2024, 3)),
            (1_767_225_599, 20_453, month(2025, 12)),
            (1_767_225_600, 20_454, month(2026, 1)),
            (4_107_542_399, 47_540, month(2100, 2)),
            (4_107_542_400, 47_541, month(2100, 3)),
        ];
        for (seconds, day, month) in cases {
            assert_eq!(at(seconds), (day, month), "{seconds}");
        }
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        let mut day = 0;
        for number in month(1970, 1)..month(2401, 1) {
            let (year, in_year) = (number / 12, number % 12);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match in_year {
                1 => 28 + i64::from(leap),
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            for _ in 0..length {
                assert_eq!(at(day * 86_400), (i32::try_from(day).unwrap(), number));
                day += 1;
            }
        }
    }
}
