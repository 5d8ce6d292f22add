//! What clients ask for: every kind, on hot and on other accounts, on payments that exist, existed or will exist.

use std::sync::{Arc, Mutex};

use payplane_ledger::{
    AccountId, AccountRef, After, Decision, Expect, KeySpace, Kind, OperationId, Origin, Phase, Provenance,
    RefundPhase, Request, Status, TenantId, Terms, Timestamp, Verdict,
};
use uuid::Uuid;

use super::{
    fixture::{self, WALLETS, currency, settlement, tenants, wallet},
    rng::Rng,
};

/// How many of each a client chooses from: mostly recent ones.
const REMEMBERED: usize = 12;

/// What clients know of payments and refunds. It may be old: that makes races.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    pending: Vec<(TenantId, OperationId)>,
    processing: Vec<(TenantId, OperationId)>,
    completed: Vec<(TenantId, OperationId)>,
    requested: Vec<(TenantId, OperationId, String)>,
}

impl Book {
    /// A hold that was asked for, be it made or not.
    pub(crate) fn asked(&self, request: &Request) {
        if request.kind == Kind::Authorize {
            self.0.lock().unwrap().pending.push((request.tenant, request.operation));
        }
    }

    pub(crate) fn decided(&self, request: &Request, decision: &Decision) {
        let Verdict::Done { after, .. } = &decision.verdict else { return };
        let mut known = self.0.lock().unwrap();
        let id = (request.tenant, request.target.unwrap_or(request.operation));
        match after.as_deref() {
            None if request.kind == Kind::Pay => known.completed.push((request.tenant, request.operation)),
            Some(After::Payment(payment)) => match payment.phase {
                Phase::Pending => known.pending.push(id),
                Phase::Processing => known.processing.push(id),
                Phase::Completed => known.completed.push(id),
                Phase::Failed | Phase::Voided | Phase::Expired => {}
            },
            Some(After::Refund(refund, _)) if refund.phase == RefundPhase::Requested => {
                known.requested.push((request.tenant, request.operation, refund.requester.to_string()));
            }
            _ => {}
        }
    }
}

fn recent<'a, T>(rng: &mut Rng, from: &'a [T]) -> Option<&'a T> {
    rng.pick(&from[from.len().saturating_sub(REMEMBERED)..])
}

/// A client's own invention.
#[derive(Debug)]
pub(crate) struct Inventor {
    pub(crate) rng: Rng,
    book: Arc<Book>,
    name: String,
    count: usize,
}

impl Inventor {
    pub(crate) fn new(rng: Rng, book: Arc<Book>, name: String) -> Self {
        Self { rng, book, name, count: 0 }
    }

    /// One request, or several that belong together.
    pub(crate) fn group(&mut self, now: Timestamp) -> Vec<Request> {
        self.count += 1;
        if self.rng.chance(110) {
            return self.linked(now);
        }
        let kind = self.kind();
        let request = self.request(kind, None, now).or_else(|| self.request(Kind::Pay, None, now));
        request.into_iter().collect()
    }

    fn kind(&mut self) -> Kind {
        match self.rng.below(100) {
            0..35 => Kind::Pay,
            35..56 => Kind::Authorize,
            56..66 => Kind::Capture,
            66..70 => Kind::Void,
            70..77 => Kind::HandOver,
            77..81 => Kind::Settle,
            81..84 => Kind::Fail,
            84..91 => Kind::Refund,
            91..93 => Kind::ApproveRefund,
            93..95 => Kind::RejectRefund,
            95..97 => Kind::Reverse,
            _ => Kind::ChangeWallet,
        }
    }

