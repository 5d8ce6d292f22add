//! What the engine is compared with, in the same database server at other times of the same minutes.
//!
//! - `single`: pgbench with the realistic transfer, one commit each.
//! - `peer`: a raw program that commits rows of the engine's own shape, with its indexes and constraints.
//! - `narrow`: the same program with the fastest schema known: a small row, a key that grows with time.
//!
//! None of them checks, decides or answers anybody. They reach the server as the engine does, by loopback TCP and with a password;
//! pgbench once more over the server's local socket, which nobody has who is in another pod.

pub(crate) mod pgbench;
pub(crate) mod raw;
mod rows;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, postgres::PgConnectOptions};

use super::{measure::Side, requests::Pattern, world::World};

/// Room for 20 million payments in one direction.
const ENOUGH: i64 = 1_000_000_000_000;

/// How pgbench reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Loopback,
    LocalSocket,
}

const HOST: &str = "127.0.0.1";
const USER: &str = "postgres";
const PASSWORD: &str = "only-for-rivals";

/// The way to the world's database.
fn way(world: &World) -> PgConnectOptions {
    let port = world.database.superuser_options().get_port();
    let options = PgConnectOptions::new_without_pgpass().host(HOST).port(port).username(USER);
    options.password(PASSWORD).database(&world.database.name)
}

/// Tables for every rival, with the wallets of the main tenant. `like` copies columns, checks and indexes, but not how
/// full pages are.
pub(crate) async fn create(admin: &mut PgConnection) {
    let statements = format!(
        "alter role {USER} password '{PASSWORD}';
         create schema single;
         create table single.accounts (id bigint primary key, balance bigint not null check (0 <= balance))
             with (fillfactor = 70);
         insert into single.accounts select n, {ENOUGH} from generate_series(0, 10000) n;
         create table single.transfers (id bigserial primary key, key text not null unique, debit bigint not null,
             credit bigint not null, minor bigint not null, created_at timestamptz not null default now());
         create schema peer;
         create table peer.accounts (like payplane.accounts including all)
             with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
         insert into peer.accounts select * from payplane.accounts;
         update peer.accounts set posted_credits = posted_credits + {ENOUGH} where kind = 1;
         create table peer.journal (like payplane.journal including all);
         create schema narrow;
         create table narrow.accounts (id bigint primary key, balance bigint not null check (0 <= balance))
             with (fillfactor = 70);
         insert into narrow.accounts select n, {ENOUGH} from generate_series(0, 10000) n;
         create table narrow.transfers (id bigserial primary key, key uuid not null unique, debit bigint not null,
             credit bigint not null, minor bigint not null, created_at timestamptz not null default now())"
    );
    admin.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
}

/// Brings the tables of these rivals to this many rows, so that indexes are as large as the engine's.
pub(crate) async fn preload(world: &World, admin: &mut PgConnection, payments: u64, sides: &[Side]) {
    let statement = format!(
        "insert into single.transfers (key, debit, credit, minor)
         select gen_random_uuid()::text, n % 10000, (n + 1) % 10000, 1
         from generate_series((select count(*) from single.transfers) + 1, {payments}) n"
    );
    if sides.iter().any(|side| matches!(side, Side::Pgbench(..))) {
        admin.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
    }
    for shape in [raw::Shape::Rows, raw::Shape::Columns, raw::Shape::Narrow] {
        if sides.contains(&Side::Raw(shape)) {
            raw::until(world, Pattern::Uniform, shape, payments).await;
        }
    }
}
