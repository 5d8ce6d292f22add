//! Days and months by counting years, one after the other.

const DAY: i128 = 86_400_000_000;

pub(super) fn day(now: i128) -> i64 {
    i64::try_from(now / DAY).unwrap()
}

pub(super) fn month(now: i128) -> i64 {
    let mut left = now / DAY;
    let (mut year, mut month) = (1970_i64, 0_i64);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for length in lengths {
            if left < length {
                return year * 12 + month;
            }
            left -= length;
            month += 1;
        }
        (year, month) = (year + 1, 0);
    }
}
