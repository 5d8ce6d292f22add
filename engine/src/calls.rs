//! Calls of the API, counted by tenant, so that plans can price them.
//!
//! A call costs a look-up and an atomic addition. What was counted is recorded among the usage of others for each quarter of an
//! hour, by the database's clock: midnights of all time zones are at quarters, so no quarter is of two periods.
//!
//! - Each engine records its own counts, under an id that follows from the engine and from when it began to count. So what is
//!   recorded again, because nobody knows whether it was committed, is recorded once.
//! - What was not recorded goes with the process: the calls since the last quarter of an engine that dies, which nobody pays
//!   then. An engine that ends in order records them first.
//! - While the database is away nothing is recorded, and counting goes on into the quarter that was open.
//! - Memory is bounded by [`TENANTS_MAX`]; calls of further tenants in one quarter are not counted.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use payplane_billing::API_CALLS;
use payplane_ledger::{TenantId, Timestamp};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::{
    engine::detached,
    store::{Store, StoreError, UsageEvent},
    telemetry::Causes,
};

/// Midnights of all time zones are at multiples of it.
const WINDOW_US: i64 = 15 * 60 * 1_000_000;

/// How long to wait after the database has refused something.
const PAUSE: Duration = Duration::from_secs(1);

/// How many tenants are counted in a window.
const TENANTS_MAX: usize = 100_000;

/// Who counts, as usage of others names it.
const SOURCE: &str = "payplane/engine";

/// What one engine counts.
#[derive(Debug)]
pub struct Calls {
    store: Arc<Store>,
    /// Tells the events of one process from those of another.
    instance: Uuid,
    counts: RwLock<HashMap<TenantId, AtomicI64>>,
    recording: Mutex<Recording>,
}

/// What is being recorded, and from when on is counted.
#[derive(Debug, Default)]
struct Recording {
    /// When counting began of what is not taken yet; nothing before the database told the time.
    since: Option<Timestamp>,
    /// What was taken and is not known to be recorded.
    pending: Vec<(TenantId, UsageEvent)>,
}

impl Calls {
    /// Nothing is counted yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, instance: Uuid::new_v4(), counts: RwLock::default(), recording: Mutex::default() }
    }

    /// Counts a call that was let in.
    pub fn count(&self, tenant: TenantId) {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get(&tenant) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(counts);
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < TENANTS_MAX || counts.contains_key(&tenant) {
            counts.entry(tenant).or_default().fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records at the end of each window, until the process ends.
    pub async fn keep_recording(self: Arc<Self>, mut database: watch::Receiver<bool>) {
        loop {
            if database.wait_for(|up| *up).await.is_err() {
                return;
            }
            let recorded = match self.record().await {
                Ok(()) => self.wait_for_the_end().await,
                Err(error) => Err(error),
            };
            match recorded {
                Ok(()) => self.take(end_of_window).await,
                Err(error) => {
                    tracing::warn!(reason = %Causes(&error), "calls not recorded yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Records what was counted so far, once. What fails is kept.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let now = self.now().await?;
        self.recording.lock().await.since.get_or_insert(now);
        self.take(|since| now.max(Timestamp(since.0.saturating_add(1)))).await;
        self.record().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let store = self.store.clone();
        detached(async move { store.now().await }).await
    }

    /// Waits for the end of the window in which counting began.
    async fn wait_for_the_end(&self) -> Result<(), StoreError> {
        let now = self.now().await?;
        let since = *self.recording.lock().await.since.get_or_insert(now);
        // At most one window, also if the clock was set back meanwhile.
        let left = (end_of_window(since).0 - now.0).clamp(0, WINDOW_US);
        tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or_default())).await;
        Ok(())
    }

    /// Takes what was counted since a moment; says from when on is counted next, which is later.
    async fn take(&self, next: impl FnOnce(Timestamp) -> Timestamp) {
        let mut recording = self.recording.lock().await;
        let Some(since) = recording.since else { return };
        let counts = std::mem::take(&mut *self.counts.write().unwrap_or_else(PoisonError::into_inner));
        let event = |(tenant, count): (TenantId, AtomicI64)| {
            let event = UsageEvent {
                source: SOURCE.to_owned(),
                id: format!("{}/{}", self.instance, since.0),
                metric: API_CALLS.to_owned(),
                quantity: count.into_inner(),
                at: since,
            };
            (tenant, event)
        };
        recording.pending.extend(counts.into_iter().map(event));
        recording.since = Some(next(since));
    }

    /// One tenant after the other: each has its own commit, and nobody waits for this.
    async fn record(&self) -> Result<(), StoreError> {
        let mut recording = self.recording.lock().await;
        while let Some((tenant, event)) = recording.pending.last().cloned() {
            let store = self.store.clone();
            detached(async move { store.record_usage(tenant, &[event], false).await }).await?;
            recording.pending.pop();
        }
        Ok(())
    }
}

fn end_of_window(since: Timestamp) -> Timestamp {
    Timestamp((since.0.div_euclid(WINDOW_US) + 1).saturating_mul(WINDOW_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_midnight_ends_a_window() {
        // Offsets that are in use, in minutes: of Kathmandu, the Chatham Islands, Newfoundland and Kolkata.
        for minutes in [0, 345, 765, -210, 330] {
            let midnight = Timestamp((1_793_491_200 - minutes * 60) * 1_000_000);
            for before in [1, 1_000_000, WINDOW_US] {
                assert_eq!(end_of_window(Timestamp(midnight.0 - before)), midnight, "{minutes} {before}");
            }
            assert_ne!(end_of_window(midnight), midnight);
        }
    }
}
