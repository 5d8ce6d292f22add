//! An export loaded into an empty database: an engine answers from it what was at any time, says nothing of others, and
//! writes nothing. The oracle is the ledger that it was exported from.

use std::process::{Command, Output};

use payplane_proto::v1::{
    self as proto, GetBalanceAtRequest, GetStatementRequest, StatementLine, get_balance_at_request::At,
};
use sqlx::{AssertSqlSafe, Executor as _};
use tonic::Code;

use super::support::{
    TempDir,
    client::{Client, capture, code, hold, name, paid, payment, refund, settlement},
    eventually,
    postgres::{Database, Postgres},
    world::World,
};

/// Writes a history that has every state that a payment or refund can be asked about, and gives the payments' ids.
async fn history(world: &World) -> Vec<String> {
    let operator = world.as_role("acme", "operator");
    for wallet in ["alice", "bob"] {
        operator.wallet(wallet, "USD").await;
    }
    world.fund("acme", "alice", "100.00").await;
    let ten = operator.pay(payment("ten", "alice", "bob", "10.00")).await.unwrap().payment_id;
    let thirty = operator.hold(hold("thirty", "alice", "bob", "30.00")).await.payment_id;
    let five = operator.hold(hold("five", "alice", "bob", "5.00")).await.payment_id;
    let taken = operator.payments.clone().capture_payment(capture("c", &thirty, "20.00")).await.unwrap();
    paid(&taken.into_inner().outcome.unwrap());
    operator.payments.clone().refund_payment(refund("r", &ten, "4.00")).await.unwrap();
    let others = world.as_role("globex", "operator");
    for wallet in ["alice", "carol"] {
        others.wallet(wallet, "USD").await;
    }
    world.fund("globex", "alice", "7.00").await;
    others.pay(payment("theirs", "alice", "carol", "1.00")).await.unwrap();
    vec![ten, thirty, five]
}

async fn exported(client: &Client) -> Vec<u8> {
    let mut stream =
        client.ledger.clone().export_tenant(proto::ExportTenantRequest {}).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        file.extend_from_slice(&answer.data);
    }
    file
}

fn load(file: &str, database: &Database, more: &[&str]) -> (Option<i32>, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_payplane-engine"))
        .args(["load-export", file])
        .args(more)
        .arg("--owner-database-dir")
        .arg(database.owner_dir())
        .arg("--app-database-dir")
        .arg(database.app_dir())
        .output()
        .unwrap();
    (output.status.code(), output)
}

async fn statement(client: &Client, wallet: proto::WalletRef) -> Vec<StatementLine> {
    let request =
        GetStatementRequest { wallet: Some(wallet), currency: "USD".to_owned(), ..Default::default() };
    client.wallets.clone().get_statement(request).await.unwrap().into_inner().lines
}

async fn balance_at(client: &Client, wallet: &str, at: At) -> proto::GetBalanceAtResponse {
    let request = GetBalanceAtRequest { wallet: Some(name(wallet)), at: Some(at), ..Default::default() };
    client.wallets.clone().get_balance_at(request).await.unwrap().into_inner()
}

/// How many rows each table has of whom.
async fn counted(database: &Database, query: &str) -> Vec<String> {
    let mut superuser = database.superuser().await;
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut superuser).await.unwrap()
}

