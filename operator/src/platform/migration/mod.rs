//! The step before a rollout: one Job brings the database to the schema of the engines that are to come, with the login of
//! its owner, which no engine's pod has.
//!
//! Order: what the Deployment remembers, then the Job, made once the database answers. Until it has succeeded, engines stay
//! of the template that they have; a migration that fails is tried again by the kubelet, ever more slowly, for a day. A Job
//! is named by all that its outcome depends on: the image, the engine's login, and the volume with the Restore that filled it
//! last. So another login, another release and a ledger from a copy each have their own. Its success is remembered on the
//! Deployment, as a hash; the Job goes a day after its end, and so a failed one is made again.

mod build;

pub use build::COMPONENT;

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{Pod, PodTemplateSpec},
};
use kube::{Api, ResourceExt};
use payplane_crds::Platform;
use serde::Deserialize;

use super::{
    Names, cluster,
    credentials::Made,
    observe::Observed,
    report,
    rollout::{self, pods},
};
use crate::{
    api, apply,
    context::Context,
    error::Error,
    job::{self, End},
    meta::{MIGRATED, OLDEST_ENGINE, RESTORE, SCHEMA, short_hash},
};

/// A migration is tried again and again; its first failure is told already.
const FAILURES: i32 = 1;

/// How far the schema is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Migration {
    /// Nobody asks: the template that it would be for failed before.
    NotAsked,
    /// The database does not answer yet.
    Waiting,
    /// The Job works.
    Running,
    /// It failed, and is tried again.
    Failing(Trouble),
    /// The image of the new engines does not start.
    CannotStart(String),
    /// Engines of this template can come.
    Done(Done),
}

/// Why a migration failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// What it says is the matter, as a condition's reason; empty if it does not say.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What is remembered of a migration that succeeded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Done {
    /// What the Job was named by.
    pub hash: String,
    /// How far the schema is, if the Job told.
    pub schema: Option<Schema>,
}

/// How far a schema is, as the Job tells it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct Schema {
    /// The newest migration, which engines of this release know.
    pub schema: i64,
    /// The oldest engine that may run now, by the newest migration that it knows.
    pub oldest: i64,
}

/// What a migration leaves behind when it fails.
#[derive(Deserialize)]
struct Said {
    reason: String,
    message: String,
}

/// Brings the schema as far as engines of `template` need it.
///
/// # Errors
/// When the API server gives no answer, or does not accept the Job.
pub async fn bring(
    platform: &Platform,
    context: &Context,
    names: &Names,
    (observed, made): (&Observed, &Made),
    template: &PodTemplateSpec,
) -> Result<Migration, Error> {
    if rollout::refuses(&observed.rollout, template) {
        return Ok(Migration::NotAsked);
    }
    let hash = hash(observed, made, template);
    if let Some(done) = remembered(observed.rollout.live.as_ref(), &hash) {
        return Ok(Migration::Done(done));
    }
    if !database_answers(platform, observed, made) {
        return Ok(Migration::Waiting);
    }
    let jobs = Api::<Job>::namespaced(context.client.clone(), &names.namespace);
    let name = names.migrate(&hash);
    match api::call("read a Job", jobs.get_opt(&name)).await? {
        Some(job) => {
            let pod = job::newest_pod(&context.client, &names.namespace, &job::selector(&job)).await?;
            Ok(state(&job, pod.as_ref(), hash))
        }
        None => {
            let wanted = build::job(platform, &context.settings, names, made, &hash);
            apply::create(&context.client, &wanted).await?;
            Ok(Migration::Running)
        }
    }
}

/// Whether the database can be asked, as far as that can be told: one of somebody else is asked. Pure.
fn database_answers(platform: &Platform, observed: &Observed, made: &Made) -> bool {
    if platform.spec.postgres.operator.is_some() {
        return cluster::answers(&observed.cluster, observed.database_owner.as_ref());
    }
    !made.managed || observed.postgres.as_ref().is_some_and(report::answers)
}

/// Names everything that a migration's outcome depends on. Pure.
fn hash(observed: &Observed, made: &Made, template: &PodTemplateSpec) -> String {
    let claim = observed.claim.as_ref();
    let volume = claim.and_then(ResourceExt::uid).unwrap_or_default();
    let restored = claim.and_then(|claim| claim.annotations().get(RESTORE).cloned()).unwrap_or_default();
    let image = rollout::image(template).unwrap_or_default();
    let parts =
        [image, made.engine_hash.as_str(), made.owner_secret.as_str(), volume.as_str(), restored.as_str()];
    short_hash(parts.map(str::as_bytes))
}

/// What the Deployment says of this migration. Pure.
fn remembered(live: Option<&Deployment>, hash: &str) -> Option<Done> {
    let annotations = live?.annotations();
    let number = |name: &str| annotations.get(name)?.parse().ok();
    (annotations.get(MIGRATED)? == hash).then(|| Done {
        hash: hash.to_owned(),
        schema: number(SCHEMA)
            .map(|schema| Schema { schema, oldest: number(OLDEST_ENGINE).unwrap_or_default() }),
    })
}

/// What the Deployment shall remember. Without a new success, what it remembers already. Pure.
pub fn remember(engine: &mut Deployment, live: Option<&Deployment>, migration: &Migration) {
    let before = |name: &str| live.and_then(|live| live.annotations().get(name).cloned());
    let told = |number: fn(&Schema) -> i64| match migration {
        Migration::Done(done) => Some(done.schema.as_ref().map(|schema| number(schema).to_string())),
        _ => None,
    };
    let hash = match migration {
        Migration::Done(done) => Some(done.hash.clone()),
        _ => before(MIGRATED),
    };
    let marks = [
        (MIGRATED, hash),
        (SCHEMA, told(|schema| schema.schema).unwrap_or_else(|| before(SCHEMA))),
        // It never sinks, whatever came of this migration.
        (OLDEST_ENGINE, told(|schema| schema.oldest).flatten().or_else(|| before(OLDEST_ENGINE))),
    ];
    let annotations = engine.metadata.annotations.get_or_insert_default();
    annotations.extend(marks.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}

/// How far a Job is. Pure.
fn state(job: &Job, pod: Option<&Pod>, hash: String) -> Migration {
    match job::end(job, pod) {
        End::Succeeded => Migration::Done(Done { hash, schema: job::said(pod, build::COMPONENT) }),
        End::Failed(_) => {
            let message = format!(
                "Job {} gave up; it is made again a day after its end, or when it is deleted.",
                job.name_any()
            );
            Migration::Failing(trouble(pod).unwrap_or(Trouble { reason: String::new(), message }))
        }
        End::Open => match pod.and_then(|pod| job::containers(pod).find_map(pods::cannot_start)) {
            Some(words) => Migration::CannotStart(words),
            None => trouble(pod).map_or(Migration::Running, Migration::Failing),
        },
    }
}

/// What the pod's migration said when it failed.
fn trouble(pod: Option<&Pod>) -> Option<Trouble> {
    job::containers(pod?).find_map(|container| {
        let message = pods::crashes(container, FAILURES)?;
        let said: Option<Said> =
            pods::last_words(container).and_then(|words| serde_json::from_str(words).ok());
        Some(match said {
            Some(Said { reason, message }) => Trouble { reason, message },
            None => Trouble { reason: String::new(), message },
        })
    })
}

#[cfg(test)]
mod tests;
