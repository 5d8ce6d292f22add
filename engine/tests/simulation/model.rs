//! A second rule book, written from the description of the kinds and sharing no code with the ledger crate: what must
//! become of an operation that commits next.

use std::collections::BTreeMap;

use payplane_ledger::{
    AccountId, AccountKind, Body, Currency, Kind, Level, OperationId, ParameterName, Phase, Reason,
    RefundPhase, Scope, Setting, Status, TenantId,
};
use uuid::Uuid;

use super::{
    state::{Back, Hold, Wallet},
    tables::{AccountKey, OperationKey},
};

const DAY_US: i64 = 86_400_000_000;

/// A wallet, or the tenant by its own id.
type Subject = (TenantId, Uuid, Currency);

/// Day, minor units and count.
type Today = (i64, i128, i128);

type Spent = (Subject, Today);

/// What an operation does to its two accounts, the payer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: AccountId,
    pub(crate) to: AccountId,
    pub(crate) posted: i128,
    pub(crate) held: i128,
}

/// An operation and everything around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) operation: OperationId,
    pub(crate) body: &'a Body,
    pub(crate) actor: &'a str,
    pub(crate) now: i64,
    pub(crate) settings: &'a [Setting],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) wallets: BTreeMap<AccountKey, Wallet>,
    pub(crate) holds: BTreeMap<OperationKey, Hold>,
    pub(crate) backs: BTreeMap<OperationKey, Back>,
    spent: BTreeMap<Subject, Today>,
}

impl Model {
    /// What becomes of it: an end for the change, or the reason why not. Changes the model if it is done.
    pub(crate) fn decide(&mut self, asked: Asked<'_>) -> Result<Option<Move>, Reason> {
        match asked.body.kind {
            Kind::Pay | Kind::Authorize => self.pay(asked).map(Some),
            Kind::Capture => {
                self.take(asked, Phase::Pending, asked.body.minor, asked.body.terms.is_final).map(Some)
            }
            Kind::CaptureDue => self.take(asked, Phase::Pending, 0, true).map(Some),
            Kind::Settle => self.take(asked, Phase::Processing, asked.body.minor, true).map(Some),
            Kind::Void => self.void(asked).map(Some),
            Kind::Expire => self.release(asked, Phase::Pending, Phase::Expired).map(Some),
            Kind::Fail => self.release(asked, Phase::Processing, Phase::Failed).map(Some),
            Kind::HandOver => self.hand_over(asked).map(|()| None),
            Kind::Refund => self.refund(asked, asked.body.minor),
            Kind::ApproveRefund => self.approve(asked),
            Kind::RejectRefund => self.reject(asked).map(|()| None),
            Kind::Reverse => self.reverse(asked),
            Kind::ChangeWallet => self.change(asked).map(|()| None),
        }
    }

    fn wallet(&self, asked: Asked<'_>, id: AccountId) -> &Wallet {
        &self.wallets[&(asked.tenant, id)]
    }

    fn key(asked: Asked<'_>) -> OperationKey {
        (asked.tenant, asked.body.target.unwrap())
    }

