//! What stands in for the database: reads for a batch no more than its requests name, and applies effects only to the
//! versions that they name.

use std::collections::BTreeMap;

use payplane_ledger::{
    Account, AccountId, Balance, BatchId, Change, Currency, Effects, OperationId, PaymentState, RefundState,
    Request, Root, Sequence, Snapshot, Usage, Verdict,
};
use uuid::Uuid;

use crate::{
    ask::{self, Setting},
    drive, model,
};

type Decision = std::sync::Arc<payplane_ledger::Decision>;

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) payments: BTreeMap<OperationId, PaymentState>,
    pub(crate) refunds: BTreeMap<OperationId, RefundState>,
    pub(crate) usages: BTreeMap<(Uuid, Currency), Usage>,
    pub(crate) decisions: BTreeMap<OperationId, Decision>,
    parameters: std::sync::Arc<payplane_ledger::Parameters>,
    pub(crate) roots: Vec<Root>,
}

impl Store {
    pub(crate) fn new(settings: &[Setting]) -> Self {
        let account = |(index, account): (usize, ask::Account)| (drive::account(index), stored(&account));
        Self {
            accounts: ask::accounts().into_iter().enumerate().map(account).collect(),
            payments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            usages: BTreeMap::new(),
            decisions: BTreeMap::new(),
            parameters: drive::parameters(settings),
            roots: Vec::new(),
        }
    }

    /// Reads what the engine reads under its locks: known decisions, the targets with what they lead to, and accounts.
    pub(crate) fn read<'a>(&self, batch: i64, requests: impl Iterator<Item = &'a Request>) -> Snapshot {
        let mut snapshot = Snapshot::new(BatchId(batch));
        snapshot.insert_parameters(drive::tenant(), self.parameters.clone());
        for request in requests {
            if let Some(decision) = self.decisions.get(&request.operation) {
                snapshot.insert_decision(request.tenant, request.operation, decision.clone());
            }
            for reference in [request.from, request.to].into_iter().flatten() {
                reference.candidates().for_each(|id| self.read_account(&mut snapshot, id));
            }
            let Some(target) = request.target else { continue };
            if let Some(refund) = self.refunds.get(&target) {
                snapshot.insert_refund(request.tenant, target, refund.clone());
                self.read_payment(&mut snapshot, refund.payment);
            }
            self.read_payment(&mut snapshot, target);
        }
        snapshot
    }

    fn read_payment(&self, snapshot: &mut Snapshot, id: OperationId) {
        let Some(payment) = self.payment(id) else { return };
        self.read_account(snapshot, payment.debit);
        self.read_account(snapshot, payment.credit);
        snapshot.insert_payment(drive::tenant(), id, payment);
    }

    /// As it stands; one that was made at once has no row before its first refund.
    pub(crate) fn payment(&self, id: OperationId) -> Option<PaymentState> {
        let at_once = || self.decisions.get(&id).and_then(|decision| PaymentState::of_immediate(decision));
        self.payments.get(&id).cloned().or_else(at_once)
    }

    /// In the model's numbers.
    pub(crate) fn usages(&self) -> BTreeMap<(Option<usize>, usize), model::Usage> {
        let usage = |((subject, currency), usage): (&(Uuid, Currency), &Usage)| {
            let is_tenant = *subject == drive::tenant().uuid();
            let subject = (!is_tenant).then(|| drive::account_index(AccountId::from_uuid(*subject)));
            let window = |number: i32, minor: i64, count: i64| (number.into(), minor.into(), count.into());
            let day = window(usage.day, usage.day_minor, usage.day_count);
            let month = window(usage.month, usage.month_minor, usage.month_count);
            ((subject, drive::currency_index(*currency)), model::Usage { day, month })
        };
        self.usages.iter().map(usage).collect()
    }

    fn read_account(&self, snapshot: &mut Snapshot, id: AccountId) {
        let Some(account) = self.accounts.get(&id) else { return };
        snapshot.insert_account(drive::tenant(), id, account.clone());
        for subject in [id.uuid(), drive::tenant().uuid()] {
            if let Some(usage) = self.usages.get(&(subject, account.currency)) {
                snapshot.insert_usage(drive::tenant(), subject, account.currency, *usage);
            }
        }
    }

    /// Checks and applies what a batch writes.
    pub(crate) fn commit(&mut self, snapshot: &Snapshot) {
        let effects = Effects::of(snapshot);
        assert_eq!(snapshot.is_unchanged(), effects.operations.is_empty());
        self.commit_operations(&effects);
        let ends = self.accounts.iter().map(|(id, account)| (*id, (account.last, account.balance)));
        let ends: BTreeMap<AccountId, (Sequence, Balance)> = chained(&effects, ends.collect());
        apply(&mut self.accounts, &effects.accounts, |account| account.balance.version);
        for (id, account) in &self.accounts {
            assert_eq!(
                ends[id],
                (account.last, account.balance),
                "the history of an account ends in its row"
            );
        }
        apply(&mut self.payments, &effects.payments, |payment| payment.version);
        apply(&mut self.refunds, &effects.refunds, |refund| refund.version);
        apply(&mut self.usages, &effects.usages, |usage| usage.version);
        self.roots.push(effects.seal.root);
    }

    fn commit_operations(&mut self, effects: &Effects) {
        for (line, row) in effects.operations.iter().enumerate() {
            assert_eq!(row.decision.sequence, effects.batch.sequence(line));
            let before = self.decisions.insert(row.operation, row.decision.clone());
            assert!(before.is_none(), "decided twice: {row:?}");
        }
    }
}