const EVERYBODYS: &str = "\
    select distinct 'journal ' || tenant_id from payplane.journal union select distinct 'accounts ' || tenant_id from payplane.accounts \
    union select distinct 'wallets ' || tenant_id from payplane.wallets union select distinct 'tenants ' || tenant_id from payplane.tenants \
    union select distinct 'batches ' || tenant_id from payplane.batch_tenants union select distinct 'payments ' || tenant_id from payplane.payments \
    union select distinct 'refunds ' || tenant_id from payplane.refunds";

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_export_answers_as_the_ledger_did_and_takes_no_writes() {
    let mut world = World::new().await;
    let payments = history(&world).await;
    let viewer = world.as_role("acme", "viewer");
    let newest = statement(&viewer, name("alice")).await[0].sequence;
    eventually("seals", async || {
        (balance_at(&viewer, "alice", At::Sequence(i64::MAX)).await.sequence == newest).then_some(())
    })
    .await;
    let files = TempDir::new();
    let file = exported(&world.as_role("acme", "admin")).await;
    let path = files.write("acme.jsonl", str::from_utf8(&file).unwrap());
    let path = path.to_str().unwrap();

    // A file that is not sound loads nothing, and nothing is loaded over something.
    let scratch = Postgres::shared().empty_database().await;
    let damaged = files.write(
        "damaged.jsonl",
        &String::from_utf8(file.clone()).unwrap().replacen("\"minor\":\"1000\"", "\"minor\":\"1001\"", 1),
    );
    let (status, output) = load(damaged.to_str().unwrap(), &scratch, &[]);
    assert_eq!(status, Some(1), "{output:?}");
    let schemas = "select nspname::text from pg_namespace where nspname = 'payplane'";
    assert_eq!(counted(&scratch, schemas).await, Vec::<String>::new());
    let (status, output) = load(path, &scratch, &[]);
    assert_eq!(status, Some(0), "{output:?}");
    let (status, output) = load(path, &scratch, &[]);
    assert!(status == Some(2) && String::from_utf8_lossy(&output.stderr).contains("empty one"), "{output:?}");

    world.add_engine(scratch.app_dir()).await;
    let there = world.as_role_at(1, "acme", "viewer");
    let lines = statement(&viewer, name("alice")).await;
    assert_eq!(lines.len(), 6);
    for wallet in [name("alice"), name("bob"), settlement()] {
        assert_eq!(statement(&viewer, wallet.clone()).await, statement(&there, wallet).await);
    }
    let mut compared = 0;
    for line in &lines {
        for at in [At::Sequence(line.sequence), At::Sequence(line.sequence - 1), At::Time(line.time.unwrap())]
        {
            let (here, loaded) =
                (balance_at(&viewer, "alice", at).await, balance_at(&there, "alice", at).await);
            assert_eq!(
                (&here.balance, here.sequence, here.time),
                (&loaded.balance, loaded.sequence, loaded.time),
                "{at:?}"
            );
            compared += 1;
        }
    }
    for id in &payments {
        assert_eq!(viewer.read_payment(id).await, there.read_payment(id).await);
    }
    let head = async |client: &Client| {
        client.ledger.clone().get_head(proto::GetHeadRequest {}).await.unwrap().into_inner()
    };
    let (here, loaded) = (head(&viewer).await.head.unwrap(), head(&there).await.head.unwrap());
    assert!(loaded.seal <= here.seal && 0 < loaded.seal, "{loaded:?}");

    // Of the other tenant there is nothing, neither in the answers nor in the tables.
    let theirs = world.as_role_at(1, "globex", "viewer");
    let request = GetStatementRequest { wallet: Some(name("alice")), ..Default::default() };
    assert_ne!(code(theirs.wallets.clone().get_statement(request).await), Code::Ok);
    let rows = counted(&scratch, EVERYBODYS).await;
    let acme =
        counted(&world.database, "select tenant_id::text from payplane.tenants where name = 'acme'").await;
    assert!(rows.len() == 7 && rows.iter().all(|row| row.ends_with(&acme[0])), "{rows:?}");

    // Neither the engine writes nor its login, with whatever function.
    let before = counted(&scratch, "select count(*)::text from payplane.journal").await;
    let platform = world.issuer.token(super::support::world::OPERATOR_OF_PLATFORM);
    let platform = world.with_token_at(1, &platform, &[("payplane-namespace", "acme")]);
    let mut refused = 0;
    for number in 0..5 {
        let asked = platform.pay(payment(&format!("new {number}"), "alice", "bob", "1.00")).await;
        assert_eq!(code(asked), Code::Unavailable);
        refused += 1;
    }
    let request = proto::CreateWalletRequest {
        name: "eve".to_owned(),
        currency: "USD".to_owned(),
        ..Default::default()
    };
    assert_eq!(code(platform.wallets.clone().create_wallet(request).await), Code::Unavailable);
    for statement in [
        format!("select payplane.put_personal_data('{}', 'x', '{{}}')", acme[0]),
        format!("select payplane.put_wallet_metadata('{}', gen_random_uuid(), '{{}}')", acme[0]),
    ] {
        let error = scratch.as_engine().await.execute(AssertSqlSafe(statement)).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("25006"), "{error:?}");
    }
    assert_eq!(counted(&scratch, "select count(*)::text from payplane.journal").await, before);
    println!(
        "{compared} balances of the past and {} operations compared, {refused} payments refused",
        before[0]
    );
}