    fn pay(&mut self, asked: Asked<'_>) -> Result<Move, Reason> {
        let (from, to) = (asked.body.debit.unwrap(), asked.body.credit.unwrap());
        let (payer, payee) = (self.wallet(asked, from), self.wallet(asked, to));
        open_and_thawed(payer, payee)?;
        let (terms, expect) = (&asked.body.terms, &asked.body.terms.expect);
        let met = expect.from_version.is_none_or(|version| version == payer.version)
            && expect.to_version.is_none_or(|version| version == payee.version)
            && expect.from_available_min.is_none_or(|least| i128::from(least) <= payer.free());
        if !met {
            return Err(Reason::ConditionNotMet);
        }
        let (below, above) =
            (payer.free() - payer.floor, payee.ceiling.map(|ceiling| ceiling - payee.will_have()));
        let wanted = i128::from(asked.body.minor);
        let amount = if terms.up_to { wanted.min(below).min(above.unwrap_or(wanted)).max(1) } else { wanted };
        let spent = self.limits(asked, from, amount)?;
        room(payer, payee, amount)?;
        self.spent.extend(spent);
        let is_held = asked.body.kind == Kind::Authorize;
        let timeout = terms.timeout_us.or_else(|| self.setting(asked, ParameterName::HoldTimeout, from));
        let end = asked.now + timeout.unwrap_or(60_000_000);
        let capture_at = terms.capture_at.map(|at| at.0);
        let deadline = match capture_at {
            Some(date) if end <= date => date + timeout.unwrap_or(60_000_000),
            _ => end,
        };
        let hold = Hold {
            from,
            to,
            phase: if is_held { Phase::Pending } else { Phase::Completed },
            amount,
            taken: if is_held { 0 } else { amount },
            asked_back: 0,
            given_back: 0,
            deadline: is_held.then_some(deadline),
            capture_at: capture_at.filter(|_| is_held),
            moved_at: (!is_held).then_some(asked.now),
        };
        self.holds.insert((asked.tenant, asked.operation), hold);
        let (posted, held) = if is_held { (0, amount) } else { (amount, 0) };
        Ok(Move { from, to, posted, held })
    }

    /// What will have been spent today, if that is limited.
    fn limits(&self, asked: Asked<'_>, from: AccountId, amount: i128) -> Result<Vec<Spent>, Reason> {
        let payer = self.wallet(asked, from);
        let mut counted = Vec::new();
        if payer.kind != AccountKind::Wallet {
            return Ok(counted);
        }
        let limit = |name| self.setting(asked, name, from).map(i128::from);
        let exceeds = |limit: Option<i128>, used: i128| limit.is_some_and(|limit| limit < used);
        if exceeds(limit(ParameterName::PaymentMaximum), amount) {
            return Err(Reason::LimitExceeded);
        }
        let today = asked.now.div_euclid(DAY_US);
        let subjects = [
            (from.uuid(), ParameterName::DailyAmount, ParameterName::DailyCount),
            (asked.tenant.uuid(), ParameterName::TenantDailyAmount, ParameterName::TenantDailyCount),
        ];
        for (subject, by_amount, by_count) in subjects {
            let (by_amount, by_count) = (limit(by_amount), limit(by_count));
            if by_amount.or(by_count).is_none() {
                continue;
            }
            let key = (asked.tenant, subject, payer.currency);
            let known = self.spent.get(&key).copied().filter(|(day, ..)| today <= *day);
            let (day, minor, count) = known.unwrap_or((today, 0, 0));
            if exceeds(by_amount, minor + amount) || exceeds(by_count, count + 1) {
                return Err(Reason::LimitExceeded);
            }
            counted.push((key, (day, minor + amount, count + 1)));
        }
        Ok(counted)
    }

    fn setting(&self, asked: Asked<'_>, name: ParameterName, id: AccountId) -> Option<i64> {
        let wallet = self.wallet(asked, id);
        let fits = |setting: &&Setting| {
            let scope = match &setting.scope {
                Scope::Platform | Scope::Tenant => true,
                Scope::Class(class) => **class == *wallet.class,
                Scope::Wallet(only) => *only == id,
            };
            scope && setting.name == name && setting.currency.is_none_or(|only| only == wallet.currency)
        };
        let rank =
            |setting: &&Setting| -> (Level, bool) { (setting.scope.level(), setting.currency.is_some()) };
        asked.settings.iter().filter(fits).max_by_key(rank).map(|setting| setting.value)
    }

