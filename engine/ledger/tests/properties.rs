//! Any sequence of requests against an independent, naive model.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use payplane_ledger::{
    Account, AccountId, AccountKind, AccountRef, Balance, BatchId, BatchSeal, Currency, Effects, Origin,
    Outcome, PaymentId, Provenance, Request, Sequence, Snapshot, Status, TenantId, Timestamp, Verdict, apply,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Few accounts and keys, so that requests meet.
const ACCOUNTS: u8 = 6;
const KEYS: u8 = 24;
/// Account 0 is the settlement account and starts, like all, with nothing.
const CAP: i64 = 500;
const OVERDRAFT: i64 = 20;

#[derive(Clone, Debug)]
struct Ask {
    key: u8,
    from: u8,
    to: u8,
    minor: i64,
}

prop_compose! {
    fn ask()(key in 0..KEYS, from in 0..=ACCOUNTS, to in 0..=ACCOUNTS, minor in 1..200_i64) -> Ask {
        Ask { key, from, to, minor }
    }
}

/// What a bookkeeper with a pencil would do: balances in a map, keys in another.
#[derive(Default)]
struct Model {
    balances: BTreeMap<u8, i64>,
    keys: BTreeMap<u8, (u8, u8, i64, bool)>,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Moved,
    Refused,
    Replayed,
    Declined,
}

impl Model {
    fn ask(&mut self, ask: &Ask) -> Expected {
        if let Some((from, to, minor, _)) = self.keys.get(&ask.key) {
            let same = (*from, *to, *minor) == (ask.from, ask.to, ask.minor);
            return if same { Expected::Replayed } else { Expected::Declined };
        }
        if ask.from == ask.to || ask.from == ACCOUNTS || ask.to == ACCOUNTS {
            return Expected::Declined;
        }
        let enough = floor(ask.from) <= self.balance(ask.from) - ask.minor;
        self.keys.insert(ask.key, (ask.from, ask.to, ask.minor, enough));
        if !enough {
            return Expected::Refused;
        }
        *self.balances.entry(ask.from).or_default() -= ask.minor;
        *self.balances.entry(ask.to).or_default() += ask.minor;
        Expected::Moved
    }

