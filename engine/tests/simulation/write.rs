//! The stand-in's `commit_batch`: the same checks in the same order, with the same refusals.

use std::collections::{BTreeMap, BTreeSet};

use payplane_engine::{commit::Written, store::StoreError};
use payplane_ledger::{
    Account, AccountId, AccountKind, BatchId, Change, Currency, Effects, Kind, Movement, OperationRow,
    Sequence, Status, Verdict,
};

use super::{
    checks,
    locks::{Resource, TransactionId},
    refusal::{refused, violated},
    server::{OwnedBatch, Server, Statement},
    tables::{AccountKey, OperationKey, Writes},
};

/// As in engine/migrations/0002_commit.sql.
const CLOCKS_APART_MAX_US: i64 = 5_000_000;

/// What all rows of a batch do to one account.
#[derive(Debug)]
struct Delta {
    first_version: i64,
    /// The sequence before the first of them.
    previous: Sequence,
    last_sequence: i64,
    counted: i64,
    debits: i64,
    credits: i64,
    held_debits: i64,
    held_credits: i64,
    totals: (i64, i64),
    takes: bool,
    gives: bool,
    changes: bool,
}

/// What became of the accounts. It is judged after the keys.
#[derive(Clone, Copy, Debug)]
struct Updated {
    is_complete: bool,
    is_right: bool,
}

impl Updated {
    fn check(self, effects: &Effects) -> Result<(), StoreError> {
        if !self.is_complete {
            return Err(refused("PP001", "an account has changed since the batch was decided"));
        }
        let rows = &effects.operations;
        let strays = rows.iter().any(|row| row.decision.sequence.batch() != effects.batch);
        if strays || rows.is_empty() {
            return Err(refused("PP002", "the rows are not those of the batch"));
        }
        if !rows.iter().all(checks::has_meaning) {
            return Err(refused("PP002", "a row of the batch has no meaning"));
        }
        if !self.is_right {
            return Err(refused("PP002", "the batch does not follow from the accounts"));
        }
        Ok(())
    }
}

impl Server {
    pub(crate) async fn commit_batch(
        &self,
        session: TransactionId,
        statement: Statement,
        batch: &OwnedBatch,
    ) -> Result<(Written, Writes), StoreError> {
        let OwnedBatch { effects, now: decided, settings_version, ticket, after } = batch;
        if let Some(ticket) = ticket {
            self.lock().locks.hand_over(session, statement.transaction, Resource::Ticket(*ticket));
        }
        if let Some(after) = after {
            if self.lock().locks.is_held(Resource::Ticket(*after)) {
                self.trace.count("server: waited for the batch before");
            }
            self.wait_for(statement, Resource::Ticket(*after)).await?;
        }
        let now = self.now();
        if CLOCKS_APART_MAX_US < (now.0 - decided.0).abs() {
            return Err(refused("PP004", "decided at another time"));
        }
        let mut writes = Writes {
            batch: effects.batch.0,
            root: effects.seal.root,
            settings_version: *settings_version,
            ..Writes::default()
        };
        let updated = self.update_accounts(statement, effects, &mut writes).await?;
        self.insert_journal(statement, effects, &mut writes).await?;
        updated.check(effects)?;
        self.change_wallets(effects, &mut writes)?;
        self.write_states(statement, effects, &mut writes).await?;
        self.wait_for(statement, Resource::Batch(effects.batch.0)).await?;
        if self.lock().tables.batches.contains_key(&effects.batch.0) {
            return Err(violated("23505", "batches_pkey"));
        }
        if self.lock().tables.settings_version != *settings_version {
            return Err(refused("PP004", "decided with other settings"));
        }
        let counted: i32 = effects.seal.tenants.iter().map(|root| root.rows).sum();
        if usize::try_from(counted) != Ok(effects.operations.len()) {
            return Err(refused("PP002", "the rows are not those of the batch"));
        }
        let next_batch = BatchId(self.next_batch());
        if next_batch <= effects.batch {
            return Err(refused("PP002", "the number of the batch was not drawn"));
        }
        self.lock().locks.acquire(session, Resource::Ticket(next_batch.0));
        Ok((Written { next_batch, now }, writes))
    }