    fn take(&mut self, asked: Asked<'_>, phase: Phase, minor: i64, is_final: bool) -> Result<Move, Reason> {
        let hold = self.holds[&Self::key(asked)].clone();
        let payee = self.wallet(asked, hold.to);
        // What a gateway settled has happened.
        let is_asked = phase == Phase::Pending;
        refuse(is_asked && payee.status == Status::Closed, Reason::WalletClosed)?;
        refuse(is_asked && !payee.may_get(), Reason::WalletFrozen)?;
        refuse(is_asked && hold.is_over(asked.now), Reason::HoldExpired)?;
        refuse(hold.phase != phase, Reason::WrongState)?;
        let posted = if minor == 0 { hold.held() } else { minor.into() };
        refuse(hold.held() < posted, Reason::CaptureExceedsHold)?;
        let held = if is_final { -hold.held() } else { -posted };
        let changed = self.holds.get_mut(&Self::key(asked)).unwrap();
        changed.taken += posted;
        changed.moved_at = Some(asked.now);
        if is_final || changed.taken == changed.amount {
            changed.phase = Phase::Completed;
        }
        Ok(Move { from: hold.from, to: hold.to, posted, held })
    }

    fn void(&mut self, asked: Asked<'_>) -> Result<Move, Reason> {
        refuse(self.holds[&Self::key(asked)].is_over(asked.now), Reason::HoldExpired)?;
        self.release(asked, Phase::Pending, Phase::Voided)
    }

    fn release(&mut self, asked: Asked<'_>, from: Phase, to: Phase) -> Result<Move, Reason> {
        let hold = self.holds.get_mut(&Self::key(asked)).unwrap();
        refuse(hold.phase != from, Reason::WrongState)?;
        let held = -hold.held();
        hold.phase = if hold.taken == 0 { to } else { Phase::Completed };
        Ok(Move { from: hold.from, to: hold.to, posted: 0, held })
    }

    fn hand_over(&mut self, asked: Asked<'_>) -> Result<(), Reason> {
        let hold = self.holds.get_mut(&Self::key(asked)).unwrap();
        refuse(hold.is_over(asked.now), Reason::HoldExpired)?;
        refuse(hold.phase != Phase::Pending, Reason::WrongState)?;
        hold.phase = Phase::Processing;
        Ok(())
    }

    fn refund(&mut self, asked: Asked<'_>, minor: i64) -> Result<Option<Move>, Reason> {
        let hold = self.holds[&Self::key(asked)].clone();
        let amount = if minor == 0 { hold.left() } else { minor.into() };
        let threshold = self.setting(asked, ParameterName::RefundApprovalFrom, hold.from);
        let waits = threshold.is_some_and(|from| i128::from(from) <= amount);
        let (giver, getter) = (self.wallet(asked, hold.to), self.wallet(asked, hold.from));
        if !waits {
            open_and_thawed(giver, getter)?;
        }
        refuse(hold.taken == 0, Reason::WrongState)?;
        refuse(amount < 1 || hold.left() < amount, Reason::RefundExceedsCaptured)?;
        let window = self.setting(asked, ParameterName::RefundWindow, hold.from);
        let is_late = window.zip(hold.moved_at).is_some_and(|(window, moved)| moved + window <= asked.now);
        refuse(is_late, Reason::RefundWindowClosed)?;
        if !waits {
            room(giver, getter, amount)?;
        }
        let changed = self.holds.get_mut(&Self::key(asked)).unwrap();
        let phase = if waits { RefundPhase::Requested } else { RefundPhase::Completed };
        *(if waits { &mut changed.asked_back } else { &mut changed.given_back }) += amount;
        let back = Back { payment: Self::key(asked).1, amount, phase, asker: asked.actor.to_owned() };
        self.backs.insert((asked.tenant, asked.operation), back);
        Ok((!waits).then_some(Move { from: hold.to, to: hold.from, posted: amount, held: 0 }))
    }

