//! Brings a database to the schema of this binary: migrations, then roles and grants. Safe when several replicas start
//! at once (advisory locks), and when it is repeated.

use std::time::{Duration, Instant};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlStr,
    migrate::{MigrateError as SqlxMigrateError, Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};

use super::{DatabaseConfig, StoreError};
use crate::telemetry::Causes;

const POSTURE: &str = include_str!("posture.sql");

/// How often an unreachable database is tried while migrating.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Roles belong to the whole server, so two databases that are migrated at the same moment may collide on one.
const POSTURE_ATTEMPTS: u32 = 5;

/// The database could not be brought to this schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It did not answer in time.
    #[error("the database did not answer within {} seconds", waited.as_secs())]
    Unreachable {
        /// How long was waited.
        waited: Duration,
        /// The last failure.
        source: StoreError,
    },
    /// A migration failed.
    #[error("run the migrations")]
    Migration(#[source] SqlxMigrateError),
    /// Roles or grants could not be set.
    #[error("set roles and grants")]
    Posture(#[source] sqlx::Error),
    /// The engine's login does not work.
    #[error("log in as the engine")]
    AppLogin(#[source] sqlx::Error),
}

/// Every migration in its order: its number, a name and the text. sqlx's own macro would do the same, at the cost of
/// building all of sqlx twice.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("../../migrations/0001_ledger.sql")),
    (2, "commit", include_str!("../../migrations/0002_commit.sql")),
    (3, "admin", include_str!("../../migrations/0003_admin.sql")),
    (4, "verify", include_str!("../../migrations/0004_verify.sql")),
    (5, "holds", include_str!("../../migrations/0005_holds.sql")),
    (6, "billing", include_str!("../../migrations/0006_billing.sql")),
    (11, "collection", include_str!("../../migrations/0011_collection.sql")),
];

/// The newest migration that this binary knows.
pub(super) const NEWEST_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// Keeps its own table beside ours, and lets a newer database be: migrations only ever add, so that the old replicas
/// of a rolling update go on working.
fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.create_schema("payplane");
    migrator.dangerous_set_table_name("payplane.schema_migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// Migrates as `owner` and makes `app` the engine's login. Waits for the database up to `wait`.
pub async fn migrate(
    owner: &DatabaseConfig,
    app: &DatabaseConfig,
    wait: Duration,
) -> Result<(), MigrateError> {
    let mut connection = connect(&owner.options(), wait).await?;
    migrator().run_direct(None, &mut connection, false).await.map_err(MigrateError::Migration)?;
    set_posture(&mut connection, app).await.map_err(MigrateError::Posture)?;
    connection.close().await.map_err(MigrateError::Posture)?;
    let login = app.options().connect().await.map_err(MigrateError::AppLogin)?;
    login.close().await.map_err(MigrateError::AppLogin)?;
    tracing::info!(schema = NEWEST_VERSION, database = app.dbname, "database migrated");
    Ok(())
}

async fn connect(options: &PgConnectOptions, wait: Duration) -> Result<PgConnection, MigrateError> {
    let started = Instant::now();
    loop {
        let attempt = tokio::time::timeout(Duration::from_secs(5), options.connect()).await;
        let source = match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => StoreError::timed_out("connect"),
        };
        if wait <= started.elapsed() {
            return Err(MigrateError::Unreachable { waited: started.elapsed(), source });
        }
        let waited_seconds = started.elapsed().as_secs();
        tracing::info!(waited_seconds, reason = %Causes(&source), "waiting for the database");
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

async fn set_posture(connection: &mut PgConnection, app: &DatabaseConfig) -> Result<(), sqlx::Error> {
    let mut attempt = 1;
    loop {
        match try_set_posture(connection, app).await {
            Err(error) if attempt < POSTURE_ATTEMPTS && is_collision(&error) => attempt += 1,
            done => return done,
        }
    }
}

/// One transaction: the settings, which hold the password, end with it.
async fn try_set_posture(connection: &mut PgConnection, app: &DatabaseConfig) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "select set_config('payplane.posture_app', $1, true), set_config('payplane.posture_definer', $2, true), \
         set_config('payplane.posture_password', $3, true)",
    )
    .bind(&app.username)
    .bind(format!("{}_definer", app.username))
    .bind(&app.password)
    .execute(&mut *transaction)
    .await?;
    transaction.execute(sqlx::raw_sql(POSTURE)).await?;
    transaction.commit().await
}

/// "tuple concurrently updated" has no SQLSTATE of its own.
fn is_collision(error: &sqlx::Error) -> bool {
    let state = error.as_database_error().and_then(|error| error.code());
    matches!(state.as_deref(), Some("XX000" | "40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_migrations_is_listed_in_its_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> =
            MIGRATIONS.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect();
        assert_eq!(files, listed);
        assert!(MIGRATIONS.is_sorted_by(|(one, ..), (next, ..)| one < next), "the newest is the last");
    }
}
