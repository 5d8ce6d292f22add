//! Which engines may run on a schema: expand, migrate, contract.
//!
//! A migration that only adds lets every engine of before go on. One that takes something away says in its first lines
//! which engine is the first that does without, by the newest migration that this engine knows: `-- oldest engine: 20`. It
//! waits until the schema has been at least that far before, so it never comes in the same step as the release that it
//! waits for. Once it has run, an older engine's own `migrate` refuses, and so a rollout that goes back stops there.

use sqlx::PgConnection;

use super::migrate::{MIGRATIONS, MigrateError, NEWEST_VERSION, look};

/// How a migration says it.
const OLDEST: &str = "-- oldest engine: ";

/// How far a schema is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Schema {
    /// Its newest migration.
    pub schema: i64,
    /// The oldest engine that may run on it, by the newest migration which that engine knows.
    pub oldest: i64,
}

/// The oldest engine that may run after this migration, if not every one. It stands in the comment that a migration begins
/// with.
pub(super) fn oldest(text: &str) -> Option<i64> {
    let mut header = text.lines().take_while(|line| line.starts_with("--"));
    header.find_map(|line| line.strip_prefix(OLDEST)?.trim().parse().ok())
}

/// Whether a migration may run on a schema that was this far before. A new database has no engines yet.
pub(super) fn is_due(text: &str, before: i64) -> bool {
    before == 0 || oldest(text).is_none_or(|oldest| oldest <= before)
}

/// The newest migration that an engine of this binary cannot do without: one that only takes away may come later.
pub(super) fn needed_version() -> i64 {
    let mut adding = MIGRATIONS.iter().rev().filter(|(_, _, text)| oldest(text).is_none());
    adding.next().map_or(NEWEST_VERSION, |(version, ..)| *version)
}

/// How far the schema is before anything is changed; 0 where there is none.
pub(super) async fn before(connection: &mut PgConnection) -> Result<i64, MigrateError> {
    if !has(connection, "payplane.schema_migrations").await? {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0) from payplane.schema_migrations where success";
    sqlx::query_scalar(newest).fetch_one(connection).await.map_err(look)
}

/// Refuses a schema that took away what engines of this binary use.
pub(super) async fn refuse_newer(connection: &mut PgConnection) -> Result<(), MigrateError> {
    if !has(connection, "payplane.schema_floor").await? {
        return Ok(());
    }
    let oldest = sqlx::query_scalar("select oldest from payplane.schema_floor");
    let oldest: i64 = oldest.fetch_one(connection).await.map_err(look)?;
    match oldest <= NEWEST_VERSION {
        true => Ok(()),
        false => Err(MigrateError::TooNew { oldest, known: NEWEST_VERSION }),
    }
}

/// Notes which engines may run on what is there now. It never sinks.
pub(super) async fn raise(connection: &mut PgConnection) -> Result<Schema, MigrateError> {
    let applied = sqlx::query_scalar("select version from payplane.schema_migrations where success");
    let applied: Vec<i64> = applied.fetch_all(&mut *connection).await.map_err(look)?;
    let ran = MIGRATIONS.iter().filter(|(version, ..)| applied.contains(version));
    let oldest = ran.filter_map(|(_, _, text)| oldest(text)).max().unwrap_or(0);
    let raise = "update payplane.schema_floor set oldest = greatest(oldest, $1) returning oldest";
    let oldest = sqlx::query_scalar(raise).bind(oldest).fetch_one(connection).await.map_err(look)?;
    Ok(Schema { schema: applied.into_iter().max().unwrap_or(0), oldest })
}

async fn has(connection: &mut PgConnection, table: &str) -> Result<bool, MigrateError> {
    let has = sqlx::query_scalar("select to_regclass($1) is not null").bind(table);
    has.fetch_one(connection).await.map_err(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_takes_away_says_which_engine_does_without_and_waits_for_its_schema() {
        let adds = "-- Adds a table.\ncreate table payplane.new ();\n";
        let takes = "-- The column that engine 20 no longer reads.\n-- oldest engine: 20\n\nalter table payplane.old ...";
        let later = "create table payplane.new ();\n-- oldest engine: 20\n";
        let cases = [
            (adds, None, vec![(0, true), (1, true), (30, true)]),
            (takes, Some(20), vec![(0, true), (1, false), (19, false), (20, true), (21, true)]),
            (later, None, vec![(1, true)]),
        ];
        for (text, says, due) in cases {
            assert_eq!(oldest(text), says, "{text}");
            for (before, expected) in due {
                assert_eq!(is_due(text, before), expected, "{text} on {before}");
            }
        }
    }

    #[test]
    fn no_migration_waits_for_an_engine_that_comes_after_it() {
        for (version, name, text) in MIGRATIONS {
            let says = oldest(text);
            assert!(says.is_none_or(|oldest| 0 < oldest && oldest < *version), "{name}: {says:?}");
            let mentions = text.lines().any(|line| line.starts_with(OLDEST.trim_end()));
            assert_eq!(
                mentions,
                says.is_some(),
                "{name}: a migration says it in its first lines, as a number"
            );
        }
        assert!(needed_version() <= NEWEST_VERSION);
    }
}
