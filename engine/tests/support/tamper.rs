//! Somebody with every right, who changes a ledger behind the engine's back; and the way back to how it was.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

/// All that the ledger is made of.
const TABLES: [&str; 10] = [
    "accounts",
    "wallets",
    "journal",
    "payments",
    "refunds",
    "batches",
    "batch_tenants",
    "unsealed",
    "seals",
    "seal_head",
];

/// Constraints would refuse much of what is tried here. Whoever may change rows may drop them first.
const DROP_CONSTRAINTS: &str = "
do $$
declare
    v record;
begin
    for v in select case conrelid when 0 then 'domain ' || contypid::regtype else 'table ' || conrelid::regclass end as whose,
                    conname
             from pg_constraint where connamespace = 'payplane'::regnamespace and contype in ('c', 'f') loop
        execute format('alter %s drop constraint %I', v.whose, v.conname);
    end loop;
end $$";

/// See the module.
pub(crate) struct Tamperer {
    pub(crate) superuser: PgConnection,
}

impl Tamperer {
    /// Keeps a copy of everything as it is now.
    pub(crate) async fn new(mut superuser: PgConnection) -> Self {
        superuser.execute(DROP_CONSTRAINTS).await.unwrap();
        superuser.execute("create schema kept").await.unwrap();
        for table in TABLES {
            let keep = format!("create table kept.{table} as table payplane.{table}");
            superuser.execute(AssertSqlSafe(keep)).await.unwrap();
        }
        Self { superuser }
    }

    /// Does it, and makes sure that it was done to something.
    pub(crate) async fn tamper(&mut self, statements: &str) {
        let done = self.superuser.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await;
        assert!(0 < done.unwrap().rows_affected(), "nothing was changed by: {statements}");
    }

    /// Everything back to how it was.
    pub(crate) async fn restore(&mut self) {
        self.restore_tables(&TABLES).await;
    }

    /// These tables back to how they were.
    pub(crate) async fn restore_tables(&mut self, tables: &[&str]) {
        let refill = |table: &&str| {
            format!("delete from payplane.{table}; insert into payplane.{table} select * from kept.{table};")
        };
        let refill: String = tables.iter().map(refill).collect();
        let restore = format!("begin; {refill} commit");
        self.superuser.execute(sqlx::raw_sql(AssertSqlSafe(restore))).await.unwrap();
    }

    /// The rows that a query gives, as text.
    pub(crate) async fn texts(&mut self, query: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut self.superuser).await.unwrap()
    }

    /// Changes one column of one row, if that value is another one.
    pub(crate) async fn change(&mut self, table: &str, row: &str, column: &str, value: &str) -> bool {
        let update = format!(
            "update payplane.{table} t set {column} = {value} where t::text = $1 and {column} is distinct from {value}"
        );
        let query = sqlx::query(AssertSqlSafe(update)).bind(row.to_owned());
        query.execute(&mut self.superuser).await.unwrap().rows_affected() == 1
    }

    /// The columns of a table and expressions that give each of them another value.
    pub(crate) async fn changes(&mut self, table: &str) -> Vec<(String, String)> {
        let columns: Vec<(String, String)> = sqlx::query_as(
            "select attname::text, (select coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text from pg_type t \
             where t.oid = a.atttypid) from pg_attribute a \
             where attrelid = ('payplane.' || $1)::regclass and 0 < attnum and not attisdropped order by attnum",
        )
        .bind(table)
        .fetch_all(&mut self.superuser)
        .await
        .unwrap();
        columns.into_iter().flat_map(|(column, kind)| changed(&column, &kind)).collect()
    }
}

fn changed(column: &str, kind: &str) -> Vec<(String, String)> {
    let values = match (column, kind) {
        // Numbers of batches, lines and seals that nothing else has.
        ("sequence" | "batch_id" | "last_operation" | "seal", _) => {
            vec![format!("{column} + 1024 * 1000000::bigint")]
        }
        ("kind", _) => vec![format!("{column} % 14 + 1")],
        ("currency", _) => vec!["'EUR'".to_owned()],
        // Another meaning, none at all, and the same in other words.
        ("terms" | "after", _) => vec![
            format!("case when {column} is null then '{{}}' end"),
            format!("coalesce({column}, '') || ' '"),
            format!("regexp_replace(coalesce({column}, '7'), '[0-9]', '6')"),
        ],
        (_, "uuid") => vec!["gen_random_uuid()".to_owned()],
        (_, "bigint" | "integer") => vec![format!("coalesce({column}, 0) + 1")],
        (_, "smallint") => vec![format!("coalesce({column} % 5, 0) + 1")],
        (_, "text") => vec![format!("coalesce({column}, '') || '!'")],
        (_, "boolean") => vec![format!("not {column}")],
        (_, "bytea") => vec![format!("set_byte({column}, 31, (get_byte({column}, 31) + 1) % 256)")],
        (_, other) => panic!("{column}: no way to change a {other}"),
    };
    values.into_iter().map(|value| (column.to_owned(), value)).collect()
}
