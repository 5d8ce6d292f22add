//! What the engines of one Platform said lately, and the figures that follow. Pure.
//!
//! Requests per second are counted since the youngest reading that is [`SPAN`] old, or since the oldest there is, so that one
//! moment decides nothing. An engine counts from when it was first read: what it answered before says nothing of now. One that
//! began again counts from nothing. Bounds: [`READINGS_MAX`] readings, none older than [`AGE_MAX`] before the newest.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Long enough that single requests do not matter.
pub const SPAN: Duration = Duration::from_secs(25);
/// The shortest time that a rate is taken from.
pub const SPAN_MIN: Duration = Duration::from_secs(1);
/// What is older says nothing about now.
const AGE_MAX: Duration = Duration::from_secs(150);
const READINGS_MAX: usize = 32;

/// What one engine says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Told {
    /// Requests that wait for a batch.
    pub waiting: u64,
    /// Calls that have ended since it started.
    pub calls: u64,
}

/// What all of them said, by UID of their pod.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When.
    pub at: Instant,
    /// By whom.
    pub engines: BTreeMap<String, Told>,
}

/// The last readings, oldest first.
#[derive(Debug, Default)]
pub struct Window(VecDeque<Reading>);

impl Window {
    /// Adds the newest reading.
    pub fn add(&mut self, reading: Reading) {
        let at = reading.at;
        self.0.push_back(reading);
        while READINGS_MAX < self.0.len() {
            self.0.pop_front();
        }
        self.0.retain(|reading| at.saturating_duration_since(reading.at) <= AGE_MAX);
    }

    /// Requests that wait in all engines.
    pub fn waiting(&self) -> Option<u64> {
        let newest = self.0.back()?;
        Some(newest.engines.values().fold(0_u64, |sum, told| sum.saturating_add(told.waiting)))
    }

    /// Requests that wait in this engine; nothing if it did not say so last.
    pub fn waiting_of(&self, engine: &str) -> Option<u64> {
        self.0.back()?.engines.get(engine).map(|told| told.waiting)
    }

    /// Requests per second of all engines, in thousandths, and over how long; nothing while there is one reading.
    pub fn rate(&self) -> Option<(u64, Duration)> {
        let (since, over) = self.span()?;
        let engines = &self.0.back()?.engines;
        let calls =
            engines.iter().map(|(engine, told)| u128::from(self.calls_since(since, engine, *told))).sum();
        Some((per_second(calls, over)?, over))
    }

    /// The same of this engine; nothing if it did not say so last.
    pub fn rate_of(&self, engine: &str) -> Option<(u64, Duration)> {
        let (since, over) = self.span()?;
        let told = self.0.back()?.engines.get(engine)?;
        Some((per_second(self.calls_since(since, engine, *told).into(), over)?, over))
    }

    /// The reading since which calls are counted, and how long ago it was.
    fn span(&self) -> Option<(usize, Duration)> {
        let newest = self.0.back()?;
        let age = |reading: &Reading| newest.at.saturating_duration_since(reading.at);
        let since = self.0.iter().rposition(|reading| SPAN <= age(reading)).unwrap_or(0);
        let over = age(self.0.get(since)?);
        (SPAN_MIN <= over).then_some((since, over))
    }

    /// What an engine has answered since this reading, or since it was first read after that.
    fn calls_since(&self, since: usize, engine: &str, now: Told) -> u64 {
        let mut readings = self.0.iter().skip(since);
        let first =
            readings.find_map(|reading| reading.engines.get(engine)).map_or(now.calls, |told| told.calls);
        now.calls.checked_sub(first).unwrap_or(now.calls)
    }
}

