//! What a Platform says of its database's schema. Pure.

use payplane_crds::{
    Platform,
    condition::{
        MIGRATED,
        reason::{AS_SPECIFIED, DATABASE_NOT_READY, MIGRATING, MIGRATION_FAILED, SCHEMA_TOO_NEW},
    },
};

use super::{DATABASE_CLAIMED, DATABASE_UNSUITABLE};
use crate::{
    condition::{Conditions, find},
    platform::migration::{Migration, Trouble},
    status::Reported,
};

/// Adds the condition. Where nobody asks, it stays as it is.
pub fn report<'a>(platform: &Platform, conditions: Conditions<'a>, migration: &Migration) -> Conditions<'a> {
    let stays = "engines stay as they are";
    match migration {
        Migration::NotAsked => match find(platform.current(), MIGRATED) {
            Some(before) => conditions.set(MIGRATED, &before.status, &before.reason, &before.message),
            None => conditions,
        },
        Migration::Done(_) => {
            conditions.set(MIGRATED, "True", AS_SPECIFIED, "The database has the schema of the engines.")
        }
        Migration::Waiting => {
            conditions.set(MIGRATED, "Unknown", DATABASE_NOT_READY, "The database does not answer yet.")
        }
        Migration::Running => {
            let message =
                format!("A Job brings the database to the schema of the new engines; until then {stays}.");
            conditions.set(MIGRATED, "False", MIGRATING, &message)
        }
        Migration::Failing(trouble) => {
            conditions.set(MIGRATED, "False", reason(trouble), &failing(&trouble.message))
        }
        Migration::CannotStart(words) => conditions.set(MIGRATED, "False", MIGRATION_FAILED, &failing(words)),
    }
}

/// What the migration says is the matter, if it is one of the things that only a person can mend.
pub fn reason(trouble: &Trouble) -> &'static str {
    let known = [DATABASE_UNSUITABLE, DATABASE_CLAIMED, SCHEMA_TOO_NEW];
    known.into_iter().find(|reason| *reason == trouble.reason).unwrap_or(MIGRATION_FAILED)
}

fn failing(words: &str) -> String {
    format!(
        "{words} It is tried again, and engines stay as they are; to give it up, set spec.engine.image to the image that \
         runs."
    )
}
