//! The roots of a batch: whatever is changed of a row, or of the order of the rows, changes them.
// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use payplane_ledger::{
    Account, AccountId, AccountKind, AccountRef, After, Balance, BatchId, BatchSeal, Currency, Decision,
    Effects, Kind, Movement, OperationId, OperationRow, Origin, Provenance, Reason, Refusal, Request,
    Sequence, Snapshot, Status, TenantId, Terms, Timestamp, Verdict, apply, batch_root, named_batch_root,
    tenant_label,
};
use uuid::Uuid;

type Forgery = (&'static str, fn(&mut Decision));

/// One for every column that a row has.
const FORGERIES: [Forgery; 19] = [
    ("sequence", |row| row.sequence.0 += 1),
    ("kind", |row| row.body.kind = Kind::Reverse),
    ("debit", |row| row.body.debit = Some(account(9))),
    ("credit", |row| row.body.credit = Some(account(9))),
    ("amount", |row| row.body.minor += 1),
    ("currency", |row| row.body.currency = Currency::parse("EUR").unwrap()),
    ("reference", |row| row.body.reference = Arc::from("forged")),
    ("target", |row| row.body.target = Some(operation(9))),
    ("terms", |row| row.body.terms.timeout_us = Some(9)),
    ("key", |row| row.provenance.key = Arc::from("forged")),
    ("origin", |row| row.provenance.origin = Origin::Resource),
    ("origin_ref", |row| row.provenance.origin_ref = Arc::from("forged")),
    ("actor", |row| row.provenance.actor = Arc::from("forged")),
    ("correlation", |row| row.provenance.correlation_id = Arc::from("forged")),
    ("decided_at", |row| row.decided_at.0 += 1),
    ("verdict", |row| {
        row.verdict = Verdict::Refused(Refusal::new(Reason::WrongState, payplane_ledger::Field::To))
    }),
    ("movement", |row| match &mut row.verdict {
        Verdict::Done { movement: Movement::Transfer(transfer), .. } => transfer.posted += 1,
        Verdict::Done { movement: Movement::Wallet(posting), .. } => posting.after.version += 1,
        Verdict::Done { .. } => row.sequence.0 += 1,
        Verdict::Refused(refusal) => refusal.reason = Reason::BalanceOverflow,
    }),
    ("posting", |row| match &mut row.verdict {
        Verdict::Done { movement: Movement::Transfer(transfer), .. } => {
            transfer.credit.after.pending_credits += 1
        }
        Verdict::Done { movement: Movement::Wallet(posting), .. } => posting.previous.0 += 1,
        Verdict::Done { .. } => row.sequence.0 += 1,
        Verdict::Refused(refusal) => refusal.field = payplane_ledger::Field::Expect,
    }),
    ("after", |row| match &mut row.verdict {
        Verdict::Done { after: Some(after), .. } => match &mut **after {
            After::Payment(payment) | After::Refund(_, payment) => payment.captured += 1,
            After::Wallet(terms) => terms.floor -= 1,
        },
        _ => row.sequence.0 += 1,
    }),
];

#[test]
fn a_changed_column_changes_the_root() {
    let rows = history();
    let seal = BatchSeal::of(&rows);
    for line in 0..rows.len() {
        for (column, forge) in FORGERIES {
            let mut forged = rows.clone();
            forge(Arc::make_mut(&mut forged[line].decision));
            assert_ne!(BatchSeal::of(&forged).root, seal.root, "{column} of line {line}");
        }
        let mut forged = rows.clone();
        forged[line].operation = operation(9);
        assert_ne!(BatchSeal::of(&forged).root, seal.root, "operation of line {line}");
        let mut forged = rows.clone();
        forged[line].tenant = TenantId::from_uuid(Uuid::from_u128(9));
        assert_ne!(BatchSeal::of(&forged).root, seal.root, "tenant of line {line}");
    }
}

#[test]
fn a_dropped_or_moved_row_changes_the_root() {
    let rows = history();
    let seal = BatchSeal::of(&rows);
    for line in 0..rows.len() {
        let mut forged = rows.clone();
        forged.remove(line);
        assert_ne!(BatchSeal::of(&forged).root, seal.root);
        let mut forged = rows.clone();
        forged.rotate_left(line);
        assert_eq!(BatchSeal::of(&forged).root == seal.root, line == 0);
    }
}

/// A row of every shape: a payment, a hold, a capture, a step without movement, a refusal, a refund, a wallet.
fn history() -> Vec<OperationRow> {
    let mut snapshot = Snapshot::new(BatchId(1));
    snapshot.insert_account(tenant(), account(1), wallet(100));
    snapshot.insert_account(tenant(), account(2), wallet(0));
    let pays = |key, kind, minor| Request { minor, ..request(key, kind) };
    let on = |key, kind, minor| Request {
        minor,
        target: Some(operation(2)),
        from: None,
        to: None,
        ..request(key, kind)
    };
    let requests = [
        pays(1, Kind::Pay, 10),
        pays(2, Kind::Authorize, 20),
        on(3, Kind::Capture, 5),
        on(4, Kind::HandOver, 0),
        on(5, Kind::Capture, 5),
        on(6, Kind::Refund, 5),
        Request { to: None, ..request(7, Kind::ChangeWallet) },
    ];
    for request in &requests {
        apply(&mut snapshot, request, Timestamp(7));
    }
    let rows = Effects::of(&snapshot).operations;
    assert_eq!(rows.len(), requests.len());
    rows
}

fn request(key: u128, kind: Kind) -> Request {
    Request {
        tenant: tenant(),
        operation: operation(key),
        kind,
        from: Some(AccountRef::id(account(1))),
        to: Some(AccountRef::id(account(2))),
        minor: 0,
        currency: None,
        reference: Arc::from("r"),
        target: None,
        terms: Terms::default(),
        provenance: Provenance {
            origin: Origin::Api,
            key: Arc::from("k"),
            origin_ref: Arc::from("o"),
            actor: Arc::from("a"),
            correlation_id: Arc::from("c"),
        },
        only_known: false,
    }
}

fn wallet(credits: i64) -> Account {
    Account {
        currency: Currency::parse("USD").unwrap(),
        kind: AccountKind::Wallet,
        status: Status::Active,
        class: Arc::from(""),
        floor: 0,
        ceiling: None,
        balance: Balance { posted_credits: credits, ..Balance::default() },
        last: Sequence::default(),
    }
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

fn account(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(100 + number))
}

fn operation(number: u128) -> OperationId {
    OperationId::from_uuid(Uuid::from_u128(200 + number))
}

#[test]
fn a_tenants_part_shows_the_same_root_without_the_others() {
    let (own, mut rows) = (history(), history());
    let other = TenantId::from_uuid(Uuid::from_u128(9));
    rows.extend(history().into_iter().map(|row| OperationRow { tenant: other, ..row }));
    let seal = BatchSeal::of(&rows);
    let batch = BatchId(1);
    let mine = BatchSeal::of(&own).tenants[0].root;
    let theirs = seal.tenants.iter().find(|part| part.tenant == other).unwrap().root;
    let mut parts = [(tenant_label(tenant(), batch), mine), (tenant_label(other, batch), theirs)];
    parts.sort_unstable();
    assert_eq!(batch_root(&parts), seal.root);
    // What stands for a tenant in one batch says nothing about it in another, and the older form is another root.
    assert_ne!(tenant_label(other, batch), tenant_label(other, BatchId(2)));
    assert_ne!(named_batch_root(&[(tenant(), mine), (other, theirs)]), seal.root);
}
