//! ScalingPolicy: a HorizontalPodAutoscaler and a PodDisruptionBudget for each workload that it means.
//!
//! Workloads themselves are never written: their replicas belong to the autoscaler, and everything else to whoever keeps
//! them, which is why topology spread, a part of the pod template, is not set here. Where somebody else has an autoscaler
//! or a budget for the same pods, nothing is written for that workload. Objects of others are not watched, so every
//! policy is looked at once a minute; windows begin and end on time.

mod build;
mod observe;
mod report;
mod validate;

use std::time::Duration;

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use payplane_crds::ScalingPolicy;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    apply,
    context::Context,
    controllers::{Again, Reconciled},
    error::Error,
    status,
};

use build::Parts;
use observe::Observed;
use validate::Valid;

/// Nobody tells of changes to objects of others.
const LOOK: Duration = Duration::from_secs(60);

/// What came of one look.
#[derive(Debug)]
pub enum Answer {
    /// The spec can never be followed; the message names the field.
    Invalid(String),
    /// No such workload, in words.
    NoTarget(String),
    /// The API server will not have an object of ours, in its own words.
    Rejected(String),
    /// Written, except where somebody else was first.
    Applied(Box<Applied>),
}

/// What is in force.
#[derive(Clone, Debug)]
pub struct Applied {
    /// What was asked for, with the class and the windows worked in.
    pub valid: Valid,
    /// Workloads that it is in force for.
    pub targets: usize,
    /// What somebody else has for one of the workloads.
    pub conflicts: Vec<observe::Conflict>,
    /// What an autoscaler complains about.
    pub troubles: Vec<String>,
    /// Whether a budget was written.
    pub has_budget: bool,
}

impl Reconciled for ScalingPolicy {
    const CONCURRENCY: u16 = 4;

    async fn reconcile(&self, context: &Context) -> Result<Again, Error> {
        if self.metadata.deletion_timestamp.is_some() {
            return Ok(Again::OnChange);
        }
        let now = Timestamp::now();
        let answer = match validate::validate(self, now) {
            Err(message) => Answer::Invalid(message),
            Ok(valid) => look(self, context, valid).await?,
        };
        let status = report::report(self, &answer, now); // pure
        status::write(context, self, &status).await?;
        Ok(Again::After(wait(&answer, Timestamp::now())))
    }
}

async fn look(policy: &ScalingPolicy, context: &Context, valid: Valid) -> Result<Answer, Error> {
    let observed = observe::observe(policy, context).await?; // reads
    if let Some(message) = observe::missing(policy, &observed) {
        if observed.workloads.is_empty() {
            // What was meant before is not meant any more.
            act(policy, context, &observed, &[], &[]).await?;
        }
        return Ok(Answer::NoTarget(message));
    }
    if let Some(message) = observe::engine(policy, &observed) {
        return Ok(Answer::Invalid(message));
    }
    let conflicts: Vec<_> = observed
        .workloads
        .iter()
        .filter_map(|workload| observe::conflict(policy, &valid, &observed, workload))
        .collect();
    let free = |name: &str| conflicts.iter().all(|conflict| conflict.workload != name);
    let workloads: Vec<_> = observed.workloads.iter().filter(|workload| free(&workload.name)).collect();
    let parts: Vec<Parts> = workloads.iter().map(|workload| build::parts(policy, &valid, workload)).collect(); // pure
    match act(policy, context, &observed, &parts, &conflicts).await {
        Ok(troubles) => Ok(Answer::Applied(Box::new(Applied {
            targets: parts.len(),
            has_budget: parts.iter().any(|parts| parts.budget.is_some()),
            conflicts,
            troubles,
            valid,
        }))),
        Err(Error::Api { operation, cause }) => match &*cause {
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => {
                Ok(Answer::Rejected(status.message.clone()))
            }
            _ => Err(Error::Api { operation, cause }),
        },
        Err(error) => Err(error),
    }
}

/// Writes what is wanted, then removes what is no longer wanted; gives what the autoscalers complain about.
async fn act(
    policy: &ScalingPolicy,
    context: &Context,
    observed: &Observed,
    parts: &[Parts],
    conflicts: &[observe::Conflict],
) -> Result<Vec<String>, Error> {
    let client = &context.client;
    let mut troubles = Vec::new();
    for parts in parts {
        let live = apply::apply(client, &parts.autoscaler).await?;
        troubles.extend(observe::trouble(&live));
        if let Some(budget) = &parts.budget {
            apply::apply(client, budget).await?;
        }
    }
    // Of a workload that somebody else scales by now, ours stays as it is: which of the two goes is for a person to say.
    let contested: Vec<_> =
        conflicts.iter().map(|conflict| build::name(policy, &conflict.workload)).collect();
    let autoscalers: Vec<_> =
        parts.iter().map(|parts| parts.autoscaler.name_any()).chain(contested.clone()).collect();
    let budgets: Vec<_> =
        parts.iter().filter_map(|parts| Some(parts.budget.as_ref()?.name_any())).chain(contested).collect();
    remove(policy, context, &observed.autoscalers, &autoscalers).await?;
    remove(policy, context, &observed.budgets, &budgets).await?;
    Ok(troubles)
}

async fn remove<K>(
    policy: &ScalingPolicy,
    context: &Context,
    all: &[K],
    wanted: &[String],
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    for old in all.iter().filter(|old| observe::is_ours(policy, *old) && !wanted.contains(&old.name_any())) {
        apply::delete(&context.client, old).await?;
    }
    Ok(())
}

/// Until a window begins or ends, at most a minute.
fn wait(answer: &Answer, now: Timestamp) -> Duration {
    let Answer::Applied(applied) = answer else { return LOOK };
    let change = applied.valid.next_change.map(|change| change.duration_since(now));
    let change =
        change.map(|ahead| Duration::try_from(ahead).unwrap_or(Duration::ZERO) + Duration::from_millis(1));
    change.map_or(LOOK, |change| change.min(LOOK))
}

#[cfg(test)]
mod fixture {
    //! A policy.

    use serde_json::{Value, json};

    use super::*;

    /// A policy for Deployment api with the rest of its spec.
    pub fn policy(mut spec: Value) -> ScalingPolicy {
        spec["target"] = json!({"workload": {"kind": "Deployment", "name": "api"}});
        serde_json::from_value(json!({
            "apiVersion": "payplane.io/v1alpha1",
            "kind": "ScalingPolicy",
            "metadata": {"name": "front", "namespace": "shop", "uid": "u-1", "generation": 1},
            "spec": spec,
        }))
        .unwrap()
    }
}
