//! What sealing reads: as much as it seals, however many batches there are.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::collections::HashMap;

use sqlx::{Executor as _, PgConnection};
use support::postgres::Postgres;

const TABLES: [&str; 3] = ["batches", "unsealed", "seals"];

/// A plan lives as long as its connection, and the statistics that it was made by may be those of an empty ledger.
#[tokio::test(flavor = "multi_thread")]
async fn sealing_reads_no_more_than_it_seals_on_a_connection_that_knew_the_ledger_empty() {
    let database = Postgres::shared().database().await;
    let mut connection = database.superuser().await;
    connection.execute("vacuum analyze").await.unwrap();
    for first in 1..=10 {
        add_batches(&mut connection, first, first).await;
        assert_eq!(seal(&mut connection).await, 1);
    }
    add_batches(&mut connection, 11, 910).await;
    assert_eq!(seal(&mut connection).await, 900);

    connection.execute("begin").await.unwrap();
    add_batches(&mut connection, 911, 915).await;
    let mut before = HashMap::new();
    for table in TABLES {
        before.insert(table, rows_read(&mut connection, table).await);
    }
    assert_eq!(seal(&mut connection).await, 5);
    for (table, most) in TABLES.iter().zip([5, 20, 5]) {
        let read = rows_read(&mut connection, table).await - before[table];
        assert!(read <= most, "{read} rows of {table} were read to seal five batches");
    }
}

async fn add_batches(connection: &mut PgConnection, first: i64, last: i64) {
    let add = "with added as (
                   insert into payplane.batches (batch_id, root, decided_us)
                   select id, sha256(int8send(id)), 1 from generate_series($1, $2) id
                   returning batch_id
               )
               insert into payplane.unsealed select batch_id from added";
    sqlx::query(add).bind(first).bind(last).execute(connection).await.unwrap();
}

async fn seal(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select payplane.seal_batches(1000)").fetch_one(connection).await.unwrap()
}

/// Whichever way. Counted by the connection, and handed over between transactions at most: what is read twice in one
/// transaction can be compared.
async fn rows_read(connection: &mut PgConnection, table: &str) -> i64 {
    let read = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables
                where schemaname = 'payplane' and relname = $1";
    sqlx::query_scalar(read).bind(table).fetch_one(connection).await.unwrap()
}
