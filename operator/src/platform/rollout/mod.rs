//! Whether a rollout goes on, waits for a person, or goes back. Pure.
//!
//! The order of judging: a template that failed before is not tried again until the Platform asks for another one; as long
//! as the database has not got the schema of the new engines, engines stay of the template that they have; engines that do
//! not start, do not get ready in time, or answer with failures ([`analysis`]) go back to the template of the pods that serve.
//! Nothing goes back where nothing serves, and nothing to engines that the schema no longer lets run: that waits for a person.
//!
//! What is remembered is on the Deployment itself: the hash of the template that failed, and how far the schema is. So any
//! operator continues where another one stopped, and whoever deletes the Deployment starts afresh.

pub mod analysis;
mod hold;
pub mod pods;

pub use hold::hold;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Pod, PodTemplateSpec},
    },
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{
    build::ENGINE,
    migration::{Migration, Trouble},
};
use crate::meta::{OLDEST_ENGINE, REFUSED, REFUSED_BECAUSE, SCHEMA, TEMPLATE, short_hash};

use analysis::Analysis;

/// How long the pods of a new template may take to get ready, from the moment that its ReplicaSet was made.
const READY_SECONDS: i64 = 600;

const REVISION: &str = "deployment.kubernetes.io/revision";
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Deployment as it is.
    pub live: Option<Deployment>,
    /// Its ReplicaSets.
    pub sets: Vec<ReplicaSet>,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Go on, or begin.
    Proceed,
    /// The database is being brought to the schema of the new engines: as before, until it is.
    Migrating,
    /// A migration failed: as before, and tell.
    Frozen(Trouble),
    /// The new template failed: back to the one of before.
    GoBack {
        /// The template of the pods that serve.
        template: Box<PodTemplateSpec>,
        /// The newest migration that engines of it know, if that is known.
        schema: Option<String>,
        /// Hash of the one that failed.
        refused: String,
        /// Why, for people.
        why: String,
    },
    /// It went back before, and the Platform still asks for the same.
    StayBack {
        /// The template that serves.
        template: Box<PodTemplateSpec>,
        /// Hash of the one that failed.
        refused: String,
        /// Why it failed.
        why: String,
    },
    /// The new template failed, and the schema does not let engines of before run: nothing is replaced any more, and tell.
    NoWayBack {
        /// Why, for people.
        why: String,
    },
}

/// A template to go back to.
struct Way {
    template: PodTemplateSpec,
    schema: Option<String>,
}

/// Judges. `wanted` is the template that the Platform asks for.
pub fn judge(
    seen: &Seen,
    wanted: &PodTemplateSpec,
    migration: &Migration,
    analysis: &Analysis,
    now: Timestamp,
) -> Verdict {
    if let Some(back) = stays_back(seen, wanted) {
        return back;
    }
    match migration {
        Migration::NotAsked | Migration::Waiting | Migration::Running => return Verdict::Migrating,
        Migration::Failing(trouble) => return Verdict::Frozen(trouble.clone()),
        Migration::CannotStart(words) => return unstartable(seen, wanted, words),
        Migration::Done(_) => {}
    }
    let Some(live) = &seen.live else { return Verdict::Proceed };
    if live.annotations().get(TEMPLATE) != Some(&hash(wanted)) {
        // What runs is of another template: what is wanted has not been tried yet.
        return Verdict::Proceed;
    }
    let Some(newest) = newest(live, &seen.sets) else { return Verdict::Proceed };
    let Some(way) = way_back(newest, &seen.sets) else { return Verdict::Proceed };
    let Some(why) = failure(newest, &seen.pods, now).or_else(|| analysis.complaint()) else {
        return Verdict::Proceed;
    };
    match is_open(&way, live) {
        true => {
            let Way { template, schema } = way;
            Verdict::GoBack { template: Box::new(template), schema, refused: hash(wanted), why }
        }
        false => Verdict::NoWayBack { why },
    }
}

/// Whether this template failed before, and is still what the Platform asks for.
pub fn refuses(seen: &Seen, wanted: &PodTemplateSpec) -> bool {
    stays_back(seen, wanted).is_some()
}

