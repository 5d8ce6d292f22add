//! From what the API server says of the workloads to a Platform's status. Pure.

mod migration;
mod redis;
mod rotation;

pub use redis::RedisSeen;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use payplane_crds::{
    Platform, PlatformStatus,
    condition::{
        CREDENTIALS_ROTATED, ENGINE_READY, KAFKA_READY, MIGRATED, PAUSED, POSTGRES_READY, READY, RECONCILING,
        REDIS_READY, RESTORING, ROLLED_BACK, STALLED, UPGRADING,
        reason::{
            self, AS_SPECIFIED, DATABASE_CLAIMED, DATABASE_NOT_READY, DATABASE_UNSUITABLE, MIGRATION_FAILED,
            PROGRESSING,
        },
    },
};

use super::{
    Answer, Applied, Still, cluster,
    kafka::{report as kafka, rights::Rights},
    restoring::Mark,
    retire::Rotation,
    rollout::Verdict,
    upgrade,
};
use crate::{
    condition::Conditions,
    meta::{self, RESTART},
    status::Reported,
};

/// The status that tells this answer.
pub fn report(platform: &Platform, answer: &Answer, now: Timestamp) -> PlatformStatus {
    let conditions = Conditions::new(platform.current(), platform.metadata.generation, now);
    let mut status = match answer {
        Answer::Refused(refused) => {
            let conditions = conditions.stalled(refused.reason, &refused.message);
            let before = platform.status.clone().unwrap_or_default();
            // What runs goes on running; nothing is known about it now.
            PlatformStatus { conditions: carry(platform, conditions), ..before }
        }
        Answer::Paused => {
            let message = "Nothing is changed until the annotation payplane.io/paused goes.";
            let before = platform.status.clone().unwrap_or_default();
            let ready = crate::condition::find(platform.current(), READY);
            let (status, of, said) = ready.map_or(("Unknown", reason::PAUSED, message), |ready| {
                (ready.status.as_str(), ready.reason.as_str(), ready.message.as_str())
            });
            let conditions = conditions
                .set(READY, status, of, said)
                .set(RECONCILING, "False", reason::PAUSED, message)
                .set(STALLED, "False", reason::PAUSED, message)
                .set(PAUSED, "True", reason::PAUSED, message);
            PlatformStatus { conditions: carry(platform, conditions), ..before }
        }
        Answer::Still(still) => standing(platform, still, conditions),
        Answer::Applied(applied) => progress(platform, applied, conditions),
    };
    status.observed_generation = platform.metadata.generation;
    status
}

/// Nothing runs, and what the other parts said is as it was.
fn standing(platform: &Platform, still: &Still, conditions: Conditions<'_>) -> PlatformStatus {
    let (condition, reason, message) = replacing(still);
    let conditions = [POSTGRES_READY, ENGINE_READY].into_iter().fold(
        conditions.waiting(reason, &message).set(condition, "True", reason, &message),
        |conditions, part| conditions.set(part, "False", reason, &message),
    );
    let before = platform.status.clone().unwrap_or_default();
    let conditions = carry(platform, conditions);
    PlatformStatus { ready_replicas: Some(0), ledger: still.ledger.clone(), conditions, ..before }
}

/// What replaces the ledger: its condition, that one's reason, and a message.
fn replacing(still: &Still) -> (&'static str, &'static str, String) {
    match &still.mark {
        Mark::Restore { restore, .. } => {
            let message = format!(
                "Restore {restore} replaces the ledger: no database and no engine runs until it has ended. If there is no such Restore \
                 any more, take annotation {} off PersistentVolumeClaim {}.",
                meta::RESTORING,
                still.claim
            );
            (RESTORING, reason::RESTORING, message)
        }
        Mark::Upgrade { .. } => {
            let step = still.upgrade.as_ref().map_or("", |progress| progress.0.as_str());
            let message = format!(
                "The ledger is brought to another major version of PostgreSQL; payments wait until that has ended. {step}"
            );
            (UPGRADING, reason::UPGRADING, message)
        }
    }
}

/// Whether a server that is a StatefulSet of one accepts connections.
pub fn answers(server: &StatefulSet) -> bool {
    server.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) >= 1
}

