//! What the environment says: all of it optional, all of it named here.

use std::time::Duration;

use super::page::number;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `PAYPLANE_BENCH_BACKUP_PAYMENTS`: stored before anything is measured.
    pub(crate) payments: u64,
    /// `PAYPLANE_BENCH_PAIRS`: pairs of halves, with and without.
    pub(crate) pairs: usize,
    /// `PAYPLANE_BENCH_SECONDS`: length of a half with or without the stored log, and of the payments before the loss.
    pub(crate) length: Duration,
    /// `PAYPLANE_BENCH_BACKUP_WATCH`: for how many seconds it is watched what is stored, under each of two loads.
    pub(crate) watch: Duration,
    /// `PAYPLANE_BENCH_BACKUP_EVERY`: seconds until a segment that is not full is stored, as `archive.everySeconds` of a
    /// Platform.
    pub(crate) every: u64,
    /// `PAYPLANE_BENCH_WRITE=0` leaves docs/performance.md as it is.
    pub(crate) writes_docs: bool,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        let every = number("PAYPLANE_BENCH_BACKUP_EVERY", 30).max(1);
        Self {
            payments: number("PAYPLANE_BENCH_BACKUP_PAYMENTS", 1_000_000),
            pairs: number("PAYPLANE_BENCH_PAIRS", 10).max(1),
            length: Duration::from_secs(number("PAYPLANE_BENCH_SECONDS", 10).max(1)),
            watch: Duration::from_secs(number("PAYPLANE_BENCH_BACKUP_WATCH", 3 * every).max(1)),
            every,
            writes_docs: number("PAYPLANE_BENCH_WRITE", 1) != 0,
        }
    }
}
