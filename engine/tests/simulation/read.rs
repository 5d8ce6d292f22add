//! The stand-in's `lock_and_read`, statement by statement: each sees what was committed before it began.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use payplane_engine::{commit::Locked, store::StoreError};
use payplane_ledger::{BatchId, Decision, Kind, PaymentState, Snapshot, Verdict};

use super::{
    locks::Resource,
    server::{Server, Statement},
    tables::{AccountKey, OperationKey, Tables},
};

#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) accounts: BTreeSet<AccountKey>,
    pub(crate) operations: BTreeSet<OperationKey>,
    pub(crate) targets: BTreeSet<OperationKey>,
    pub(crate) skip_locked: bool,
    pub(crate) with_usages: bool,
}

impl Server {
    pub(crate) async fn lock_and_read(
        &self,
        statement: Statement,
        wanted: &Wanted,
    ) -> Result<Locked, StoreError> {
        let payments = payments_of(&self.lock().tables, &wanted.targets);
        let mut accounts = wanted.accounts.clone();
        accounts.extend(accounts_of(&self.lock().tables, &payments));
        let busy = self.lock_accounts(statement, &accounts, wanted.skip_locked).await?;

        let batch = BatchId(self.next_batch());
        let now = self.now();
        let settings_version = self.lock().tables.settings_version;
        let mut snapshot = Snapshot::new(batch);
        {
            let state = self.lock();
            for key in &accounts {
                if let Some(account) = state.tables.accounts.get(key) {
                    snapshot.insert_account(key.0, key.1, account.clone());
                }
            }
        }
        self.work("read").await;
        let known: Vec<OperationKey> = {
            let state = self.lock();
            wanted.operations.iter().filter(|key| state.tables.journal.contains_key(key)).copied().collect()
        };
        self.read_states(&mut snapshot, wanted, &payments);
        let immediates = self.immediates(&payments);
        if wanted.with_usages {
            self.read_usages(&mut snapshot, &accounts);
        }
        self.work("read").await;
        let state = self.lock();
        for key in known {
            snapshot.insert_decision(key.0, key.1, Arc::clone(&state.tables.journal[&key]));
        }
        for key in immediates {
            if let Some(payment) = PaymentState::of_immediate(&state.tables.journal[&key]) {
                snapshot.insert_payment(key.0, key.1, payment);
            }
        }
        Ok(Locked { snapshot, now, settings_version, busy })
    }

    async fn lock_accounts(
        &self,
        statement: Statement,
        accounts: &BTreeSet<AccountKey>,
        skip: bool,
    ) -> Result<HashSet<AccountKey>, StoreError> {
        let mut busy = HashSet::new();
        for key in accounts {
            let is_there = self.lock().tables.accounts.contains_key(key);
            if !is_there {
                continue;
            }
            if !skip {
                self.wait_for(statement, Resource::Account(*key)).await?;
            } else if !self.lock().locks.acquire(statement.transaction, Resource::Account(*key)) {
                self.trace.count("server: skipped a held row");
                busy.insert(*key);
            }
        }
        Ok(busy)
    }

    fn read_states(&self, snapshot: &mut Snapshot, wanted: &Wanted, payments: &BTreeSet<OperationKey>) {
        let state = self.lock();
        for key in &wanted.targets {
            let refund = state.tables.refunds.get(key);
            if let Some(refund) = refund.filter(|refund| payments.contains(&(key.0, refund.payment))) {
                snapshot.insert_refund(key.0, key.1, refund.clone());
            }
        }
        for key in payments {
            if let Some(payment) = state.tables.payments.get(key) {
                snapshot.insert_payment(key.0, key.1, payment.clone());
            }
        }
    }

    fn immediates(&self, payments: &BTreeSet<OperationKey>) -> BTreeSet<OperationKey> {
        let state = self.lock();
        let is_immediate = |key: &&OperationKey| {
            let made = state
                .tables
                .journal
                .get(key)
                .is_some_and(|made| is_done(made) && made.body.kind == Kind::Pay);
            made && !state.tables.payments.contains_key(key)
        };
        payments.iter().filter(is_immediate).copied().collect()
    }

    fn read_usages(&self, snapshot: &mut Snapshot, accounts: &BTreeSet<AccountKey>) {
        let state = self.lock();
        let subjects: BTreeSet<_> = accounts
            .iter()
            .flat_map(|(tenant, id)| [(*tenant, id.uuid()), (*tenant, tenant.uuid())])
            .collect();
        for ((tenant, subject, currency), usage) in &state.tables.usages {
            if subjects.contains(&(*tenant, *subject)) {
                snapshot.insert_usage(*tenant, *subject, *currency, *usage);
            }
        }
    }
}

/// The payments that the targets are, or are refunds of, as far as they are there by now.
fn payments_of(tables: &Tables, targets: &BTreeSet<OperationKey>) -> BTreeSet<OperationKey> {
    let payment =
        |key: &OperationKey| (key.0, tables.refunds.get(key).map_or(key.1, |refund| refund.payment));
    let is_made = |key: &OperationKey| {
        tables.journal.get(key).is_some_and(|made| made.body.kind.makes_payment() && is_done(made))
    };
    targets.iter().map(payment).filter(is_made).collect()
}

fn accounts_of(tables: &Tables, payments: &BTreeSet<OperationKey>) -> Vec<AccountKey> {
    let bodies = payments.iter().map(|key| (key.0, &tables.journal[key].body));
    bodies
        .flat_map(|(tenant, body)| {
            [body.debit, body.credit].into_iter().flatten().map(move |id| (tenant, id))
        })
        .collect()
}

fn is_done(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Done { .. })
}