/// In thousandths.
fn per_second(calls: u128, over: Duration) -> Option<u64> {
    let rate = calls.saturating_mul(1_000_000).checked_div(over.as_millis())?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading by its second: each engine with what waits and its calls.
    type Readings<'a> = [(u64, &'a [(&'a str, u64, u64)])];

    fn window(readings: &Readings<'_>) -> Window {
        let (begin, mut window) = (Instant::now(), Window::default());
        for (second, engines) in readings {
            let told = |(name, waiting, calls): &(&str, u64, u64)| {
                ((*name).to_owned(), Told { waiting: *waiting, calls: *calls })
            };
            let at = begin + Duration::from_secs(*second);
            window.add(Reading { at, engines: engines.iter().map(told).collect() });
        }
        window
    }

    #[test]
    fn what_waits_is_the_sum_of_the_newest_reading() {
        assert_eq!(Window::default().waiting(), None);
        assert_eq!(window(&[(0, &[("a", 9, 0)]), (5, &[("a", 2, 0), ("b", 3, 0)])]).waiting(), Some(5));
        assert_eq!(window(&[(0, &[("a", u64::MAX, 0), ("b", 1, 0)])]).waiting(), Some(u64::MAX));
    }

    #[test]
    fn a_rate_is_what_was_answered_since_an_earlier_reading() {
        // The expected rate is in thousandths per second, with the seconds that it is over.
        type Case<'a> = (&'a str, &'a Readings<'a>, Option<(u64, u64)>);
        let cases: [Case<'_>; 10] = [
            ("nothing was read", &[], None),
            ("one reading", &[(0, &[("a", 0, 100)])], None),
            (
                "two engines",
                &[(0, &[("a", 0, 100), ("b", 0, 50)]), (10, &[("a", 0, 110), ("b", 0, 55)])],
                Some((1_500, 10)),
            ),
            ("no time between", &[(3, &[("a", 0, 1)]), (3, &[("a", 0, 9)])], None),
            (
                "since the youngest that is old enough",
                &[(0, &[("a", 0, 0)]), (10, &[("a", 0, 90)]), (40, &[("a", 0, 120)])],
                Some((1_000, 30)),
            ),
            ("one that began again", &[(0, &[("a", 0, 100)]), (10, &[("a", 0, 20)])], Some((2_000, 10))),
            (
                "a new one has a past",
                &[(0, &[("a", 0, 0)]), (10, &[("a", 0, 0), ("b", 0, 9_000)])],
                Some((0, 10)),
            ),
            (
                "a new one counts since it was seen",
                &[(0, &[("a", 0, 0)]), (5, &[("b", 0, 100)]), (10, &[("b", 0, 150)])],
                Some((5_000, 10)),
            ),
            (
                "one that is gone",
                &[(0, &[("a", 0, 0), ("b", 0, 5)]), (10, &[("a", 0, 30)])],
                Some((3_000, 10)),
            ),
            ("too long ago", &[(0, &[("a", 0, 0)]), (151, &[("a", 0, 900)])], None),
        ];
        for (name, readings, expected) in cases {
            let found = window(readings).rate().map(|(rate, over)| (rate, over.as_secs()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn each_engine_has_its_share_and_one_that_did_not_speak_last_has_none() {
        let window = window(&[(0, &[("a", 9, 100), ("gone", 4, 7)]), (10, &[("a", 2, 110), ("new", 3, 50)])]);
        for (engine, waiting, rate) in
            [("a", Some(2), Some(1_000)), ("new", Some(3), Some(0)), ("gone", None, None), ("b", None, None)]
        {
            assert_eq!(window.waiting_of(engine), waiting, "{engine}");
            assert_eq!(window.rate_of(engine).map(|(rate, _)| rate), rate, "{engine}");
        }
        assert_eq!(window.rate_of("a").map(|(_, over)| over.as_secs()), Some(10));
    }

    #[test]
    fn no_more_is_kept_than_matters() {
        let all: Vec<(u64, &[_])> = (0..100).map(|second| (second, &[][..])).collect();
        assert_eq!(window(&all).0.len(), READINGS_MAX);
    }
}
