//! Brings a database to the schema of this binary: migrations, then roles and grants. Safe when several replicas start
//! at once (advisory locks), and when it is repeated.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlStr,
    migrate::{MigrateError as SqlxMigrateError, Migration, MigrationType, Migrator},
};

use super::{
    DatabaseConfig, StoreError,
    floor::{self, Schema},
    password,
    suitable::{self, Unsuitable},
};
use crate::telemetry::Causes;

const POSTURE: &str = include_str!("posture.sql");

/// What the name of the second of two logins ends with.
const SECOND_LOGIN: &str = "_b";

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
    /// It is not fit to keep a ledger.
    #[error(transparent)]
    Unsuitable(Unsuitable),
    /// Another Platform's ledger is in it.
    #[error(
        "the database belongs to Platform {owner}: give Platform {asks} a database of its own, or, if it takes the place \
         of the other, run as the owner of the database: update payplane.claim set platform = '{asks}'"
    )]
    Claimed {
        /// Whose it is.
        owner: String,
        /// Who asks for it.
        asks: String,
    },
    /// A migration took away what engines of this binary use.
    #[error(
        "the schema is of a newer release: it needs an engine that knows migration {oldest}, and this one knows {known}: \
         keep the newer image, or restore a backup of before into another Platform"
    )]
    TooNew {
        /// The oldest engine that may run on it, by its newest migration.
        oldest: i64,
        /// The newest migration of this binary.
        known: i64,
    },
    /// The server could not be asked what it is like.
    #[error("look at the database")]
    Look(#[source] StoreError),
    /// A migration failed.
    #[error("run the migrations")]
    Migration(#[source] SqlxMigrateError),
    /// Roles or grants could not be set.
    #[error("set roles and grants")]
    Posture(#[source] sqlx::Error),
    /// The engine's login does not work.
    #[error("log in as the engine")]
    AppLogin(#[source] sqlx::Error),
    /// The owner's next password was not taken.
    #[error("change the password of the database's owner")]
    OwnerPassword(#[source] sqlx::Error),
}

/// Every migration in its order: its number, a name and the text. sqlx's own macro would do the same, at the cost of
/// building all of sqlx twice.
pub(super) const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("../../migrations/0001_ledger.sql")),
    (2, "commit", include_str!("../../migrations/0002_commit.sql")),
    (3, "admin", include_str!("../../migrations/0003_admin.sql")),
    (4, "verify", include_str!("../../migrations/0004_verify.sql")),
    (5, "holds", include_str!("../../migrations/0005_holds.sql")),
    (6, "billing", include_str!("../../migrations/0006_billing.sql")),
    (7, "events", include_str!("../../migrations/0007_events.sql")),
    (8, "cache", include_str!("../../migrations/0008_cache.sql")),
    (9, "epoch", include_str!("../../migrations/0009_epoch.sql")),
    (10, "approval", include_str!("../../migrations/0010_approval.sql")),
    (11, "collection", include_str!("../../migrations/0011_collection.sql")),
    (12, "keys", include_str!("../../migrations/0012_keys.sql")),
    (13, "restored", include_str!("../../migrations/0013_restored.sql")),
    (14, "agreements", include_str!("../../migrations/0014_agreements.sql")),
    (15, "export", include_str!("../../migrations/0015_export.sql")),
    (16, "floor", include_str!("../../migrations/0016_floor.sql")),
    (17, "thresholds", include_str!("../../migrations/0017_thresholds.sql")),
    (18, "usage", include_str!("../../migrations/0018_usage.sql")),
    (19, "sealing", include_str!("../../migrations/0019_sealing.sql")),
];

/// The newest migration that this binary knows.
pub(super) const NEWEST_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What is due on a schema that is this far (see [`floor`]). Keeps its own table beside ours, and lets a newer database be.
pub(super) fn migrator(before: i64) -> Migrator {
    let due = MIGRATIONS.iter().filter(|(_, _, text)| floor::is_due(text, before));
    let migrations = due.map(|(version, name, text)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, SqlStr::from_static(text), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.create_schema("payplane");
    migrator.dangerous_set_table_name("payplane.schema_migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// What [`migrate`] needs to know besides the logins.
#[derive(Clone, Debug, Default)]
pub struct MigrateOptions {
    /// How long to wait for the database.
    pub wait: Duration,
    /// Whose ledger it is, as NAMESPACE/NAME. The first who says it has the database; without it nothing is claimed.
    pub platform: Option<String>,
    /// Take a server that would lose what was committed: for throwaway ones.
    pub any_server: bool,
}

/// Migrates as `owner` and makes `app` the engine's login. A database that is unfit, somebody else's, or of engines that know
/// more than this one is left as it is.
pub async fn migrate(
    owner: &DatabaseConfig,
    app: &DatabaseConfig,
    options: &MigrateOptions,
) -> Result<Schema, MigrateError> {
    let mut connection = connect(owner, options.wait).await?;
    if !options.any_server {
        let complaints = suitable::check(&mut connection, &app.username).await.map_err(MigrateError::Look)?;
        if !complaints.is_empty() {
            return Err(MigrateError::Unsuitable(Unsuitable(complaints)));
        }
    }
    if let Some(platform) = &options.platform {
        refuse_claimed(&mut connection, platform).await?;
    }
    floor::refuse_newer(&mut connection).await?;
    let before = floor::before(&mut connection).await?;
    migrator(before).run_direct(None, &mut connection, false).await.map_err(MigrateError::Migration)?;
    let schema = floor::raise(&mut connection).await?;
    if let Some(platform) = &options.platform {
        claim(&mut connection, platform).await?;
    }
    set_posture(&mut connection, app).await.map_err(MigrateError::Posture)?;
    connection.close().await.map_err(MigrateError::Posture)?;
    let login = app.options().connect().await.map_err(MigrateError::AppLogin)?;
    login.close().await.map_err(MigrateError::AppLogin)?;
    tracing::info!(
        schema = schema.schema,
        oldest_engine = schema.oldest,
        database = app.dbname,
        "database migrated"
    );
    Ok(schema)
}

pub(super) fn look(error: sqlx::Error) -> MigrateError {
    MigrateError::Look(error.into())
}

/// Before anything is changed: the table may not be there yet.
async fn refuse_claimed(connection: &mut PgConnection, asks: &str) -> Result<(), MigrateError> {
    let has_table = sqlx::query_scalar("select to_regclass('payplane.claim') is not null");
    if !has_table.fetch_one(&mut *connection).await.map_err(look)? {
        return Ok(());
    }
    let owner = sqlx::query_scalar::<_, String>("select platform from payplane.claim");
    match owner.fetch_optional(connection).await.map_err(look)? {
        Some(owner) if owner != asks => Err(MigrateError::Claimed { owner, asks: asks.to_owned() }),
        Some(_) | None => Ok(()),
    }
}

/// The first has it; whoever was a moment later is told.
async fn claim(connection: &mut PgConnection, asks: &str) -> Result<(), MigrateError> {
    let claim = sqlx::query("insert into payplane.claim (platform) values ($1) on conflict do nothing");
    claim.bind(asks).execute(&mut *connection).await.map_err(look)?;
    refuse_claimed(connection, asks).await
}

/// Takes away a login that engines no longer use: nobody logs in as it, and whoever still is gets disconnected. A login
/// that is not there is no error. Then the owner gets its next password, if there is one; open connections stay.
pub async fn retire(owner: &DatabaseConfig, login: &str, wait: Duration) -> Result<(), MigrateError> {
    let mut connection = connect(owner, wait).await?;
    let failed = MigrateError::Posture;
    let exists = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)").bind(login);
    if exists.fetch_one(&mut connection).await.map_err(failed)? {
        // Only members end a role's sessions. The name is quoted by the database itself.
        let commands =
            "select format('alter role %1$I nologin password null; grant %1$I to %2$I', $1, current_user)";
        let commands: String =
            sqlx::query_scalar(commands).bind(login).fetch_one(&mut connection).await.map_err(failed)?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(commands))).await.map_err(failed)?;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1";
        let ended: i64 =
            sqlx::query_scalar(end).bind(login).fetch_one(&mut connection).await.map_err(failed)?;
        tracing::info!(login, ended, "the login was retired");
    }
    if let Some(next) = &owner.next_password {
        let failed = MigrateError::OwnerPassword;
        let mut transaction = connection.begin().await.map_err(failed)?;
        password::set_own(&mut transaction, next).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        // That it works is seen before anybody relies on it.
        let proof = owner.options().password(next).connect().await.map_err(failed)?;
        proof.close().await.map_err(failed)?;
        tracing::info!(login = owner.username, "the password of the database's owner was changed");
    }
    connection.close().await.map_err(MigrateError::Posture)
}

/// As the owner: with its password, or with the next one where the database has that already and the Secret tells so later.
async fn log_in(owner: &DatabaseConfig) -> Result<PgConnection, sqlx::Error> {
    const WRONG_PASSWORD: &str = "28P01";
    let options = owner.options();
    match (options.connect().await, &owner.next_password) {
        (Err(sqlx::Error::Database(error)), Some(next))
            if error.code().as_deref() == Some(WRONG_PASSWORD) =>
        {
            options.password(next).connect().await
        }
        (done, _) => done,
    }
}

async fn connect(owner: &DatabaseConfig, wait: Duration) -> Result<PgConnection, MigrateError> {
    let started = Instant::now();
    loop {
        let attempt = tokio::time::timeout(Duration::from_secs(5), log_in(owner)).await;
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
    .bind(definer_of(&app.username))
    .bind(&app.password)
    .execute(&mut *transaction)
    .await?;
    transaction.execute(sqlx::raw_sql(POSTURE)).await?;
    transaction.commit().await
}

/// Both of two logins that take turns (see [`retire`]) work through one owner of the functions.
pub(super) fn definer_of(app: &str) -> String {
    format!("{}_definer", app.strip_suffix(SECOND_LOGIN).unwrap_or(app))
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
