//! A table is a list of events; the lines share one ledger, so each also shows what the earlier ones left behind.
//!
//! ```text
//! account NAME CURRENCY KIND STATUS FLOOR AVAILABLE [ceiling=N] [class=WORD] [version=N]
//! set     PARAMETER SCOPE CURRENCY|* VALUE         SCOPE is platform, tenant, class:WORD or wallet:NAME
//! suspend, resume                                  the tenant
//! now     MICROSECONDS
//! next [bare]                                      a new batch: what is stored is read again (bare: no payments made at
//!                                                  once, as if nobody named them)
//!
//! pay     KEY FROM TO AMOUNT CURRENCY REFERENCE    -> OUTCOME
//! hold    KEY FROM TO AMOUNT CURRENCY REFERENCE    -> OUTCOME
//! capture KEY PAYMENT AMOUNT                       settle likewise; void, fail, reverse: KEY PAYMENT
//! expire  PAYMENT                                  due likewise; both have ids of their own
//! handover KEY PAYMENT REFERENCE
//! refund  KEY PAYMENT AMOUNT                       approve, reject: KEY REFUND
//! change  KEY WALLET
//!   with  up_to final version= to_version= available= timeout= capture= status= minimum= maximum= currency= by= approved= link=
//! group … end                                      linked requests, decided together
//!
//! balance NAME                                     -> AVAILABLE [out=HELD] [in=HELD]
//! payment KEY                                      -> PHASE CAPTURED/AMOUNT [refunding=N] [refunded=N] [until=N]
//! usage   NAME|*                                   -> DAY MINOR COUNT MONTH MINOR COUNT
//! ```
//!
//! An outcome is `moved POSTED`, `PHASE POSTED PENDING` of a hold, `PHASE POSTED` of a refund, `changed STATUS FLOOR
//! CEILING`, `replayed`, or the reason, the field and the limit. A reason is checked to be stored or not as its number
//! says; `again` before it means that the stored one was given.

use std::sync::Arc;

use payplane_ledger::{
    Account, AccountId, AccountKind, Balance, BatchId, Currency, Effects, Level, OperationId, Origin,
    PARAMETER_NAMES, Parameters, PaymentState, Request, Scope, Sequence, Setting, Snapshot, Status, TenantId,
    Timestamp, apply, apply_linked,
};
use uuid::Uuid;

mod ask;
mod say;

pub(crate) fn run(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        world.event(line);
    }
    assert!(world.group.is_none(), "a group without end");
}

/// The ledger of a table.
struct World {
    snapshot: Snapshot,
    now: Timestamp,
    settings: Vec<Setting>,
    suspended: bool,
    batch: i64,
    /// The lines of the group that is being read.
    group: Option<Vec<(String, Request)>>,
}

impl Default for World {
    fn default() -> Self {
        let snapshot = Snapshot::new(BatchId(1));
        Self { snapshot, now: Timestamp(0), settings: Vec::new(), suspended: false, batch: 1, group: None }
    }
}

impl World {
    fn event(&mut self, line: &str) {
        let (event, expected) = line.split_once("->").unwrap_or((line, ""));
        let words: Vec<&str> = event.split_whitespace().collect();
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        match words[0] {
            "account" => self.account(&words),
            "set" => self.set(&words),
            "suspend" => self.suspend(true),
            "resume" => self.suspend(false),
            "now" => self.now = Timestamp(number(words[1])),
            "next" => self.next_batch(words.contains(&"bare")),
            "group" => self.group = Some(Vec::new()),
            "end" => self.end(),
            "balance" => assert_eq!(self.balance(words[1]), expected, "{line}"),
            "payment" => assert_eq!(self.payment(words[1]), expected, "{line}"),
            "usage" => assert_eq!(self.usage(words[1]), expected, "{line}"),
            _ => self.request(line, &words, &expected),
        }
    }

    fn request(&mut self, line: &str, words: &[&str], expected: &str) {
        let request = ask::request(words);
        if let Some(group) = &mut self.group {
            group.push((line.to_owned(), request));
            return;
        }
        let outcome = apply(&mut self.snapshot, &request, self.now);
        assert_eq!(say::outcome(&outcome), expected, "{line}");
    }

    fn end(&mut self) {
        let mut group = self.group.take().unwrap();
        let link = group[0].1.operation;
        for (_, request) in &mut group {
            request.terms.link.get_or_insert(link);
        }
        let requests: Vec<Request> = group.iter().map(|(_, request)| request.clone()).collect();
        let outcomes = apply_linked(&mut self.snapshot, &requests, self.now);
        assert_eq!(outcomes.len(), group.len());
        let expected = |line: &str| line.split_once("->").map(|(_, expected)| expected.trim().to_owned());
        for ((line, _), outcome) in group.iter().zip(&outcomes) {
            let words: Vec<_> = expected(line).unwrap().split_whitespace().map(str::to_owned).collect();
            assert_eq!(say::outcome(outcome), words.join(" "), "{line}");
        }
    }

