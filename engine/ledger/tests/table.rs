//! The rule book as a table: one line per event, in the order of precedence. A line is an event, what it says, and the
//! expected outcome; the lines of a table share one snapshot, so each also shows what the earlier ones left behind.
//!
//! ```text
//! account NAME CURRENCY KIND STATUS FLOOR   AVAILABLE
//! pay     KEY  FROM TO AMOUNT CURRENCY REF  -> OUTCOME [FIELD]
//! balance NAME                              -> AVAILABLE
//! ```
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use payplane_ledger::{
    Account, AccountId, AccountKind, AccountRef, Balance, BatchId, Currency, Origin, Outcome, PaymentId,
    PlatformId, Provenance, Refusal, Request, Sequence, Snapshot, Status, TenantId, Timestamp, Verdict,
    apply,
};
use uuid::Uuid;

const PRECEDENCE: &str = "
    account  rich      USD  wallet      active         0   1000
    account  poor      USD  wallet      active         0   0
    account  euro      EUR  wallet      active         0   1000
    account  closed    USD  wallet      closed         0   1000
    account  frozen    USD  wallet      frozen         0   1000
    account  nodebit   USD  wallet      frozen_debit   0   1000
    account  nocredit  USD  wallet      frozen_credit  0   1000
    account  full      USD  wallet      active         0   9223372036854775807
    account  till      USD  settlement  active      -500   0

    # A key, once decided, answers before anything else is looked at.
    pay  k1   rich    poor    100  USD  r   -> completed
    pay  k1   rich    poor    100  USD  r   -> replayed
    pay  k1   rich    poor    100  EUR  r   -> conflict               amount.currency
    pay  k1   rich    poor    101  USD  r   -> conflict               amount.amount
    pay  k1   full    poor    100  USD  r   -> conflict               from
    pay  k1   nobody  poor    100  USD  r   -> conflict               from
    pay  k1   rich    full    100  USD  r   -> conflict               to
    pay  k1   rich    poor    100  USD  s   -> conflict               reference
    pay  k1   full    full    101  EUR  s   -> conflict               amount.currency

    # Not stored: the key stays free.
    pay  k2   nobody  nobody  1    EUR  r   -> wallet_not_found       from
    pay  k2   rich    nobody  1    EUR  r   -> wallet_not_found       to
    pay  k2   closed  closed  1    EUR  r   -> same_wallet            to
    pay  k2   euro    closed  1    USD  r   -> currency_mismatch      from
    pay  k2   closed  euro    1    USD  r   -> currency_mismatch      to

    # Stored: the same key always gets it again.
    pay  k3   closed  frozen  9999 USD  r   -> closed                 from
    pay  k4   frozen  closed  9999 USD  r   -> closed                 to
    pay  k5   frozen  nocredit 9999 USD r   -> frozen                 from
    pay  k6   nodebit nocredit 9999 USD r   -> frozen                 from
    pay  k7   poor    nocredit 9999 USD r   -> frozen                 to
    pay  k8   till    full    501  USD  r   -> cap_exceeded           from
    pay  k9   poor    full    9999 USD  r   -> insufficient           from
    pay  k10  till    full    1    USD  r   -> overflow               to
    pay  k9   poor    full    9999 USD  r   -> refused_before         from
    pay  k9   poor    full    1    USD  r   -> conflict               amount.amount

    # What is frozen in one direction works in the other.
    pay  k11  nocredit nodebit 10  USD  r   -> completed
    balance  nocredit  990
    balance  nodebit   1010

    # To the floor and not below.
    pay  k12  till    poor    500  USD  r   -> completed
    pay  k13  till    poor    1    USD  r   -> cap_exceeded           from
    pay  k14  poor    rich    600  USD  r   -> completed
    pay  k15  poor    rich    1    USD  r   -> insufficient           from
    balance  till  -500
    balance  poor  0
    balance  rich  1500
";