fn carry(
    platform: &Platform,
    conditions: Conditions,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let kept = [
        POSTGRES_READY,
        MIGRATED,
        ENGINE_READY,
        KAFKA_READY,
        REDIS_READY,
        CREDENTIALS_ROTATED,
        UPGRADING,
        ROLLED_BACK,
    ];
    let told = conditions.into_vec();
    let is_told = |old: &str| told.iter().any(|new| new.type_ == old);
    let parts = platform.current().iter().map(|old| (old.type_.as_str(), old));
    let parts = parts.filter(|(type_, _)| kept.contains(type_) && !is_told(type_));
    let parts: Vec<_> = parts.map(|(_, old)| old.clone()).collect();
    told.into_iter().chain(parts).collect()
}

fn progress(platform: &Platform, applied: &Applied, conditions: Conditions) -> PlatformStatus {
    let wanted = platform.spec.engine.replicas;
    let ready = applied.engine.as_ref().map_or(0, ready_replicas);
    let database = database(applied, ready);
    let conditions = match (database, &applied.engine) {
        (Some(false), _) => conditions.waiting(DATABASE_NOT_READY, &unready(applied)),
        _ if applied.rollout != Verdict::Proceed => held(conditions, &applied.rollout, ready, wanted),
        _ if applied.held.is_some() => of_before(conditions, applied.held.as_ref(), ready, wanted),
        (_, Some(engine)) if rolled_out(engine, wanted) => {
            conditions.ready(AS_SPECIFIED, &format!("{ready} of {wanted} engines are ready."))
        }
        (_, engine) => {
            let told = applied.analysis.told().map(|told| format!(" {told}")).unwrap_or_default();
            conditions.waiting(PROGRESSING, &format!("{}{told}", pace(engine.as_ref(), ready, wanted)))
        }
    };
    PlatformStatus {
        endpoint: Some(applied.endpoint.clone()),
        ledger: applied.ledger.clone(),
        ready_replicas: Some(ready),
        observed_generation: None,
        conditions: {
            let conditions = migration::report(platform, conditions, &applied.migration);
            let conditions = parts(conditions, applied, database, ready);
            let conditions = kafka::condition(
                platform,
                applied.kafka.as_ref(),
                applied.operated_kafka.as_ref(),
                conditions,
            );
            let conditions = redis::report(conditions, &applied.redis);
            let conditions = rotation::report(conditions, applied.rotation);
            upgrade::condition(conditions, applied.held.as_ref(), applied.upgraded.as_deref()).into_vec()
        },
    }
}

/// Why the database has not the image that is asked for.
fn of_before<'a>(
    conditions: Conditions<'a>,
    held: Option<&upgrade::Held>,
    ready: i32,
    wanted: i32,
) -> Conditions<'a> {
    let Some(held) = held else { return conditions };
    conditions.stalled(held.reason, &format!("{} {ready} of {wanted} engines are ready.", held.message))
}

/// Why the newest template is not what serves.
fn held<'a>(conditions: Conditions<'a>, rollout: &Verdict, ready: i32, wanted: i32) -> Conditions<'a> {
    let serving = format!("{ready} of {wanted} engines are ready.");
    match rollout {
        Verdict::Proceed => conditions,
        Verdict::Migrating => {
            let message = format!("The database is being brought to the schema of the engines. {serving}");
            conditions.waiting(PROGRESSING, &message)
        }
        Verdict::Frozen(trouble) => match migration::reason(trouble) {
            MIGRATION_FAILED => {
                let message = format!(
                    "The database could not be brought to the schema of the new engines, which is tried again: {} {serving}",
                    trouble.message
                );
                conditions.waiting(MIGRATION_FAILED, &message)
            }
            for_a_person => conditions.stalled(for_a_person, &trouble.message),
        },
        Verdict::NoWayBack { why } => {
            let message = format!(
                "New engines failed, and the schema no longer lets those of before run: nothing is changed. Set \
                 spec.engine.image to one that works with it. {why} {serving}"
            );
            conditions.stalled(reason::CANNOT_GO_BACK, &message)
        }
        Verdict::GoBack { why, .. } | Verdict::StayBack { why, .. } => {
            let message = format!(
                "New engines failed, and those of before serve; change the spec to try again. {why} {serving}"
            );
            conditions.stalled(reason::ROLLED_BACK, &message).set(
                ROLLED_BACK,
                "True",
                reason::ROLLED_BACK,
                &message,
            )
        }
    }
}

