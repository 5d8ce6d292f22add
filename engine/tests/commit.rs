//! What must hold when many ask at once, when callers go away, and when the network loses the answer of a commit.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::time::Duration;

use futures::future::join_all;
use payplane_proto::v1::{
    self as proto, RefusalReason, payment_item::Operation, payment_outcome::Result as Is,
};
use sqlx::{Connection as _, Executor as _};
use support::{
    client::{Client, name, paid, payment, refused},
    eventually,
    postgres::Postgres,
    proxy::{Fault, Proxy},
    world::World,
};
use tonic::Code;
use tonic_types::StatusExt as _;

const HOLD_ALICE: &str = "select 1 from payplane.accounts a join payplane.wallets w using (tenant_id, account_id) \
                          where w.name = 'alice' for update of a";

#[tokio::test(flavor = "multi_thread")]
async fn identical_keys_over_two_engines_move_money_once() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    ready(&world, &[("alice", "100.00"), ("bob", "")]).await;
    let clients = operators(&world);
    for round in 0..5 {
        let calls = (0..32).map(|number| {
            let client = clients[number % 2].clone();
            tokio::spawn(async move {
                client.pay(payment(&format!("same {round}"), "alice", "bob", "3.00")).await
            })
        });
        let outcomes: Vec<_> = join_all(calls).await.into_iter().map(|call| call.unwrap().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1);
        assert!(outcomes.iter().all(|outcome| paid(outcome) == paid(&outcomes[0])));
    }
    assert_eq!(world.as_role("acme", "viewer").available(name("bob")).await, "15.00");
    assert_eq!(world.assert_balanced().await, 6);
}

/// The keys meet, the accounts do not: only the primary key stands between the two engines.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_with_two_bodies_over_two_engines_has_one_winner() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    ready(&world, &[("a", "100.00"), ("b", ""), ("c", "100.00"), ("d", "")]).await;
    let clients = operators(&world);
    let mut conflicts = 0;
    for round in 0..40 {
        let pay = |engine: usize, from: &str, to: &str| {
            let (client, request) =
                (clients[engine].clone(), payment(&format!("k{round}"), from, to, "1.00"));
            async move { client.pay(request).await.unwrap() }
        };
        let (first, second) = tokio::join!(pay(0, "a", "b"), pay(1, "c", "d"));
        let is_paid = |outcome: &proto::PaymentOutcome| matches!(outcome.result, Some(Is::Payment(_)));
        assert_ne!(is_paid(&first), is_paid(&second), "{first:?} {second:?}");
        let loser = if is_paid(&first) { &second } else { &first };
        assert_eq!(refused(loser), (RefusalReason::IdempotencyConflict, "from"));
        conflicts += 1;
    }
    assert_eq!((conflicts, world.assert_balanced().await), (40, 42));
}

#[tokio::test(flavor = "multi_thread")]
async fn opposing_transfers_over_two_engines_do_not_block_each_other() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    ready(&world, &[("alice", "1000.00"), ("bob", "1000.00")]).await;
    let workers = (0..32).map(|worker| {
        let client = world.as_role_at(worker % 2, "acme", "operator");
        let (from, to) = if worker % 4 < 2 { ("alice", "bob") } else { ("bob", "alice") };
        tokio::spawn(async move {
            for number in 0..20 {
                paid(&client.pay(payment(&format!("{worker} {number}"), from, to, "1.00")).await.unwrap());
            }
        })
    });
    join_all(workers).await.into_iter().for_each(|worker| worker.unwrap());
    assert_eq!(world.assert_balanced().await, 2 + 640);
    assert_eq!(world.as_role("acme", "viewer").available(name("alice")).await, "1000.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_debits_against_ten_units_leave_ten() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    ready(&world, &[("alice", "10.00"), ("bob", "")]).await;
    let clients = operators(&world);
    let calls = (0..100).map(|number| {
        let client = clients[number % 2].clone();
        tokio::spawn(async move {
            client.pay(payment(&format!("{number}"), "alice", "bob", "1.00")).await.unwrap()
        })
    });
    let outcomes: Vec<_> = join_all(calls).await.into_iter().map(|call| call.unwrap()).collect();
    let (moved, others): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| matches!(outcome.result, Some(Is::Payment(_))));
    assert_eq!((moved.len(), others.len()), (10, 90));
    assert!(others.iter().all(|outcome| refused(outcome) == (RefusalReason::InsufficientFunds, "from")));
    assert_eq!(world.as_role("acme", "viewer").available(name("alice")).await, "0.00");
    assert_eq!(world.assert_balanced().await, 11);
}