#[test]
fn reasons_come_in_their_order() {
    run(PRECEDENCE);
}

const OVERDRAFT: &str = "
    account  credit  USD  wallet  active  -50  0
    account  shop    USD  wallet  active    0  0
    pay  a  credit  shop  50  USD  r  -> completed
    pay  b  credit  shop  1   USD  r  -> insufficient  from
    balance  credit  -50
";

#[test]
fn a_wallet_may_have_an_overdraft_limit() {
    run(OVERDRAFT);
}

fn run(table: &str) {
    let mut snapshot = Snapshot::new(BatchId(1));
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "account" => insert(&mut snapshot, &words),
            "pay" => assert_eq!(outcome_of(&mut snapshot, &words), words[8..].join(" "), "{line}"),
            "balance" => {
                let account = snapshot.account(tenant(), account(words[1])).unwrap();
                assert_eq!(account.balance.available().to_string(), words[2], "{line}");
            }
            other => panic!("unknown event {other}"),
        }
    }
}

fn insert(snapshot: &mut Snapshot, words: &[&str]) {
    let status = match words[4] {
        "active" => Status::Active,
        "closed" => Status::Closed,
        "frozen" => Status::Frozen,
        "frozen_debit" => Status::FrozenDebit,
        "frozen_credit" => Status::FrozenCredit,
        other => panic!("unknown status {other}"),
    };
    let kind = if words[3] == "settlement" { AccountKind::Settlement } else { AccountKind::Wallet };
    let balance = Balance { posted_credits: words[6].parse().unwrap(), ..Balance::default() };
    let (currency, floor) = (Currency::parse(words[2]).unwrap(), words[5].parse().unwrap());
    let entry = Account { currency, kind, status, floor, balance, last: Sequence::default() };
    snapshot.insert_account(tenant(), account(words[1]), entry);
}

fn outcome_of(snapshot: &mut Snapshot, words: &[&str]) -> String {
    let [_, key, from, to, minor, currency, reference, arrow] = words[..8] else {
        panic!("too short: {words:?}")
    };
    assert_eq!(arrow, "->");
    let text = |text: &str| Arc::<str>::from(text);
    let request = Request {
        tenant: tenant(),
        payment: PaymentId::for_key(PlatformId::from_uuid(Uuid::nil()), tenant(), Origin::Api, key),
        from: AccountRef::id(account(from)),
        to: AccountRef::id(account(to)),
        minor: minor.parse().unwrap(),
        currency: Currency::parse(currency).unwrap(),
        reference: text(reference),
        provenance: Provenance {
            origin: Origin::Api,
            key: text(key),
            origin_ref: text(""),
            actor: text(""),
            correlation_id: text(""),
        },
    };
    match apply(snapshot, &request, Timestamp(0)) {
        Outcome::Declined(refusal) => described(refusal),
        Outcome::Decided { decision, replayed } => match (decision.verdict, replayed) {
            (Verdict::Completed { .. }, false) => "completed".to_owned(),
            (Verdict::Completed { .. }, true) => "replayed".to_owned(),
            (Verdict::Refused(refusal), false) => described(refusal),
            (Verdict::Refused(refusal), true) => format!("refused_before {}", refusal.field.path()),
        },
    }
}

fn described(refusal: Refusal) -> String {
    use payplane_ledger::Reason::*;
    let word = match refusal.reason {
        IdempotencyConflict => "conflict",
        WalletNotFound => "wallet_not_found",
        SameWallet => "same_wallet",
        CurrencyMismatch => "currency_mismatch",
        WalletClosed => "closed",
        WalletFrozen => "frozen",
        SettlementCapExceeded => "cap_exceeded",
        InsufficientFunds => "insufficient",
        BalanceOverflow => "overflow",
    };
    format!("{word} {}", refusal.field.path())
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

fn account(name: &str) -> AccountId {
    AccountId::wallet(tenant(), Origin::Api, name)
}