fn stays_back(seen: &Seen, wanted: &PodTemplateSpec) -> Option<Verdict> {
    let live = seen.live.as_ref()?;
    let refused = live.annotations().get(REFUSED).filter(|refused| **refused == hash(wanted))?;
    let why = live.annotations().get(REFUSED_BECAUSE).cloned().unwrap_or_default();
    Some(Verdict::StayBack { template: Box::new(template_of(live)?), refused: refused.clone(), why })
}

/// The migration's image cannot be had, so the engines' could not either. Nothing has changed yet, and another image has to
/// be asked for; if it is the one that runs, it is tried on.
fn unstartable(seen: &Seen, wanted: &PodTemplateSpec, words: &str) -> Verdict {
    let live = seen.live.as_ref().and_then(template_of);
    match live.filter(|live| image(live) != image(wanted)) {
        Some(live) => Verdict::GoBack {
            template: Box::new(live),
            schema: seen.live.as_ref().and_then(|live| live.annotations().get(SCHEMA).cloned()),
            refused: hash(wanted),
            why: words.to_owned(),
        },
        None => Verdict::Frozen(Trouble { reason: String::new(), message: words.to_owned() }),
    }
}

/// Why the newest template will not do.
fn failure(newest: &ReplicaSet, pods: &[Pod], now: Timestamp) -> Option<String> {
    if let Some(found) = of(newest, pods).find_map(pods::trouble) {
        return Some(found);
    }
    let status = newest.status.as_ref()?;
    let is_late = newest
        .metadata
        .creation_timestamp
        .as_ref()
        .is_some_and(|made| made.0.as_second() + READY_SECONDS <= now.as_second());
    let none_ready = 0 < status.replicas && status.ready_replicas.unwrap_or(0) == 0;
    (is_late && none_ready).then(|| format!("No new engine got ready within {READY_SECONDS} s."))
}

/// The ReplicaSet of the template that the Deployment has now.
fn newest<'a>(live: &Deployment, sets: &'a [ReplicaSet]) -> Option<&'a ReplicaSet> {
    let revision = live.annotations().get(REVISION)?;
    sets.iter().find(|set| set.annotations().get(REVISION) == Some(revision))
}

/// The template of other pods that serve; the newest of them.
fn way_back(newest: &ReplicaSet, sets: &[ReplicaSet]) -> Option<Way> {
    let serves = |set: &&ReplicaSet| {
        set.metadata.uid != newest.metadata.uid
            && set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0) > 0
    };
    let number = |set: &&ReplicaSet| {
        set.annotations().get(REVISION).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    let set = sets.iter().filter(serves).max_by_key(number)?;
    let mut template = set.spec.as_ref()?.template.clone()?;
    // The ReplicaSet's own mark, which a Deployment's template must not have.
    if let Some(labels) = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    // The controller of Deployments copies annotations to the set of their template.
    Some(Way { template, schema: set.annotations().get(SCHEMA).cloned() })
}

/// Whether the schema still lets engines of this template run. What nobody remembers is of a time before any of it was taken
/// away.
fn is_open(way: &Way, live: &Deployment) -> bool {
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
    let oldest = number(live.annotations().get(OLDEST_ENGINE)).unwrap_or(0);
    oldest <= 0 || number(way.schema.as_ref()).is_some_and(|known| oldest <= known)
}

fn of<'a>(set: &ReplicaSet, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> + use<'a> {
    let uid = set.metadata.uid.clone();
    pods.iter().filter(move |pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()))
}

/// The template that the Deployment has.
pub fn template_of(live: &Deployment) -> Option<PodTemplateSpec> {
    live.spec.as_ref().map(|spec| spec.template.clone())
}

/// The engine's image in a template.
pub fn image(template: &PodTemplateSpec) -> Option<&str> {
    let containers = &template.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == ENGINE)?.image.as_deref()
}

/// Names a template by what it says.
pub fn hash(template: &PodTemplateSpec) -> String {
    // A value that was built from types can be written as JSON.
    short_hash([serde_json::to_string(template).unwrap_or_default().as_bytes()])
}

#[cfg(test)]
mod tests;
