//! From what the API server says of the workloads to a Platform's status. Pure.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use payplane_crds::{
    Platform, PlatformStatus,
    condition::{
        ENGINE_READY, KAFKA_READY, POSTGRES_READY,
        reason::{AS_SPECIFIED, DATABASE_NOT_READY, PROGRESSING},
    },
};

use super::{Answer, Applied, kafka::report as kafka};
use crate::{condition::Conditions, status::Reported};

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
        Answer::Applied(applied) => progress(platform, applied, conditions),
    };
    status.observed_generation = platform.metadata.generation;
    status
}

/// Whether a server that is a StatefulSet of one accepts connections.
pub fn answers(server: &StatefulSet) -> bool {
    server.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) >= 1
}

fn carry(
    platform: &Platform,
    conditions: Conditions,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let known = [POSTGRES_READY, ENGINE_READY, KAFKA_READY];
    let parts = platform.current().iter().filter(|old| known.contains(&old.type_.as_str()));
    conditions.into_vec().into_iter().chain(parts.cloned()).collect()
}

fn progress(platform: &Platform, applied: &Applied, conditions: Conditions) -> PlatformStatus {
    let wanted = platform.spec.engine.replicas;
    let ready = applied.engine.as_ref().map_or(0, ready_replicas);
    let database = database(applied, ready);
    let conditions = match (database, &applied.engine) {
        (Some(false), _) => {
            conditions.waiting(DATABASE_NOT_READY, "PostgreSQL does not accept connections yet.")
        }
        (_, Some(engine)) if rolled_out(engine, wanted) => {
            conditions.ready(AS_SPECIFIED, &format!("{ready} of {wanted} engines are ready."))
        }
        (_, engine) => conditions.waiting(PROGRESSING, &pace(engine.as_ref(), ready, wanted)),
    };
    PlatformStatus {
        endpoint: Some(applied.endpoint.clone()),
        ready_replicas: Some(ready),
        observed_generation: None,
        conditions: kafka::condition(platform, applied.kafka.as_ref(), parts(conditions, database, ready))
            .into_vec(),
    }
}

fn parts(conditions: Conditions<'_>, database: Option<bool>, ready: i32) -> Conditions<'_> {
    let conditions = match database {
        Some(true) => conditions.set(POSTGRES_READY, "True", AS_SPECIFIED, "PostgreSQL accepts connections."),
        Some(false) => conditions.set(
            POSTGRES_READY,
            "False",
            DATABASE_NOT_READY,
            "PostgreSQL does not accept connections yet.",
        ),
        None => {
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
    match &applied.postgres {
        Some(postgres) => Some(answers(postgres)),
        None => (ready_engines > 0).then_some(true),
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
