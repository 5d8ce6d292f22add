//! Looks at every commit as it happens, with a model of its own: is this what had to become of each operation, and do
//! the tables say so afterwards?

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use payplane_ledger::{
    After, Currency, Decision, Kind, Movement, OperationId, Posting, Reason, Setting, TenantId, Verdict,
};
use uuid::Uuid;

use super::{
    model::{Asked, Model, Move},
    state::{Hold, Wallet},
    tables::{AccountKey, OperationKey, Tables, Writes},
    trace::Trace,
};

#[derive(Debug)]
pub(crate) struct Auditor {
    trace: Arc<Trace>,
    model: Model,
    seen: BTreeSet<OperationKey>,
    batches: BTreeSet<i64>,
    /// By version, because a batch may be decided just before a change and commit just after it.
    settings: BTreeMap<i64, BTreeMap<TenantId, Vec<Setting>>>,
    start: BTreeMap<Currency, i128>,
}

impl Auditor {
    pub(crate) fn new(trace: Arc<Trace>, tables: &Tables) -> Self {
        let mut model = Model::default();
        model.wallets.extend(tables.accounts.iter().map(|(key, account)| (*key, Wallet::new(account))));
        let start = sums(tables);
        let settings = BTreeMap::from([(tables.settings_version, tables.settings.clone())]);
        Self { trace, model, seen: BTreeSet::new(), batches: BTreeSet::new(), settings, start }
    }

    pub(crate) fn settings_changed(&mut self, tables: &Tables) {
        self.settings.insert(tables.settings_version, tables.settings.clone());
    }

    pub(crate) fn cap_changed(&mut self, key: AccountKey, floor: i64) {
        self.model.wallets.get_mut(&key).unwrap().floor = floor.into();
    }

    pub(crate) fn committed(&mut self, before: &Tables, writes: &Writes) {
        if !self.batches.insert(writes.batch) {
            self.trace.violation(&format!("batch {} was committed twice", writes.batch));
        }
        if writes.settings_version != before.settings_version {
            self.trace.count("audit: committed just after the settings changed");
        }
        for (line, (key, decision)) in writes.journal.iter().enumerate() {
            if !self.seen.insert(*key) {
                self.trace.violation(&format!("{} was decided twice", key.1));
            }
            if decision.sequence != payplane_ledger::BatchId(writes.batch).sequence(line) {
                self.trace.violation(&format!("{} has a sequence of another batch", key.1));
            }
            let link = decision.body.terms.link;
            let group: Vec<&Decision> = writes
                .journal
                .iter()
                .filter(|(other, member)| {
                    link.is_some() && other.0 == key.0 && member.body.terms.link == link
                })
                .map(|(_, member)| &**member)
                .collect();
            self.check_group(key.1, decision, &group);
            let is_undone = group.iter().any(|member| refusal(member).is_some());
            if let Err(difference) = self.follow(*key, decision, writes.settings_version, is_undone) {
                self.trace.violation(&format!("{} in batch {}: {difference}", key.1, writes.batch));
            }
        }
    }

    fn check_group(&self, operation: OperationId, decision: &Decision, group: &[&Decision]) {
        let refused = group.iter().filter(|member| refusal(member).is_some()).count();
        let real = group
            .iter()
            .filter(|member| refusal(member).is_some_and(|reason| reason != Reason::LinkedItemRefused));
        let is_whole = refused == 0 || (refused == group.len() && real.count() == 1);
        let is_alone = group.is_empty() && refusal(decision) == Some(Reason::LinkedItemRefused);
        if !is_whole || is_alone {
            self.trace.violation(&format!("the group of {operation} did not succeed or fail together"));
        }
        if !group.is_empty() {
            self.trace.count(if refused == 0 { "audit: linked done" } else { "audit: linked refused" });
        }
    }