/// Callers go away at every moment of a call; connections stay clean and every key has exactly one end.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_calls_leave_nothing_behind() {
    let world = World::new().await;
    ready(&world, &[("alice", "1000.00"), ("bob", "")]).await;
    let client = world.as_role("acme", "operator");
    let mut cancelled = 0;
    for number in 0..200_u64 {
        let patience = Duration::from_micros(number * 53 % 6_000);
        let key = format!("{number}");
        let call = client.pay(payment(&key, "alice", "bob", "1.00"));
        cancelled += usize::from(tokio::time::timeout(patience, call).await.is_err());
        let read = client.available(name("alice"));
        let _ = tokio::time::timeout(patience / 2, read).await;
    }
    assert!(40 < cancelled, "only {cancelled} calls were cancelled");
    let again = (0..200).map(|number| {
        let (client, request) = (client.clone(), payment(&format!("{number}"), "alice", "bob", "1.00"));
        async move { client.pay(request).await.unwrap() }
    });
    join_all(again).await.iter().for_each(|outcome| assert!(paid(outcome).from_balance.is_some()));
    assert_eq!(client.available(name("bob")).await, "200.00");
    assert_eq!(world.assert_balanced().await, 201);
    let mut connection = world.database.superuser().await;
    let open: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(open, 0, "a transaction was left open");
}

/// Both ways to commit: bob's account is remembered from the payment before, so the batch is one round trip; carol's is
/// not, so it is decided under locks.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_found_out_before_anybody_is_told() {
    for (payee, held) in [("bob", "3.00"), ("carol", "2.00")] {
        for fault in [Fault::LoseAnswer, Fault::LoseCommit, Fault::HoldAnswer] {
            let (world, proxy) = behind_a_proxy().await;
            let client = world.as_role_at(1, "acme", "operator");
            paid(&client.pay(payment("before", "alice", "bob", "1.00")).await.unwrap());
            proxy.arm(fault);
            let outcome = client.pay(payment("doubt", "alice", payee, "2.00")).await.unwrap();
            assert!(proxy.struck(), "{fault:?} did not happen on the way to {payee}");
            assert_eq!(
                (outcome.replayed, paid(&outcome).to_balance.as_ref().unwrap().available.as_str()),
                (false, held)
            );
            let again = client.pay(payment("doubt", "alice", payee, "2.00")).await.unwrap();
            assert!(again.replayed);
            assert_eq!(paid(&again), paid(&outcome));
            assert_eq!(world.assert_balanced().await, 3, "{fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_cannot_be_found_out_is_called_unknown() {
    let (world, proxy) = behind_a_proxy().await;
    let client = world.as_role_at(1, "acme", "operator");
    proxy.arm(Fault::LoseAnswer);
    proxy.cut_off_after_fault();
    let error = client.pay(payment("doubt", "alice", "bob", "2.00")).await.unwrap_err();
    assert!(proxy.struck(), "the fault did not happen");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert_eq!(error.get_details_error_info().unwrap().reason, "OUTCOME_UNKNOWN");
    proxy.heal();
    let outcome = eventually("the engine to be back", async || {
        client.pay(payment("doubt", "alice", "bob", "2.00")).await.ok()
    })
    .await;
    assert!(outcome.replayed);
    assert_eq!(paid(&outcome).to_balance.as_ref().unwrap().available, "2.00");
    assert_eq!(world.assert_balanced().await, 2);
}

/// Somebody holds one row, for instance a person with a forgotten transaction: only that account waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_account_delays_nobody_else() {
    let world = World::new().await;
    ready(&world, &[("alice", "10.00"), ("bob", ""), ("carol", "10.00"), ("dave", "")]).await;
    let mut person = world.database.superuser().await;
    let mut forgotten = person.begin().await.unwrap();
    forgotten.execute(HOLD_ALICE).await.unwrap();
    let client = world.as_role("acme", "operator");
    let blocked = client.pay(payment("blocked", "alice", "bob", "1.00"));
    let others = async {
        let mut slowest = Duration::ZERO;
        for number in 0..20 {
            let started = std::time::Instant::now();
            paid(&client.pay(payment(&format!("{number}"), "carol", "dave", "0.10")).await.unwrap());
            slowest = slowest.max(started.elapsed());
        }
        slowest
    };
    let (blocked, slowest) = tokio::join!(blocked, others);
    assert_eq!(blocked.unwrap_err().code(), Code::Aborted);
    assert!(slowest < Duration::from_secs(4), "others waited {slowest:?}");
    forgotten.rollback().await.unwrap();
    paid(&client.pay(payment("blocked", "alice", "bob", "1.00")).await.unwrap());
}

/// Under an overload most calls are turned away. Reading them first would take the processors from the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_nearly_full_turns_calls_away_before_they_are_read() {
    let world = World::new().await;
    ready(&world, &[("alice", "1000.00"), ("bob", "")]).await;
    let mut holder = world.database.superuser().await;
    let mut held = holder.begin().await.unwrap();
    held.execute("lock table payplane.batches in exclusive mode").await.unwrap();
    let crowd = (0..6).map(|call| {
        let client = world.as_role("acme", "operator");
        let item = move |number| proto::PaymentItem {
            operation: Some(Operation::CreatePayment(payment(
                &format!("{call} {number}"),
                "alice",
                "bob",
                "0.01",
            ))),
        };
        let request = proto::CreatePaymentsRequest { items: (0..2_000).map(item).collect(), view: 0 };
        tokio::spawn(async move { client.payments.clone().create_payments(request).await })
    });
    let crowd: Vec<_> = crowd.collect();
    let queue = &world.engines[0].engine.queue;
    eventually("a line that is nearly full", async || (9_000 <= queue.depth()).then_some(())).await;
    let malformed = || payment("late", "alice", "bob", "no amount");
    let turned_away = world.as_role("acme", "operator").pay(malformed()).await.unwrap_err();
    assert_eq!(turned_away.get_details_error_info().unwrap().reason, "QUEUE_FULL", "it was read");
    assert!(turned_away.get_details_retry_info().is_some());
    let other = world.as_role("globex", "operator").pay(malformed()).await;
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument, "another tenant's line is empty");
    held.rollback().await.unwrap();
    for call in crowd {
        let outcomes = call.await.unwrap().map_or(2_000, |answer| answer.into_inner().outcomes.len());
        assert_eq!(outcomes, 2_000, "each item has its own end");
    }
    let late = world.as_role("acme", "operator").pay(malformed()).await;
    assert_eq!(late.unwrap_err().code(), Code::InvalidArgument, "there is room again");
}