    async fn update_accounts(
        &self,
        statement: Statement,
        effects: &Effects,
        writes: &mut Writes,
    ) -> Result<Updated, StoreError> {
        let deltas = deltas(&effects.operations);
        let terms = changed_wallets(effects);
        let first_sequence = effects.batch.sequence(0);
        let fits = |key: &AccountKey, currency: Currency, delta: &Delta| {
            let state = self.lock();
            let account = state.tables.accounts.get(key);
            account.is_some_and(|account| {
                account.currency == currency
                    && account.balance.version == delta.first_version - 1
                    && account.last == delta.previous
                    && account.last < first_sequence
            })
        };
        // A row that does not match when the statement begins is not waited for.
        let matching: Vec<_> =
            deltas.iter().filter(|((key, currency), delta)| fits(key, *currency, delta)).collect();
        let mut is_right = true;
        for ((key, currency), delta) in matching {
            self.wait_for(statement, Resource::Account(*key)).await?;
            if !fits(key, *currency, delta) {
                continue;
            }
            let mut before = self.lock().tables.accounts[key].clone();
            // Terms change before or after the money moves: the lower floor holds for now.
            let lower = terms.get(key).map_or(0, |change| change.now.floor);
            before.floor = before.floor.min(lower);
            let after = delta.apply(&before).ok_or_else(|| refused("22003", "bigint out of range"))?;
            is_right &= delta.is_right(&after);
            checks::account(&after)?;
            writes.accounts.insert(*key, after);
        }
        Ok(Updated { is_complete: writes.accounts.len() == deltas.len(), is_right })
    }

    async fn insert_journal(
        &self,
        statement: Statement,
        effects: &Effects,
        writes: &mut Writes,
    ) -> Result<(), StoreError> {
        let mut seen: BTreeSet<OperationKey> = BTreeSet::new();
        for row in &effects.operations {
            checks::journal(row)?;
            let (key, sequence) = ((row.tenant, row.operation), row.decision.sequence.0);
            self.wait_for(statement, Resource::Key(key)).await?;
            self.wait_for(statement, Resource::Sequence(row.tenant, sequence)).await?;
            let state = self.lock();
            if state.tables.journal.contains_key(&key) || !seen.insert(key) {
                return Err(violated("23505", "journal_pkey"));
            }
            if state.tables.sequences.contains(&(row.tenant, sequence)) {
                return Err(violated("23505", "journal_sequence_key"));
            }
            writes.journal.push((key, row.decision.clone()));
        }
        Ok(())
    }

    fn change_wallets(&self, effects: &Effects, writes: &mut Writes) -> Result<(), StoreError> {
        for change in changed_wallets(effects).values() {
            let account = writes.accounts.get_mut(&(change.tenant, change.id));
            let fits = |account: &&mut Account| {
                account.balance.version == change.now.balance.version
                    && account.status != Status::Closed
                    && (change.now.status != Status::Closed || account.balance.is_empty())
                    && account.kind != AccountKind::Settlement
            };
            let Some(account) = account.filter(fits) else {
                return Err(refused("PP002", "a wallet cannot be changed so"));
            };
            (account.status, account.floor, account.ceiling) =
                (change.now.status, change.now.floor, change.now.ceiling);
            checks::account(account)?;
        }
        Ok(())
    }

    async fn write_states(
        &self,
        statement: Statement,
        effects: &Effects,
        writes: &mut Writes,
    ) -> Result<(), StoreError> {
        for change in &effects.payments {
            let key = (change.tenant, change.id);
            let stored = |server: &Self| server.lock().tables.payments.get(&key).map(|stored| stored.version);
            checks::payment(&change.now)?;
            if self.claim(statement, Resource::Payment(key), change, stored).await? {
                writes.payments.insert(key, change.now.clone());
            }
        }
        if writes.payments.len() != effects.payments.len() {
            return Err(refused("PP001", "a payment has changed since the batch was decided"));
        }
        for change in &effects.refunds {
            let key = (change.tenant, change.id);
            let stored = |server: &Self| server.lock().tables.refunds.get(&key).map(|stored| stored.version);
            checks::refund(&change.now)?;
            let payment = (change.tenant, change.now.payment);
            if !writes.payments.contains_key(&payment) && !self.lock().tables.payments.contains_key(&payment)
            {
                return Err(violated("23503", "refunds_payment_fkey"));
            }
            if self.claim(statement, Resource::Refund(key), change, stored).await? {
                writes.refunds.insert(key, change.now.clone());
            }
        }
        if writes.refunds.len() != effects.refunds.len() {
            return Err(refused("PP001", "a refund has changed since the batch was decided"));
        }
        for change in &effects.usages {
            let key = (change.tenant, change.id.0, change.id.1);
            let stored = |server: &Self| server.lock().tables.usages.get(&key).map(|stored| stored.version);
            if self.claim(statement, Resource::Usage(key), change, stored).await? {
                writes.usages.insert(key, change.now);
            }
        }
        if writes.usages.len() != effects.usages.len() {
            return Err(refused("PP001", "a limit has been used since the batch was decided"));
        }
        Ok(())
    }

