//! A tenant's export proves itself: what is whole is sound, whatever is changed is found, with its line and its reason, and
//! nothing of another tenant is in it.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::process::{Command, Output};

use aws_lc_rs::digest::{SHA256, digest};
use payplane_engine::{
    export::{CHUNKS, CheckError, ExportError, ExportReport, Whose, check, export},
    verify::{ExpectedHead, VerifyOptions, verify},
};
use payplane_ledger::{BatchId, CHAIN_START, Kind, Root, TenantId, batch_root, chain_link, named_batch_root};
use payplane_proto::v1 as proto;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _};
use support::{
    TempDir,
    client::{Client, code},
    eventually,
    ledger::{Ask, Ledger},
    world::World,
};
use tokio::sync::mpsc;
use tonic::Code;
use uuid::Uuid;

async fn exported(ledger: &Ledger, tenant: &str) -> Vec<u8> {
    let (sender, mut chunks) = mpsc::channel::<Vec<u8>>(CHUNKS);
    let read = async {
        let mut file = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            file.extend_from_slice(&chunk);
        }
        file
    };
    let whose = Whose::Name(tenant.to_owned());
    let (done, file) = tokio::join!(export(&ledger.engine.store, &whose, sender), read);
    done.unwrap();
    file
}

async fn head(ledger: &Ledger) -> ExpectedHead {
    let report = verify(&ledger.engine.store, &VerifyOptions::default()).await.unwrap();
    assert!(report.sound, "{report:#?}");
    ExpectedHead { seal: report.head.seal, link: report.head.link }
}

/// A ledger with every kind of operation, and last of all batches of the other tenant alone.
async fn exercised() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.exercise().await;
    for key in ["alone", "alone again"] {
        let ask = Ask { key, ..ledger.between(ledger.globex, "alice", "bob", 3) };
        ledger.done(ledger.globex, Kind::Pay, ask).await;
    }
    ledger.close().await;
    ledger
}

async fn texts(ledger: &Ledger, query: &str) -> Vec<String> {
    let mut superuser = ledger.database.superuser().await;
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut superuser).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_history_is_sound_and_says_nothing_of_others() {
    let ledger = exercised().await;
    let (file, head) = (exported(&ledger, "acme").await, head(&ledger).await);
    let report = check(&file[..], Some(head), 0).unwrap();
    assert!(report.sound, "{report:#?}");
    let acme = ledger.acme;
    let counted: Vec<String> = texts(
        &ledger,
        &format!(
            "select count(*)::text from payplane.journal where tenant_id = '{acme}' union all \
             select count(*)::text from payplane.accounts where tenant_id = '{acme}' union all \
             select count(*)::text from payplane.seals"
        ),
    )
    .await;
    let counts = report.counts;
    let found = [counts.operations, counts.accounts, counts.seals].map(|count| count.to_string());
    assert_eq!(counted, found);
    assert_eq!((counts.waiting, report.opaque_seals), (0, 0));
    // Ids of the other tenant, of its accounts and operations, and its name.
    let globex = ledger.globex;
    let theirs = texts(
        &ledger,
        &format!(
            "select operation_id::text from payplane.journal where tenant_id = '{globex}' union all \
             select account_id::text from payplane.accounts where tenant_id = '{globex}' union all \
             select '{globex}' union all select 'globex'"
        ),
    )
    .await;
    let text = String::from_utf8(file).unwrap();
    assert!(50 < theirs.len() && theirs.iter().all(|theirs| !text.contains(theirs)), "{theirs:?}");
    let mixed = text.lines().filter(|line| line.matches("\"],[\"").count() == 1).count();
    let without = text.lines().filter(|line| line.starts_with("{\"type\":\"seal\"")).count()
        - text
            .lines()
            .zip(text.lines().skip(1))
            .filter(|(one, next)| is(one, "seal") && is(next, "operation"))
            .count();
    println!(
        "{counts:?}, {mixed} batches with both tenants, {without} without this one, {} bytes",
        text.len()
    );
    assert!(0 < mixed && 1 < without);
}