/// Whether nothing has to be looked at again before something changes.
pub fn is_quiet(applied: &Applied) -> bool {
    let has_all = applied.engine.as_ref().is_some_and(|engine| {
        rolled_out(engine, engine.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0))
    });
    let is_settled = matches!(applied.rollout, Verdict::Proceed | Verdict::StayBack { .. });
    // Jobs are not watched.
    let is_rotating = matches!(applied.rotation, Rotation::Replacing | Rotation::Retiring);
    // Nor are pods, and why they fail is told.
    let is_granting = applied
        .kafka
        .as_ref()
        .is_some_and(|nodes| matches!(nodes.rights, Rights::Running | Rights::Failing(_)));
    has_all && is_settled && !is_rotating && !is_granting
}

/// Whether all engines are of this login, and none of before is left.
pub fn serves_only(applied: &Applied, platform: &Platform, login: &str) -> bool {
    let template = |engine: &Deployment| engine.spec.as_ref()?.template.metadata.clone()?.annotations;
    applied.rollout == Verdict::Proceed
        && applied.engine.as_ref().is_some_and(|engine| {
            let restart = template(engine).and_then(|all| all.get(RESTART).cloned());
            restart.as_deref() == Some(login) && rolled_out(engine, platform.spec.engine.replicas)
        })
}

/// Why payments cannot be committed.
fn unready(applied: &Applied) -> String {
    let none = || "PostgreSQL does not accept connections yet.".to_owned();
    applied.cluster.as_ref().map_or_else(none, cluster::report::message)
}

fn parts<'a>(
    conditions: Conditions<'a>,
    applied: &Applied,
    database: Option<bool>,
    ready: i32,
) -> Conditions<'a> {
    let conditions = match (&applied.cluster, database) {
        (Some(cluster), _) => cluster::report::report(conditions, cluster),
        (None, Some(true)) => {
            conditions.set(POSTGRES_READY, "True", AS_SPECIFIED, "PostgreSQL accepts connections.")
        }
        (None, Some(false)) => conditions.set(
            POSTGRES_READY,
            "False",
            DATABASE_NOT_READY,
            "PostgreSQL does not accept connections yet.",
        ),
        (None, None) => {
            let message = "Somebody else runs the database; the engine tells when it reaches it.";
            conditions.set(POSTGRES_READY, "Unknown", PROGRESSING, message)
        }
    };
    match ready {
        0 => conditions.set(ENGINE_READY, "False", PROGRESSING, "No engine answers."),
        _ => conditions.set(ENGINE_READY, "True", AS_SPECIFIED, "At least one engine answers."),
    }
}

/// Whether the database answers: by its own probe, or by an engine that is ready only when it reaches it.
fn database(applied: &Applied, ready_engines: i32) -> Option<bool> {
    match (&applied.cluster, &applied.postgres) {
        (Some(cluster), _) => Some(cluster::report::serves(cluster)),
        (None, Some(postgres)) => Some(answers(postgres)),
        (None, None) => (ready_engines > 0).then_some(true),
    }
}

fn ready_replicas(engine: &Deployment) -> i32 {
    engine.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
}

/// Whether every pod is of the newest template, ready, and no other is left.
fn rolled_out(engine: &Deployment, wanted: i32) -> bool {
    let Some(status) = &engine.status else { return false };
    let seen = status.observed_generation >= engine.metadata.generation;
    let count = |number: Option<i32>| number.unwrap_or(0) == wanted;
    seen && count(status.replicas) && count(status.updated_replicas) && count(status.ready_replicas)
}

fn pace(engine: Option<&Deployment>, ready: i32, wanted: i32) -> String {
    let trouble = engine
        .and_then(|engine| engine.status.as_ref()?.conditions.as_ref())
        .and_then(|conditions| {
            conditions.iter().find(|condition| {
                condition.type_ == "ReplicaFailure" && condition.status == "True"
                    || condition.type_ == "Progressing" && condition.status == "False"
            })
        })
        .and_then(|condition| condition.message.as_deref());
    match trouble {
        Some(trouble) => format!("{ready} of {wanted} engines are ready. {trouble}"),
        None => format!("{ready} of {wanted} engines are ready; pods are starting or being replaced."),
    }
}

#[cfg(test)]
mod tests;