    /// A payment with its fee, a hold and its capture, or an overdraft and its use.
    fn linked(&mut self, now: Timestamp) -> Vec<Request> {
        let tenant = *self.rng.pick(&tenants()).unwrap();
        if self.rng.chance(250) {
            return self.overdraft(tenant);
        }
        let first = match self.rng.below(3) {
            0 => self.request(Kind::Authorize, Some(tenant), now),
            _ => self.request(Kind::Pay, Some(tenant), now),
        };
        let Some(first) = first else { return Vec::new() };
        let second = match first.kind {
            Kind::Authorize => {
                let mut capture = self.build(tenant, Kind::Capture, "second");
                capture.target = Some(first.operation);
                capture.terms.is_final = true;
                Some(capture)
            }
            _ => self.request(Kind::Pay, Some(tenant), now).map(|mut fee| {
                fee.from = first.from;
                fee.to = Some(AccountRef::id(wallet(tenant, 0x40)));
                fee.reference = Arc::from("fee");
                fee.terms = Terms::default();
                fee.currency = None;
                fee.minor = 1 + fee.minor / 50;
                fee
            }),
        };
        let link = first.operation;
        let mut group: Vec<Request> = [Some(first), second].into_iter().flatten().collect();
        // A fee is paid in dollars.
        let euro = wallet(tenant, WALLETS);
        if group.iter().any(|request| {
            request
                .from
                .is_some_and(|from| from.candidates().any(|id| id >= euro && id < wallet(tenant, 0x40)))
        }) {
            group.truncate(1);
        }
        if 1 < group.len() {
            group.iter_mut().for_each(|request| request.terms.link = Some(link));
        }
        group
    }

    /// Each is lawful only after the one before.
    pub(crate) fn overdraft(&mut self, tenant: TenantId) -> Vec<Request> {
        let (from, to) = (wallet(tenant, 1 + self.rng.below(WALLETS - 1)), wallet(tenant, 0));
        self.count += 1;
        let mut change = self.build(tenant, Kind::ChangeWallet, "overdraft");
        change.from = Some(AccountRef::id(from));
        change.terms.floor = Some(-self.rng.between(10_000, 60_000));
        let mut pay = self.build(tenant, Kind::Pay, "use");
        (pay.from, pay.to) = (Some(AccountRef::id(from)), Some(AccountRef::id(to)));
        pay.minor = self.rng.between(15_000, 40_000);
        let mut back = self.build(tenant, Kind::Pay, "back");
        (back.from, back.to, back.minor) = (pay.to, pay.from, pay.minor);
        let mut end = self.build(tenant, Kind::ChangeWallet, "end");
        end.from = change.from;
        end.terms.floor = Some(-self.rng.between(0, 60_000));
        let mut group = vec![change, pay, back, end];
        group.truncate(2 + self.rng.below(3));
        let link = group[0].operation;
        group.iter_mut().for_each(|request| request.terms.link = Some(link));
        group
    }

    fn request(&mut self, kind: Kind, tenant: Option<TenantId>, now: Timestamp) -> Option<Request> {
        let tenant = tenant.unwrap_or(*self.rng.pick(&tenants()).unwrap());
        match kind {
            Kind::Pay | Kind::Authorize => Some(self.payment(kind, tenant, now)),
            Kind::ChangeWallet => Some(self.change(tenant)),
            Kind::ApproveRefund | Kind::RejectRefund => self.decision_on_refund(kind),
            _ => self.step(kind),
        }
    }

    fn build(&mut self, tenant: TenantId, kind: Kind, part: &str) -> Request {
        let text: Arc<str> = Arc::from("");
        let key = format!("{}-{}-{part}-{}", self.name, self.count, kind as i16);
        let space = match kind {
            Kind::Pay | Kind::Authorize => KeySpace::Payment,
            Kind::Refund => KeySpace::Refund,
            Kind::Settle | Kind::Fail => KeySpace::GatewayEvent,
            Kind::ChangeWallet => KeySpace::Wallet,
            _ => KeySpace::Step,
        };
        Request {
            tenant,
            operation: OperationId::for_key(fixture::platform(), tenant, Origin::Api, space, &key),
            kind,
            from: None,
            to: None,
            minor: 0,
            currency: None,
            reference: text.clone(),
            target: None,
            terms: Terms::default(),
            provenance: Provenance {
                origin: Origin::Api,
                key: Arc::from(key),
                origin_ref: text.clone(),
                actor: Arc::from(format!("clerk-{}", self.rng.below(4))),
                correlation_id: text,
            },
            only_known: false,
        }
    }

