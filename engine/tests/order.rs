//! A batch that was decided on top of another one is sent before that is committed, over another connection: it has to
//! come after it, and to fail with it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::sync::Arc;

use payplane_engine::{
    commit::{Batch, Database as _, Locks, Session as _, Ticket, Written},
    store::{Session, StoreError},
};
use payplane_ledger::{
    BatchId, Effects, Kind, Outcome, Parameters, Request, Snapshot, TenantId, Timestamp, Verdict, apply,
};
use support::{eventually, ledger::Ledger};

/// Two sessions. The first has written a batch, so there is a ticket for its next one.
struct Two {
    ledger: Ledger,
    first: Session,
    second: Session,
    ticket: Ticket,
    /// How everything stands after that batch.
    snapshot: Snapshot,
    written: Written,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_the_one_that_it_was_decided_on() {
    let Two { ledger, mut first, mut second, ticket, snapshot, written } = two().await;
    let (one, before) = decide(&ledger, &snapshot, written.next_batch, "one").await;
    let (other, _) = decide(&ledger, &before, BatchId(written.next_batch.0 + 1), "other").await;
    let now = written.now;
    let follower = tokio::spawn(async move { write(&mut second, &other, now, Some(ticket)).await });
    waiting(&ledger).await;
    write(&mut first, &one, now, None).await.unwrap();
    follower.await.unwrap().unwrap();
    assert_eq!(ledger_rows(&ledger).await, ["fund", "one", "other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_fails_with_the_one_that_it_was_decided_on() {
    let Two { ledger, first, mut second, ticket, snapshot, written } = two().await;
    let (_, before) = decide(&ledger, &snapshot, written.next_batch, "one").await;
    let (other, _) = decide(&ledger, &before, BatchId(written.next_batch.0 + 1), "other").await;
    let now = written.now;
    let follower = tokio::spawn(async move { write(&mut second, &other, now, Some(ticket)).await });
    waiting(&ledger).await;
    drop(first);
    let refused = follower.await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
    assert_eq!(ledger_rows(&ledger).await, ["fund"]);
}

/// The same versions do not make the same accounts: a batch that never came to be is told from another one by its number.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_decided_on_another_history_of_the_same_length_is_refused() {
    let Two { ledger, mut first, mut second, snapshot, written, .. } = two().await;
    let (_, imagined) = decide(&ledger, &snapshot, written.next_batch, "imagined").await;
    let (real, _) = decide(&ledger, &snapshot, BatchId(written.next_batch.0 + 1), "real").await;
    let (other, _) = decide(&ledger, &imagined, BatchId(written.next_batch.0 + 2), "other").await;
    write(&mut first, &real, written.now, None).await.unwrap();
    let refused = write(&mut second, &other, written.now, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused:?}");
    assert_eq!(ledger_rows(&ledger).await, ["fund", "real"]);
}

async fn two() -> Two {
    let ledger = Ledger::new().await;
    let mut first = ledger.engine.store.session().await.unwrap();
    let second = ledger.engine.store.session().await.unwrap();
    assert_eq!(first.ticket(), None);
    let request = request(&ledger, "settlement", "alice", "fund").await;
    let locked = first.lock_and_read(&[&request], Locks::Wait, false).await.unwrap();
    let mut snapshot = with_parameters(locked.snapshot, request.tenant);
    assert_done(&apply(&mut snapshot, &request, locked.now));
    let effects = Effects::of(&snapshot);
    let written = write(&mut first, &effects, locked.now, None).await.unwrap();
    first.commit().await.unwrap();
    let ticket = first.ticket().unwrap();
    Two { ledger, first, second, ticket, snapshot, written }
}

/// A payment from the same accounts, decided on how a former batch left them.
async fn decide(
    ledger: &Ledger,
    before: &Snapshot,
    batch: BatchId,
    key: &'static str,
) -> (Effects, Snapshot) {
    let request = request(ledger, "settlement", "alice", key).await;
    let mut snapshot = with_parameters(Snapshot::new(batch), request.tenant);
    for (tenant, id, account) in before.accounts() {
        snapshot.insert_account(tenant, id, account.clone());
    }
    assert_done(&apply(&mut snapshot, &request, Timestamp(0)));
    (Effects::of(&snapshot), snapshot)
}

async fn request(ledger: &Ledger, from: &str, to: &str, key: &'static str) -> Request {
    let ask = support::ledger::Ask { key, ..ledger.between(ledger.acme, from, to, 100) };
    ledger.request(ledger.acme, Kind::Pay, &ask).await
}

fn with_parameters(mut snapshot: Snapshot, tenant: TenantId) -> Snapshot {
    snapshot.insert_parameters(tenant, Arc::new(Parameters::new(Vec::new())));
    snapshot
}

fn assert_done(outcome: &Outcome) {
    let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Decided { decision, .. } if matches!(decision.verdict, Verdict::Done { .. }));
    assert!(is_done(outcome), "{outcome:?}");
}

async fn write(
    session: &mut Session,
    effects: &Effects,
    now: Timestamp,
    after: Option<Ticket>,
) -> Result<Written, StoreError> {
    // Opening the accounts was a second version of the settings for each tenant.
    session.write(&Batch { effects, now, settings_version: 3, after }).await
}

/// Until somebody waits for a ticket.
async fn waiting(ledger: &Ledger) {
    let mut superuser = ledger.database.superuser().await;
    eventually("a batch to wait for the one before", async || {
        let query = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                     and database = (select oid from pg_database where datname = current_database())";
        let waiting: i64 = sqlx::query_scalar(query).fetch_one(&mut superuser).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
}

async fn ledger_rows(ledger: &Ledger) -> Vec<String> {
    let mut superuser = ledger.database.superuser().await;
    let query = "select key from payplane.journal where 0 < sequence order by sequence";
    sqlx::query_scalar(query).fetch_all(&mut superuser).await.unwrap()
}