    fn balance(&self, account: u8) -> i64 {
        self.balances.get(&account).copied().unwrap_or_default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_agrees_with_the_model(asks in prop::collection::vec(ask(), 1..80)) {
        let (mut snapshot, mut model) = (snapshot(1), Model::default());
        for ask in &asks {
            let outcome = apply(&mut snapshot, &request(ask), Timestamp(7));
            prop_assert_eq!(word(&outcome), model.ask(ask));
            let mut sum = 0;
            for number in 0..ACCOUNTS {
                let held = snapshot.account(tenant(), account(number)).unwrap();
                prop_assert_eq!(held.balance.available(), i128::from(model.balance(number)));
                prop_assert!(i128::from(held.floor) <= held.balance.available());
                sum += i128::from(held.balance.posted_credits) - i128::from(held.balance.posted_debits);
            }
            prop_assert_eq!(sum, 0);
        }
    }

    #[test]
    fn a_batch_equals_its_items_one_by_one(asks in prop::collection::vec(ask(), 1..80)) {
        let mut together = snapshot(1);
        let mut carried = snapshot(1);
        for (index, ask) in asks.iter().enumerate() {
            let first = apply(&mut together, &request(ask), Timestamp(7));
            let mut single = next_batch(&carried, index as i64 + 2, &asks[..index]);
            let second = apply(&mut single, &request(ask), Timestamp(7));
            prop_assert_eq!(word(&first), word(&second));
            carried = single;
        }
        for number in 0..ACCOUNTS {
            let id = account(number);
            let (a, b) = (together.account(tenant(), id).unwrap(), carried.account(tenant(), id).unwrap());
            prop_assert_eq!(a.balance, b.balance);
        }
    }

    #[test]
    fn a_replay_changes_nothing(asks in prop::collection::vec(ask(), 1..40)) {
        let mut once = snapshot(1);
        let first: Vec<Outcome> = asks.iter().map(|ask| apply(&mut once, &request(ask), Timestamp(7))).collect();
        let before: Vec<Account> = accounts(&once);
        let written = Effects::of(&once);
        for (ask, outcome) in asks.iter().zip(&first) {
            let again = apply(&mut once, &request(ask), Timestamp(8));
            if let (Outcome::Decided { decision: a, .. }, Outcome::Decided { decision: b, replayed }) = (outcome, &again) {
                prop_assert_eq!(a, b);
                prop_assert!(replayed);
            }
        }
        prop_assert_eq!(before, accounts(&once));
        prop_assert_eq!(written.seal, Effects::of(&once).seal);
    }

    #[test]
    fn effects_say_exactly_what_changed(asks in prop::collection::vec(ask(), 1..80)) {
        let mut snapshot = snapshot(1);
        for ask in &asks {
            apply(&mut snapshot, &request(ask), Timestamp(7));
        }
        let effects = Effects::of(&snapshot);
        let mut balances: BTreeMap<AccountId, (i64, Sequence, i64)> = BTreeMap::new();
        for row in &effects.transfers {
            for (id, posting, change) in [
                (row.body.debit, row.debit, -row.body.minor),
                (row.body.credit, row.credit, row.body.minor),
            ] {
                let (balance, last, version) = balances.entry(id).or_default();
                prop_assert_eq!(posting.previous, *last);
                *balance += change;
                *version += 1;
                *last = row.sequence;
                prop_assert_eq!(posting.after.available(), i128::from(*balance));
                prop_assert_eq!(posting.after.version, *version);
            }
        }
        prop_assert_eq!(balances.len(), effects.accounts.len());
        for change in &effects.accounts {
            let (balance, last, version) = balances[&change.id];
            prop_assert_eq!(change.account.balance.available(), i128::from(balance));
            prop_assert_eq!((change.account.last, change.account.balance.version), (last, version));
        }
        let sequences: Vec<i64> = effects.payments.iter().map(|row| row.decision.sequence.0).collect();
        let expected: Vec<i64> = (0..effects.payments.len()).map(|line| BatchId(1).sequence(line).0).collect();
        prop_assert_eq!(sequences, expected);
    }

    #[test]
    fn the_root_depends_on_every_row_and_their_order(asks in prop::collection::vec(ask(), 1..40)) {
        let mut snapshot = snapshot(1);
        for ask in &asks {
            apply(&mut snapshot, &request(ask), Timestamp(7));
        }
        let effects = Effects::of(&snapshot);
        prop_assert_eq!(&effects.seal, &BatchSeal::of(&effects.payments));
        for index in 0..effects.payments.len() {
            let mut rows = effects.payments.clone();
            rows.remove(index);
            prop_assert_ne!(effects.seal.root, BatchSeal::of(&rows).root);
            let mut rows = effects.payments.clone();
            rows.rotate_left(index);
            prop_assert_eq!(index == 0, effects.seal.root == BatchSeal::of(&rows).root);
        }
    }
}

fn word(outcome: &Outcome) -> Expected {
    match outcome {
        Outcome::Declined(_) => Expected::Declined,
        Outcome::Decided { replayed: true, .. } => Expected::Replayed,
        Outcome::Decided { decision, .. } => match decision.verdict {
            Verdict::Completed { .. } => Expected::Moved,
            Verdict::Refused(_) => Expected::Refused,
        },
    }
}

/// What the next batch reads after `before` was committed.
fn next_batch(before: &Snapshot, batch: i64, asked: &[Ask]) -> Snapshot {
    let mut next = Snapshot::new(BatchId(batch));
    for (number, entry) in accounts(before).into_iter().enumerate() {
        next.insert_account(tenant(), account(number as u8), entry);
    }
    for ask in asked {
        if let Some(decision) = before.decision(tenant(), payment(ask.key)) {
            next.insert_decision(tenant(), payment(ask.key), decision.clone());
        }
    }
    next
}

fn accounts(snapshot: &Snapshot) -> Vec<Account> {
    (0..ACCOUNTS).map(|number| snapshot.account(tenant(), account(number)).unwrap().clone()).collect()
}

fn snapshot(batch: i64) -> Snapshot {
    let mut snapshot = Snapshot::new(BatchId(batch));
    for number in 0..ACCOUNTS {
        let kind = if number == 0 { AccountKind::Settlement } else { AccountKind::Wallet };
        let entry = Account {
            currency: Currency::parse("USD").unwrap(),
            kind,
            status: Status::Active,
            floor: floor(number),
            balance: Balance::default(),
            last: Sequence::default(),
        };
        snapshot.insert_account(tenant(), account(number), entry);
    }
    snapshot
}

fn floor(number: u8) -> i64 {
    match number {
        0 => -CAP,
        1 => -OVERDRAFT,
        _ => 0,
    }
}

fn request(ask: &Ask) -> Request {
    let text: Arc<str> = Arc::from("");
    let provenance = Provenance {
        origin: Origin::Api,
        key: Arc::from(ask.key.to_string()),
        origin_ref: text.clone(),
        actor: text.clone(),
        correlation_id: text.clone(),
    };
    Request {
        tenant: tenant(),
        payment: payment(ask.key),
        from: AccountRef::id(account(ask.from)),
        to: AccountRef::id(account(ask.to)),
        minor: ask.minor,
        currency: Currency::parse("USD").unwrap(),
        reference: text,
        provenance,
    }
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

fn account(number: u8) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(100 + u128::from(number)))
}

fn payment(key: u8) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(1000 + u128::from(key)))
}
