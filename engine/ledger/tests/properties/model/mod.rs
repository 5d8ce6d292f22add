//! What a careful bookkeeper would do with a pencil, written without the ledger's code and in another way: a request is
//! refused for the first, by number and side, of *all* the reasons that hold, and done only if there is none. Groups are
//! done on a copy of the books, which is thrown away if an item fails.

mod calendar;
mod perform;
mod reasons;

use std::collections::BTreeMap;

use crate::ask::{Account, Act, Answer, Ask, Done, Id, Payment, Refund, Setting, accounts};

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) now: i128,
    pub(crate) accounts: Vec<Account>,
    pub(crate) payments: BTreeMap<Id, Payment>,
    pub(crate) refunds: BTreeMap<Id, Refund>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) usages: BTreeMap<UsageKey, Usage>,
    known: BTreeMap<Id, Known>,
}

/// Day or month, minor units, count.
pub(crate) type Window = (i64, i128, i128);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) day: Window,
    pub(crate) month: Window,
}

#[derive(Clone)]
struct Known {
    ask: Ask,
    currency: usize,
    answer: Answer,
}

/// Nobody stands for the tenant.
pub(crate) type UsageKey = (Option<usize>, usize);

/// Reason, place within the reason, field, limit.
type Why = (u8, u8, u8, Option<(u8, u8)>);

const DEFINITIVE: u8 = 19;
const ITEMS: u8 = 18;