/// Every row that the engine writes follows from the one before it.
#[tokio::test(flavor = "multi_thread")]
async fn histories_are_chains_without_gaps() {
    let world = World::with_engines(Postgres::shared(), 2).await;
    let names: Vec<String> = (0..5).map(|number| format!("wallet-{number}")).collect();
    let funded: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "50.00")).collect();
    ready(&world, &funded).await;
    let clients = operators(&world);
    let calls = (0..200_usize).map(|number| {
        let client = clients[number % 2].clone();
        let request = payment(&format!("{number}"), &names[number % 5], &names[(number * 3 + 1) % 5], "7.00");
        tokio::spawn(async move { client.pay(request).await.unwrap() })
    });
    join_all(calls).await.into_iter().for_each(|call| drop(call.unwrap()));
    let mut connection = world.database.superuser().await;
    let breaks: i64 = sqlx::query_scalar(
        "with posting as (
             select tenant_id, sequence, debit_account as account, -posted as change, debit_previous as previous,
                    debit_posted_credits - debit_posted_debits as after, debit_version as version
             from payplane.journal where posted is not null
             union all
             select tenant_id, sequence, credit_account, posted, credit_previous,
                    credit_posted_credits - credit_posted_debits, credit_version from payplane.journal where posted is not null),
         chain as (
             select previous <> lag(sequence, 1, 0::bigint) over w
                 or after <> lag(after, 1, 0::bigint) over w + change
                 or version <> row_number() over w as broken
             from posting window w as (partition by tenant_id, account order by sequence))
         select count(*) from chain where broken",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(breaks, 0);
    assert!(50 < world.assert_balanced().await);
}

/// One caller per engine.
fn operators(world: &World) -> [Client; 2] {
    [0, 1].map(|engine| world.as_role_at(engine, "acme", "operator"))
}

/// Wallets of acme in dollars, with so much in them.
async fn ready(world: &World, wallets: &[(&str, &str)]) {
    let operator = world.as_role("acme", "operator");
    for (wallet, amount) in wallets {
        operator.wallet(wallet, "USD").await;
        if !amount.is_empty() {
            world.fund("acme", wallet, amount).await;
        }
    }
}

/// Engine 0 reaches the database directly, engine 1 by way of a proxy.
async fn behind_a_proxy() -> (World, Proxy) {
    let postgres = Postgres::shared();
    let mut world = World::new().await;
    ready(&world, &[("alice", "100.00"), ("bob", ""), ("carol", "")]).await;
    let proxy = Proxy::to(postgres.port).await;
    let directory = world.database.app_dir_at(proxy.port);
    world.add_engine(directory).await;
    (world, proxy)
}
