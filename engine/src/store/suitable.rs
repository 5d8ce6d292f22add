//! Whether a database can keep a ledger. Asked before anything is changed, and everything that is wrong is said at once,
//! with the way out: whoever runs the database need not find one thing after the other.

use serde::Deserialize;
use sqlx::PgConnection;

use super::StoreError;

/// The oldest server that the functions of the ledger run on.
const VERSION_MIN: i32 = 140_000;

/// A database that cannot keep a ledger, and why.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot keep a ledger: {}", .0.join(" "))]
pub struct Unsuitable(pub Vec<String>);

/// What the server says of itself and of the login that asks.
#[derive(Clone, Debug, Deserialize)]
struct Server {
    version: i32,
    in_recovery: bool,
    read_only: bool,
    fsync: bool,
    synchronous_commit: String,
    full_page_writes: bool,
    encoding: String,
    may_create: bool,
    may_create_roles: bool,
    login: String,
    database: String,
}

const ASK: &str = "\
    select row_to_json(server)::text from (select current_setting('server_version_num')::int as version, pg_is_in_recovery() as in_recovery, \
      current_setting('default_transaction_read_only')::bool as read_only, current_setting('fsync')::bool as fsync, \
      current_setting('synchronous_commit') as synchronous_commit, \
      current_setting('full_page_writes')::bool as full_page_writes, \
      (select pg_encoding_to_char(d.encoding)::text from pg_database d where d.datname = current_database()) as encoding, \
      has_database_privilege(current_database(), 'create') as may_create, \
      (r.rolcreaterole or r.rolsuper or exists (select from pg_roles a where a.rolname = $1)) as may_create_roles, \
      current_user::text as login, current_database()::text as database \
    from pg_roles r where r.rolname = current_user) server";

/// Asks the server. `app` is the engine's login, which the owner makes unless it is there.
pub(super) async fn check(connection: &mut PgConnection, app: &str) -> Result<Vec<String>, StoreError> {
    let text: String = sqlx::query_scalar(ASK).bind(app).fetch_one(connection).await?;
    let server: Server = serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("server"))?;
    Ok(complaints(&server))
}

/// Everything that is wrong, each with its way out. Pure.
fn complaints(server: &Server) -> Vec<String> {
    let Server { login, database, .. } = server;
    let checks = [
        (
            VERSION_MIN <= server.version,
            format!("It is PostgreSQL {}: use 14 or newer.", server.version / 10_000),
        ),
        (!server.in_recovery, "It is a standby: connect to the primary.".to_owned()),
        (
            !server.read_only || server.in_recovery,
            format!("It is read-only: alter database {database} set default_transaction_read_only = off."),
        ),
        (
            server.fsync,
            "fsync is off, so a crash can lose and spoil what was committed: set fsync = on.".to_owned(),
        ),
        (
            !matches!(&*server.synchronous_commit, "off"),
            "synchronous_commit is off, so a crash can lose what was answered: set synchronous_commit = on."
                .to_owned(),
        ),
        (
            server.full_page_writes,
            "full_page_writes is off, so a crash can leave torn pages: set full_page_writes = on.".to_owned(),
        ),
        (
            server.encoding == "UTF8",
            format!("Its encoding is {}: make a database with encoding UTF8.", server.encoding),
        ),
        (
            server.may_create,
            format!("Login {login} may not make a schema: grant create on database {database} to {login}."),
        ),
        (
            server.may_create_roles,
            format!(
                "Login {login} may not make the engine's login: alter role {login} createrole, or make that login \
                 beforehand."
            ),
        ),
    ];
    checks.into_iter().filter(|(is_right, _)| !is_right).map(|(_, complaint)| complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_told_with_its_way_out_and_a_good_server_has_none() {
        let good = Server {
            version: 150_004,
            in_recovery: false,
            read_only: false,
            fsync: true,
            synchronous_commit: "on".to_owned(),
            full_page_writes: true,
            encoding: "UTF8".to_owned(),
            may_create: true,
            may_create_roles: true,
            login: "owner".to_owned(),
            database: "ledger".to_owned(),
        };
        assert_eq!(complaints(&good), Vec::<String>::new());
        let remote = Server { synchronous_commit: "remote_apply".to_owned(), ..good.clone() };
        assert_eq!(complaints(&remote), Vec::<String>::new(), "more than durable is durable");
        let cases = [
            (Server { version: 130_009, ..good.clone() }, "use 14 or newer"),
            (Server { in_recovery: true, read_only: true, ..good.clone() }, "connect to the primary"),
            (Server { read_only: true, ..good.clone() }, "default_transaction_read_only = off"),
            (Server { fsync: false, ..good.clone() }, "set fsync = on"),
            (Server { synchronous_commit: "off".to_owned(), ..good.clone() }, "set synchronous_commit = on"),
            (Server { full_page_writes: false, ..good.clone() }, "set full_page_writes = on"),
            (Server { encoding: "SQL_ASCII".to_owned(), ..good.clone() }, "with encoding UTF8"),
            (Server { may_create: false, ..good.clone() }, "grant create on database ledger to owner"),
            (Server { may_create_roles: false, ..good.clone() }, "alter role owner createrole"),
        ];
        for (server, way_out) in cases {
            let found = complaints(&server);
            assert!(matches!(&found[..], [one] if one.contains(way_out)), "{way_out}: {found:?}");
        }
        let all = Server { fsync: false, full_page_writes: false, ..good };
        assert_eq!(complaints(&all).len(), 2, "everything at once");
    }
}