impl Model {
    pub(crate) fn new(settings: Vec<Setting>) -> Self {
        Self {
            now: 0,
            accounts: accounts(),
            payments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            settings,
            usages: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// The answers, and whether they were given before.
    pub(crate) fn ask(&mut self, asks: &[Ask]) -> Vec<(Answer, bool)> {
        if let [ask] = asks {
            return vec![self.ask_one(ask)];
        }
        let conflict = (Answer::Declined(1, ITEMS), false);
        let known = asks.iter().filter(|ask| self.known.contains_key(&ask.id)).count();
        let mut ids: Vec<Id> = asks.iter().map(|ask| ask.id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != asks.len() || (0 < known && known < asks.len()) {
            return vec![conflict; asks.len()];
        }
        if known == asks.len() {
            let answers: Vec<_> = asks.iter().map(|ask| self.ask_one(ask)).collect();
            let same = answers.iter().all(|(_, replayed)| *replayed);
            return answers
                .into_iter()
                .map(|answer| if answer.1 && !same { conflict.clone() } else { answer })
                .collect();
        }
        self.ask_group(asks)
    }

    fn ask_one(&mut self, ask: &Ask) -> (Answer, bool) {
        if let Some(known) = self.known.get(&ask.id) {
            return match difference(ask, known) {
                Some(field) => (Answer::Declined(1, field), false),
                None => (known.answer.clone(), true),
            };
        }
        (self.decide(ask), false)
    }

    fn decide(&mut self, ask: &Ask) -> Answer {
        let answer = match self.reasons(ask).into_iter().min() {
            Some((reason, _, field, _)) if reason < DEFINITIVE => return Answer::Declined(reason, field),
            Some((reason, _, field, limit)) => Answer::Refused(reason, field, limit),
            None => Answer::Done(Box::new(self.perform(ask))),
        };
        self.learn(ask, self.currency(ask).unwrap(), answer)
    }

    fn learn(&mut self, ask: &Ask, currency: usize, answer: Answer) -> Answer {
        self.known.insert(ask.id, Known { ask: ask.clone(), currency, answer: answer.clone() });
        answer
    }

    fn ask_group(&mut self, asks: &[Ask]) -> Vec<(Answer, bool)> {
        let before = self.clone();
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(self.decide(ask));
            if !matches!(answers.last(), Some(Answer::Done(_))) {
                break;
            }
        }
        let failed = answers.len() - 1;
        if matches!(answers[failed], Answer::Done(_)) {
            return answers.into_iter().map(|answer| (answer, false)).collect();
        }
        let (mut failed, mut answer) = (failed, answers[failed].clone());
        if let Answer::Refused(..) = answer
            && let Some((item, why)) = self.unreached(asks, failed + 1)
        {
            (failed, answer) = (item, why);
        }
        let currencies = self.currencies(asks);
        *self = before;
        let other = match answer {
            Answer::Declined(..) => Answer::Declined(9, ITEMS),
            _ => Answer::Refused(34, ITEMS, None),
        };
        let item = |(index, ask): (usize, &Ask)| {
            let answer = if index == failed { answer.clone() } else { other.clone() };
            if let Answer::Refused(..) = answer {
                self.learn(ask, currencies[index].unwrap(), answer.clone());
            }
            (answer, false)
        };
        asks.iter().enumerate().map(item).collect()
    }

    /// The first item, of those that were not reached, that would be refused without a trace.
    fn unreached(&self, asks: &[Ask], first: usize) -> Option<(usize, Answer)> {
        let currencies = self.currencies(asks);
        for (index, ask) in asks.iter().enumerate().skip(first) {
            let why = self.reasons(ask).into_iter().filter(|why| why.0 < DEFINITIVE).min();
            let Some((reason, _, field, _)) = why else { continue };
            if ![3, 4].contains(&reason) || maker(asks, index).is_none() {
                return Some((index, Answer::Declined(reason, field)));
            }
            if ask.currency.is_some() && ask.currency != currencies[index] {
                return Some((index, Answer::Declined(6, 4)));
            }
        }
        None
    }

    /// The currency of each item; that of what an earlier item of the group makes is that of the earlier item.
    fn currencies(&self, asks: &[Ask]) -> Vec<Option<usize>> {
        let mut currencies: Vec<Option<usize>> = Vec::new();
        for (index, ask) in asks.iter().enumerate() {
            let own = self.known.get(&ask.id).map(|known| known.currency).or_else(|| self.currency(ask));
            currencies.push(own.or_else(|| maker(asks, index).and_then(|earlier| currencies[earlier])));
        }
        currencies
    }

    /// Of what the request is about.
    fn currency(&self, ask: &Ask) -> Option<usize> {
        let of = |index: Option<usize>| {
            index.and_then(|index| self.accounts.get(index)).map(|found| found.currency)
        };
        match ask.act {
            Act::Pay | Act::Authorize => ask.currency.or_else(|| of(ask.from)),
            Act::ChangeWallet => of(ask.from),
            Act::ApproveRefund | Act::RejectRefund => {
                self.refunds.get(&ask.target?).map(|refund| refund.currency)
            }
            _ => self.payments.get(&ask.target?).map(|payment| payment.currency),
        }
    }
}

/// The earlier item of the group that makes what this one is about.
fn maker(asks: &[Ask], index: usize) -> Option<usize> {
    let makes = |act: Act| match asks[index].act {
        Act::ApproveRefund | Act::RejectRefund => [Act::Refund, Act::Reverse].contains(&act),
        _ => [Act::Pay, Act::Authorize].contains(&act),
    };
    (0..index).find(|earlier| Some(asks[*earlier].id) == asks[index].target && makes(asks[*earlier].act))
}

/// The first field that differs.
fn difference(ask: &Ask, known: &Known) -> Option<u8> {
    let (a, b) = (ask, &known.ask);
    let account = |index: Option<usize>| index.filter(|index| *index < crate::ask::ACCOUNTS);
    let target = if [Act::ApproveRefund, Act::RejectRefund].contains(&a.act) { 7 } else { 6 };
    let expect = |ask: &Ask| (ask.terms.from_version, ask.terms.to_version, ask.terms.available);
    let checks = [
        (17, a.act == b.act),
        (4, a.currency.is_none_or(|currency| currency == known.currency)),
        (3, a.minor == b.minor),
        (if a.act == Act::ChangeWallet { 8 } else { 1 }, account(a.from) == account(b.from)),
        (2, account(a.to) == account(b.to)),
        (5, a.reference == b.reference),
        (target, a.target == b.target),
        (9, a.terms.timeout == b.terms.timeout),
        (10, a.terms.capture_at == b.terms.capture_at),
        (11, a.terms.is_final == b.terms.is_final),
        (12, a.terms.up_to == b.terms.up_to),
        (13, expect(a) == expect(b)),
        (14, a.terms.status == b.terms.status),
        (15, a.terms.floor == b.terms.floor),
        (16, a.terms.ceiling == b.terms.ceiling),
        (18, a.terms.link == b.terms.link),
    ];
    checks.into_iter().find_map(|(field, same)| (!same).then_some(field))
}

impl Done {
    fn nothing() -> Self {
        Self::default()
    }
}