    fn account(&mut self, words: &[&str]) {
        let available: i64 = number(words[6]);
        let balance = Balance {
            posted_credits: available.max(0),
            posted_debits: 0.max(-available),
            version: option(words, "version").map_or(0, number),
            ..Balance::default()
        };
        let account = Account {
            currency: Currency::parse(words[2]).unwrap(),
            kind: kind(words[3]),
            status: status(words[4]),
            class: Arc::from(option(words, "class").unwrap_or_default()),
            floor: number(words[5]),
            ceiling: option(words, "ceiling").map(number),
            balance,
            last: Sequence::default(),
        };
        self.snapshot.insert_account(tenant(), account_id(words[1]), account);
    }

    fn set(&mut self, words: &[&str]) {
        let scope = match words[2].split_once(':') {
            Some(("class", class)) => Scope::Class(Arc::from(class)),
            Some((_, wallet)) => Scope::Wallet(account_id(wallet)),
            None if words[2] == Level::Platform.name() => Scope::Platform,
            None => Scope::Tenant,
        };
        let name = PARAMETER_NAMES.into_iter().find(|name| name.name() == words[1]).unwrap();
        let currency = (words[3] != "*").then(|| Currency::parse(words[3]).unwrap());
        self.settings.push(Setting { name, scope, currency, value: number(words[4]) });
        self.snapshot.insert_parameters(tenant(), self.parameters());
    }

    fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
        self.snapshot.insert_parameters(tenant(), self.parameters());
    }

    fn parameters(&self) -> Arc<Parameters> {
        Arc::new(Parameters::new(self.settings.clone()).with_suspension(self.suspended))
    }

    /// Stores what changed and reads all of it again, as the engine does between two batches.
    fn next_batch(&mut self, bare: bool) {
        self.batch += 1;
        let effects = Effects::of(&self.snapshot);
        let mut next = Snapshot::new(BatchId(self.batch));
        for (tenant, id, account) in self.snapshot.accounts() {
            next.insert_account(tenant, id, account.clone());
        }
        for row in &effects.operations {
            next.insert_decision(row.tenant, row.operation, row.decision.clone());
            if let Some(payment) = PaymentState::of_immediate(&row.decision).filter(|_| !bare) {
                next.insert_payment(row.tenant, row.operation, payment);
            }
        }
        for change in effects.payments {
            next.insert_payment(change.tenant, change.id, change.now);
        }
        for change in effects.refunds {
            next.insert_refund(change.tenant, change.id, change.now);
        }
        for change in effects.usages {
            next.insert_usage(change.tenant, change.id.0, change.id.1, change.now);
        }
        next.insert_parameters(tenant(), self.parameters());
        self.snapshot = next;
    }

    fn balance(&self, name: &str) -> String {
        let balance = self.snapshot.account(tenant(), account_id(name)).unwrap().balance;
        let mut text = balance.available().to_string();
        for (word, held) in [("out", balance.pending_debits), ("in", balance.pending_credits)] {
            if held != 0 {
                text += &format!(" {word}={held}");
            }
        }
        text
    }

    fn payment(&self, key: &str) -> String {
        let payment = self.snapshot.payment(tenant(), operation(key)).unwrap();
        let mut text = format!("{} {}/{}", say::snake(&payment.phase), payment.captured, payment.amount);
        for (word, minor) in [("refunding", payment.refunding), ("refunded", payment.refunded)] {
            if minor != 0 {
                text += &format!(" {word}={minor}");
            }
        }
        if let Some(deadline) = payment.deadline.filter(|_| payment.phase.is_open()) {
            let level = payment.deadline_level.map_or("request", Level::name);
            text += &format!(" until={} {level}", deadline.0);
        }
        text
    }

    fn usage(&self, name: &str) -> String {
        let subject = if name == "*" { tenant().uuid() } else { account_id(name).uuid() };
        let usages = Effects::of(&self.snapshot).usages;
        match usages.iter().find(|change| change.id.0 == subject) {
            None => "none".to_owned(),
            Some(change) => {
                let u = change.now;
                format!(
                    "{} {} {} {} {} {}",
                    u.day, u.day_minor, u.day_count, u.month, u.month_minor, u.month_count
                )
            }
        }
    }
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn number(text: &str) -> i64 {
    if text == "max" { i64::MAX } else { text.parse().unwrap() }
}

fn kind(word: &str) -> AccountKind {
    match word {
        "wallet" => AccountKind::Wallet,
        "settlement" => AccountKind::Settlement,
        "clearing" => AccountKind::Clearing,
        "fee" => AccountKind::Fee,
        "suspense" => AccountKind::Suspense,
        other => panic!("unknown kind {other}"),
    }
}

fn status(word: &str) -> Status {
    match word {
        "active" => Status::Active,
        "closed" => Status::Closed,
        "frozen" => Status::Frozen,
        "frozen_debit" => Status::FrozenDebit,
        "frozen_credit" => Status::FrozenCredit,
        other => panic!("unknown status {other}"),
    }
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

fn account_id(name: &str) -> AccountId {
    AccountId::wallet(tenant(), Origin::Api, name)
}

/// `expiry:KEY` and `due:KEY` are the ids that the sweep uses.
fn operation(key: &str) -> OperationId {
    use payplane_ledger::{KeySpace, PlatformId};
    match key.split_once(':') {
        Some(("expiry", key)) => OperationId::expiry(operation(key)),
        Some(("due", key)) => OperationId::due_capture(operation(key)),
        _ => {
            let platform = PlatformId::from_uuid(Uuid::nil());
            OperationId::for_key(platform, tenant(), Origin::Api, KeySpace::Payment, key)
        }
    }
}