fn is(line: &str, kind: &str) -> bool {
    line.starts_with(&format!("{{\"type\":\"{kind}\""))
}

/// A file, line by line, as a forger has it.
struct Forgery {
    lines: Vec<String>,
}

impl Forgery {
    /// The index of the nth line of a kind.
    fn nth(&self, kind: &str, number: usize) -> usize {
        let mut of_kind = self.lines.iter().enumerate().filter(|(_, line)| is(line, kind));
        of_kind.nth(number).map(|(index, _)| index).unwrap()
    }

    /// The index of the first line that contains this.
    fn with(&self, text: &str) -> usize {
        self.lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no line has {text}"))
    }

    /// Changes a line and tells where, counted from one.
    fn change(&mut self, index: usize, from: &str, to: &str) -> u64 {
        let changed = self.lines[index].replacen(from, to, 1);
        assert_ne!(changed, self.lines[index], "nothing to change: {from}");
        self.lines[index] = changed;
        index as u64 + 1
    }

    fn remove(&mut self, index: usize) {
        self.lines.remove(index);
    }

    fn value(&self, index: usize) -> Value {
        serde_json::from_str(&self.lines[index]).unwrap()
    }

    /// Makes the trailer fit again.
    fn reseal(&mut self) {
        let at = self.nth("trailer", 0);
        let before: String = self.lines[..at].iter().map(|line| format!("{line}\n")).collect();
        let count = |kind| self.lines.iter().filter(|line| is(line, kind)).count();
        let sha256 = hex(digest(&SHA256, before.as_bytes()).as_ref());
        self.lines[at] = format!(
            "{{\"type\":\"trailer\",\"lines\":{at},\"accounts\":{},\"seals\":{},\"operations\":{},\"waiting\":0,\
             \"sha256\":\"{sha256}\"}}",
            count("account"),
            count("seal"),
            count("operation"),
        );
    }

