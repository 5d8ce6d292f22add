//! Who may do what in Kafka that is run here: one Job makes the topic, tells Kafka every password, grants what is asked for and
//! takes away the rest, users included whom nobody names any more.
//!
//! The engine may write events and look how large they can be; a user whom the Platform names may read them as a member of its
//! groups; nobody else can log in. A Job is named by all that its outcome depends on: users, rights, passwords, volumes and
//! the script. It is made once two nodes of three answer, and tried again by the kubelet, ever more slowly, for a day. Its
//! success is remembered on the StatefulSet, as a hash; the Job goes a day after its end, and so a failed one is made again.

mod build;

pub use build::{COMPONENT, SCRIPT, job};

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job, core::v1::Pod};
use kube::{Api, Client, ResourceExt};

use super::report::serves;
use crate::{
    api, apply,
    error::Error,
    job::{self, End},
    meta::KAFKA_RIGHTS,
    platform::rollout::pods,
};

/// It is tried again and again; its first failure is told already.
const FAILURES: i32 = 1;

/// What has to come of users and their rights.
pub struct WantedRights {
    /// Names all that it depends on.
    pub hash: String,
    /// What does it.
    pub job: Job,
}

/// How far users and their rights are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rights {
    /// Too few nodes answer.
    Waiting,
    /// The Job works.
    Running,
    /// It failed, for this reason, and is tried again.
    Failing(String),
    /// They are as asked for.
    Done,
}

/// Brings them as far as the nodes let it, and has the StatefulSet remember it.
///
/// # Errors
/// When the API server gives no answer, or does not accept the Job.
pub async fn bring(
    client: &Client,
    wanted: &WantedRights,
    live: Option<&StatefulSet>,
    nodes: &mut StatefulSet,
) -> Result<Rights, Error> {
    let before = live.and_then(|live| live.annotations().get(KAFKA_RIGHTS).cloned());
    let rights = match before.as_deref() == Some(&wanted.hash) {
        true => Rights::Done,
        false if !live.is_some_and(serves) => Rights::Waiting,
        false => work(client, &wanted.job).await?,
    };
    let done = if rights == Rights::Done { Some(wanted.hash.clone()) } else { before };
    if let Some(done) = done {
        nodes.metadata.annotations.get_or_insert_default().insert(KAFKA_RIGHTS.into(), done);
    }
    Ok(rights)
}

async fn work(client: &Client, wanted: &Job) -> Result<Rights, Error> {
    let namespace = wanted.namespace().unwrap_or_default();
    let jobs = Api::<Job>::namespaced(client.clone(), &namespace);
    match api::call("read a Job", jobs.get_opt(&wanted.name_any())).await? {
        Some(job) => {
            let pod = job::newest_pod(client, &namespace, &job::selector(&job)).await?;
            Ok(state(&job, pod.as_ref()))
        }
        None => apply::create(client, wanted).await.map(|_| Rights::Running),
    }
}

/// How far a Job is. Pure.
fn state(job: &Job, pod: Option<&Pod>) -> Rights {
    let trouble = pod
        .into_iter()
        .flat_map(job::containers)
        .find_map(|container| pods::cannot_start(container).or_else(|| pods::crashes(container, FAILURES)));
    match job::end(job, pod) {
        End::Succeeded => Rights::Done,
        End::Open => trouble.map_or(Rights::Running, Rights::Failing),
        End::Failed(_) => {
            let gave_up = || {
                let name = job.name_any();
                format!("Job {name} gave up; it is made again a day after its end, or when it is deleted.")
            };
            Rights::Failing(trouble.unwrap_or_else(gave_up))
        }
    }
}

#[cfg(test)]
mod tests;
