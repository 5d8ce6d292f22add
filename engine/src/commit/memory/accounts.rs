//! The accounts that are remembered, for both lanes. Each tenant's have a lock of their own, because a tenant is in one lane
//! at a time: a committer that loses its processor in the middle of a large batch does not hold up the other one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use payplane_ledger::{Account, AccountId, Snapshot, TenantId};

/// About 200 bytes each. When it is reached everything is forgotten, which costs a batch or two under locks.
const ACCOUNTS_MAX: usize = 65_536;

/// Accounts as the last batch left them, whichever lane it was in.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<ByTenant>);

#[derive(Debug, Default)]
struct ByTenant {
    by_id: HashMap<TenantId, Arc<Mutex<ById>>>,
    /// In all of them together.
    count: usize,
}

/// The accounts of one tenant.
pub(super) type ById = HashMap<AccountId, Account>;

impl Accounts {
    /// Held to find a tenant.
    fn tenants(&self) -> MutexGuard<'_, ByTenant> {
        lock(&self.0)
    }

    /// Those of a tenant. Locked for one batch's at most, never across an await.
    pub(super) fn of(&self, tenant: TenantId) -> Option<Arc<Mutex<ById>>> {
        self.tenants().by_id.get(&tenant).cloned()
    }

    /// How a batch leaves its accounts.
    pub(super) fn learn(&self, snapshot: &Snapshot) {
        let mut learned: BTreeMap<TenantId, Vec<(AccountId, Account)>> = BTreeMap::new();
        for (tenant, id, account) in snapshot.accounts() {
            learned.entry(tenant).or_default().push((id, account.clone()));
        }
        if ACCOUNTS_MAX < self.tenants().count + learned.values().map(Vec::len).sum::<usize>() {
            self.forget();
        }
        for (tenant, learned) in learned {
            let accounts = self.tenants().by_id.entry(tenant).or_default().clone();
            let mut accounts = lock(&accounts);
            let before = accounts.len();
            accounts.extend(learned);
            let more = accounts.len() - before;
            drop(accounts);
            self.tenants().count += more;
        }
    }

    pub(super) fn forget_one(&self, tenant: TenantId, id: AccountId) {
        let known = self.of(tenant).is_some_and(|accounts| lock(&accounts).remove(&id).is_some());
        let mut tenants = self.tenants();
        // All may have been forgotten meanwhile.
        tenants.count = tenants.count.saturating_sub(usize::from(known));
    }

    pub(super) fn forget(&self) {
        // Freed when nobody waits for the lock any more.
        let _all = std::mem::take(&mut *self.tenants());
    }
}

/// Whoever panicked with it left the accounts as they were, or as they never were: its committer begins by forgetting all.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
