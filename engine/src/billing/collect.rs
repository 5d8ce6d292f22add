//! From an invoice to money, in one commit: the tenant's wallet pays its clearing account, and the receiver's clearing
//! account pays the receiver's wallets. Linked, so either all of it is in both journals or nothing.
//!
//! 1. Look how the invoice stands, and what comes next: collect what is due, or give back what was collected beyond that.
//! 2. The key of an attempt follows from the invoice and its number. If the journal knows it, how it ended is noted, and
//!    nothing is asked for again.
//! 3. Else it is asked for, and noted. A crash between the commit and the note is found by step 2 of whoever comes next;
//!    two engines that do the same at the same time ask under the same keys, which are decided once.
//!
//! All of it is in one turn, so that many collections do not crowd payments out.
//!
//! One call makes one attempt to collect, and only if the caller knows of all attempts before: whoever repeats a call does
//! not try twice. Callers of the ledger have no keys of this kind, and no payments from or to clearing.

use std::sync::Arc;

use payplane_billing::{Step, share_tax};
use payplane_ledger::{
    AccountId, AccountKind, AccountRef, Currency, KeySpace, Kind, OperationId, Origin, Outcome, PlatformId,
    Provenance, Reason, Refusal, Request, TenantId, Terms,
};

use super::BillingError;
use crate::{
    commit::CommitError,
    engine::Engine,
    store::{InvoiceRow, Sides, StoreError},
};

/// How often one invoice is tried to be collected, or given back, in all.
const ATTEMPTS_MAX: i32 = 1_000;

/// How often it is looked how the invoice stands: once before and once after, and some more if others work on it too.
const LOOKS_MAX: u32 = 5;

/// Whom the journal names.
const ACTOR: &str = "payplane:billing";

/// What to collect from whom, and for whom.
#[derive(Clone, Debug)]
pub struct Collect {
    /// Who pays.
    pub tenant: TenantId,
    /// Which invoice.
    pub number: i64,
    /// Name of the wallet that pays.
    pub wallet: String,
    /// Who is paid.
    pub receiver: Receiver,
    /// How many attempts the caller knows of.
    pub known_attempts: i32,
}

/// Who takes what tenants owe.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The tenant.
    pub tenant: TenantId,
    /// Name of its wallet for what is invoiced.
    pub revenue: String,
    /// Name of its wallet for taxes.
    pub tax: String,
}

/// The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Collect = 1,
    Return = 2,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    direction: Direction,
    number: i32,
    minor: i64,
}

/// See the module. Gives the invoice as it stands then.
pub async fn collect(engine: &Engine, asked: &Collect) -> Result<InvoiceRow, BillingError> {
    let store = &engine.store;
    let platform = store.platform().await?;
    let _turn = super::turn(store).await?;
    let mut tried = false;
    for _ in 0..LOOKS_MAX {
        let invoice = store.invoice(asked.tenant, asked.number).await?.ok_or(BillingError::NoInvoice)?;
        let Some(attempt) = next(&invoice, asked, tried)? else { return Ok(invoice) };
        let operations = operations(platform, asked, attempt);
        let place = (asked.number, attempt.direction as i16, attempt.number);
        if store.record_collection(asked.tenant, place, &operations).await? {
            continue;
        }
        let group = group(platform, asked, &invoice, attempt)?;
        open(engine, asked, invoice.document.statement.currency).await?;
        let outcomes = engine.decide(group).await?;
        match declined(&outcomes) {
            // Somebody else was quicker, with another amount: look again.
            Some(refusal) if refusal.reason == Reason::IdempotencyConflict => continue,
            Some(refusal) => return Err(BillingError::Declined(refusal)),
            None => tried = true,
        }
        store.record_collection(asked.tenant, place, &operations).await?;
    }
    Err(BillingError::Commit(CommitError::Busy))
}

/// What is to be tried now, if anything: one attempt per call, and none that the caller has not decided on.
fn next(invoice: &InvoiceRow, asked: &Collect, tried: bool) -> Result<Option<Attempt>, BillingError> {
    let standing = &invoice.standing;
    let attempt = match standing.step() {
        Step::Rest => return Ok(None),
        _ if tried => return Ok(None),
        Step::Collect(_) if standing.attempts != asked.known_attempts => return Ok(None),
        Step::Collect(minor) => {
            Attempt { direction: Direction::Collect, number: standing.attempts + 1, minor }
        }
        Step::Return(minor) => {
            let before = invoice.last_attempt.map_or(0, |last| last.returns);
            Attempt { direction: Direction::Return, number: before + 1, minor }
        }
    };
    if ATTEMPTS_MAX < attempt.number { Err(BillingError::TooOften) } else { Ok(Some(attempt)) }
}

