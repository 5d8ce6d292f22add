//! What commit_batch takes from somebody who has the engine's login: only what follows from the accounts as they stand.
//! What it does take although the engine would not write it, the proof finds.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use payplane_engine::verify::{VerifyOptions, verify};
use payplane_ledger::Kind;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use support::{
    forgery::{Forgery, refusal, row_hash},
    ledger::{Ask, Ledger},
};
use uuid::Uuid;

// SQLSTATEs.
const CHANGED: &str = "PP001";
const DOES_NOT_FOLLOW: &str = "PP002";
const OLD_FACTS: &str = "PP004";
const CONSTRAINT: &str = "23514";
const NOT_UNIQUE: &str = "23505";

/// A ledger in which alice has a hundred dollars, and a payment of one to bob that nothing is wrong with.
async fn stand() -> (Ledger, PgConnection, PgConnection, Forgery) {
    let ledger = Ledger::new().await;
    for tenant in [ledger.acme, ledger.globex] {
        ledger.fund(tenant, 10_000).await;
        ledger
            .done(tenant, Kind::Pay, Ask { key: "first", ..ledger.between(tenant, "alice", "bob", 1) })
            .await;
    }
    ledger.close().await;
    let (mut superuser, thief) = (ledger.database.superuser().await, ledger.database.as_engine().await);
    let account = |name| ledger.account(ledger.acme, name);
    let good = Forgery::of_payment(&mut superuser, ledger.acme, account("alice"), account("bob")).await;
    (ledger, superuser, thief, good)
}

