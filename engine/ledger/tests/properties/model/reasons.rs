//! Every reason that holds against a request.

use super::{Model, Usage, UsageKey, Why, calendar};
use crate::ask::{Account, Act, Ask, Payment, Refund, SUSPENDED, Whom};

const FROM: u8 = 1;
const TO: u8 = 2;
const AMOUNT: u8 = 3;
const CURRENCY: u8 = 4;
const PAYMENT: u8 = 6;
const REFUND: u8 = 7;
const WALLET: u8 = 8;
const TIMEOUT: u8 = 9;
const CAPTURE_TIME: u8 = 10;
const APPROVER: u8 = 20;
const KEY: u8 = 21;

const CLOSED: u8 = 5;

fn why(reason: u8, place: u8, field: u8) -> Why {
    (reason, place, field, None)
}

fn freezes(status: u8, side: u8) -> bool {
    status == 4 || status == if side == FROM { 2 } else { 3 }
}

impl Model {
    pub(super) fn reasons(&self, ask: &Ask) -> Vec<Why> {
        let mut all = self.against(ask);
        if ask.is_old {
            // What is never decided needs nobody's approval.
            let is_of_payment = matches!(ask.act, Act::Pay | Act::Authorize);
            all.retain(|why| !(is_of_payment && [7, 10].contains(&why.0)));
            all.push(why(11, 0, KEY));
        }
        all
    }

    fn against(&self, ask: &Ask) -> Vec<Why> {
        match ask.act {
            Act::Pay | Act::Authorize => self.against_payment(ask),
            Act::ChangeWallet => self.against_change(ask),
            Act::ApproveRefund | Act::RejectRefund => self.against_decision(ask),
            _ => match ask.target.and_then(|target| self.payments.get(&target)) {
                None => vec![why(3, 0, PAYMENT)],
                Some(payment) => self.against_step(ask, payment),
            },
        }
    }

    fn against_payment(&self, ask: &Ask) -> Vec<Why> {
        let find = |index: Option<usize>| index.and_then(|index| self.accounts.get(index));
        let (Some(payer), Some(payee)) = (find(ask.from), find(ask.to)) else {
            return vec![if find(ask.from).is_none() { why(2, 0, FROM) } else { why(2, 1, TO) }];
        };
        let (from, to) = (ask.from.unwrap(), ask.to.unwrap());
        let currency = ask.currency.unwrap_or(payer.currency);
        let amount = self.amount(ask);
        let mut all = self.against_pair(payer, payee, amount);
        let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
        also(from == to, why(5, 0, TO));
        also(payer.currency != currency, why(6, 0, FROM));
        also(payee.currency != currency, why(6, 1, TO));
        let terms = &ask.terms;
        also(terms.approver == Some(ask.actor), why(7, 0, APPROVER));
        let threshold = self.parameter(14, from).filter(|_| terms.approver.is_none());
        also(threshold.is_some_and(|(least, _)| least <= i128::from(ask.minor)), why(10, 0, AMOUNT));
        also(terms.from_version.is_some_and(|version| i128::from(version) != payer.version), why(28, 0, 13));
        also(terms.to_version.is_some_and(|version| i128::from(version) != payee.version), why(28, 0, 13));
        also(terms.available.is_some_and(|least| available(payer) < i128::from(least)), why(28, 0, 13));
        let (posted, pending) = if ask.act == Act::Pay { (amount, 0) } else { (0, amount) };
        all.extend(self.overflows(from, to, posted, pending));
        all.extend(self.count(from, amount).err().into_iter().flatten());
        if let (Act::Authorize, Some((most, level))) = (ask.act, self.parameter(13, from)) {
            let by_timeout = terms.timeout.is_some_and(|timeout| most < i128::from(timeout));
            let too_long = most < self.deadline(ask, from).0 - self.now;
            all.extend(by_timeout.then_some((29, 13, TIMEOUT, Some((13, level)))));
            all.extend(too_long.then_some((29, 14, CAPTURE_TIME, Some((13, level)))));
        }
        all
    }

    /// What moves, or one if nothing can.
    pub(super) fn amount(&self, ask: &Ask) -> i128 {
        let asked = i128::from(ask.minor);
        if !ask.terms.up_to {
            return asked;
        }
        let (payer, payee) = (&self.accounts[ask.from.unwrap()], &self.accounts[ask.to.unwrap()]);
        let below = available(payer) - payer.floor;
        let above = payee.ceiling.map_or(i128::MAX, |ceiling| ceiling - expected(payee));
        asked.min(below).min(above).max(1)
    }