    fn approve(&mut self, asked: Asked<'_>) -> Result<Option<Move>, Reason> {
        let back = self.backs[&Self::key(asked)].clone();
        refuse(back.phase != RefundPhase::Requested, Reason::WrongState)?;
        let hold = &self.holds[&(asked.tenant, back.payment)];
        let (giver, getter) = (self.wallet(asked, hold.to), self.wallet(asked, hold.from));
        let possible = open_and_thawed(giver, getter).and_then(|()| room(giver, getter, back.amount)).is_ok();
        let moved = Move { from: hold.to, to: hold.from, posted: back.amount, held: 0 };
        let hold = self.holds.get_mut(&(asked.tenant, back.payment)).unwrap();
        hold.asked_back -= back.amount;
        if possible {
            hold.given_back += back.amount;
        }
        let phase = if possible { RefundPhase::Completed } else { RefundPhase::Failed };
        self.backs.get_mut(&Self::key(asked)).unwrap().phase = phase;
        Ok(possible.then_some(moved))
    }

    fn reject(&mut self, asked: Asked<'_>) -> Result<(), Reason> {
        let back = self.backs.get_mut(&Self::key(asked)).unwrap();
        refuse(back.phase != RefundPhase::Requested, Reason::WrongState)?;
        back.phase = RefundPhase::Rejected;
        let (payment, amount) = (back.payment, back.amount);
        self.holds.get_mut(&(asked.tenant, payment)).unwrap().asked_back -= amount;
        Ok(())
    }

    fn reverse(&mut self, asked: Asked<'_>) -> Result<Option<Move>, Reason> {
        let hold = &self.holds[&Self::key(asked)];
        if hold.phase == Phase::Completed {
            return self.refund(asked, 0);
        }
        refuse(hold.is_over(asked.now), Reason::HoldExpired)?;
        refuse(hold.phase != Phase::Pending || hold.taken != 0, Reason::WrongState)?;
        self.void(asked).map(Some)
    }

    fn change(&mut self, asked: Asked<'_>) -> Result<(), Reason> {
        let wallet = self.wallets.get_mut(&(asked.tenant, asked.body.debit.unwrap())).unwrap();
        let terms = &asked.body.terms;
        refuse(wallet.status == Status::Closed, Reason::WalletClosed)?;
        let is_empty = wallet.come == wallet.out && wallet.held_out == 0 && wallet.held_come == 0;
        refuse(terms.status == Some(Status::Closed) && !is_empty, Reason::WalletNotEmpty)?;
        refuse(wallet.kind == AccountKind::Settlement, Reason::WrongState)?;
        refuse(terms.floor.is_some_and(|floor| wallet.free() < floor.into()), Reason::InsufficientFunds)?;
        let beyond = terms.ceiling.is_some_and(|ceiling| i128::from(ceiling) < wallet.will_have());
        refuse(beyond, Reason::MaximumExceeded)?;
        wallet.status = terms.status.unwrap_or(wallet.status);
        wallet.floor = terms.floor.map_or(wallet.floor, i128::from);
        if let Some(ceiling) = terms.ceiling {
            wallet.ceiling = (ceiling != i64::MAX).then_some(ceiling.into());
        }
        Ok(())
    }
}

fn refuse(holds: bool, reason: Reason) -> Result<(), Reason> {
    if holds { Err(reason) } else { Ok(()) }
}

fn open_and_thawed(payer: &Wallet, payee: &Wallet) -> Result<(), Reason> {
    refuse(payer.status == Status::Closed || payee.status == Status::Closed, Reason::WalletClosed)?;
    refuse(!payer.may_pay() || !payee.may_get(), Reason::WalletFrozen)
}

fn room(payer: &Wallet, payee: &Wallet, amount: i128) -> Result<(), Reason> {
    let short = match payer.kind {
        AccountKind::Settlement => Reason::SettlementCapExceeded,
        _ => Reason::InsufficientFunds,
    };
    refuse(payer.free() - amount < payer.floor, short)?;
    let beyond = payee.ceiling.is_some_and(|ceiling| ceiling < payee.will_have() + amount);
    refuse(beyond, Reason::MaximumExceeded)
}