async fn sound(ledger: &Ledger) -> bool {
    verify(&ledger.engine.store, &VerifyOptions::default()).await.unwrap().sound
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_follow_from_the_accounts_is_refused() {
    let (ledger, mut superuser, mut thief, good) = stand().await;
    let (acme, globex) = (ledger.acme.uuid(), ledger.globex.uuid());
    let theirs = ledger.account(ledger.globex, "bob").uuid();
    let old = good.rows[0]["debit_previous"].as_i64().unwrap();
    let euro = Uuid::new_v4();
    let open = format!(
        "insert into payplane.accounts (tenant_id, account_id, kind, currency) values ('{acme}', '{euro}', 1, 'EUR')"
    );
    superuser.execute(AssertSqlSafe(open)).await.unwrap();
    let other = |columns| good.with(columns);
    let (of_globex, of_both) = (vec![globex], vec![acme, globex]);
    let attacks = [
        // Unbalanced.
        ("a credit of more", DOES_NOT_FOLLOW, other(json!({"credit_posted_credits": 102}))),
        ("a debit that is not taken", DOES_NOT_FOLLOW, other(json!({"debit_posted_debits": 1}))),
        ("another amount", DOES_NOT_FOLLOW, other(json!({"posted": 1}))),
        (
            "a credit without a debit",
            CONSTRAINT,
            other(json!({"debit_account": null, "debit_version": null})),
        ),
        (
            "a debit without a credit",
            CONSTRAINT,
            other(json!({"credit_account": null, "credit_version": null})),
        ),
        (
            "a posting without its amounts",
            CONSTRAINT,
            other(json!({"debit_version": null, "credit_version": null})),
        ),
        (
            "money with a refusal",
            CONSTRAINT,
            other(json!({"refusal": 31, "refusal_field": 1, "refusal_limit": 0})),
        ),
        ("a negative amount", CONSTRAINT, good.of_amount(-100)),
        ("held money out of nothing", CONSTRAINT, other(json!({"kind": 4, "posted": 0, "pending": -5}))),
        ("money taken of nothing held", CONSTRAINT, other(json!({"kind": 3, "posted": 5, "pending": -5}))),
        ("more than is there", CONSTRAINT, good.of_amount(10_001)),
        ("to itself", CONSTRAINT, other(json!({"credit_account": good.rows[0]["debit_account"]}))),
        // Empty.
        ("a batch without rows", DOES_NOT_FOLLOW, Forgery { rows: vec![], ..good.clone() }),
        (
            "a batch without rows or roots",
            DOES_NOT_FOLLOW,
            Forgery { rows: vec![], root_tenants: vec![], row_counts: vec![], ..good.clone() },
        ),
        ("a movement of nothing", DOES_NOT_FOLLOW, good.of_amount(0)),
        // Late, or where it does not belong.
        ("a row of an old batch", DOES_NOT_FOLLOW, other(json!({"sequence": old + 1}))),
        ("a row of a batch to come", DOES_NOT_FOLLOW, other(json!({"sequence": (good.batch + 9) * 1024}))),
        (
            "a batch that is there",
            NOT_UNIQUE,
            Forgery {
                batch: old / 1024,
                ..other(json!({
                    "sequence": old + 1, "posted": null, "pending": null, "debit_version": null, "credit_version": null,
                    "refusal": 31, "refusal_field": 1, "refusal_limit": 0
                }))
            },
        ),
        (
            "a batch before the accounts' last",
            CHANGED,
            Forgery { batch: old / 1024, ..other(json!({"sequence": old + 1})) },
        ),
        (
            "a batch whose number was not drawn yet",
            DOES_NOT_FOLLOW,
            Forgery {
                batch: good.batch + 1_000_000,
                ..other(json!({"sequence": (good.batch + 1_000_000) * 1024}))
            },
        ),
        ("a batch of another time", OLD_FACTS, Forgery { decided_us: "0", ..good.clone() }),
        ("rows that no root is over", DOES_NOT_FOLLOW, Forgery { row_counts: vec![2], ..good.clone() }),
        (
            "a root of somebody else",
            DOES_NOT_FOLLOW,
            Forgery { root_tenants: of_both, row_counts: vec![1, 1], ..good.clone() },
        ),
        // Somebody else's.
        ("another tenant's account", CHANGED, other(json!({"credit_account": theirs}))),
        ("an account that is not there", CHANGED, other(json!({"credit_account": Uuid::nil()}))),
        (
            "another tenant",
            CHANGED,
            Forgery { root_tenants: of_globex, ..other(json!({"tenant_id": globex})) },
        ),
        ("another currency", CHANGED, other(json!({"currency": "EUR"}))),
        ("an account of another currency", CHANGED, other(json!({"credit_account": euro}))),
        ("a version that was", CHANGED, other(json!({"debit_version": 1}))),
        ("a version to come", CHANGED, other(json!({"debit_version": 9}))),
        ("another history", CHANGED, other(json!({"debit_previous": 0}))),
        (
            "one row twice",
            NOT_UNIQUE,
            Forgery {
                rows: vec![good.rows[0].clone(), good.rows[0].clone()],
                row_counts: vec![2],
                ..good.clone()
            },
        ),
        ("an unknown kind", DOES_NOT_FOLLOW, other(json!({"kind": 15}))),
    ];
    let (before, mut wrong) = (row_hash(&mut superuser).await, Vec::new());
    for (what, state, forgery) in &attacks {
        let found = refusal(&mut thief, &forgery.call()).await;
        if found != *state {
            wrong.push(format!("{what}: {found} and not {state}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(row_hash(&mut superuser).await, before);
    println!("{} forged batches, none committed", attacks.len());
    // Not vacuous: the same without a flaw is taken.
    thief.execute(AssertSqlSafe(good.call())).await.unwrap();
    assert_ne!(row_hash(&mut superuser).await, before);
}

/// Whole transactions: what is done around the call makes no difference.
#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_around_it_makes_a_forged_batch_good() {
    let (ledger, mut superuser, mut thief, good) = stand().await;
    let (acme, globex) = (ledger.acme.uuid(), ledger.globex.uuid());
    let theirs = ledger.account(ledger.globex, "bob").uuid();
    let unbalanced = good.with(json!({"credit_posted_credits": 102})).call();
    let to_globex = good.with(json!({"credit_account": theirs})).call();
    let row = "insert into payplane.journal select * from payplane.journal limit 1";
    let see = |tenant| format!("set local payplane.tenant = '{tenant}'");
    let transactions = [
        (DOES_NOT_FOLLOW, format!("{}; {unbalanced}", see(acme))),
        (CHANGED, format!("{}; {to_globex}; {}", see(acme), see(globex))),
        (CHANGED, format!("{}; {to_globex}; {}", see(globex), see(acme))),
        (DOES_NOT_FOLLOW, format!("set constraints all deferred; {unbalanced}")),
        (DOES_NOT_FOLLOW, format!("set local synchronous_commit = off; {unbalanced}")),
        (NOT_UNIQUE, format!("{}; {}", good.call(), good.call())),
        ("42501", format!("{}; {row}", good.call())),
        ("42501", format!("{}; set local row_security = off; {row}", see(acme))),
    ];
    let before = row_hash(&mut superuser).await;
    for (state, transaction) in &transactions {
        assert_eq!(refusal(&mut thief, transaction).await, *state, "{transaction}");
    }
    assert_eq!(row_hash(&mut superuser).await, before);
    println!("{} attack transactions, none committed", transactions.len());
}

/// The database checks what money depends on, at the speed of money. What else a stolen login can write down is found.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_although_it_is_wrong_is_found() {
    let mut found = 0;
    for columns in [
        json!({}),
        json!({"debit_pending_debits": 5}),
        json!({"credit_pending_credits": 5}),
        json!({"actor": "the chief"}),
        json!({"after": "{}"}),
    ] {
        let (ledger, mut superuser, mut thief, good) = stand().await;
        assert!(sound(&ledger).await);
        // The hash over the rows is not the one that the thief gives.
        thief.execute(AssertSqlSafe(good.with(columns).call())).await.unwrap();
        assert!(!sound(&ledger).await);
        // Money is right all the same.
        let differences: i64 = sqlx::query_scalar(
            "select (select count(*) from payplane.verify_balances(10)) \
             + (select count(*) from payplane.verify_currency_sums(10))",
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        assert_eq!(differences, 0);
        found += 1;
    }
    println!("{found} forged histories taken, and found by the proof");
}
