//! Whether a rollout goes on, waits for a person, or goes back. Pure.
//!
//! The order of judging: a template that failed before is not tried again until the Platform asks for another one; a
//! migration that fails freezes the rollout (the pods of before go on serving, and whatever the migration did stays);
//! engines that do not start, or do not get ready in time, go back to the template of the pods that serve. Nothing goes
//! back where nothing serves.
//!
//! What is remembered is on the Deployment itself: the hash of the template that failed. So any operator continues where
//! another one stopped, and whoever deletes the Deployment starts afresh.

mod pods;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Pod, PodTemplateSpec},
    },
    jiff::Timestamp,
};
use kube::ResourceExt;

use crate::meta::{REFUSED, REFUSED_BECAUSE, short_hash};

pub use pods::{MIGRATE, Trouble, trouble};

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
    /// A migration failed: go on as before, and tell.
    Frozen(Trouble),
    /// The new template failed: back to the one of before.
    GoBack {
        /// The template of the pods that serve.
        template: Box<PodTemplateSpec>,
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
}

/// Judges. `wanted` is the template that the Platform asks for.
pub fn judge(seen: &Seen, wanted: &PodTemplateSpec, now: Timestamp) -> Verdict {
    let Some(live) = &seen.live else { return Verdict::Proceed };
    let hash = hash(wanted);
    if let (Some(refused), Some(template)) = (live.annotations().get(REFUSED), template_of(live))
        && *refused == hash
    {
        let why = live.annotations().get(REFUSED_BECAUSE).cloned().unwrap_or_default();
        return Verdict::StayBack { template: Box::new(template), refused: hash, why };
    }
    let Some(newest) = newest(live, &seen.sets) else { return Verdict::Proceed };
    let Some(serving) = serving(newest, &seen.sets) else {
        return frozen(seen, newest).unwrap_or(Verdict::Proceed);
    };
    if let Some(frozen) = frozen(seen, newest) {
        return frozen;
    }
    match failure(newest, &seen.pods, now) {
        Some(why) => Verdict::GoBack { template: Box::new(serving), refused: hash, why },
        None => Verdict::Proceed,
    }
}

/// A migration that failed.
fn frozen(seen: &Seen, newest: &ReplicaSet) -> Option<Verdict> {
    let found = of(newest, &seen.pods).find_map(trouble)?;
    found.is_migration.then_some(Verdict::Frozen(found))
}

/// Why the newest template will not do.
fn failure(newest: &ReplicaSet, pods: &[Pod], now: Timestamp) -> Option<String> {
    if let Some(found) = of(newest, pods).find_map(trouble) {
        return Some(found.message);
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
fn serving(newest: &ReplicaSet, sets: &[ReplicaSet]) -> Option<PodTemplateSpec> {
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
    Some(template)
}

fn of<'a>(set: &ReplicaSet, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> + use<'a> {
    let uid = set.metadata.uid.clone();
    pods.iter().filter(move |pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()))
}

fn template_of(live: &Deployment) -> Option<PodTemplateSpec> {
    live.spec.as_ref().map(|spec| spec.template.clone())
}

/// Names a template by what it says.
pub fn hash(template: &PodTemplateSpec) -> String {
    // A value that was built from types can be written as JSON.
    short_hash([serde_json::to_string(template).unwrap_or_default().as_bytes()])
}

#[cfg(test)]
mod tests;
