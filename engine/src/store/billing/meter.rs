//! Remembers what was counted, so that looking again counts only what is new, and a count that takes longer than its
//! caller waits goes on from where it was.
//!
//! Seals never change, so what was counted of a range stays right; a range that does not continue the remembered one is
//! counted afresh. One count per tenant at a time: whoever asks meanwhile waits for it and finds it done. Lost with the
//! process, and counted again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use payplane_billing::Usage;
use payplane_ledger::{Currency, TenantId};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Counted;
use crate::store::{Store, StoreError};

/// How many seals are counted before it is noted how far it has come.
const STEP: i64 = 16_384;

/// How many tenants are remembered; beyond that all are forgotten, which costs time and nothing else.
const TENANTS_MAX: usize = 10_000;

/// How many wallets are remembered of one tenant: 16 MiB or so. Whoever has more is counted afresh.
const WALLETS_MAX: usize = 500_000;

/// How many windows are remembered; beyond that all are forgotten.
const WINDOWS_MAX: usize = 1_000;

/// What was counted of a tenant: one range or, of a period that was cut, one per part.
type Known = Arc<tokio::sync::Mutex<Vec<Progress>>>;

/// How many pages are read at once: half of the connections that an engine has by default, so that whoever looks callers up,
/// seals and sweeps always finds one. Others wait in line, page by page, so a long count holds nobody up for longer than a page.
const PAGES_AT_ONCE: usize = 2;

/// What was counted of each tenant.
#[derive(Debug)]
pub(in crate::store) struct Meter {
    known: Mutex<HashMap<TenantId, Known>>,
    pages: Semaphore,
    /// How far what is stored up to a seal was counted.
    stored: Mutex<HashMap<TenantId, (i64, Stored)>>,
    /// Between which batches those under a range of seals are.
    windows: Mutex<HashMap<(i64, i64), (i64, i64)>>,
    /// The longest that something sealed had waited to be counted, since somebody took it.
    lag_us: AtomicI64,
}

/// What is stored in the batches below one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// The first batch that is not counted.
    pub(super) next: i64,
    /// Operations.
    pub(super) rows: i64,
}

/// What was counted of the seals after one, up to and including another.
#[derive(Debug, Default)]
struct Progress {
    after: i64,
    through: i64,
    currency: Option<Currency>,
    counted: Counted,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            pages: Semaphore::new(PAGES_AT_ONCE),
            stored: Mutex::default(),
            windows: Mutex::default(),
            lag_us: AtomicI64::new(0),
        }
    }
}

impl Meter {
    /// Waits for a place among those that read a page. Nothing if nobody reads any more.
    pub(super) async fn page(&self) -> Option<SemaphorePermit<'_>> {
        self.pages.acquire().await.ok()
    }

    fn of(&self, tenant: TenantId) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if TENANTS_MAX <= known.len() && !known.contains_key(&tenant) {
            known.clear();
        }
        known.entry(tenant).or_default().clone()
    }

    /// What was counted up to this very seal.
    pub(super) fn stored(&self, tenant: TenantId, through: i64) -> Option<Stored> {
        let known = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&tenant).filter(|(seal, _)| *seal == through).map(|(_, stored)| *stored)
    }

    /// Between which batches those under these seals are, if it was found out before.
    pub(super) fn window(&self, seals: (i64, i64)) -> Option<(i64, i64)> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).get(&seals).copied()
    }

    /// Only of seals that are there: those never change.
    pub(super) fn note_window(&self, seals: (i64, i64), batches: (i64, i64)) {
        let mut known = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if WINDOWS_MAX <= known.len() {
            known.clear();
        }
        known.insert(seals, batches);
    }

    pub(super) fn note_stored(&self, tenant: TenantId, through: i64, stored: Stored) {
        let mut known = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if TENANTS_MAX <= known.len() && !known.contains_key(&tenant) {
            known.clear();
        }
        known.insert(tenant, (through, stored));
    }
}

impl Progress {
    /// Whether the range begins where this one begins and does not end before it.
    fn leads_to(&self, (after, through): (i64, i64), currency: Currency) -> bool {
        self.currency == Some(currency) && self.after == after && self.through <= through
    }