    /// The usages after a payment, or every limit that it exceeds.
    pub(super) fn count(&self, payer: usize, amount: i128) -> Result<Vec<(UsageKey, Usage)>, Vec<Why>> {
        let mut exceeded = Vec::new();
        let mut usages = Vec::new();
        if self.accounts[payer].kind != 1 {
            return Ok(usages);
        }
        let mut look = |name: u8, used: i128| -> bool {
            let set = self.parameter(name, payer);
            if let Some((value, level)) = set
                && value < used
            {
                exceeded.push((29, name, AMOUNT, Some((name, level))));
            }
            set.is_some()
        };
        look(1, amount);
        for (subject, first) in [(Some(payer), 2), (None, 6)] {
            let key = (subject, self.accounts[payer].currency);
            let before = self.usages.get(&key).copied().unwrap_or_default();
            let mut after = before;
            let windows = [(calendar::day(self.now), first), (calendar::month(self.now), first + 2)];
            for (window, (current, name)) in [&mut after.day, &mut after.month].into_iter().zip(windows) {
                let (number, minor, count) = if window.0 < current { (current, 0, 0) } else { *window };
                let used = (number, minor + amount, count + 1);
                let (by_amount, by_count) = (look(name, used.1), look(name + 1, used.2));
                if by_amount || by_count {
                    *window = used;
                }
            }
            if after != before {
                usages.push((key, after));
            }
        }
        if exceeded.is_empty() { Ok(usages) } else { Err(exceeded) }
    }

    /// Value and level of the most specific setting.
    pub(crate) fn parameter(&self, name: u8, account: usize) -> Option<(i128, u8)> {
        let Account { currency, class, .. } = self.accounts[account];
        let levels =
            [(4, Whom::Wallet(account)), (3, Whom::Class(class)), (2, Whom::Tenant), (1, Whom::Platform)];
        for (level, whom) in levels {
            for wanted in [Some(currency), None] {
                let is_it = |setting: &&crate::ask::Setting| {
                    setting.name == name && setting.whom == whom && setting.currency == wanted
                };
                if let Some(setting) = self.settings.iter().find(is_it) {
                    return Some((i128::from(setting.value), level));
                }
            }
        }
        None
    }

    fn against_change(&self, ask: &Ask) -> Vec<Why> {
        let Some(account) = ask.from.and_then(|index| self.accounts.get(index)) else {
            return vec![why(2, 0, WALLET)];
        };
        let mut all = Vec::new();
        let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
        let empty = account.credits == account.debits && account.out == 0 && account.coming == 0;
        let terms = &ask.terms;
        also(ask.currency.is_some_and(|currency| currency != account.currency), why(6, 0, CURRENCY));
        also(account.status == CLOSED, why(20, 0, WALLET));
        also(terms.status == Some(CLOSED) && !empty, why(22, 0, 14));
        also(account.kind == 2, why(24, 0, WALLET));
        also(terms.floor.is_some_and(|floor| available(account) < i128::from(floor)), why(31, 0, 15));
        also(terms.ceiling.is_some_and(|ceiling| i128::from(ceiling) < expected(account)), why(32, 0, 16));
        all
    }

    fn against_decision(&self, ask: &Ask) -> Vec<Why> {
        let refund: Option<&Refund> = ask.target.and_then(|target| self.refunds.get(&target));
        let Some(refund) = refund else { return vec![why(4, 0, REFUND)] };
        let mut all = Vec::new();
        let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
        also(ask.currency.is_some_and(|currency| currency != refund.currency), why(6, 0, CURRENCY));
        also(ask.act == Act::ApproveRefund && ask.actor == refund.requester, why(7, 0, REFUND));
        also(refund.phase != 1, why(24, 0, REFUND));
        all
    }

    fn against_step(&self, ask: &Ask, payment: &Payment) -> Vec<Why> {
        let Payment { from, to, phase, captured, .. } = *payment;
        let (is_held, is_handed) = (phase == 1, phase == 2);
        let passed = |time: Option<i128>| time.is_some_and(|time| time <= self.now);
        let expired = phase == 6 || (is_held && passed(payment.deadline));
        let held = if is_held || is_handed { payment.amount - captured } else { 0 };
        let minor = if ask.minor == 0 { held } else { i128::from(ask.minor) };
        let takes = [Act::Capture, Act::CaptureDue, Act::Settle].contains(&ask.act);
        let taken = if ask.act == Act::CaptureDue { held } else { minor };
        let payee = &self.accounts[to];
        let mut all = Vec::new();
        let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
        also(ask.currency.is_some_and(|currency| currency != payment.currency), why(6, 0, CURRENCY));
        also(ask.act == Act::Expire && !passed(payment.deadline), why(8, 0, PAYMENT));
        also(ask.act == Act::CaptureDue && !passed(payment.capture_at), why(8, 0, PAYMENT));
        let by_caller = takes && ask.act != Act::Settle;
        also(by_caller && payee.status == CLOSED, why(20, 1, TO));
        also(by_caller && freezes(payee.status, TO), why(21, 1, TO));
        also(takes && held < taken, why(25, 0, AMOUNT));
        let held_only = [Act::Capture, Act::CaptureDue, Act::Void, Act::HandOver].contains(&ask.act);
        also(held_only && expired, why(23, 0, PAYMENT));
        also((held_only || ask.act == Act::Expire) && !is_held, why(24, 0, PAYMENT));
        also([Act::Settle, Act::Fail].contains(&ask.act) && !is_handed, why(24, 0, PAYMENT));
        if ask.act == Act::Reverse && phase != 3 {
            also(expired, why(23, 0, PAYMENT));
            also(!is_held || captured != 0, why(24, 0, PAYMENT));
        }
        if takes {
            all.extend(self.overflows(from, to, taken, -taken));
        }
        if self.is_refund(ask, payment) {
            all.extend(self.against_refund(ask, payment));
        }
        all
    }

