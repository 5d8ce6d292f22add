//! Remembers what was counted, so that looking again counts only what is new, and a count that takes longer than its
//! caller waits goes on from where it was.
//!
//! Seals never change, so what was counted of a range stays right; a range that does not continue the remembered one is
//! counted afresh. One count per tenant at a time: whoever asks meanwhile waits for it and finds it done. Lost with the
//! process, and counted again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use payplane_billing::Usage;
use payplane_ledger::{Currency, TenantId};

use super::Counted;
use crate::store::{Store, StoreError};

/// How many seals are counted before it is noted how far it has come.
const STEP: i64 = 16_384;

/// How many tenants are remembered; beyond that all are forgotten, which costs time and nothing else.
const TENANTS_MAX: usize = 10_000;

/// How many wallets are remembered of one tenant: 16 MiB or so. Whoever has more is counted afresh.
const WALLETS_MAX: usize = 500_000;

/// What was counted of each tenant.
#[derive(Debug, Default)]
pub(in crate::store) struct Meter {
    known: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<Progress>>>>,
}

/// What was counted of the seals after one, up to and including another.
#[derive(Debug, Default)]
struct Progress {
    after: i64,
    through: i64,
    currency: Option<Currency>,
    counted: Counted,
}

impl Meter {
    fn of(&self, tenant: TenantId) -> Arc<tokio::sync::Mutex<Progress>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if TENANTS_MAX <= known.len() && !known.contains_key(&tenant) {
            known.clear();
        }
        known.entry(tenant).or_default().clone()
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
    /// What a tenant used under the seals after one, up to and including another.
    pub async fn usage(
        &self,
        tenant: TenantId,
        (after, through): (i64, i64),
        currency: Currency,
    ) -> Result<Usage, StoreError> {
        let known = self.meter.of(tenant);
        let mut progress = known.lock().await;
        if !progress.leads_to((after, through), currency) {
            *progress = Progress::begin(after, currency);
        }
        while progress.through < through {
            let end = progress.through.saturating_add(STEP).min(through);
            // Added only when all of it was read.
            let more = self.count_usage(tenant, (progress.through, end), currency).await?;
            progress.counted.add(more);
            progress.through = end;
        }
        let usage = progress.counted.usage()?;
        if WALLETS_MAX < progress.counted.wallets.len() {
            *progress = Progress::default();
        }
        Ok(usage)
    }
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
}