/// Follows each account's history through the rows; each must begin where the one before it ended.
fn chained(
    effects: &Effects,
    mut ends: BTreeMap<AccountId, (Sequence, Balance)>,
) -> BTreeMap<AccountId, (Sequence, Balance)> {
    for row in &effects.operations {
        let Verdict::Done { movement, .. } = &row.decision.verdict else { continue };
        for posting in movement.postings() {
            let (last, balance) = ends.get_mut(&posting.account).unwrap();
            assert_eq!(posting.previous, *last);
            assert_eq!(posting.after.version, balance.version + 1);
            assert!(balance.posted_debits <= posting.after.posted_debits);
            assert!(balance.posted_credits <= posting.after.posted_credits);
            (*last, *balance) = (row.decision.sequence, posting.after);
        }
    }
    ends
}

fn apply<Id: Copy + Ord + std::fmt::Debug, T: Clone>(
    rows: &mut BTreeMap<Id, T>,
    changes: &[Change<Id, T>],
    version: impl Fn(&T) -> i64,
) {
    assert!(changes.windows(2).all(|pair| pair[0].id < pair[1].id), "changes are sorted");
    for change in changes {
        let stored = rows.get(&change.id).map_or(0, &version);
        assert_eq!(change.base, stored, "{:?} was decided on a version that is not stored", change.id);
        assert!(change.base < version(&change.now), "{:?} changed without a new version", change.id);
        rows.insert(change.id, change.now.clone());
    }
}

fn stored(account: &ask::Account) -> Account {
    let narrow = |number: i128| i64::try_from(number).unwrap();
    Account {
        currency: drive::currency(account.currency),
        kind: match account.kind {
            1 => payplane_ledger::AccountKind::Wallet,
            2 => payplane_ledger::AccountKind::Settlement,
            _ => payplane_ledger::AccountKind::Fee,
        },
        status: drive::status(account.status),
        class: drive::class(account.class),
        floor: narrow(account.floor),
        ceiling: account.ceiling.map(narrow),
        balance: Balance {
            posted_debits: narrow(account.debits),
            posted_credits: narrow(account.credits),
            ..Balance::default()
        },
        last: Sequence::default(),
    }
}
