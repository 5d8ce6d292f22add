//! What is done if nothing stands against it.

use super::Model;
use crate::ask::{Act, Ask, Done, Id, Payment, Refund};

const PENDING: u8 = 1;
const PROCESSING: u8 = 2;
const COMPLETED: u8 = 3;

impl Model {
    pub(super) fn perform(&mut self, ask: &Ask) -> Done {
        match ask.act {
            Act::Pay | Act::Authorize => self.make(ask),
            Act::ChangeWallet => self.change(ask),
            Act::ApproveRefund => self.approve(ask),
            Act::RejectRefund => self.end_refund(ask, 4, 0),
            _ => {
                let id = ask.target.unwrap();
                let payment = self.payments[&id].clone();
                if self.is_refund(ask, &payment) {
                    self.refund(ask, id, payment)
                } else {
                    self.step(ask, id, payment)
                }
            }
        }
    }

    fn make(&mut self, ask: &Ask) -> Done {
        let (from, to, amount) = (ask.from.unwrap(), ask.to.unwrap(), self.amount(ask));
        let at_once = ask.act == Act::Pay;
        let (posted, pending) = if at_once { (amount, 0) } else { (0, amount) };
        let (deadline, level) = self.deadline(ask, from);
        let date = ask.terms.capture_at.map(i128::from).filter(|_| !at_once);
        for (key, usage) in self.count(from, amount).unwrap() {
            self.usages.insert(key, usage);
        }
        let transfer = self.shift(from, to, posted, pending);
        let payment = Payment {
            from,
            to,
            currency: self.accounts[from].currency,
            phase: if at_once { COMPLETED } else { PENDING },
            amount,
            captured: posted,
            refunding: 0,
            refunded: 0,
            deadline: (!at_once).then_some(deadline),
            level: level.filter(|_| !at_once),
            capture_at: date,
            gateway: None,
            moved_at: at_once.then_some(self.now),
            version: i128::from(!at_once),
        };
        self.payments.insert(ask.id, payment.clone());
        Done { transfer, payment: (!at_once).then_some(payment), ..Done::nothing() }
    }

    /// When the hold ends that is asked for, and the level that says so.
    pub(super) fn deadline(&self, ask: &Ask, from: usize) -> (i128, Option<u8>) {
        let (timeout, level) = match ask.terms.timeout {
            Some(timeout) => (i128::from(timeout), None),
            None => {
                let set = self.parameter(10, from).unwrap_or((60_000_000, 1));
                let (timeout, level) = match self.parameter(13, from) {
                    Some(most) if most.0 < set.0 => most,
                    _ => set,
                };
                (timeout, Some(level))
            }
        };
        let deadline = self.now + timeout;
        match ask.terms.capture_at.map(i128::from) {
            Some(date) if deadline <= date => (date + timeout, level),
            _ => (deadline, level),
        }
    }

    fn step(&mut self, ask: &Ask, id: Id, mut payment: Payment) -> Done {
        let held = payment.amount - payment.captured;
        let asked = if ask.minor == 0 || ask.act == Act::CaptureDue { held } else { i128::from(ask.minor) };
        let unless_taken = |phase: u8| if payment.captured == 0 { phase } else { COMPLETED };
        let (posted, given_back, phase) = match ask.act {
            Act::Capture if !ask.terms.is_final && asked < held => (asked, 0, PENDING),
            Act::Capture | Act::CaptureDue | Act::Settle => (asked, held - asked, COMPLETED),
            Act::Void | Act::Reverse => (0, held, unless_taken(5)),
            Act::Expire => (0, held, unless_taken(6)),
            Act::Fail => (0, held, unless_taken(4)),
            _ => (0, 0, PROCESSING),
        };
        let transfer = match ask.act {
            Act::HandOver => None,
            _ => self.shift(payment.from, payment.to, posted, -posted - given_back),
        };
        payment.phase = phase;
        payment.captured += posted;
        payment.version += 1;
        if posted != 0 {
            payment.moved_at = Some(self.now);
        }
        if ask.act == Act::HandOver {
            payment.gateway = Some(ask.reference);
        }
        self.payments.insert(id, payment.clone());
        Done { transfer, payment: Some(payment), ..Done::nothing() }
    }

    fn refund(&mut self, ask: &Ask, id: Id, mut payment: Payment) -> Done {
        let (amount, waits) = self.refund_asked(ask, &payment);
        let transfer = if waits { None } else { self.shift(payment.to, payment.from, amount, 0) };
        if waits {
            payment.refunding += amount;
        } else {
            payment.refunded += amount;
        }
        payment.version += 1;
        let refund = Refund {
            payment: id,
            amount,
            currency: payment.currency,
            phase: if waits { 1 } else { 3 },
            requester: ask.actor,
            approver: None,
            version: 1,
        };
        self.payments.insert(id, payment.clone());
        self.refunds.insert(ask.id, refund.clone());
        Done { transfer, payment: Some(payment), refund: Some(refund), ..Done::nothing() }
    }

    fn approve(&mut self, ask: &Ask) -> Done {
        let refund = &self.refunds[&ask.target.unwrap()];
        let payment = self.payments[&refund.payment].clone();
        let amount = refund.amount;
        if !self.against_giving_back(&payment, amount).is_empty() {
            return self.end_refund(ask, 5, 0);
        }
        let transfer = self.shift(payment.to, payment.from, amount, 0);
        Done { transfer, ..self.end_refund(ask, 3, amount) }
    }

    fn end_refund(&mut self, ask: &Ask, phase: u8, moved: i128) -> Done {
        let refund = self.refunds.get_mut(&ask.target.unwrap()).unwrap();
        refund.phase = phase;
        refund.approver = Some(ask.actor);
        refund.version += 1;
        let payment = self.payments.get_mut(&refund.payment).unwrap();
        payment.refunding -= refund.amount;
        payment.refunded += moved;
        payment.version += 1;
        Done { payment: Some(payment.clone()), refund: Some(refund.clone()), ..Done::nothing() }
    }

    fn change(&mut self, ask: &Ask) -> Done {
        let index = ask.from.unwrap();
        let account = &mut self.accounts[index];
        account.version += 1;
        if let Some(status) = ask.terms.status {
            account.status = status;
        }
        if let Some(floor) = ask.terms.floor {
            account.floor = i128::from(floor);
        }
        if let Some(ceiling) = ask.terms.ceiling {
            account.ceiling = (ceiling != i64::MAX).then_some(i128::from(ceiling));
        }
        Done { wallet: Some((index, account.status, account.floor, account.ceiling)), ..Done::nothing() }
    }

    fn shift(
        &mut self,
        from: usize,
        to: usize,
        posted: i128,
        pending: i128,
    ) -> Option<(usize, usize, i128, i128)> {
        let payer = &mut self.accounts[from];
        payer.debits += posted;
        payer.out += pending;
        payer.version += 1;
        let payee = &mut self.accounts[to];
        payee.credits += posted;
        payee.coming += pending;
        payee.version += 1;
        Some((from, to, posted, pending))
    }
}
