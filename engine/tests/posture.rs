//! What somebody can do who stole the engine's password, and how a database gets its schema. What commit_batch refuses
//! is in `attacks.rs`.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use futures::future::join_all;
use payplane_engine::store::{DatabaseConfig, MigrateOptions, migrate};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use support::{
    forgery::{refusal, row_hash},
    ledger::Ledger,
    postgres::{Database, Postgres},
};
use uuid::Uuid;

const FORBIDDEN: &str = "42501";

/// Each finds what should not be, and does find it after its mutant; `{app}` and `{definer}` are the roles. What belongs
/// to no tenant alone is named here and nowhere else.
const POSTURE: [(&str, &str, &str); 14] = [
    (
        "a role of ours with special rights",
        "select rolname::text from pg_roles where rolname in ('{app}', '{definer}') and (rolsuper or rolbypassrls \
         or rolcreaterole or rolcreatedb or rolreplication or (rolname = '{definer}' and rolcanlogin))",
        "alter role {app} bypassrls",
    ),
    (
        "a role that the engine's login is a member of",
        "select r.rolname::text from pg_auth_members m join pg_roles r on r.oid = m.roleid \
         where m.member = '{app}'::regrole",
        "grant {definer} to {app}",
    ),
    (
        "something that the engine's login owns",
        "select c.relname::text from pg_class c where c.relowner = '{app}'::regrole \
         union all select proname from pg_proc where proowner = '{app}'::regrole \
         union all select nspname from pg_namespace where nspowner = '{app}'::regrole \
         union all select typname from pg_type where typowner = '{app}'::regrole \
         union all select datname from pg_database where datdba = '{app}'::regrole",
        "alter table payplane.seals owner to {app}",
    ),
    (
        "something that the engine's login may write",
        "select c.relname::text from pg_class c where c.relnamespace = 'payplane'::regnamespace and \
         case when c.relkind in ('r', 'p', 'v', 'm', 'f') then \
           has_table_privilege('{app}', c.oid, 'insert, update, delete, truncate, references, trigger') \
           or has_any_column_privilege('{app}', c.oid, 'insert, update, references') \
         when c.relkind = 'S' then has_sequence_privilege('{app}', c.oid, 'usage, select, update') end \
         union all select 'schema' where has_schema_privilege('{app}', 'payplane', 'create') \
         union all select 'database' where has_database_privilege('{app}', current_database(), 'create')",
        "grant update (minor) on payplane.journal to {app}",
    ),
    (
        "history that the definer may change",
        "select c.relname::text from pg_class c where c.relnamespace = 'payplane'::regnamespace and c.relkind = 'r' \
         and ( \
         c.relname in ('journal', 'batches', 'batch_tenants', 'seals', 'invoices', 'seal_blocks', 'collections', \
           'credit_notes', 'prepaid_grants', 'prepaid_uses', 'usage_events', 'plan_versions', 'plan_agreements', \
           'reached_thresholds') and has_any_column_privilege('{definer}', c.oid, 'update') \
         or c.relname in ('journal', 'accounts', 'wallets', 'payments', 'refunds', 'usages', 'batches', \
           'batch_tenants', 'seals', 'seal_head', 'tenants', 'invoices', 'seal_blocks', 'collections', \
           'credit_notes', 'prepaid_grants', 'prepaid_uses', 'usage_events', 'usage_heads', \
           'plan_versions', 'plan_agreements', 'reached_thresholds') and has_table_privilege('{definer}', c.oid, 'delete') \
         or has_table_privilege('{definer}', c.oid, 'truncate'))",
        "grant delete on payplane.journal to {definer}",
    ),
    (
        "a definer in whose schema somebody may create",
        "select rolname::text from pg_roles where rolname in ('{definer}', '{app}') \
         and has_schema_privilege(rolname, 'payplane', 'create')",
        "grant create on schema payplane to {definer}",
    ),
    (
        "a table of tenants without forced row-level security and a policy of one tenant",
        "select c.relname::text from pg_class c \
         where c.relnamespace = 'payplane'::regnamespace and c.relkind in ('r', 'p') \
         and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') \
         and not (c.relrowsecurity and c.relforcerowsecurity and exists ( \
           select from pg_policy p where p.polrelid = c.oid and p.polroles = '{0}' and p.polcmd = 'r' \
           and pg_get_expr(p.polqual, p.polrelid) = \
             '(tenant_id = (NULLIF(current_setting(''payplane.tenant''::text, true), ''''::text))::uuid)'))",
        "alter table payplane.journal no force row level security",
    ),
    (
        "a policy for somebody else than the definer that does not name the tenant",
        "select p.polname::text || ' of ' || p.polrelid::regclass from pg_policy p \
         where p.polroles <> array['{definer}'::regrole::oid] \
         and pg_get_expr(p.polqual, p.polrelid) not like '(tenant_id = %'",
        "create policy mine on payplane.accounts using (true)",
    ),
    (
        "a tenant that may be null",
        "select attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid \
         where c.relnamespace = 'payplane'::regnamespace and c.relkind = 'r' and attname = 'tenant_id' \
         and not (attnotnull and atttypid = 'uuid'::regtype)",
        "create table payplane.mine (tenant_id text)",
    ),
    (
        // One namespace belongs to one tenant, and tenants have different names: only administrators write these.
        "a foreign or unique key on a table of tenants that does not name the tenant",
        "select k.conname::text from pg_constraint k join pg_attribute a on a.attrelid = k.conrelid \
         where a.attname = 'tenant_id' and k.contype in ('f', 'u', 'p', 'x') and a.attnum <> all (k.conkey) \
         and k.connamespace = 'payplane'::regnamespace \
         and k.conname not in ('tenant_namespaces_pkey', 'tenants_name_key') \
         union all select i.indexrelid::regclass::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid \
         join pg_class c on c.oid = i.indrelid \
         where c.relnamespace = 'payplane'::regnamespace and a.attname = 'tenant_id' and i.indisunique \
         and a.attnum <> all (i.indkey::int2[]) \
         and i.indexrelid::regclass::text not in ('payplane.tenant_namespaces_pkey', 'payplane.tenants_name_key')",
        "alter table payplane.wallets add unique (account_id)",
    ),
    (
        "a function that runs with its owner's rights on somebody else's search path, or with the wrong owner",
        "select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'payplane'::regnamespace and ( \
         p.prosecdef and not 'search_path=pg_catalog, payplane, pg_temp' = any (coalesce(p.proconfig, '{}')) \
         or p.proowner <> '{definer}'::regrole)",
        "alter function payplane.seal_batches(integer) reset search_path",
    ),
    (
        "a function for everybody, or for somebody we do not know",
        "select p.oid::regprocedure::text \
         from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g \
         where p.pronamespace = 'payplane'::regnamespace \
         and g.grantee not in ('{app}'::regrole::oid, '{definer}'::regrole::oid)",
        "grant execute on function payplane.seal_batches(integer) to public",
    ),
    (
        "a table, type's owner or schema with a right for everybody",
        "select c.relname::text from pg_class c, aclexplode(c.relacl) g \
         where c.relnamespace = 'payplane'::regnamespace and g.grantee = 0 \
         union all select nspname from pg_namespace n, aclexplode(n.nspacl) g \
         where nspname = 'payplane' and g.grantee = 0",
        "grant select on payplane.seals to public",
    ),
    (
        "a view that shows more than its reader may see, a rule, or a trigger",
        "select c.relname::text from pg_class c where c.relnamespace = 'payplane'::regnamespace \
         and (c.relkind = 'm' \
           or c.relkind = 'v' and not coalesce('security_invoker=true' = any (c.reloptions), false)) \
         union all select rulename from pg_rewrite r join pg_class c on c.oid = r.ev_class \
         where c.relnamespace = 'payplane'::regnamespace and rulename <> '_RETURN' \
         union all select tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid \
         where c.relnamespace = 'payplane'::regnamespace and not t.tgisinternal",
        "create view payplane.mine as select * from payplane.journal",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_posture_is_as_designed() {
    let database = Postgres::shared().database().await;
    let (app, definer) = (format!("{}_app", database.name), format!("{}_app_definer", database.name));
    let mut superuser = database.superuser().await;
    for (what, query, mutant) in POSTURE {
        let [query, mutant] =
            [query, mutant].map(|text| text.replace("{app}", &app).replace("{definer}", &definer));
        let find = || sqlx::query_scalar::<_, String>(AssertSqlSafe(query.clone()));
        let found = find().fetch_all(&mut superuser).await.unwrap();
        assert!(found.is_empty(), "{what}: {found:?}");
        let mut transaction = superuser.begin().await.unwrap();
        transaction.execute(AssertSqlSafe(mutant.clone())).await.unwrap();
        let found = find().fetch_all(&mut *transaction).await.unwrap();
        assert!(!found.is_empty(), "{what} is not found after {mutant}");
        transaction.rollback().await.unwrap();
    }
    // Not vacuous: there are tables of tenants, and functions.
    let counts: (i64, i64) = sqlx::query_as(
        "select (select count(*) from pg_policy), (select count(*) from pg_proc where prosecdef and pronamespace = \
         'payplane'::regnamespace)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    println!("{} queries, each red after its mutant, over {counts:?} policies and functions", POSTURE.len());
    assert!(20 < counts.0 && 20 < counts.1, "{counts:?}");
}

/// Ways to change what is written; `{table}` is tried with each table of the ledger, `{role}` with each role of ours.
const IMMUTABLE: [&str; 23] = [
    "update payplane.{table} set {column} = {column}",
    "delete from payplane.{table}",
    "truncate payplane.{table} cascade",
    "insert into payplane.{table} select * from payplane.{table} limit 1",
    "insert into payplane.{table} default values on conflict do nothing",
    "merge into payplane.{table} t using (select 1) s on true when matched then delete",
    "copy payplane.{table} from stdin",
    "copy payplane.{table} to program 'cat'",
    "alter table payplane.{table} disable row level security",
    "alter table payplane.{table} disable trigger all",
    "alter table payplane.{table} add column mine integer",
    "drop table payplane.{table} cascade",
    "lock table payplane.{table} in share row exclusive mode",
    "select 1 from payplane.{table} for update",
    "create rule mine as on insert to payplane.{table} do instead nothing",
    "create trigger mine before insert on payplane.{table} execute function suppress_redundant_updates_trigger()",
    "create policy mine on payplane.{table} using (true)",
    "create unique index mine on payplane.{table} ((1))",
    "set session_replication_role = replica",
    "create or replace function payplane.seal_batches(p_max integer) returns integer language sql as 'select 1'",
    "alter function payplane.seal_batches(integer) security invoker",
    "set role {role}",
    "alter role {role} bypassrls",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_engines_login_changes_nothing_that_is_written() {
    let ledger = Ledger::new().await;
    ledger.fund(ledger.acme, 500).await;
    ledger.close().await;
    let name = &ledger.database.name;
    let roles = [format!("{name}_app_definer"), format!("{name}_owner"), "postgres".to_owned()];
    let mut superuser = ledger.database.superuser().await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, min(a.attname)::text \
         from pg_class c join pg_attribute a on a.attrelid = c.oid and 0 < attnum \
         where c.relnamespace = 'payplane'::regnamespace and c.relkind = 'r' group by c.relname order by c.relname",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let (before, mut thief, mut tried) =
        (row_hash(&mut superuser).await, ledger.database.as_engine().await, 0);
    // Sees whatever a tenant sees, so that nothing is refused only because there is nothing to see.
    let see = format!("set payplane.tenant = '{}'", ledger.acme);
    thief.execute(AssertSqlSafe(see)).await.unwrap();
    for attack in IMMUTABLE {
        let statements: Vec<String> = if attack.contains("{table}") {
            columns.iter().map(|(t, c)| attack.replace("{table}", t).replace("{column}", c)).collect()
        } else if attack.contains("{role}") {
            roles.iter().map(|role| attack.replace("{role}", role)).collect()
        } else {
            vec![attack.to_owned()]
        };
        for statement in statements {
            assert_eq!(refusal(&mut thief, &statement).await, FORBIDDEN, "{statement}");
            tried += 1;
        }
    }
    assert_eq!(row_hash(&mut superuser).await, before);
    println!(
        "{} kinds of attack in {tried} statements, all refused; {} tables",
        IMMUTABLE.len(),
        columns.len()
    );
}

/// Tables and functions of the thief's own that are called like ours, where a careless function would find them first.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_like_ours_is_not_taken_for_it() {
    let ledger = Ledger::new().await;
    ledger.fund(ledger.acme, 500).await;
    ledger.close().await;
    let mut thief = ledger.database.as_engine().await;
    let real: i64 = sqlx::query_scalar("select version from payplane.settings_version")
        .fetch_one(&mut thief)
        .await
        .unwrap();
    let shadows = "create temp table settings_version as select true as only_row, 99999::bigint as version; \
                   create temp table accounts (like payplane.accounts); \
                   create temp table journal (like payplane.journal); \
                   create temp table unsealed as select 1::bigint as batch_id; \
                   create function pg_temp.count(text) returns bigint language sql as 'select 77::bigint'; \
                   set search_path = pg_temp, payplane";
    thief.execute(sqlx::raw_sql(shadows)).await.unwrap();
    let (version, rows, sealed): (i64, i64, i32) = sqlx::query_as(
        "select (select version from payplane.read_settings('{}')), (select journal from payplane.verify_counts()), \
         payplane.seal_batches(10)",
    )
    .fetch_one(&mut thief)
    .await
    .unwrap();
    assert_eq!((version, rows, sealed), (real, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_show_for_one_tenant_at_a_time() {
    let ledger = Ledger::new().await;
    for tenant in [ledger.acme, ledger.globex] {
        ledger.fund(tenant, 500).await;
    }
    ledger.close().await;
    let mut thief = ledger.database.as_engine().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c where c.relnamespace = 'payplane'::regnamespace and c.relkind = 'r' \
         and has_table_privilege(c.oid, 'select') \
         and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')",
    )
    .fetch_all(&mut thief)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    let stranger = format!("set payplane.tenant = '{}'", Uuid::new_v4());
    let acme = format!("set payplane.tenant = '{}'", ledger.acme);
    let mut shown = 0;
    for table in &tables {
        let count = format!(
            "select count(*), count(*) filter (where tenant_id <> '{}') from payplane.{table}",
            ledger.acme
        );
        for setting in ["reset payplane.tenant", "set payplane.tenant = ''", &stranger] {
            thief.execute(AssertSqlSafe(setting.to_owned())).await.unwrap();
            let seen: (i64, i64) =
                sqlx::query_as(AssertSqlSafe(count.clone())).fetch_one(&mut thief).await.unwrap();
            assert_eq!(seen, (0, 0), "{table} after {setting}");
        }
        thief.execute(AssertSqlSafe(acme.clone())).await.unwrap();
        let seen: (i64, i64) = sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut thief).await.unwrap();
        assert_eq!(seen.1, 0, "{table} shows somebody else's rows");
        shown += seen.0;
        // No tenant is not every tenant, and neither is nonsense.
        thief.execute("set payplane.tenant = 'x'").await.unwrap();
        assert_eq!(refusal(&mut thief, &format!("select * from payplane.{table}")).await, "22P02", "{table}");
    }
    assert!(10 < shown, "only {shown} rows are there to be seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_migrations_at_once_leave_one_schema() {
    let database = Postgres::shared().empty_database().await;
    join_all((0..4).map(|_| migration(&database))).await;
    let mut superuser = database.superuser().await;
    let (rows, platforms): (i64, i64) = sqlx::query_as(
        "select (select count(*) from payplane.schema_migrations where success), \
         (select count(*) from payplane.platform)",
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!((rows, platforms), (files as i64, 1));
    let before = platform(&mut superuser).await;
    migration(&database).await;
    assert_eq!(before, platform(&mut superuser).await);
    superuser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_set_by_the_next_migration() {
    let database = Postgres::shared().database().await;
    database.files.write("app/password", "another one with ' and \\");
    migration(&database).await;
    database.as_engine().await.close().await.unwrap();
}

async fn platform(superuser: &mut PgConnection) -> Uuid {
    sqlx::query_scalar("select platform_id from payplane.platform").fetch_one(superuser).await.unwrap()
}

async fn migration(database: &Database) {
    let owner = DatabaseConfig::read(&database.owner_dir()).unwrap();
    let app = DatabaseConfig::read(&database.app_dir()).unwrap();
    let options = MigrateOptions { wait: std::time::Duration::from_secs(20), ..Default::default() };
    migrate(&owner, &app, &options).await.unwrap();
}