async fn open(engine: &Engine, asked: &Collect, currency: Currency) -> Result<(), BillingError> {
    let sides = Sides { payer: asked.tenant, receiver: asked.receiver.tenant, currency };
    let wallets = [asked.receiver.revenue.as_str(), asked.receiver.tax.as_str()];
    if engine.store.open_clearing(sides, &wallets).await? { Ok(()) } else { Err(BillingError::NoGrant) }
}

/// The refusal that left no trace, rather than one because of another item.
fn declined(outcomes: &[Outcome]) -> Option<Refusal> {
    let refusals = || {
        outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Declined(refusal) => Some(*refusal),
            Outcome::Decided { .. } => None,
        })
    };
    refusals().find(|refusal| refusal.reason != Reason::LinkedItemDeclined).or_else(|| refusals().next())
}

/// Of both tenants: the payer's, and the receiver's for revenue and for tax. Not all of them need to be asked for.
fn operations(platform: PlatformId, asked: &Collect, attempt: Attempt) -> [(TenantId, OperationId); 3] {
    let id = |tenant, part| (tenant, operation(platform, tenant, &key(asked, attempt, part)));
    let receiver = asked.receiver.tenant;
    [id(asked.tenant, "tenant"), id(receiver, "revenue"), id(receiver, "tax")]
}

fn operation(platform: PlatformId, tenant: TenantId, key: &str) -> OperationId {
    OperationId::for_key(platform, tenant, Origin::Api, KeySpace::Billing, key)
}

/// The payer is part of it: a receiver has the keys of many.
fn key(asked: &Collect, attempt: Attempt, part: &str) -> String {
    let verb = match attempt.direction {
        Direction::Collect => "collect",
        Direction::Return => "return",
    };
    format!("{}/invoice/{}/{verb}/{}/{part}", asked.tenant, asked.number, attempt.number)
}

/// Linked payments, the payer's first.
fn group(
    platform: PlatformId,
    asked: &Collect,
    invoice: &InvoiceRow,
    attempt: Attempt,
) -> Result<Vec<Request>, BillingError> {
    let statement = &invoice.document.statement;
    let net = statement.subtotal - statement.discount;
    let shares = share_tax(attempt.minor, net, statement.total - net);
    let (net, tax) = shares.ok_or(StoreError::Corrupt("invoice"))?;
    let currency = statement.currency;
    let receiver = &asked.receiver;
    let parts = [
        (asked.tenant, "tenant", &asked.wallet, attempt.minor),
        (receiver.tenant, "revenue", &receiver.revenue, net),
        (receiver.tenant, "tax", &receiver.tax, tax),
    ];
    let payment = |(tenant, part, wallet, minor): (TenantId, &str, &String, i64)| {
        let key = key(asked, attempt, part);
        let clearing = AccountRef::id(AccountId::of_tenant(tenant, AccountKind::Clearing, currency.code()));
        // The payer's money goes to clearing when it is collected, the receiver's comes from there.
        let to_clearing = (part == "tenant") == (attempt.direction == Direction::Collect);
        let wallet = named(tenant, wallet);
        let (from, to) = if to_clearing { (wallet, clearing) } else { (clearing, wallet) };
        Request {
            tenant,
            operation: operation(platform, tenant, &key),
            kind: Kind::Pay,
            from: Some(from),
            to: Some(to),
            minor,
            currency: Some(currency),
            reference: Arc::from(format!("invoice {}", asked.number)),
            target: None,
            terms: Terms::default(),
            provenance: provenance(key),
            only_known: false,
        }
    };
    let mut requests: Vec<Request> = parts.into_iter().filter(|part| part.3 != 0).map(payment).collect();
    let link = requests.first().map(|first| first.operation);
    requests.iter_mut().for_each(|request| request.terms.link = link);
    Ok(requests)
}

fn provenance(key: String) -> Provenance {
    let (origin, empty) = (Origin::Api, Arc::<str>::default());
    let (key, actor) = (Arc::from(key), Arc::from(ACTOR));
    Provenance { origin, key, origin_ref: Arc::clone(&empty), actor, correlation_id: empty }
}

fn named(tenant: TenantId, name: &str) -> AccountRef {
    let id = |origin| AccountId::wallet(tenant, origin, name);
    AccountRef { first: id(Origin::Resource), fallback: Some(id(Origin::Api)) }
}
