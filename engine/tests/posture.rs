//! What somebody can do who stole the engine's password, and how a database gets its schema.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use futures::future::join_all;
use payplane_engine::store::{DatabaseConfig, migrate};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use support::{
    client::name,
    postgres::{Database, Postgres},
    world::World,
};
use uuid::Uuid;

const TABLES: [&str; 10] = [
    "platform",
    "tenants",
    "tenant_namespaces",
    "tenant_grants",
    "settlement_caps",
    "accounts",
    "payments",
    "transfers",
    "batches",
    "batch_tenants",
];

const FORBIDDEN: &str = "42501";
const DOES_NOT_FOLLOW: &str = "PP002";

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_login_writes_no_table() {
    let world = World::new().await;
    let mut thief = world.database.as_engine().await;
    for table in TABLES {
        let statements = [
            format!("insert into payplane.{table} default values"),
            format!("delete from payplane.{table}"),
            format!("truncate payplane.{table}"),
            format!("copy payplane.{table} from stdin"),
            format!("alter table payplane.{table} disable row level security"),
            format!("drop table payplane.{table}"),
            format!("lock table payplane.{table} in share mode"),
        ];
        for statement in statements {
            assert_eq!(refusal(&mut thief, &statement).await, FORBIDDEN, "{statement}");
        }
    }
    let definer = format!("{}_app_definer", world.database.name);
    let owner = format!("{}_owner", world.database.name);
    let others = [
        "update payplane.accounts set posted_credits = 1000000".to_owned(),
        "update payplane.payments set refusal = null".to_owned(),
        "update payplane.transfers set minor = 1".to_owned(),
        "update payplane.batches set root = root".to_owned(),
        "create table payplane.mine (x int)".to_owned(),
        "create function payplane.mine() returns int language sql as 'select 1'".to_owned(),
        "select nextval('payplane.batch_ids')".to_owned(),
        format!("set role {definer}"),
        format!("set role {owner}"),
        "set role postgres".to_owned(),
        "select * from payplane.tenants".to_owned(),
        "select pg_read_file('/etc/passwd')".to_owned(),
    ];
    for statement in others {
        assert_eq!(refusal(&mut thief, &statement).await, FORBIDDEN, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_show_for_one_tenant_at_a_time() {
    let world = World::new().await;
    world.as_role("acme", "operator").wallet("ours", "USD").await;
    world.as_role("globex", "operator").wallet("theirs", "USD").await;
    let mut thief = world.database.as_engine().await;
    let count = "select count(*) from payplane.accounts";
    for setting in ["reset payplane.tenant", "set payplane.tenant = ''"] {
        thief.execute(setting).await.unwrap();
        assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut thief).await.unwrap(), 0);
    }
    let mut superuser = world.database.superuser().await;
    let acme: Uuid = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'acme'")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    thief.execute(AssertSqlSafe(format!("set payplane.tenant = '{acme}'"))).await.unwrap();
    let names: Vec<Option<String>> = sqlx::query_scalar("select name from payplane.accounts order by name")
        .fetch_all(&mut thief)
        .await
        .unwrap();
    assert_eq!(names, [Some("ours".to_owned()), None]);
}

/// A batch with one transfer of a hundred, as text of a call of commit_batch.
#[derive(Clone, Debug)]
struct Forgery {
    tenant: Uuid,
    root_tenant: Uuid,
    debit: Uuid,
    credit: Uuid,
    minor: i64,
    currency: &'static str,
    refusal: &'static str,
    batch: i64,
    sequence: i64,
    debit_previous: i64,
    debit_posted_debits: i64,
    debit_version: i64,
    credit_posted_credits: i64,
    credit_pending: i64,
    rows: i64,
}

impl Forgery {
    fn call(&self) -> String {
        let payment = Uuid::new_v4();
        let Self {
            tenant, root_tenant, debit, credit, minor, currency, refusal, batch, sequence, rows, ..
        } = self;
        let Self {
            debit_previous,
            debit_posted_debits,
            debit_version,
            credit_posted_credits,
            credit_pending,
            ..
        } = self;
        format!(
            "select payplane.commit_batch({batch}, 0, sha256(''), array['{tenant}']::uuid[], \
             array['{payment}']::uuid[], array[{sequence}]::bigint[], array[1]::smallint[], array['k'], \
             array['{debit}']::uuid[], array['{credit}']::uuid[], array[{minor}]::bigint[], array['{currency}'], \
             array[''], array[''], array[''], array[''], array[{refusal}]::smallint[], \
             array[case when {refusal} is not null then 'from' end], \
             array[{debit_previous}]::bigint[], array[{debit_posted_debits}]::bigint[], array[10000]::bigint[], \
             array[0]::bigint[], array[0]::bigint[], array[{debit_version}]::bigint[], \
             array[0]::bigint[], array[0]::bigint[], array[{credit_posted_credits}]::bigint[], \
             array[{credit_pending}]::bigint[], array[0]::bigint[], array[1]::bigint[], \
             array['{root_tenant}']::uuid[], array[sha256('')], array[{rows}]::integer[])"
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_batch_takes_only_what_follows_from_the_accounts() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let alice: Uuid = operator.wallet("alice", "USD").await.parse().unwrap();
    let bob: Uuid = operator.wallet("bob", "USD").await.parse().unwrap();
    let euro: Uuid = operator.wallet("euro", "EUR").await.parse().unwrap();
    let theirs: Uuid = world.as_role("globex", "operator").wallet("theirs", "USD").await.parse().unwrap();
    world.fund("acme", "alice", "100.00").await;
    let mut superuser = world.database.superuser().await;
    let (acme, last): (Uuid, i64) =
        sqlx::query_as("select tenant_id, last_transfer from payplane.accounts where name = 'alice'")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    let globex: Uuid = sqlx::query_scalar("select tenant_id from payplane.tenants where name = 'globex'")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    let good = Forgery {
        tenant: acme,
        root_tenant: acme,
        debit: alice,
        credit: bob,
        minor: 100,
        currency: "USD",
        refusal: "null",
        batch: 1_000,
        sequence: 1_000 * 1_024,
        debit_previous: last,
        debit_posted_debits: 100,
        debit_version: 2,
        credit_posted_credits: 100,
        credit_pending: 0,
        rows: 1,
    };
    let bad = [
        ("an unbalanced credit", Forgery { credit_posted_credits: 101, ..good.clone() }),
        ("a debit that is not taken", Forgery { debit_posted_debits: 0, ..good.clone() }),
        ("another amount", Forgery { minor: 1, ..good.clone() }),
        ("another tenant's account", Forgery { credit: theirs, ..good.clone() }),
        ("an account that is not there", Forgery { credit: Uuid::nil(), ..good.clone() }),
        ("another tenant", Forgery { tenant: globex, root_tenant: globex, ..good.clone() }),
        ("another currency", Forgery { credit: euro, ..good.clone() }),
        ("a wrong currency", Forgery { currency: "EUR", ..good.clone() }),
        ("an old version", Forgery { debit_version: 1, ..good.clone() }),
        ("a fork of the history", Forgery { debit_previous: 0, ..good.clone() }),
        ("a number of another batch", Forgery { sequence: 999 * 1_024, ..good.clone() }),
        ("a number of the past", Forgery { batch: 0, sequence: 1, ..good.clone() }),
        ("held money out of nothing", Forgery { credit_pending: 5, ..good.clone() }),
        ("money with a refusal", Forgery { refusal: "8", ..good.clone() }),
        ("a root over other rows", Forgery { rows: 2, ..good.clone() }),
        ("a root of another tenant", Forgery { root_tenant: globex, ..good.clone() }),
    ];
    let mut thief = world.database.as_engine().await;
    for (what, forgery) in bad {
        assert_eq!(refusal(&mut thief, &forgery.call()).await, DOES_NOT_FOLLOW, "{what}");
    }
    let overdrawn =
        Forgery { minor: 10_001, debit_posted_debits: 10_001, credit_posted_credits: 10_001, ..good.clone() };
    let constraints = [
        ("below the floor", overdrawn),
        ("negative", Forgery { minor: -100, ..good.clone() }),
        ("nothing", Forgery { minor: 0, ..good.clone() }),
        ("to itself", Forgery { credit: alice, ..good.clone() }),
    ];
    for (what, forgery) in constraints {
        assert_eq!(refusal(&mut thief, &forgery.call()).await, "23514", "{what}");
    }
    assert_eq!(operator.available(name("alice")).await, "100.00");
    // Not vacuous: the same call without a flaw is taken.
    thief.execute(AssertSqlSafe(good.call())).await.unwrap();
    assert_eq!(
        (operator.available(name("alice")).await, operator.available(name("bob")).await),
        ("99.00".into(), "1.00".into())
    );
    world.assert_balanced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_migrations_at_once_leave_one_schema() {
    let database = Postgres::shared().empty_database().await;
    join_all((0..4).map(|_| migration(&database))).await;
    let mut superuser = database.superuser().await;
    let (rows, platforms): (i64, i64) = sqlx::query_as(
        "select (select count(*) from payplane.schema_migrations where success), (select count(*) from payplane.platform)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!((rows, platforms), (3, 1));
    let before: Uuid = sqlx::query_scalar("select platform_id from payplane.platform")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    migration(&database).await;
    let after: Uuid = sqlx::query_scalar("select platform_id from payplane.platform")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(before, after);
    superuser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_set_by_the_next_migration() {
    let database = Postgres::shared().database().await;
    database.files.write("app/password", "another one with ' and \\");
    migration(&database).await;
    database.as_engine().await.close().await.unwrap();
}

async fn migration(database: &Database) {
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    let app = DatabaseConfig::read(&database.app_dir()).unwrap();
    migrate(&owner, &app, std::time::Duration::from_secs(20)).await.unwrap();
}

/// The SQLSTATE that a statement is refused with; each runs in a transaction that is rolled back.
async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let mut transaction = connection.begin().await.unwrap();
    let result = transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await;
    let error = result.map(|_| ()).expect_err(statement);
    let state = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    transaction.rollback().await.unwrap();
    state
}