    fn begin(after: i64, currency: Currency) -> Self {
        Self { after, through: after, currency: Some(currency), counted: Counted::default() }
    }
}

impl Store {
    /// The longest that a sealed operation had waited to be counted, in microseconds, since this was asked before.
    pub fn take_usage_lag(&self) -> i64 {
        self.meter.lag_us.swap(0, Ordering::Relaxed)
    }

    /// What a tenant used under the seals after one, up to and including another. What is stored is what was added.
    pub async fn usage(
        &self,
        tenant: TenantId,
        (after, through): (i64, i64),
        currency: Currency,
    ) -> Result<Usage, StoreError> {
        let found = self.usage_in_parts(tenant, after, &[through], currency).await?.pop();
        found.ok_or(StoreError::Corrupt("usage"))
    }

    /// What a tenant used under ranges of seals that follow each other: after one up to and including the first end, after
    /// that up to the next one, and so on. A wallet counts in the range in which it was active first.
    pub async fn usage_in_parts(
        &self,
        tenant: TenantId,
        after: i64,
        ends: &[i64],
        currency: Currency,
    ) -> Result<Vec<Usage>, StoreError> {
        let known = self.meter.of(tenant);
        let mut known = known.lock().await;
        resume(&mut known, after, ends, currency);
        for (progress, end) in known.iter_mut().zip(ends) {
            while progress.through < *end {
                let step = progress.through.saturating_add(STEP).min(*end);
                // Added only when all of it was read.
                let more = self.count_usage(tenant, (progress.through, step), currency).await?;
                // What a process that began just now counts for the first time, another one may have counted long ago.
                if progress.after < progress.through {
                    self.meter.lag_us.fetch_max(more.lag_us, Ordering::Relaxed);
                }
                progress.counted.add(more);
                progress.through = step;
            }
        }
        let counted: Vec<&Counted> = known.iter().map(|progress| &progress.counted).collect();
        let usages = counted.iter().enumerate().map(|(place, each)| each.usage(&counted[..place])).collect();
        if WALLETS_MAX < known.iter().map(|progress| progress.counted.wallets.len()).sum() {
            known.clear();
        }
        usages
    }
}

/// Keeps what leads to the ranges, and nothing else.
fn resume(known: &mut Vec<Progress>, after: i64, ends: &[i64], currency: Currency) {
    let mut begin = after;
    let mut resumed = Vec::with_capacity(ends.len());
    for end in ends {
        let place = known.iter().position(|progress| progress.leads_to((begin, *end), currency));
        resumed
            .push(place.map_or_else(|| Progress::begin(begin, currency), |place| known.swap_remove(place)));
        begin = *end;
    }
    *known = resumed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_range_that_goes_on_is_gone_on_with() {
        let (usd, eur) = (Currency::parse("USD").unwrap(), Currency::parse("EUR").unwrap());
        let progress = Progress { through: 20, ..Progress::begin(10, usd) };
        let cases = [
            ((10, 20), usd, true),
            ((10, 30), usd, true),
            ((10, 19), usd, false),
            ((9, 30), usd, false),
            ((20, 30), usd, false),
            ((10, 30), eur, false),
        ];
        for (range, currency, leads) in cases {
            assert_eq!(progress.leads_to(range, currency), leads, "{range:?} {currency}");
        }
        assert!(!Progress::default().leads_to((0, 0), usd));
    }

    #[test]
    fn the_parts_of_a_period_are_each_gone_on_with() {
        let usd = Currency::parse("USD").unwrap();
        let begun = |after, through| Progress { through, ..Progress::begin(after, usd) };
        let mut known = vec![begun(10, 20), begun(20, 25), begun(3, 4)];
        resume(&mut known, 10, &[20, 30, 40], usd);
        let ranges: Vec<_> = known.iter().map(|progress| (progress.after, progress.through)).collect();
        assert_eq!(ranges, [(10, 20), (20, 25), (30, 30)]);
        // A cut that moved: what is after it is counted afresh.
        resume(&mut known, 10, &[22, 30], usd);
        let ranges: Vec<_> = known.iter().map(|progress| (progress.after, progress.through)).collect();
        assert_eq!(ranges, [(10, 20), (22, 22)]);
    }
}
