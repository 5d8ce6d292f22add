//! Which payments are asked for: who pays whom, under which key. The same for the engine and for its rivals.

use std::sync::Arc;

use payplane_proto::v1 as proto;
use uuid::Uuid;

use crate::support::client;

/// Wallets that take part in a case, the merchant included.
pub(crate) const WALLETS: usize = 10_001;

/// Minor units per payment: one cent, written as the engine reads it.
pub(crate) const MINOR: i64 = 1;
const AMOUNT: &str = "0.01";

/// Who pays whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Random pairs of all wallets but the merchant.
    Uniform,
    /// Random payers, and the merchant as only payee.
    Hot,
}

impl Pattern {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Hot => "hot",
        }
    }

    /// Payer and payee, as places in the order of ids. The merchant is the last of them, so whoever locks in that order
    /// holds the contended row for the shortest time: good for the engine, and for its rivals.
    pub(crate) fn pick(self, random: &mut Random) -> (usize, usize) {
        let merchant = WALLETS - 1;
        let payer = random.below(merchant);
        match self {
            Self::Hot => (payer, merchant),
            Self::Uniform => (payer, (payer + 1 + random.below(merchant - 1)) % merchant),
        }
    }
}

/// A linear congruential generator: repeatable, and enough to choose wallets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The low bits of such a generator repeat soon.
        self.0 >> 32
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// As scattered as the hash that the engine makes of a key.
    pub(crate) fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next() << 32 | self.next(), self.next() << 32 | self.next())
    }
}

/// A key that no other run uses. Raw programs store keys of the same form.
pub(crate) fn key(run: &str, worker: usize, number: u64) -> String {
    format!("{run}-{worker}-{number}")
}

/// Tells one run's keys from another's.
pub(crate) fn new_run() -> String {
    Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// One worker's requests, one after another.
#[derive(Clone, Debug)]
pub(crate) struct Payments {
    /// Wallets by id, in the order of ids: a caller keeps what CreateWallet answered.
    wallets: Arc<[String]>,
    pattern: Pattern,
    random: Random,
    run: Arc<str>,
    worker: usize,
    number: u64,
}

impl Payments {
    pub(crate) fn new(wallets: Arc<[String]>, pattern: Pattern, run: &Arc<str>, worker: usize) -> Self {
        let seed = Uuid::new_v4().as_u64_pair().0;
        Self { wallets, pattern, random: Random::new(seed), run: run.clone(), worker, number: 0 }
    }

    pub(crate) fn next(&mut self) -> proto::CreatePaymentRequest {
        let (payer, payee) = self.pattern.pick(&mut self.random);
        self.number += 1;
        proto::CreatePaymentRequest {
            idempotency_key: key(&self.run, self.worker, self.number),
            from: Some(client::id(&self.wallets[payer])),
            to: Some(client::id(&self.wallets[payee])),
            amount: Some(client::usd(AMOUNT)),
            ..Default::default()
        }
    }

    pub(crate) fn next_item(&mut self) -> proto::PaymentItem {
        let operation = proto::payment_item::Operation::CreatePayment(self.next());
        proto::PaymentItem { operation: Some(operation) }
    }
}