    /// Whether the row may be written: it is there with the version that the change was decided on, or is not there if
    /// that is zero. Who is about to insert or change the same row is waited for.
    async fn claim<Id, T>(
        &self,
        statement: Statement,
        resource: Resource,
        change: &Change<Id, T>,
        stored: impl Fn(&Self) -> Option<i64>,
    ) -> Result<bool, StoreError> {
        let fits = |server: &Self| stored(server).unwrap_or(0) == change.base;
        // An insert waits for whoever writes the same key; an update looks for its version first.
        if change.base != 0 && !fits(self) {
            return Ok(false);
        }
        self.wait_for(statement, resource).await?;
        Ok(fits(self))
    }
}

/// The wallets whose terms the batch changes, as they stand after it.
fn changed_wallets(effects: &Effects) -> BTreeMap<AccountKey, &Change<AccountId, Account>> {
    let is_change = |row: &&OperationRow| {
        matches!(&row.decision.verdict, Verdict::Done { movement: Movement::Wallet(_), .. })
    };
    let changed = effects.operations.iter().filter(is_change);
    let keys: BTreeSet<_> = changed.filter_map(|row| Some((row.tenant, row.decision.body.debit?))).collect();
    let accounts = effects.accounts.iter().map(|change| ((change.tenant, change.id), change));
    accounts.filter(|(key, _)| keys.contains(key)).collect()
}

fn deltas(rows: &[OperationRow]) -> BTreeMap<(AccountKey, Currency), Delta> {
    let mut deltas: BTreeMap<_, Delta> = BTreeMap::new();
    for row in rows {
        let body = &row.decision.body;
        let Verdict::Done { movement, .. } = &row.decision.verdict else { continue };
        let (posted, pending) = match movement {
            Movement::Transfer(transfer) => (transfer.posted, transfer.pending),
            Movement::None | Movement::Wallet(_) => (0, 0),
        };
        for (side, posting) in movement.postings().enumerate() {
            let (version, sequence) = (posting.after.version, row.decision.sequence.0);
            let totals = (posting.after.posted_debits, posting.after.posted_credits);
            let key = ((row.tenant, posting.account), body.currency);
            let delta = deltas.entry(key).or_insert_with(|| Delta::new(version, posting.previous));
            let (debit, credit) =
                if side == 0 { ((posted, pending), (0, 0)) } else { ((0, 0), (posted, pending)) };
            delta.first_version = delta.first_version.min(version);
            delta.previous = delta.previous.min(posting.previous);
            delta.last_sequence = delta.last_sequence.max(sequence);
            delta.totals = (delta.totals.0.max(totals.0), delta.totals.1.max(totals.1));
            delta.counted += 1;
            (delta.debits, delta.held_debits) = (delta.debits + debit.0, delta.held_debits + debit.1);
            (delta.credits, delta.held_credits) = (delta.credits + credit.0, delta.held_credits + credit.1);
            delta.takes |= 0 < debit.0 + debit.1;
            delta.gives |= 0 < credit.0 + credit.1;
            delta.changes |= body.kind == Kind::ChangeWallet;
        }
    }
    deltas
}

impl Delta {
    const fn new(first_version: i64, previous: Sequence) -> Self {
        Self {
            first_version,
            previous,
            last_sequence: 0,
            counted: 0,
            debits: 0,
            credits: 0,
            held_debits: 0,
            held_credits: 0,
            totals: (0, 0),
            takes: false,
            gives: false,
            changes: false,
        }
    }

    fn apply(&self, before: &Account) -> Option<Account> {
        let mut after = before.clone();
        let balance = &mut after.balance;
        balance.posted_debits = balance.posted_debits.checked_add(self.debits)?;
        balance.posted_credits = balance.posted_credits.checked_add(self.credits)?;
        balance.pending_debits = balance.pending_debits.checked_add(self.held_debits)?;
        balance.pending_credits = balance.pending_credits.checked_add(self.held_credits)?;
        balance.version += self.counted;
        after.last = Sequence(self.last_sequence);
        Some(after)
    }

    fn is_right(&self, after: &Account) -> bool {
        let balance = &after.balance;
        let may_take = matches!(after.status, Status::Active | Status::FrozenCredit)
            && i128::from(after.floor) <= balance.available();
        let may_give = matches!(after.status, Status::Active | Status::FrozenDebit);
        self.totals == (balance.posted_debits, balance.posted_credits)
            && (!self.takes || self.changes || may_take)
            && (!self.gives || self.changes || may_give)
    }
}