    fn check(&self, expect: Option<ExpectedHead>) -> Result<ExportReport, CheckError> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        check(text.as_bytes(), expect, 0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Root {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}

/// Labels and roots of a seal's line.
fn parts(seal: &Value) -> Vec<(Root, Root)> {
    let text = |value: &Value| unhex(value.as_str().unwrap());
    seal["parts"].as_array().unwrap().iter().map(|part| (text(&part[0]), text(&part[1]))).collect()
}

/// The index of the seal whose first operation has this key.
fn seal_of(file: &Forgery, key: &str) -> usize {
    let operation = file.with(&format!("\"key\":\"{key}\""));
    (0..operation).rev().find(|index| is(&file.lines[*index], "seal")).unwrap()
}

/// What a forger does who makes the trailer fit afterwards; tells the line that has to be blamed.
type Tampering = (&'static str, &'static str, fn(&mut Forgery) -> u64);

const TAMPERINGS: [Tampering; 26] = [
    ("completeness", "an amount is another one", |file| {
        let index = file.with("\"key\":\"plain\"");
        file.change(index, "\"minor\":\"20000\"", "\"minor\":\"20001\"");
        seal_of(file, "plain") as u64 + 1
    }),
    ("completeness", "somebody else did it", |file| {
        let index = file.with("\"key\":\"plain\"");
        file.change(index, "\"actor\":\"teller\"", "\"actor\":\"nobody\"");
        seal_of(file, "plain") as u64 + 1
    }),
    ("completeness", "a refusal has another reason", |file| {
        let index = file.with("\"key\":\"too much\"");
        file.change(index, "InsufficientFunds", "WalletFrozen");
        seal_of(file, "too much") as u64 + 1
    }),
    ("completeness", "a time is another one", |file| {
        let index = file.with("\"key\":\"last\"");
        file.change(index, "\"decidedAtUs\":1", "\"decidedAtUs\":2");
        seal_of(file, "last") as u64 + 1
    }),
    ("completeness", "a refused operation is left out", |file| {
        let seal = seal_of(file, "too much");
        file.remove(file.with("\"key\":\"too much\""));
        seal as u64 + 1
    }),
    ("balances", "an operation is left out", |file| {
        file.remove(file.with("\"key\":\"last but one\""));
        file.with("\"key\":\"last\"") as u64 + 1
    }),
    ("order", "two operations of a batch are swapped", |file| {
        let index = file.with("\"key\":\"linked fee\"");
        file.lines.swap(index - 1, index);
        index as u64 + 1
    }),
    ("chain", "two seals are swapped", |file| {
        let (one, next) = (file.nth("seal", 2), file.nth("seal", 3));
        file.lines.swap(one, next);
        one as u64 + 1
    }),
    ("chain", "a seal is left out with all that it has", |file| {
        let seal = seal_of(file, "last but one");
        file.lines.drain(seal..seal + 2);
        seal as u64 + 1
    }),
    ("chain", "the tenant is taken out of a batch", |file| {
        let seal = seal_of(file, "last");
        file.lines.remove(seal + 1);
        let parts = file.value(seal)["parts"].to_string();
        file.change(seal, &format!("\"parts\":{parts}"), "\"parts\":[]")
    }),
    ("completeness", "a batch does not say whose it is any more", |file| {
        let seal = seal_of(file, "last");
        file.lines.remove(seal + 1);
        let value = file.value(seal);
        let root = hex(&batch_root(&parts(&value)));
        file.change(seal, &format!("\"parts\":{}", value["parts"]), &format!("\"root\":\"{root}\""))
    }),
    ("chain", "a batch has a part twice", |file| {
        let seal = seal_of(file, "last");
        let parts = file.value(seal)["parts"].to_string();
        let twice = format!("{},{}", &parts[..parts.len() - 1], &parts[1..]);
        file.change(seal, &parts, &twice)
    }),
    ("chain", "a link is another one", |file| {
        let seal = file.nth("seal", 4);
        let link = file.value(seal)["link"].as_str().unwrap().to_owned();
        file.change(seal, &link, &"0".repeat(64))
    }),
    ("completeness", "another tenant's name is on it", |file| {
        let id = file.value(0)["tenantId"].as_str().unwrap().to_owned();
        file.change(0, &id, &Uuid::from_u128(9).to_string());
        seal_of(file, "plain") as u64 + 1
    }),
    ("chain", "the header names another head", |file| {
        let link = file.value(0)["head"]["link"].as_str().unwrap().to_owned();
        file.change(0, &link, &"1".repeat(64))
    }),
    ("balances", "money appears on an account", |file| {
        let index = file.with("\"name\":\"alice\"");
        file.change(index, "\"postedCredits\":\"", "\"postedCredits\":\"9")
    }),
    ("balances", "an account is left out", |file| {
        file.remove(file.with("\"name\":\"bob\""));
        file.with("\"key\":\"plain\"") as u64 + 1
    }),
    ("terms", "a closed wallet is open", |file| {
        let index = file.with("\"name\":\"empty\"");
        file.change(index, "\"status\":\"Closed\"", "\"status\":\"Active\"")
    }),
    ("terms", "a floor is lower", |file| {
        let index = file.with("\"name\":\"carol\"");
        file.change(index, "\"floor\":\"-5000\"", "\"floor\":\"-9000\"")
    }),
    ("form", "a wallet has another name", |file| {
        let index = file.with("\"name\":\"dave\"");
        file.change(index, "dave", "eve")
    }),
    ("form", "decimals are others", |file| {
        let index = file.nth("account", 0);
        file.change(index, "\"decimals\":2", "\"decimals\":3")
    }),
    ("order", "accounts are in another order", |file| {
        let index = file.nth("account", 0);
        file.lines.swap(index, index + 1);
        index as u64 + 2
    }),
    ("form", "money is a number", |file| {
        let index = file.with("\"key\":\"plain\"");
        file.change(index, "\"minor\":\"20000\"", "\"minor\":20000")
    }),
    ("form", "money is written in another way", |file| {
        let index = file.with("\"key\":\"plain\"");
        file.change(index, "\"minor\":\"20000\"", "\"minor\":\"020000\"")
    }),
    ("form", "there is a field more", |file| {
        let index = file.with("\"key\":\"plain\"");
        file.change(index, "{\"type\":\"operation\",", "{\"type\":\"operation\",\"note\":\"x\",")
    }),
    ("form", "operations are before their seal", |file| {
        let (seal, line) = (file.nth("seal", 0), file.lines.remove(file.with("\"key\":\"fund\"")));
        file.lines.insert(seal, line);
        seal as u64 + 1
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_is_found_with_its_line() {
    let ledger = exercised().await;
    let (file, head) = (exported(&ledger, "acme").await, head(&ledger).await);
    let text = String::from_utf8(file).unwrap();
    let fresh = || Forgery { lines: text.lines().map(str::to_owned).collect() };
    let mut resealed = fresh();
    resealed.reseal();
    assert!(resealed.lines == fresh().lines && fresh().check(Some(head)).unwrap().sound);
    for (name, what, tamper) in TAMPERINGS {
        let mut file = fresh();
        let line = tamper(&mut file);
        file.reseal();
        let report = file.check(Some(head)).unwrap();
        let found = report.problems.iter().any(|problem| (problem.check, problem.line) == (name, line));
        assert!(found && !report.sound, "{what}: no {name} at line {line}: {:#?}", report.problems);
    }
    println!("{} tamperings tried and found", TAMPERINGS.len());
    // Without the trailer's help: a forger who does not make it fit, and files that were cut.
    let whole = text.as_bytes();
    let cut = [
        ("file", whole[..whole.len() - fresh().lines.last().unwrap().len() - 1].to_vec()),
        ("form", whole[..whole.len() - 1].to_vec()),
        ("form", whole[..whole.len() / 2].to_vec()),
        ("form", [whole, b"{}\n"].concat()),
        ("form", [whole, fresh().lines[1].as_bytes(), b"\n"].concat()),
        ("form", b"{}\n".to_vec()),
        ("file", Vec::new()),
    ];
    for (name, bytes) in cut {
        let report = check(&bytes[..], None, 0).unwrap();
        assert!(report.problems.iter().any(|problem| problem.check == name), "{name}: {report:#?}");
    }
    assert!(matches!(
        check(text.replacen("export.v1", "export.v2", 1).as_bytes(), None, 0),
        Err(CheckError::Format(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_and_the_head_that_was_kept_count() {
    let ledger = exercised().await;
    let (file, head) = (exported(&ledger, "acme").await, head(&ledger).await);
    // Bytes all over the file; another stride for each run would be no better.
    let stride = file.len() / support::sized(60, 3_000);
    let mut tried = 0;
    for place in (0..file.len()).step_by(stride) {
        let mut bytes = file.clone();
        bytes[place] ^= 1;
        let found = check(&bytes[..], None, 0).map_or(true, |report| !report.sound);
        assert!(found, "byte {place} of {} may be another one", file.len());
        tried += 1;
    }
    println!("{tried} changed bytes tried and found");
    let of = |expect| check(&file[..], Some(expect), 0).unwrap();
    let before = ExpectedHead { seal: 0, link: CHAIN_START };
    assert!(of(before).sound, "the ledger may have grown since the head was kept");
    for expect in [
        ExpectedHead { link: CHAIN_START, ..head },
        ExpectedHead { seal: head.seal - 1, ..head },
        ExpectedHead { seal: head.seal + 1, ..head },
    ] {
        let found = of(expect).problems;
        assert!(matches!(&found[..], [one] if one.check == "expected_head"), "{expect:?}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_an_earlier_release_are_proved_as_far_as_they_can_be() {
    let ledger = exercised().await;
    let mut superuser = ledger.database.superuser().await;
    superuser.execute(sqlx::raw_sql(AssertSqlSafe(as_before(&ledger).await))).await.unwrap();
    // The ledger itself counts as sound with either kind of root.
    let head = head(&ledger).await;
    let file = exported(&ledger, "acme").await;
    let report = check(&file[..], Some(head), head.seal).unwrap();
    assert!(report.sound, "{report:#?}");
    let text = String::from_utf8(file.clone()).unwrap();
    let named = text.lines().filter(|line| is(line, "seal") && line.contains("\"named\":")).count();
    println!("{named} seals that name their tenants, {} that say nothing", report.opaque_seals);
    assert!(0 < named && 1 < report.opaque_seals);
    // Whoever does not know of such a release is not told that nothing is missing.
    let strict = check(&file[..], Some(head), 0).unwrap();
    assert_eq!(strict.violations, report.opaque_seals);
    assert!(strict.problems.iter().all(|problem| problem.check == "completeness"), "{strict:#?}");
}

/// Its seal and number, its tenants and their roots.
type SealedBatch = (i64, i64, Vec<Uuid>, Vec<Vec<u8>>);

/// Makes every root, and so the chain, what it was before there were labels.
async fn as_before(ledger: &Ledger) -> String {
    let mut superuser = ledger.database.superuser().await;
    let batches: Vec<SealedBatch> = sqlx::query_as(
        "select s.seal, s.batch_id, array_agg(t.tenant_id order by t.tenant_id), array_agg(t.root::bytea order by t.tenant_id) \
         from payplane.seals s join payplane.batch_tenants t on t.batch_id = s.batch_id \
         group by s.seal, s.batch_id order by s.seal",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let (mut statements, mut link) = (String::new(), CHAIN_START);
    for (seal, batch, tenants, roots) in batches {
        let roots = roots.iter().map(|root| Root::try_from(&root[..]).unwrap());
        let parts: Vec<_> = tenants.into_iter().map(TenantId::from_uuid).zip(roots).collect();
        let root = named_batch_root(&parts);
        link = chain_link(&link, seal, BatchId(batch), &root);
        let (root, link) = (hex(&root), hex(&link));
        statements += &format!(
            "update payplane.batches set root = decode('{root}', 'hex') where batch_id = {batch}; \
             update payplane.seals set link = decode('{link}', 'hex') where seal = {seal}; \
             update payplane.seal_head set link = decode('{link}', 'hex'); "
        );
    }
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_sealed_is_told_as_such() {
    let ledger = Ledger::new().await;
    ledger.fund(ledger.acme, 1_000).await;
    let mut superuser = ledger.database.superuser().await;
    eventually("the first seal", async || {
        let seals: i64 = sqlx::query_scalar("select count(*) from payplane.seals")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        (seals == 1).then_some(())
    })
    .await;
    // Whoever seals skips a head that somebody else has.
    superuser.execute("begin; select from payplane.seal_head for update").await.unwrap();
    let ask = Ask { key: "late", ..ledger.between(ledger.acme, "alice", "bob", 7) };
    ledger.done(ledger.acme, Kind::Pay, ask).await;
    let file = exported(&ledger, "acme").await;
    let report = check(&file[..], None, 0).unwrap();
    assert!(report.sound, "{report:#?}");
    assert_eq!((report.counts.seals, report.counts.operations, report.counts.waiting), (1, 2, 1));
    superuser.execute("rollback").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_no_further_than_its_reader() {
    let ledger = exercised().await;
    let (sender, mut chunks) = mpsc::channel::<Vec<u8>>(1);
    let store = ledger.engine.store.clone();
    let writing = tokio::spawn(async move { export(&store, &Whose::Name("acme".to_owned()), sender).await });
    let first = chunks.recv().await.unwrap();
    eventually("a chunk that waits", async || (chunks.len() == 1).then_some(())).await;
    assert!(!writing.is_finished(), "the rest was put somewhere");
    drop(chunks);
    assert!(matches!(writing.await.unwrap(), Err(ExportError::Gone)));
    println!("a chunk of {} bytes", first.len());
    assert!(first.len() < 128 * 1024);
}

fn payplane_engine(arguments: &[&str]) -> (Option<i32>, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_payplane-engine")).args(arguments).output().unwrap();
    (output.status.code(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_write_a_file_and_check_it_without_a_database() {
    let ledger = exercised().await;
    let (files, head) = (TempDir::new(), head(&ledger).await);
    let database = ledger.database.app_dir();
    let path = files.path().join("acme.jsonl");
    let (path, database) = (path.to_str().unwrap(), database.to_str().unwrap());
    let write = |tenant: &str| {
        payplane_engine(&["export", "--database-dir", database, "--tenant", tenant, "--out", path])
    };
    assert_eq!(write("nobody").0, Some(1));
    assert!(!std::fs::exists(path).unwrap(), "a part of a file is left");
    let (code, output) = write("acme");
    assert_eq!(code, Some(0), "{output:?}");
    let written = std::fs::read(path).unwrap();
    assert_eq!(write("acme").0, Some(1));
    assert_eq!(std::fs::read(path).unwrap(), written, "a file that was there was touched");

    let kept = format!("{}:{}", head.seal, hex(&head.link));
    let (code, output) = payplane_engine(&["verify-export", path, "--head", &kept]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (code, &report["sound"], &report["head"]),
        (Some(0), &true.into(), &kept.into()),
        "{report:#}"
    );
    let other = format!("1:{}", "0".repeat(64));
    assert_eq!(payplane_engine(&["verify-export", path, "--expect-head", &other]).0, Some(1));
    std::fs::write(path, &written[..written.len() / 2]).unwrap();
    let (code, output) = payplane_engine(&["verify-export", path]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code, &report["sound"]), (Some(1), &false.into()), "{report:#}");
    assert!(0 < report["problems"][0]["line"].as_u64().unwrap(), "{report:#}");
    assert_eq!(payplane_engine(&["verify-export", "no-such-file"]).0, Some(2));
}

async fn streamed(client: &Client) -> Result<Vec<u8>, tonic::Status> {
    let mut stream = client.ledger.clone().export_tenant(proto::ExportTenantRequest {}).await?.into_inner();
    let mut file = Vec::new();
    while let Some(answer) = stream.message().await? {
        file.extend_from_slice(&answer.data);
    }
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_admin_gets_the_file_over_grpc() {
    let world = World::new().await;
    world.as_role("acme", "operator").wallet("alice", "USD").await;
    world.fund("acme", "alice", "12.50").await;
    world.as_role("globex", "operator").wallet("bob", "USD").await;
    world.fund("globex", "bob", "1.00").await;
    for client in [world.as_role("acme", "admin"), world.as_platform(Some("acme"))] {
        let report = check(&streamed(&client).await.unwrap()[..], None, 0).unwrap();
        assert!(report.sound, "{report:#?}");
        assert_eq!((report.tenant.as_deref(), report.counts.operations), (Some("acme"), 1));
    }
    let other = check(&streamed(&world.as_role("globex", "admin")).await.unwrap()[..], None, 0).unwrap();
    assert_eq!((other.sound, other.tenant.as_deref()), (true, Some("globex")));
    for role in ["viewer", "operator", "treasury"] {
        assert_eq!(code(streamed(&world.as_role("acme", role)).await), Code::PermissionDenied, "{role}");
    }
    assert_ne!(code(streamed(&world.as_platform(None)).await), Code::Ok);
}
