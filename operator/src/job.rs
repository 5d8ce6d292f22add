//! Jobs of several steps: how they are built, and what one came to, read from it and from its pod. Pure, but for finding the
//! pod.

mod build;
mod pods;

pub use build::{once, pod, serve};
pub use pods::{containers, newest_pod, selector};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ContainerStateTerminated, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use serde::Deserialize;

/// As much of a step's last words as a condition can hold.
const WORDS_MAX: usize = 600;

/// How a Job stands.
#[derive(Debug)]
pub enum End {
    /// It works.
    Open,
    /// Every step ended well.
    Succeeded,
    /// It will not be tried again.
    Failed(Failed),
}

/// Why a Job failed.
#[derive(Debug)]
pub enum Failed {
    /// It took longer than its deadline.
    Late,
    /// No step tells why; what the Job itself says.
    Job(String),
    /// The first step that failed.
    Step {
        /// Its name.
        step: String,
        /// Its exit code.
        code: i32,
        /// What it said last.
        words: String,
    },
}

/// How the Job stands.
pub fn end(job: &Job, pod: Option<&Pod>) -> End {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |type_: &str| conditions.iter().find(|one| one.type_ == type_ && one.status == "True");
    if is("Complete").is_some() {
        return End::Succeeded;
    }
    let Some(failed) = is("Failed") else { return End::Open };
    if failed.reason.as_deref() == Some("DeadlineExceeded") {
        return End::Failed(Failed::Late);
    }
    let Some((step, terminated)) = culprit(pod) else {
        return End::Failed(Failed::Job(failed.message.clone().unwrap_or_default()));
    };
    let words = terminated.message.unwrap_or_default();
    // What matters is said last.
    let words = words.trim();
    let from = words.char_indices().rev().nth(WORDS_MAX - 1).map_or(0, |(at, _)| at);
    End::Failed(Failed::Step { step, code: terminated.exit_code, words: words[from..].to_owned() })
}

/// When the Job ended.
pub fn ended_at(job: &Job) -> Option<Time> {
    let status = job.status.as_ref()?;
    let last = status.conditions.iter().flatten().filter_map(|one| one.last_transition_time.clone());
    status.completion_time.clone().or_else(|| last.max_by_key(|time| time.0))
}

/// Whether a container of it may still be at work.
pub fn still_runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// What a step that ended well said.
pub fn said<'a, T: Deserialize<'a>>(pod: Option<&'a Pod>, step: &str) -> Option<T> {
    serde_json::from_str(ended_well(pod, step)?.message.as_deref()?).ok()
}

/// When a step ended well.
pub fn ended(pod: Option<&Pod>, step: &str) -> Option<Timestamp> {
    ended_well(pod, step)?.finished_at.as_ref().map(|time| time.0)
}

fn ended_well<'a>(pod: Option<&'a Pod>, step: &str) -> Option<&'a ContainerStateTerminated> {
    let state = containers(pod?).find(|one| one.name == step)?.state.as_ref()?;
    state.terminated.as_ref().filter(|terminated| terminated.exit_code == 0)
}

/// The first step that failed. A server that serves other steps is stopped at the end, which is no failure.
fn culprit(pod: Option<&Pod>) -> Option<(String, ContainerStateTerminated)> {
    let ended = containers(pod?).filter_map(|step| {
        let terminated = step.state.as_ref()?.terminated.clone()?;
        (terminated.exit_code != 0).then(|| (step.name.clone(), terminated))
    });
    ended.min_by_key(|(_, terminated)| terminated.finished_at.as_ref().map(|time| time.0))
}