    fn payment(&mut self, kind: Kind, tenant: TenantId, now: Timestamp) -> Request {
        let part = format!("p{}", self.rng.below(1_000_000));
        let mut request = self.build(tenant, kind, &part);
        let (from, to) = self.parties(tenant);
        (request.from, request.to) = (Some(self.reference(from)), Some(self.reference(to)));
        // Caps are used up to the end, and filled again.
        let is_issue = from == settlement(tenant);
        request.minor = if self.rng.chance(if is_issue { 200 } else { 60 }) {
            self.rng.between(10_000, 60_000)
        } else {
            self.rng.between(1, 900)
        };
        if self.rng.chance(15) {
            request.reference = Arc::from("mismatch");
            request.currency = Some(currency("JPY"));
        }
        let terms = &mut request.terms;
        terms.up_to = self.rng.chance(if is_issue { 300 } else { 80 });
        if self.rng.chance(60) {
            terms.expect =
                Expect { from_available_min: Some(self.rng.between(0, 15_000)), ..Expect::default() };
        } else if self.rng.chance(20) {
            terms.expect = Expect { to_version: Some(self.rng.between(0, 40)), ..Expect::default() };
        }
        if kind == Kind::Authorize {
            if self.rng.chance(450) {
                terms.timeout_us = Some(self.rng.between(30_000, 3_000_000));
            }
            if self.rng.chance(250) {
                terms.capture_at = Some(Timestamp(now.0 + self.rng.between(10_000, 2_000_000)));
            }
        }
        request
    }

    fn parties(&mut self, tenant: TenantId) -> (AccountId, AccountId) {
        if self.rng.chance(60) {
            return (wallet(tenant, WALLETS), wallet(tenant, WALLETS + 1));
        }
        if self.rng.chance(150) {
            return (settlement(tenant), wallet(tenant, self.rng.below(WALLETS)));
        }
        let from = 1 + self.rng.below(WALLETS - 1);
        // Half of all money goes to one merchant, who pays some of it back.
        let to = if self.rng.chance(500) { 0 } else { (from + 1 + self.rng.below(WALLETS - 2)) % WALLETS };
        let (from, to) = if from == to { (from, 0) } else { (from, to) };
        if self.rng.chance(100) {
            (wallet(tenant, to), wallet(tenant, from))
        } else {
            (wallet(tenant, from), wallet(tenant, to))
        }
    }

    /// Some callers know the name of the account only, which stands for two ids.
    fn reference(&mut self, id: AccountId) -> AccountRef {
        let absent = AccountId::from_uuid(Uuid::from_u128(id.uuid().as_u128() ^ 0xffff));
        match self.rng.below(10) {
            0 => AccountRef { first: id, fallback: Some(absent) },
            1 => AccountRef { first: absent, fallback: Some(id) },
            _ => AccountRef::id(id),
        }
    }

    fn change(&mut self, tenant: TenantId) -> Request {
        let mut request = self.build(tenant, Kind::ChangeWallet, "change");
        let number = 1 + self.rng.below(WALLETS - 1);
        request.from = Some(AccountRef::id(wallet(tenant, number)));
        let terms = &mut request.terms;
        match self.rng.below(8) {
            0 => terms.status = Some(Status::FrozenDebit),
            1 => terms.status = Some(Status::FrozenCredit),
            2 => terms.status = Some(Status::Closed),
            3 => terms.floor = Some(-self.rng.between(0, 5_000)),
            4 => terms.floor = Some(0),
            5 => terms.ceiling = Some(self.rng.between(10_000, 40_000)),
            6 => terms.ceiling = Some(i64::MAX),
            _ => {}
        }
        if terms.status.is_none() {
            // Thaws what others froze.
            terms.status = Some(Status::Active);
        }
        request
    }

    fn decision_on_refund(&mut self, kind: Kind) -> Option<Request> {
        let (tenant, refund, asker) = recent(&mut self.rng, &self.book.0.lock().unwrap().requested)?.clone();
        let mut request = self.build(tenant, kind, "decide");
        request.target = Some(refund);
        if self.rng.chance(200) {
            request.provenance.actor = Arc::from(asker);
        }
        Some(request)
    }

    fn step(&mut self, kind: Kind) -> Option<Request> {
        let (tenant, target) = {
            let known = self.book.0.lock().unwrap();
            let from = match kind {
                Kind::Settle | Kind::Fail => &known.processing,
                Kind::Refund => &known.completed,
                Kind::Reverse if self.rng.chance(500) => &known.completed,
                _ => &known.pending,
            };
            *recent(&mut self.rng, from)?
        };
        let mut request = self.build(tenant, kind, "step");
        request.target = Some(target);
        if matches!(kind, Kind::Capture | Kind::Settle | Kind::Refund) && self.rng.chance(600) {
            request.minor = self.rng.between(1, 400);
        }
        request.terms.is_final = kind == Kind::Capture && self.rng.chance(400);
        if kind == Kind::HandOver {
            request.reference = Arc::from("gateway-7");
        }
        Some(request)
    }
}
