//! How often tenants call. Tenants without a rate cost nothing.
//!
//! With Redis the rate is that of all engines together. An engine takes calls in small blocks and spends each within
//! [`BLOCK_AGE_MAX`], so that not every call is a question; what it does not spend in that time is lost to the tenant.
//! Without Redis each engine allows the whole rate by itself: a rate protects the engines, and those that are there
//! share what comes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use payplane_ledger::TenantId;

use super::{
    Cache,
    bucket::{Bucket, Rates},
};

const SCRIPT: &str = include_str!("bucket.lua");

const BLOCK_AGE_MAX: Duration = Duration::from_millis(100);

/// What Redis says of a wait is used within these bounds only.
const WAIT_MIN: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Bounds memory. When it is reached everything is forgotten, which gives each tenant one burst more.
const TENANTS_MAX: usize = 10_000;

/// What is known of one tenant's calls.
#[derive(Debug)]
struct Tenant {
    bucket: Bucket,
    block: u32,
    block_until: Instant,
    empty_until: Instant,
}

/// Allows calls or says when to try again.
#[derive(Debug)]
pub struct Limiter {
    cache: Arc<Cache>,
    began: Instant,
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

impl Limiter {
    /// Every bucket is full.
    pub fn new(cache: Arc<Cache>) -> Self {
        Self { cache, began: Instant::now(), tenants: Mutex::default() }
    }

    /// Allows one call of a tenant, or says how long to wait.
    pub async fn admit(&self, id: TenantId, rates: Rates) -> Result<(), Duration> {
        if let Some(known) = self.with(id, Tenant::spend) {
            return known;
        }
        match self.cache.take_calls(id, rates).await {
            Some((0, wait)) => self.with(id, |tenant| {
                tenant.empty_until = Instant::now() + wait;
                Err(wait)
            }),
            Some((granted, _)) => self.with(id, |tenant| {
                tenant.block = tenant.block.saturating_add(granted - 1);
                tenant.block_until = Instant::now() + BLOCK_AGE_MAX;
                Ok(())
            }),
            None => {
                let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.with(id, |tenant| tenant.bucket.take(now, rates)).map_err(Duration::from_nanos)
            }
        }
    }

    fn with<T>(&self, id: TenantId, use_it: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if TENANTS_MAX <= tenants.len() && !tenants.contains_key(&id) {
            tenants.clear();
        }
        let now = Instant::now();
        use_it(tenants.entry(id).or_insert_with(|| Tenant {
            bucket: Bucket::default(),
            block: 0,
            block_until: now,
            empty_until: now,
        }))
    }
}

impl Tenant {
    /// What is known without asking anybody.
    fn spend(&mut self) -> Option<Result<(), Duration>> {
        let now = Instant::now();
        if 0 < self.block && now < self.block_until {
            self.block -= 1;
            return Some(Ok(()));
        }
        self.block = 0;
        (now < self.empty_until).then(|| Err(self.empty_until - now))
    }
}

impl Cache {
    /// Takes some calls for a tenant; zero calls come with a wait. Nothing when Redis is away or says what cannot be.
    async fn take_calls(&self, tenant: TenantId, rates: Rates) -> Option<(u32, Duration)> {
        let (link, block) = (self.link.as_ref()?, block(rates));
        let command = redis::cmd("EVAL")
            .arg(SCRIPT)
            .arg(1)
            .arg(format!("payplane:rate:{}", tenant.uuid()))
            .arg(rates.calls_per_second.max(1))
            .arg(rates.burst)
            .arg(block)
            .to_owned();
        let (granted, wait_ms): (i64, i64) = link.ask(&command).await?;
        let granted = u32::try_from(granted).ok().filter(|granted| *granted <= block)?;
        let wait = Duration::from_millis(u64::try_from(wait_ms).ok()?).clamp(WAIT_MIN, WAIT_MAX);
        Some((granted, wait))
    }
}

/// Twenty questions a second at full speed; never more than a quarter of the burst, so that engines do not starve each
/// other.
fn block(rates: Rates) -> u32 {
    (rates.calls_per_second / 20).min(rates.burst / 4).max(1)
}