    fn follow(
        &mut self,
        key: OperationKey,
        decision: &Decision,
        settings_version: i64,
        is_undone: bool,
    ) -> Result<(), String> {
        let body = &decision.body;
        self.trace.count(&format!("kind: {:?}", body.kind));
        if let Some(reason) = refusal(decision) {
            self.trace.count(&format!("refused: {reason:?}"));
        }
        if is_undone {
            // It depends on items before it that never happened. That nothing moved is what the shape of a refusal says.
            return Ok(());
        }
        let settings = self.settings.get(&settings_version).ok_or("decided with settings that never were")?;
        let platform = settings.get(&TenantId::from_uuid(Uuid::nil()));
        let settings: Vec<Setting> =
            platform.into_iter().chain(settings.get(&key.0)).flatten().cloned().collect();
        let (now, actor) = (decision.decided_at.0, &*decision.provenance.actor);
        let asked = Asked { tenant: key.0, operation: key.1, body, actor, now, settings: &settings };
        let expected = self.model.decide(asked);
        match (expected, &decision.verdict) {
            (Err(expected), Verdict::Refused(refusal)) if expected == refusal.reason => Ok(()),
            (Ok(expected), Verdict::Done { movement, after }) => {
                self.trace.count(&format!("done: {:?}", body.kind));
                self.move_money(key.0, decision, expected, movement)?;
                self.check_after(key, body.target, after.as_deref())
            }
            (expected, found) => Err(format!("{:?} should be {expected:?} and is {found:?}", body.kind)),
        }
    }

    fn move_money(
        &mut self,
        tenant: TenantId,
        decision: &Decision,
        expected: Option<Move>,
        movement: &Movement,
    ) -> Result<(), String> {
        match (expected, movement) {
            (Some(expected), Movement::Transfer(transfer)) => {
                let found = Move {
                    from: transfer.debit.account,
                    to: transfer.credit.account,
                    posted: transfer.posted.into(),
                    held: transfer.pending.into(),
                };
                if found != expected {
                    return Err(format!("should move {expected:?} and moves {found:?}"));
                }
                let payer = self.model.wallets.get_mut(&(tenant, expected.from)).unwrap();
                (payer.out, payer.held_out) = (payer.out + expected.posted, payer.held_out + expected.held);
                let payee = self.model.wallets.get_mut(&(tenant, expected.to)).unwrap();
                (payee.come, payee.held_come) =
                    (payee.come + expected.posted, payee.held_come + expected.held);
                self.post(tenant, decision, &transfer.debit)?;
                self.post(tenant, decision, &transfer.credit)
            }
            (None, Movement::None) => Ok(()),
            (None, Movement::Wallet(posting)) if decision.body.kind == Kind::ChangeWallet => {
                self.post(tenant, decision, posting)
            }
            (expected, found) => Err(format!("should move {expected:?} and has {found:?}")),
        }
    }

    /// Every posting continues the account's chain and tells the balance right after.
    fn post(&mut self, tenant: TenantId, decision: &Decision, posting: &Posting) -> Result<(), String> {
        let wallet = self.model.wallets.get_mut(&(tenant, posting.account)).unwrap();
        wallet.version += 1;
        let after = &posting.after;
        let found = [after.posted_debits, after.posted_credits, after.pending_debits, after.pending_credits];
        let expected = [wallet.out, wallet.come, wallet.held_out, wallet.held_come];
        if found.map(i128::from) != expected || after.version != wallet.version {
            return Err(format!(
                "{} should have {expected:?} v{}, is {after:?}",
                posting.account, wallet.version
            ));
        }
        if posting.previous != wallet.last || decision.sequence <= wallet.last {
            return Err(format!("the chain of {} is broken at {:?}", posting.account, decision.sequence));
        }
        wallet.last = decision.sequence;
        Ok(())
    }

