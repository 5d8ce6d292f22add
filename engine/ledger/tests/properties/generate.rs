//! What is asked, in which order and when. Steps are random; `compile` turns them into requests that meet: it
//! asks the model what there is to act on by then.

use proptest::prelude::*;

use crate::{
    ask::{ACCOUNTS, ACTS, Act, Ask, Id, Payment, SUSPENDED, Setting, Terms, Whom},
    model::Model,
};

/// The average length of a history.
const STEPS: usize = 50;
/// The 31st of January 2024, 23:50 UTC: a day and a month end soon.
const START: i64 = 1_706_745_000_000_000;
const SECOND: i64 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) settings: Vec<Setting>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    what: What,
    /// How much later than the step before.
    later: i64,
    /// Begins a new batch.
    cut: bool,
}

#[derive(Clone, Debug)]
enum What {
    One(Raw),
    Group(Vec<Raw>),
    /// An earlier step again, with a twist.
    Again(usize, u8),
}

/// Random numbers, from which a request is made.
#[derive(Clone, Debug)]
struct Raw {
    act: Act,
    from: usize,
    to: usize,
    minor: i64,
    pick: usize,
    dice: [u8; 6],
}

/// One call of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) asks: Vec<Ask>,
    pub(crate) now: i64,
    pub(crate) batch: usize,
}

pub(crate) fn sequence() -> impl Strategy<Value = Sequence> {
    let step = prop_oneof![
        17 => raw().prop_map(What::One),
        2 => prop::collection::vec(raw(), 2..4).prop_map(What::Group),
        1 => (0..STEPS, any::<u8>()).prop_map(|(which, twist)| What::Again(which, twist)),
    ];
    let later = prop_oneof![
        24 => Just(0),
        12 => 1..20 * SECOND,
        3 => 20 * SECOND..90 * SECOND,
        1 => 3_600 * SECOND..100_000 * SECOND,
    ];
    let step =
        (step, later, prop::bool::weighted(0.2)).prop_map(|(what, later, cut)| Step { what, later, cut });
    (settings(), prop::collection::vec(step, 1..2 * STEPS))
        .prop_map(|(settings, steps)| Sequence { settings, steps })
}

fn raw() -> impl Strategy<Value = Raw> {
    let weights = [24, 22, 12, 6, 6, 10, 8, 9, 7, 18, 26, 18, 6, 10];
    let act = proptest::strategy::Union::new_weighted(
        weights.into_iter().zip(ACTS).map(|(weight, act)| (weight, Just(act))).collect(),
    );
    let account = || prop_oneof![40 => 0..6_usize, 2 => Just(6), 3 => 7..=ACCOUNTS];
    let minor = prop_oneof![8 => 1..60_i64, 2 => 60..300_i64];
    (act, account(), account(), minor, any::<usize>(), any::<[u8; 6]>())
        .prop_map(|(act, from, to, minor, pick, dice)| Raw { act, from, to, minor, pick, dice })
}

/// Each of these is set or not.
fn settings() -> impl Strategy<Value = Vec<Setting>> {
    let set = |name, whom, currency, value| Setting { name, whom, currency, value };
    let all = vec![
        set(1, Whom::Platform, None, 200),
        set(1, Whom::Class(1), Some(0), 100),
        set(1, Whom::Class(1), None, 1),
        set(2, Whom::Tenant, None, 250),
        set(2, Whom::Wallet(1), None, 120),
        set(3, Whom::Platform, None, 5),
        set(4, Whom::Class(2), None, 150),
        set(4, Whom::Class(2), Some(1), 1),
        set(5, Whom::Tenant, None, 7),
        set(6, Whom::Tenant, Some(0), 600),
        set(7, Whom::Tenant, None, 14),
        set(8, Whom::Platform, None, 900),
        set(9, Whom::Platform, None, 18),
        set(10, Whom::Platform, None, 40 * SECOND),
        set(10, Whom::Wallet(2), None, 15 * SECOND),
        set(11, Whom::Tenant, None, 50 * SECOND),
        set(11, Whom::Class(1), None, 5_000 * SECOND),
        set(12, Whom::Tenant, None, 40),
        set(12, Whom::Class(1), None, 10),
        set(13, Whom::Platform, None, 70 * SECOND),
        set(13, Whom::Wallet(2), Some(0), 30 * SECOND),
        set(14, Whom::Tenant, None, 270),
        set(14, Whom::Class(2), Some(0), 50),
        set(SUSPENDED, Whom::Tenant, None, 1),
    ];
    // Approval and a count for a month are set more often, because it takes several steps to get there.
    (prop::collection::vec(0..10_u8, all.len())).prop_map(move |dice| {
        let chosen = |(setting, dice): (&Setting, u8)| {
            let chance = match setting.name {
                5 | 12 => 4,
                SUSPENDED | 14 => 1,
                _ => 2,
            };
            (dice < chance).then_some(*setting)
        };
        all.iter().zip(dice).filter_map(chosen).collect()
    })
}

