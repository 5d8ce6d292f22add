//! What the environment says: all of it optional, all of it named here.

use std::time::Duration;

use super::page::number;

/// As many callers as any case has.
pub(crate) const CLIENTS_MAX: usize = 128;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `PAYPLANE_BENCH_PAIRS`: rounds per case, three times as many with 32 clients; in each round every side runs once.
    pub(crate) pairs: usize,
    /// `PAYPLANE_BENCH_SECONDS`: length of one run.
    pub(crate) length: Duration,
    /// `PAYPLANE_BENCH_CONNECTIONS`: HTTP/2 connections that the clients share; 0 gives each client its own.
    pub(crate) connections: usize,
    /// `PAYPLANE_BENCH_GROWTH`: stored payments, such as `1000000,20000000`, with which the cases are repeated.
    pub(crate) growth: Vec<u64>,
    /// `PAYPLANE_BENCH_CASES`: beginnings of the names of the cases to run; empty means all.
    pub(crate) cases: Vec<String>,
    /// `PAYPLANE_BENCH_WRITE=0` leaves docs/performance.* as they are.
    pub(crate) writes_docs: bool,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        Self {
            pairs: number("PAYPLANE_BENCH_PAIRS", 10).max(1),
            length: Duration::from_secs(number("PAYPLANE_BENCH_SECONDS", 3).max(1)),
            connections: match number("PAYPLANE_BENCH_CONNECTIONS", 8) {
                0 => CLIENTS_MAX,
                shared => shared,
            },
            growth: words("PAYPLANE_BENCH_GROWTH")
                .iter()
                .map(|word| parse("PAYPLANE_BENCH_GROWTH", word))
                .collect(),
            cases: words("PAYPLANE_BENCH_CASES"),
            writes_docs: number("PAYPLANE_BENCH_WRITE", 1) != 0,
        }
    }

    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| case.starts_with(wanted.as_str()))
    }

    /// Whether nothing is left out.
    pub(crate) fn is_complete(&self) -> bool {
        self.cases.is_empty()
    }
}

fn parse<T: std::str::FromStr>(name: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number"))
}

fn words(name: &str) -> Vec<String> {
    let text = std::env::var(name).unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