    fn check_after(
        &self,
        key: OperationKey,
        target: Option<OperationId>,
        after: Option<&After>,
    ) -> Result<(), String> {
        let payment = match after {
            None | Some(After::Wallet(_)) => return Ok(()),
            Some(After::Payment(payment)) => (target.unwrap_or(key.1), payment),
            Some(After::Refund(refund, payment)) => {
                let id = target.filter(|id| self.model.backs.contains_key(&(key.0, *id))).unwrap_or(key.1);
                let back = &self.model.backs[&(key.0, id)];
                if back.phase != refund.phase
                    || back.amount != i128::from(refund.amount)
                    || back.asker != *refund.requester
                {
                    return Err(format!("the refund should be {back:?} and is {refund:?}"));
                }
                (refund.payment, payment)
            }
        };
        let (id, state) = payment;
        self.check_payment((key.0, id), state)
    }

    fn check_payment(&self, key: OperationKey, state: &payplane_ledger::PaymentState) -> Result<(), String> {
        let hold = &self.model.holds[&key];
        let numbers = [state.amount, state.captured, state.refunding, state.refunded].map(i128::from);
        let is_right = hold.phase == state.phase
            && numbers == [hold.amount, hold.taken, hold.asked_back, hold.given_back]
            && hold.deadline == state.deadline.map(|at| at.0)
            && hold.capture_at == state.capture_at.map(|at| at.0)
            && hold.moved_at == state.moved_at.map(|at| at.0);
        if is_right { Ok(()) } else { Err(format!("the payment should be {hold:?} and is {state:?}")) }
    }

    /// The tables after the commit.
    pub(crate) fn compare(&mut self, tables: &Tables) {
        for (key, account) in &tables.accounts {
            let (found, expected) = (Wallet::new(account), &self.model.wallets[key]);
            if format!("{found:?}") != format!("{expected:?}") {
                self.trace.violation(&format!("{} should be {expected:?} and is {found:?}", key.1));
            }
            if expected.kind != payplane_ledger::AccountKind::Settlement && expected.free() < expected.floor {
                self.trace.violation(&format!("{} is below its floor", key.1));
            }
        }
        if sums(tables) != self.start {
            self.trace.violation("money was made or lost");
        }
    }

    /// The slow part, once at the end.
    pub(crate) fn finish(&self, tables: &Tables) {
        for (key, state) in &tables.payments {
            if let Err(difference) = self.check_payment(*key, state) {
                self.trace.violation(&difference);
            }
        }
        for (key, refund) in &tables.refunds {
            if self.model.backs.get(key).is_none_or(|back| back.phase != refund.phase) {
                self.trace.violation(&format!("refund {} should not be {refund:?}", key.1));
            }
        }
        for (key, wallet) in &self.model.wallets {
            let of = |hold: &&Hold| hold.from == key.1;
            let held: i128 = self
                .model
                .holds
                .iter()
                .filter(|(id, _)| id.0 == key.0)
                .map(|(_, hold)| hold)
                .filter(of)
                .map(Hold::held)
                .sum();
            if held != wallet.held_out {
                self.trace.violation(&format!("{} holds {} for {held}", key.1, wallet.held_out));
            }
        }
        let stored: BTreeSet<OperationKey> = tables.journal.keys().copied().collect();
        if stored != self.seen {
            self.trace.violation("the journal is not what was committed");
        }
        let sealed: BTreeSet<i64> = tables.seals.iter().map(|(batch, _)| *batch).collect();
        if sealed != self.batches || sealed.len() != tables.seals.len() {
            self.trace.violation("not every committed batch was sealed once");
        }
    }
}

fn refusal(decision: &Decision) -> Option<Reason> {
    match &decision.verdict {
        Verdict::Refused(refusal) => Some(refusal.reason),
        Verdict::Done { .. } => None,
    }
}

/// What came less what went, over all accounts: zero, whatever was moved.
fn sums(tables: &Tables) -> BTreeMap<Currency, i128> {
    let mut sums = BTreeMap::new();
    for account in tables.accounts.values() {
        let balance = &account.balance;
        *sums.entry(account.currency).or_default() +=
            i128::from(balance.posted_credits) - i128::from(balance.posted_debits);
    }
    sums
}
