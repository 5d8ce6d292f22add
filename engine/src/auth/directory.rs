//! Which tenant a ServiceAccount or an API key belongs to and what it may do, kept for a few seconds so that a call does not cost a look-up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use payplane_ledger::TenantId;
use tokio::sync::{OnceCell, watch};

use crate::{
    engine::detached,
    store::{CallerRow, Store, StoreError},
};

/// How stale an answer may be: a revoked grant works this long at most.
const STALE_MAX: Duration = Duration::from_secs(5);

/// The same for "belongs to nobody": a tenant that was just registered shall not wait for long.
const ABSENT_STALE_MAX: Duration = Duration::from_millis(500);

/// Bounds memory. When it is reached everything is forgotten, which costs one look-up per caller.
const ENTRIES_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asked {
    /// Namespace and name.
    ServiceAccount(String, String),
    /// Whose it is, and its id.
    ApiKey(TenantId, String),
    /// Of a tenant's own issuer.
    Outsider(TenantId),
}

/// Filled by the first caller that asks; the others wait for it instead of asking too.
#[derive(Debug)]
struct Entry {
    asked_at: Instant,
    row: OnceCell<Option<CallerRow>>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        let is_absent = matches!(self.row.get(), Some(None));
        self.asked_at.elapsed() < if is_absent { ABSENT_STALE_MAX } else { STALE_MAX }
    }
}

/// Look-ups with a short memory.
#[derive(Debug)]
pub struct Directory {
    store: Arc<Store>,
    database: watch::Receiver<bool>,
    entries: Mutex<HashMap<Asked, Arc<Entry>>>,
}

impl Directory {
    /// Starts with no memory. `database` says whether asking makes sense.
    pub fn new(store: Arc<Store>, database: watch::Receiver<bool>) -> Self {
        Self { store, database, entries: Mutex::default() }
    }

    /// The tenant and role of a service account; nothing if its namespace belongs to nobody.
    pub async fn find(&self, namespace: &str, name: &str) -> Result<Option<CallerRow>, StoreError> {
        self.remembered(Asked::ServiceAccount(namespace.to_owned(), name.to_owned())).await
    }

    /// The tenant and role of an API key that is valid; nothing if the tenant was archived.
    pub async fn find_key(&self, tenant: TenantId, id: &str) -> Result<Option<CallerRow>, StoreError> {
        self.remembered(Asked::ApiKey(tenant, id.to_owned())).await
    }

    /// The tenant of its own issuer; nothing if it was archived. What the caller may do is in its token.
    pub async fn find_outsider(&self, tenant: TenantId) -> Result<Option<CallerRow>, StoreError> {
        self.remembered(Asked::Outsider(tenant)).await
    }

    async fn remembered(&self, key: Asked) -> Result<Option<CallerRow>, StoreError> {
        let entry = self.entry(&key);
        entry.row.get_or_try_init(|| self.look_up(key)).await.copied()
    }

    async fn look_up(&self, key: Asked) -> Result<Option<CallerRow>, StoreError> {
        // Those who wait take turns when a look-up fails; they must not wait for a time-out each.
        if !*self.database.borrow() {
            return Err(StoreError::Away);
        }
        let store = self.store.clone();
        detached(async move {
            match key {
                Asked::ServiceAccount(namespace, name) => store.resolve_caller(&namespace, &name).await,
                Asked::ApiKey(tenant, id) => store.resolve_key(tenant, &id).await,
                Asked::Outsider(tenant) => store.resolve_outsider(tenant).await,
            }
        })
        .await
    }

    fn entry(&self, key: &Asked) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(key).filter(|entry| entry.is_fresh()) {
            return entry.clone();
        }
        if ENTRIES_MAX <= entries.len() {
            entries.clear();
        }
        let entry = Arc::new(Entry { asked_at: Instant::now(), row: OnceCell::new() });
        entries.insert(key.clone(), entry.clone());
        entry
    }
}
