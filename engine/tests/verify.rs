//! The proof finds what somebody changed who has every right in the database, and nothing where nobody did.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use payplane_engine::verify::{ExpectedHead, Report, VerifyOptions, verify};
use payplane_ledger::{BatchId, CHAIN_START, Root, chain_link};
use serde_json::Value;
use sqlx::Executor as _;
use support::{TempDir, ledger::Ledger, postgres::Postgres, tamper::Tamperer};

async fn report(ledger: &Ledger, expect_head: Option<ExpectedHead>) -> Report {
    let options = VerifyOptions { expect_head, progress: None };
    verify(&ledger.engine.store, &options).await.unwrap()
}

/// The checks that found something.
fn failed(report: &Report) -> Vec<&'static str> {
    report.checks.iter().filter(|check| check.violations != 0).map(|check| check.name).collect()
}

async fn exercised() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.exercise().await;
    ledger.close().await;
    ledger
}

fn head_of(report: &Report) -> ExpectedHead {
    ExpectedHead { seal: report.head.seal, link: report.head.link }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_with_every_kind_of_operation_is_sound() {
    let ledger = Ledger::new().await;
    let empty = report(&ledger, None).await;
    assert!(empty.sound, "{empty:#?}");
    ledger.exercise().await;
    // While batches are not sealed yet, too.
    let busy = report(&ledger, None).await;
    assert!(busy.sound, "{busy:#?}");
    ledger.close().await;
    let sealed = report(&ledger, None).await;
    let kept = report(&ledger, Some(head_of(&sealed))).await;
    assert!(sealed.sound && kept.sound, "{sealed:#?}");
    assert_eq!((sealed.head.unsealed, sealed.totals.overdue_holds), (0, 2));
    assert_eq!((sealed.head.seal, sealed.head.batches), (sealed.totals.seals, sealed.totals.batches));
    // Not vacuous: every kind and every end is there.
    let mut superuser = ledger.database.superuser().await;
    let found: (i64, i64, i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(distinct kind) from payplane.journal where refusal is null), \
         (select count(distinct refusal) from payplane.journal), \
         (select count(distinct phase) from payplane.payments), (select count(distinct phase) from payplane.refunds), \
         (select count(*) from (select 1 from payplane.batch_tenants group by batch_id having 1 < count(*)) b), \
         (select count(*) from payplane.batch_tenants where 1 < row_count)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    println!("{found:?} {:?} in {} ms", sealed.totals, sealed.duration_ms);
    let (kinds, refusals, phases, refund_phases, mixed, wide) = found;
    // No refund is ever stored as approved: approval and transfer are one commit.
    assert_eq!((kinds, phases, refund_phases), (14, 6, 4));
    assert!(5 <= refusals && 0 < mixed && 0 < wide, "{found:?}");
    assert!(sealed.checks.iter().all(|check| 0 < check.examined), "{:#?}", sealed.checks);
}

/// Columns that say nothing about money and are no part of the journal: what kind of account it is and how it is
/// grouped, and when a link was made.
const UNPROVED: [(&str, &str); 4] =
    [("accounts", "kind"), ("accounts", "class"), ("seals", "sealed_us"), ("seal_head", "only_row")];

/// The check that finds another value in this column.
fn check_of(table: &str, column: &str) -> &'static str {
    match (table, column) {
        ("accounts", "currency") => "currency_sums",
        ("accounts", "status" | "floor_minor" | "ceiling_minor") => "wallet_terms",
        ("accounts", _) => "balances",
        ("payments", _) => "holds",
        ("refunds", _) => "refund_caps",
        ("seals" | "seal_head", _) => "chain",
        _ => "hashes",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_is_proved() {
    let ledger = exercised().await;
    let mut tamperer = Tamperer::new(ledger.database.superuser().await).await;
    // Of the journal one row of each kind: done with and without a movement, and refused. Of accounts those with a
    // history; the caps of settlement accounts are set outside the journal.
    let tables = [
        (
            "journal",
            "select distinct on (kind, refusal is null, posted is null) t::text from payplane.journal t",
        ),
        ("accounts", "select t::text from payplane.accounts t where 0 < version and kind = 1"),
        ("payments", "select t::text from payplane.payments t"),
        ("refunds", "select t::text from payplane.refunds t"),
        ("batches", "select t::text from payplane.batches t"),
        ("batch_tenants", "select t::text from payplane.batch_tenants t"),
        ("seals", "select t::text from payplane.seals t"),
        ("seal_head", "select t::text from payplane.seal_head t"),
    ];
    let mut tried = BTreeMap::new();
    for (table, query) in tables {
        let (rows, changes) = (tamperer.texts(query).await, tamperer.changes(table).await);
        for (number, (column, value)) in changes.iter().enumerate() {
            if UNPROVED.contains(&(table, column)) {
                continue;
            }
            // A few rows for each column, other ones for the next; all of them if somebody has the time.
            let few = if table == "journal" { 3 } else { 1 };
            let few = if std::env::var_os("PAYPLANE_PROVE").is_some() { rows.len() } else { few };
            let (mut found, check) = (0, check_of(table, column));
            for row in rows.iter().cycle().skip(number * 5).take(rows.len()) {
                if found < few && tamperer.change(table, row, column, value).await {
                    let failed = failed(&report(&ledger, None).await);
                    assert!(
                        failed.contains(&check),
                        "{failed:?} and not {check}: {column} = {value} of {table} {row}"
                    );
                    tamperer.restore_tables(&[table]).await;
                    found += 1;
                }
            }
            assert!(0 < found, "no row of {table} where {column} could be {value}");
            *tried.entry(table).or_insert(0) += found;
        }
    }
    assert!(report(&ledger, None).await.sound, "not restored");
    println!("changed columns tried and found: {tried:?}, {} in all", tried.values().sum::<usize>());
    assert_eq!(tried.len(), tables.len());
}

/// What somebody does, and the check that finds it.
const TAMPERINGS: [(&str, &str, &str); 27] = [
    ("hashes", "a row is deleted", "delete from payplane.journal where key = 'plain'"),
    (
        "hashes",
        "two rows swap their amounts",
        "update payplane.journal j set minor = o.minor, posted = o.posted from payplane.journal o \
         where j.tenant_id = o.tenant_id and (j.key, o.key) in (('linked', 'linked fee'), ('linked fee', 'linked'))",
    ),
    (
        "hashes",
        "a row is forged into a batch that is there",
        "insert into payplane.journal select (jsonb_populate_record(j, jsonb_build_object( \
         'operation_id', gen_random_uuid(), 'sequence', j.sequence + 900, 'key', 'forged'))).* \
         from payplane.journal j where key = 'too much'",
    ),
    (
        "hashes",
        "a row is forged into a batch of its own",
        "insert into payplane.journal select (jsonb_populate_record(j, jsonb_build_object( \
         'operation_id', gen_random_uuid(), 'sequence', 1024 * 1000000::bigint, 'key', 'forged'))).* \
         from payplane.journal j where key = 'too much'",
    ),
    (
        "hashes",
        "a row goes to another batch",
        "update payplane.journal set sequence = sequence + 1024 * 100000 where key = 'too much'",
    ),
    (
        "hashes",
        "two rows swap their places",
        "update payplane.journal j set sequence = -o.sequence from payplane.journal o \
         where j.tenant_id = o.tenant_id and (j.key, o.key) in (('linked', 'linked fee'), ('linked fee', 'linked')); \
         update payplane.journal set sequence = -sequence where sequence < 0",
    ),
    ("hashes", "a root is deleted", "delete from payplane.batch_tenants where row_count = 1"),
    ("hashes", "a batch is deleted", "delete from payplane.batches where batch_id % 8 = 1"),
    ("chain", "a batch is deleted", "delete from payplane.batches where batch_id % 8 = 1"),
    (
        "hashes",
        "a batch without rows is forged",
        "insert into payplane.batches select batch_id + 1000000, root, decided_us from payplane.batches limit 1",
    ),
    (
        "hashes",
        "roots of two tenants are swapped",
        "update payplane.batch_tenants b set root = o.root from payplane.batch_tenants o \
         where o.batch_id = b.batch_id and o.tenant_id <> b.tenant_id",
    ),
    (
        "chain",
        "two seals swap their batches",
        "update payplane.seals set batch_id = -batch_id where seal in (3, 4); \
         update payplane.seals s set batch_id = -o.batch_id from payplane.seals o where s.seal + o.seal = 7 \
         and s.seal in (3, 4)",
    ),
    (
        "chain",
        "two seals swap their links",
        "update payplane.seals s set link = o.link from payplane.seals o \
         where s.seal + o.seal = 7 and s.seal in (3, 4)",
    ),
    ("chain", "a seal is deleted", "delete from payplane.seals where seal = 5"),
    ("chain", "the first seal is deleted", "delete from payplane.seals where seal = 1"),
    (
        "chain",
        "the last seal is deleted and the head put back",
        "delete from payplane.seals where seal = (select max(seal) from payplane.seals); update payplane.seal_head h \
         set seal = s.seal, link = s.link from payplane.seals s where s.seal = h.seal - 1",
    ),
    (
        "chain",
        "a sealed batch waits to be sealed again",
        "insert into payplane.unsealed select min(batch_id) from payplane.batches",
    ),
    (
        "balances",
        "money appears",
        "update payplane.accounts set posted_credits = posted_credits + 1 where kind = 1 and 0 < version",
    ),
    (
        "balances",
        "money goes from one account to another",
        "update payplane.accounts set posted_debits = posted_debits + case kind when 2 then 5 else 0 end, \
         posted_credits = posted_credits + case kind when 2 then 0 else 1 end",
    ),
    ("balances", "an account is deleted", "delete from payplane.accounts where 0 < version"),
    (
        "currency_sums",
        "money appears on both sides",
        "update payplane.accounts set posted_debits = posted_debits + 1, posted_credits = posted_credits + 1",
    ),
    (
        "account_chains",
        "a history is forked",
        "update payplane.journal set debit_previous = 0 where key = 'last'",
    ),
    ("holds", "more was captured", "update payplane.payments set captured = captured + 1 where phase = 1"),
    ("holds", "a hold is deleted", "delete from payplane.payments where phase = 1"),
    (
        "holds",
        "a hold is forged",
        "insert into payplane.payments select (jsonb_populate_record(p, jsonb_build_object( \
         'payment_id', gen_random_uuid()))).* from payplane.payments p where phase = 1",
    ),
    ("refund_caps", "a refund is deleted", "delete from payplane.refunds where phase = 3"),
    ("wallet_terms", "a closed wallet opens", "update payplane.accounts set status = 1 where status = 5"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_is_found_by_the_check_for_it() {
    let ledger = exercised().await;
    let head = head_of(&report(&ledger, None).await);
    let mut tamperer = Tamperer::new(ledger.database.superuser().await).await;
    for (check, what, statements) in TAMPERINGS {
        tamperer.tamper(statements).await;
        let found = report(&ledger, Some(head)).await;
        assert!(failed(&found).contains(&check), "{what}: {:?} and not {check}", failed(&found));
        let examples = found.checks.iter().map(|check| (check.violations, check.examples.len()));
        assert!(
            examples.clone().all(|(count, kept)| kept as i64 == count.min(10)),
            "{:?}",
            examples.collect::<Vec<_>>()
        );
        tamperer.restore().await;
    }
    let restored = report(&ledger, Some(head)).await;
    assert!(restored.sound, "not restored: {restored:#?}");
    println!("{} tamperings tried and found", TAMPERINGS.len());
}

/// The last batches go, with everything that speaks of them.
const TRUNCATE: &str = "
create temp table gone as select batch_id from payplane.seals order by seal desc limit 2;
delete from payplane.journal where sequence / 1024 in (select batch_id from gone);
delete from payplane.batches where batch_id in (select batch_id from gone);
delete from payplane.batch_tenants where batch_id in (select batch_id from gone);
delete from payplane.seals where batch_id in (select batch_id from gone);
update payplane.seal_head set (seal, link) = (select seal, link from payplane.seals order by seal desc limit 1);
update payplane.accounts a
set (posted_debits, posted_credits, pending_debits, pending_credits, version, last_operation) = (
    select posted_debits, posted_credits, pending_debits, pending_credits, version, sequence
    from payplane.verify_postings() p where p.tenant_id = a.tenant_id and p.account_id = a.account_id
    order by version desc limit 1)
where 0 < version;
drop table gone";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_consistent_shows_only_against_a_head_that_was_kept() {
    let ledger = exercised().await;
    let head = head_of(&report(&ledger, None).await);
    let mut tamperer = Tamperer::new(ledger.database.superuser().await).await;
    let only_the_head = async |what: &str| {
        assert!(report(&ledger, None).await.sound, "{what} shows without a head");
        assert_eq!(failed(&report(&ledger, Some(head)).await), ["expected_head"], "{what}");
    };
    tamperer.tamper(TRUNCATE).await;
    only_the_head("a truncated end").await;
    tamperer.restore().await;
    let rewritten = rewritten_chain(&mut tamperer).await;
    tamperer.tamper(&rewritten).await;
    only_the_head("a chain in another order").await;
    tamperer.restore().await;
    assert!(report(&ledger, Some(head)).await.sound);
    // The ledger may have grown since the head was kept.
    let before = Some(ExpectedHead { seal: 0, link: CHAIN_START });
    assert!(report(&ledger, before).await.sound);
    let beyond = Some(ExpectedHead { seal: head.seal + 1, ..head });
    assert_eq!(failed(&report(&ledger, beyond).await), ["expected_head"]);
    println!("2 consistent tamperings tried; found with a head, and only then");
}

/// Seals the batches in the opposite order, every link computed anew.
async fn rewritten_chain(tamperer: &mut Tamperer) -> String {
    let batches: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select batch_id, root from payplane.batches order by batch_id desc")
            .fetch_all(&mut tamperer.superuser)
            .await
            .unwrap();
    let hex = |link: &Root| link.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut statements, mut link) = ("delete from payplane.seals;".to_owned(), CHAIN_START);
    for (seal, (batch, root)) in (1..).zip(&batches) {
        link = chain_link(&link, seal, BatchId(*batch), root[..].try_into().unwrap());
        statements += &format!(
            "insert into payplane.seals values ({seal}, {batch}, decode('{}', 'hex'), 0);",
            hex(&link)
        );
    }
    statements + &format!("update payplane.seal_head set link = decode('{}', 'hex')", hex(&link))
}

/// The real binary.
fn payplane_engine(arguments: &[&str], database_dir: &Path) -> (Option<i32>, Output) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payplane-engine"));
    let output =
        command.arg("verify").args(arguments).arg("--database-dir").arg(database_dir).output().unwrap();
    (output.status.code(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_proves_a_restored_copy() {
    let ledger = exercised().await;
    let postgres = Postgres::shared();
    let (name, files) = (&ledger.database.name, TempDir::new());
    let dump = files.path().join("dump");
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(postgres.tool("pg_dump").args(["--format=custom", "--file"]).arg(&dump).arg(name));
    run(postgres.tool("createdb").args(["--owner", &format!("{name}_owner"), "restored"]));
    run(postgres.tool("pg_restore").args(["--exit-on-error", "--dbname=restored"]).arg(&dump));
    for file in ["host", "port", "username", "password"] {
        let value = std::fs::read_to_string(ledger.database.app_dir().join(file)).unwrap();
        files.write(file, &value);
    }
    files.write("dbname", "restored");

    let (code, output) = payplane_engine(&[], files.path());
    let progress = String::from_utf8(output.stderr).unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code, &printed["sound"]), (Some(0), &Value::Bool(true)), "{printed:#} {progress}");
    assert!(
        progress.lines().all(|line| line.starts_with("verify: ")) && progress.contains("hashes"),
        "{progress}"
    );
    let head = format!("{}:{}", printed["head"]["seal"], printed["head"]["link"].as_str().unwrap());
    assert_eq!(payplane_engine(&["--expect-head", &head], &ledger.database.app_dir()).0, Some(0));
    let summary = files.path().join("summary");
    let flag = format!("--summary-file={}", summary.display());
    let summarised = |arguments: &[&str], directory: &Path| -> (Option<i32>, Value) {
        let (code, _) = payplane_engine(arguments, directory);
        let text = std::fs::read_to_string(&summary).unwrap();
        assert!(text.len() < 1_000 && !text.contains('\n'), "it must fit where there is little room: {text}");
        (code, serde_json::from_str(&text).unwrap())
    };
    let (code, summary) = summarised(&[&flag], &ledger.database.app_dir());
    assert_eq!(
        (code, &summary["sound"], &summary["head"]["seal"]),
        (Some(0), &true.into(), &printed["head"]["seal"])
    );
    assert_eq!(summary["operations"], printed["totals"]["journal"]);

    let mut superuser = ledger.database.superuser().await;
    superuser.execute("update payplane.journal set actor = 'nobody' where key = 'plain'").await.unwrap();
    let (code, output) = payplane_engine(&["--expect-head", &head], &ledger.database.app_dir());
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code, &printed["sound"]), (Some(1), &Value::Bool(false)));
    let (code, summary) = summarised(&[&flag], &ledger.database.app_dir());
    assert_eq!((code, &summary["violated"]), (Some(1), &serde_json::json!(["hashes"])));
    let hashes =
        printed["checks"].as_array().unwrap().iter().find(|check| check["name"] == "hashes").unwrap();
    assert_eq!(
        (&hashes["violations"], &hashes["examples"][0]["tenant"]),
        (&2.into(), &ledger.acme.to_string().into())
    );

    // Nothing was proved where nothing could be asked.
    files.write("port", "1");
    let (code, output) = payplane_engine(&["--wait-seconds", "0"], files.path());
    assert_eq!((code, output.stdout.len()), (Some(2), 0));
    assert_eq!(payplane_engine(&["--expect-head", "7"], files.path()).0, Some(2));
}
