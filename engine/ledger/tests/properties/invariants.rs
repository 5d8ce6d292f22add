//! What holds after every step, whatever was asked.

use std::collections::BTreeMap;

use payplane_ledger::{Account, AccountId, Currency, OperationId, PaymentState, Snapshot, Status};

use crate::{
    ask::{self, Id},
    drive,
    model::Model,
    store::Store,
};

/// The ledger in the middle of a batch: what is stored, and over it what the batch has changed.
pub(crate) struct View<'a> {
    pub(crate) store: &'a Store,
    pub(crate) snapshot: &'a Snapshot,
}

impl View<'_> {
    fn account(&self, id: AccountId) -> &Account {
        self.snapshot.account(drive::tenant(), id).unwrap_or_else(|| &self.store.accounts[&id])
    }

    fn payment(&self, id: OperationId) -> Option<PaymentState> {
        // A decision comes last: a payment that was refunded since is more than its decision says.
        let made =
            || self.snapshot.decision(drive::tenant(), id).and_then(|made| PaymentState::of_immediate(made));
        let changed = self.snapshot.payment(drive::tenant(), id).cloned();
        changed.or_else(|| self.store.payment(id)).or_else(made)
    }

    /// Every account and payment is as the model has it, and lawful.
    pub(crate) fn check(
        &self,
        model: &Model,
        payments: &[Id],
        finals: &mut BTreeMap<OperationId, PaymentState>,
    ) {
        let mut sums: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
        let mut held: BTreeMap<AccountId, (i64, i64)> = BTreeMap::new();
        for id in payments {
            let payment = self.payment(drive::operation(*id));
            assert_eq!(payment.as_ref().map(drive::payment).as_ref(), model.payments.get(id), "{id:?}");
            let known = finals.get(&drive::operation(*id));
            assert!(
                known.is_none_or(|known| Some(known) == payment.as_ref()),
                "a final payment changed: {id:?}"
            );
            let Some(payment) = payment else { continue };
            if payment.is_final() {
                finals.insert(drive::operation(*id), payment.clone());
            }
            assert!(0 <= payment.refunding && 0 <= payment.refunded && 0 <= payment.refundable());
            assert!(payment.captured <= payment.amount && (drive::is_open(&payment) || payment.held() == 0));
            held.entry(payment.debit).or_default().0 += payment.held();
            held.entry(payment.credit).or_default().1 += payment.held();
        }
        for (index, expected) in model.accounts.iter().enumerate() {
            let id = drive::account(index);
            let account = self.account(id);
            same(account, expected);
            lawful(account);
            let balance = &account.balance;
            let pending = (balance.pending_debits, balance.pending_credits);
            assert_eq!(pending, held.get(&id).copied().unwrap_or_default(), "held sums equal pending totals");
            let sum = sums.entry(account.currency).or_default();
            sum.0 += i128::from(balance.posted_credits) - i128::from(balance.posted_debits);
            sum.1 += i128::from(balance.pending_credits) - i128::from(balance.pending_debits);
        }
        assert!(sums.values().all(|sum| *sum == (0, 0)), "money was made or lost: {sums:?}");
    }
}

fn lawful(account: &Account) {
    let balance = &account.balance;
    assert!(i128::from(account.floor) <= balance.available());
    assert!(account.ceiling.is_none_or(|ceiling| balance.expected() <= i128::from(ceiling)));
    assert!(account.status != Status::Closed || balance.is_empty());
    let totals =
        [balance.posted_debits, balance.posted_credits, balance.pending_debits, balance.pending_credits];
    assert!(totals.into_iter().all(|total| 0 <= total));
}

fn same(account: &Account, expected: &ask::Account) {
    let balance = &account.balance;
    let numbers = [
        balance.posted_debits,
        balance.posted_credits,
        balance.pending_debits,
        balance.pending_credits,
        balance.version,
        account.floor,
        account.status as i64,
    ];
    let ask::Account { debits, credits, out, coming, version, floor, status, .. } = *expected;
    assert_eq!(numbers.map(i128::from), [debits, credits, out, coming, version, floor, i128::from(status)]);
    assert_eq!(account.ceiling.map(i128::from), expected.ceiling);
}
