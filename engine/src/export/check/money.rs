//! Accounts, holds and refunds, going on from line to line: each operation starts where the one before it on the account
//! ended, and at the end everything is what the lines of the accounts say.
//!
//! What is remembered: an entry per account, and one per payment that is held or was refunded and may still change. Of a
//! payment that was made at once nothing is remembered before its first refund.

mod payments;

use std::collections::{BTreeMap, HashMap};

use payplane_ledger::{
    AccountId, AccountKind, After, Balance, Currency, Movement, OperationRow, Posting, Sequence, Side,
    Status, TenantId, Verdict, WalletTerms,
};
use uuid::Uuid;

use self::payments::Payments;
use super::report::Problems;
use crate::export::line::Account;

/// See the module.
#[derive(Default)]
pub(super) struct Money {
    accounts: HashMap<Uuid, Known>,
    last: Option<Uuid>,
    payments: Payments,
}

/// An account as its line states it, and as the operations have left it so far.
struct Known {
    line: u64,
    kind: AccountKind,
    currency: Currency,
    stated: (Balance, Sequence),
    terms: WalletTerms,
    /// What it began with; of the tenant's own accounts only the status is known.
    first: Option<(i64, Option<i64>)>,
    now: (Balance, Sequence),
    changed: Option<WalletTerms>,
}

impl Money {
    pub(super) fn account(&mut self, tenant: TenantId, line: u64, account: Account, problems: &mut Problems) {
        if Some(account.id) <= self.last {
            problems.add(line, "order", "accounts are not in the order of their ids");
        }
        self.last = Some(account.id);
        if account.id != id_of(tenant, &account) || account.decimals != account.currency.exponent() {
            problems.add(line, "form", "the id is not that of its name or kind, or the decimals are others");
        }
        let first = account.wallet.map(|wallet| (wallet.first_floor.0, wallet.first_ceiling.map(|m| m.0)));
        let (status, floor, ceiling) = (account.status, account.floor.0, account.ceiling.map(|m| m.0));
        let known = Known {
            line,
            kind: account.kind,
            currency: account.currency,
            stated: (account.balance.into(), Sequence(account.last)),
            terms: WalletTerms { status, floor, ceiling },
            first,
            now: Default::default(),
            changed: None,
        };
        self.accounts.insert(account.id, known);
    }

    pub(super) fn operation(&mut self, line: u64, row: &OperationRow, problems: &mut Problems) {
        let Verdict::Done { movement, after } = &row.decision.verdict else { return };
        match movement {
            Movement::None => {}
            Movement::Wallet(posting) => {
                self.posting(line, row, posting, Balance::touched, problems);
            }
            Movement::Transfer(transfer) => {
                let (posted, pending) = (transfer.posted, transfer.pending);
                let debit = |before: &Balance| before.moved(Side::Debit, posted, pending);
                let credit = |before: &Balance| before.moved(Side::Credit, posted, pending);
                self.posting(line, row, &transfer.debit, debit, problems);
                self.posting(line, row, &transfer.credit, credit, problems);
            }
        }
        match (after.as_deref(), row.decision.body.debit) {
            (Some(After::Wallet(terms)), Some(account)) => {
                if let Some(known) = self.accounts.get_mut(&account.uuid()) {
                    known.changed = Some(terms.clone());
                }
            }
            _ => self.payments.operation(line, row, problems),
        }
    }

    fn posting(
        &mut self,
        line: u64,
        row: &OperationRow,
        posting: &Posting,
        next: impl Fn(&Balance) -> Option<Balance>,
        problems: &mut Problems,
    ) {
        let Some(known) = self.accounts.get_mut(&posting.account.uuid()) else {
            problems.add(line, "balances", "the account is not in the file");
            return;
        };
        if known.currency != row.decision.body.currency {
            problems.add(line, "balances", "the account is of another currency");
        }
        if known.now.1 != posting.previous || next(&known.now.0) != Some(posting.after) {
            problems.add(
                line,
                "balances",
                "does not start where the operation before it on the account ended",
            );
        }
        // Goes on from what is stated, so that one wrong balance is one problem.
        known.now = (posting.after, row.decision.sequence);
    }

    /// Everything was read.
    pub(super) fn end(&self, problems: &mut Problems) {
        let held = self.payments.held();
        let mut sums = BTreeMap::<Currency, [i128; 4]>::new();
        let mut known: Vec<(&Uuid, &Known)> = self.accounts.iter().collect();
        known.sort_unstable_by_key(|(_, known)| known.line);
        for (id, known) in known {
            known.compare(held.get(id).copied().unwrap_or_default(), problems);
            let sum = sums.entry(known.currency).or_default();
            let balance = &known.now.0;
            let totals = [
                balance.posted_debits,
                balance.posted_credits,
                balance.pending_debits,
                balance.pending_credits,
            ];
            for (sum, total) in sum.iter_mut().zip(totals) {
                *sum += i128::from(total);
            }
        }
        for [posted_debits, posted_credits, pending_debits, pending_credits] in sums.values() {
            if posted_debits != posted_credits || pending_debits != pending_credits {
                problems.add(1, "balances", "debits and credits of a currency differ");
            }
        }
    }
}

impl Known {
    fn compare(&self, held: (i128, i128), problems: &mut Problems) {
        if self.stated != self.now {
            problems.add(self.line, "balances", "the operations do not add up to what the account holds");
        }
        let balance = &self.now.0;
        if held != (balance.pending_debits.into(), balance.pending_credits.into()) {
            problems.add(self.line, "holds", "what is held is not the sum of the open holds");
        }
        let is_as_changed = match (&self.changed, self.first) {
            (Some(terms), _) => *terms == self.terms,
            (None, Some(first)) => {
                self.terms.status == Status::Active && first == (self.terms.floor, self.terms.ceiling)
            }
            // The tenant's own accounts follow from settings, which are outside the journal.
            (None, None) => self.kind != AccountKind::Wallet && self.terms.status == Status::Active,
        };
        if !is_as_changed {
            problems.add(
                self.line,
                "terms",
                "status, floor or ceiling are not what the last change of them says",
            );
        }
    }
}

/// The id that follows from what the account is called, or is for.
fn id_of(tenant: TenantId, account: &Account) -> Uuid {
    match &account.wallet {
        Some(wallet) => AccountId::wallet(tenant, wallet.origin, &wallet.name).uuid(),
        None => AccountId::of_tenant(tenant, account.kind, account.currency.code()).uuid(),
    }
}