    pub(super) fn is_refund(&self, ask: &Ask, payment: &Payment) -> bool {
        ask.act == Act::Refund || (ask.act == Act::Reverse && payment.phase == 3)
    }

    /// What a refund asks for, and whether it waits for approval.
    pub(super) fn refund_asked(&self, ask: &Ask, payment: &Payment) -> (i128, bool) {
        let left = payment.captured - payment.refunding - payment.refunded;
        let whole = ask.minor == 0 || ask.act == Act::Reverse;
        let amount = if whole { left } else { i128::from(ask.minor) };
        (amount, self.parameter(12, payment.from).is_some_and(|(from, _)| from <= amount))
    }

    fn against_refund(&self, ask: &Ask, payment: &Payment) -> Vec<Why> {
        let left = payment.captured - payment.refunding - payment.refunded;
        let (amount, waits) = self.refund_asked(ask, payment);
        let window = self.parameter(11, payment.from).map(|(window, _)| window);
        let end = window.zip(payment.moved_at).map(|(window, start)| start + window);
        let mut all = if waits { Vec::new() } else { self.against_giving_back(payment, amount) };
        let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
        // Nobody gives back the half of what is between tenants (3).
        let is_half = [payment.from, payment.to].into_iter().any(|index| self.accounts[index].kind == 3);
        also(payment.captured == 0 || is_half, why(24, 0, PAYMENT));
        also(amount <= 0 || left < amount, why(26, 0, AMOUNT));
        also(end.is_some_and(|end| end <= self.now), why(27, 0, PAYMENT));
        all
    }

    pub(super) fn against_giving_back(&self, payment: &Payment, amount: i128) -> Vec<Why> {
        let mut all = self.against_pair(&self.accounts[payment.to], &self.accounts[payment.from], amount);
        all.extend(self.overflows(payment.to, payment.from, amount, 0));
        all
    }

    /// The same, and that the tenant may not spend. Money enters through settlement (2) and clearing (3), and what it owes
    /// leaves to clearing.
    fn against_pair(&self, payer: &Account, payee: &Account, amount: i128) -> Vec<Why> {
        let suspended = self.settings.iter().any(|setting| setting.name == SUSPENDED);
        let mut all = against_pair(payer, payee, amount);
        let goes_on = [2, 3].contains(&payer.kind) || payee.kind == 3;
        all.extend((suspended && !goes_on).then_some(why(19, 0, FROM)));
        all
    }

    fn overflows(&self, from: usize, to: usize, posted: i128, pending: i128) -> Vec<Why> {
        let fits = |number: i128| i64::try_from(number).is_ok();
        let all_fit = |account: &Account| {
            [account.debits, account.credits, account.out, account.coming].into_iter().all(fits)
                && fits(available(account))
                && fits(expected(account))
        };
        let (mut payer, mut payee) = (self.accounts[from], self.accounts[to]);
        payer.debits += posted;
        payer.out += pending;
        payee.credits += posted;
        payee.coming += pending;
        let mut all = Vec::new();
        all.extend((!all_fit(&payer)).then_some(why(33, 0, FROM)));
        all.extend((!all_fit(&payee)).then_some(why(33, 1, TO)));
        all
    }
}

/// What stands against moving or holding an amount between two accounts, apart from overflow and suspension.
fn against_pair(payer: &Account, payee: &Account, amount: i128) -> Vec<Why> {
    let mut all = Vec::new();
    let mut also = |holds: bool, why: Why| all.extend(holds.then_some(why));
    also(payer.status == CLOSED, why(20, 0, FROM));
    also(payee.status == CLOSED, why(20, 1, TO));
    also(freezes(payer.status, FROM), why(21, 0, FROM));
    also(freezes(payee.status, TO), why(21, 1, TO));
    also(available(payer) - amount < payer.floor, why(if payer.kind == 2 { 30 } else { 31 }, 0, FROM));
    also(payee.ceiling.is_some_and(|ceiling| ceiling < expected(payee) + amount), why(32, 1, TO));
    all
}

pub(crate) fn available(account: &Account) -> i128 {
    account.credits - account.debits - account.out
}

pub(crate) fn expected(account: &Account) -> i128 {
    account.credits + account.coming - account.debits
}