pub(crate) fn compile(sequence: &Sequence) -> Vec<Call> {
    let model = Model::new(sequence.settings.clone());
    let mut compiler =
        Compiler { calls: Vec::new(), model, now: START, batch: 0, next: 0, group: Vec::new() };
    for step in &sequence.steps {
        compiler.now += step.later;
        compiler.batch += usize::from(step.cut);
        let asks = compiler.asks(&step.what);
        if asks.is_empty() {
            continue;
        }
        compiler.model.now = i128::from(compiler.now);
        compiler.model.ask(&asks);
        compiler.calls.push(Call { asks, now: compiler.now, batch: compiler.batch });
    }
    compiler.calls
}

struct Compiler {
    calls: Vec<Call>,
    /// Knows what there is to act on.
    model: Model,
    now: i64,
    batch: usize,
    next: u32,
    /// What the group that is being made would make so far.
    group: Vec<Id>,
}

impl Compiler {
    fn asks(&mut self, what: &What) -> Vec<Ask> {
        match what {
            What::One(raw) => {
                self.group.clear();
                vec![Ask { is_old: raw.dice[5] < 4, ..self.ask(raw) }]
            }
            What::Group(raws) => {
                self.group.clear();
                let mut asks: Vec<Ask> = raws.iter().map(|raw| self.ask(raw)).collect();
                let link = Some(asks[0].id);
                asks.iter_mut().for_each(|ask| ask.terms.link = link);
                asks
            }
            What::Again(which, twist) => self.again(*which, *twist),
        }
    }

    fn again(&mut self, which: usize, twist: u8) -> Vec<Ask> {
        if self.calls.is_empty() {
            return Vec::new();
        }
        let mut asks = self.calls[which % self.calls.len()].asks.clone();
        let place = usize::from(twist) % asks.len();
        let ask = &mut asks[place];
        match twist / 8 {
            0 => ask.minor += 1,
            1 => ask.reference += 1,
            2 => ask.from = ask.from.map(|from| (from + 1) % ACCOUNTS),
            3 => ask.to = ask.to.map(|to| (to + 1) % ACCOUNTS),
            4 => ask.currency = Some(1),
            5 => ask.act = Act::Void,
            6 => ask.terms.up_to = !ask.terms.up_to,
            7 => ask.terms.is_final = !ask.terms.is_final,
            8 => ask.terms.timeout = Some(77),
            9 => ask.terms.capture_at = Some(77),
            10 => ask.terms.available = Some(-7),
            11 => ask.terms.status = Some(1),
            12 => ask.terms.floor = Some(-77),
            13 => ask.terms.ceiling = Some(77_777),
            14 => ask.terms.link = Some(Id::New(77_777)),
            15 => ask.target = ask.target.map(|_| Id::New(77_777)),
            16 => asks.truncate(place + 1),
            17 => ask.id = Id::New(88_888),
            18 => asks.reverse(),
            // Not part of the body.
            19 => ask.terms.approver = Some(9),
            _ => {}
        }
        asks
    }

    fn ask(&mut self, raw: &Raw) -> Ask {
        let (act, target) = self.aim(raw);
        let raw = &Raw { act, ..raw.clone() };
        self.wait(raw, target);
        let number = self.next;
        self.next += 1;
        let id = match (raw.act, target) {
            (Act::Expire, Some(Id::New(payment))) => Id::Expiry(payment),
            (Act::CaptureDue, Some(Id::New(payment))) => Id::Due(payment),
            _ => Id::New(number),
        };
        let [_, money, currency, actor, _, _] = raw.dice;
        let pays = matches!(raw.act, Act::Pay | Act::Authorize);
        let takes_amount = matches!(raw.act, Act::Capture | Act::Settle | Act::Refund);
        let ask = Ask {
            id,
            act: raw.act,
            from: (pays || raw.act == Act::ChangeWallet).then_some(raw.from),
            to: pays.then_some(if raw.from == raw.to && money < 230 { (raw.to + 1) % 6 } else { raw.to }),
            minor: if pays || (takes_amount && money < 150) { raw.minor } else { 0 },
            currency: match currency {
                0..5 => Some(1),
                5..100 if pays => Some(0),
                _ => None,
            },
            reference: raw.dice[4] % 4,
            target,
            actor: actor % 4,
            terms: self.terms(raw),
            is_old: false,
        };
        self.group.push(id);
        ask
    }

    /// The act and its target. Where there is nothing yet to act on, what leads there is done instead.
    fn aim(&self, raw: &Raw) -> (Act, Option<Id>) {
        let mut raw = raw.clone();
        while !matches!(raw.act, Act::Pay | Act::Authorize | Act::ChangeWallet) {
            if let Some(target) = self.target(&raw) {
                return (raw.act, Some(target));
            }
            raw.act = match raw.act {
                Act::ApproveRefund | Act::RejectRefund => Act::Refund,
                Act::Settle | Act::Fail => Act::HandOver,
                Act::Refund => Act::Pay,
                _ => Act::Authorize,
            };
        }
        (raw.act, None)
    }

    /// Lets a date or a deadline come, most of the time.
    fn wait(&mut self, raw: &Raw, target: Option<Id>) {
        let Some(payment) = target.and_then(|target| self.model.payments.get(&target)) else { return };
        let until = match raw.act {
            Act::Expire => payment.deadline,
            Act::CaptureDue => payment.capture_at,
            // Sometimes just the end of the window.
            Act::Refund if raw.dice[2] < 50 => {
                let window = self.model.parameter(11, payment.from).map(|(window, _)| window);
                window.zip(payment.moved_at).map(|(window, moved)| moved + window)
            }
            _ => None,
        };
        if let Some(until) = until.filter(|_| raw.dice[1] < 200) {
            self.now = self.now.max(i64::try_from(until).unwrap());
        }
    }

    fn terms(&self, raw: &Raw) -> Terms {
        let [first, second, third, fourth, fifth, _] = raw.dice;
        let some = |holds: bool, value: i64| holds.then_some(value);
        let mut terms = Terms::default();
        match raw.act {
            Act::Pay | Act::Authorize => {
                terms.up_to = first < 40;
                terms.approver = (fifth < 8).then_some(fourth.wrapping_add(fifth) % 8);
                terms.from_version = some(second < 6, i64::from(third % 8));
                terms.to_version = some((6..10).contains(&second), i64::from(third % 8));
                terms.available = some((10..20).contains(&second), i64::from(third) * 2);
                if raw.act == Act::Authorize {
                    terms.timeout = some(third < 120, i64::from(third) * SECOND / 2 + 1);
                    terms.capture_at = some(second % 2 == 0, self.now + i64::from(first % 64) * SECOND);
                }
            }
            Act::Capture => terms.is_final = first < 60,
            Act::ChangeWallet => {
                terms.status = match first {
                    0..120 => Some(1),
                    120..135 => Some(2),
                    135..150 => Some(3),
                    150..165 => Some(4),
                    165..200 => Some(5),
                    _ => None,
                };
                terms.floor = some(second < 50, i64::from(third) - 100);
                terms.ceiling = match second {
                    40..80 => Some(i64::from(third) * 4),
                    80..120 => Some(i64::MAX),
                    _ => None,
                };
            }
            _ => {}
        }
        terms
    }

    /// What the act can be about, or (one in five) anything of its sort; rarely what does not exist, and nothing if
    /// there is nothing. In a group, often what an earlier item makes.
    fn target(&self, raw: &Raw) -> Option<Id> {
        let [aim, .., luck] = raw.dice;
        if luck == 255 {
            return Some(Id::New(99_999));
        }
        let any = aim % 5 == 0;
        let mut fitting: Vec<Id> = match raw.act {
            Act::ApproveRefund | Act::RejectRefund => self.refunds(any),
            _ => self.payments(raw.act, any),
        };
        if 128 <= luck {
            fitting.extend(self.group.iter());
        }
        let recent = &fitting[fitting.len().saturating_sub(6)..];
        recent.get(raw.pick % recent.len().max(1)).copied()
    }

    fn refunds(&self, any: bool) -> Vec<Id> {
        let refunds = self.model.refunds.iter().filter(|(_, refund)| any || refund.phase == 1);
        refunds.map(|(id, _)| *id).collect()
    }

    fn payments(&self, act: Act, any: bool) -> Vec<Id> {
        let fits = |payment: &Payment| {
            let live = payment.deadline.is_some_and(|deadline| i128::from(self.now) < deadline);
            match act {
                _ if any => true,
                Act::Expire => payment.phase == 1,
                Act::CaptureDue => payment.phase == 1 && live && payment.capture_at.is_some(),
                Act::Settle | Act::Fail => payment.phase == 2,
                Act::Refund => payment.refunding + payment.refunded < payment.captured,
                Act::Reverse => payment.phase == 3 || (payment.phase == 1 && live),
                _ => payment.phase == 1 && live,
            }
        };
        let payments = self.model.payments.iter().filter(|(_, payment)| fits(payment));
        payments.map(|(id, _)| *id).collect()
    }
}
