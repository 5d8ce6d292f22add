//! The workloads that a ScalingPolicy means, and the autoscalers and budgets of their namespace. The only reads.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::PodTemplateSpec,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use payplane_crds::{
    ScalingPolicy,
    condition::reason::{FOREIGN_AUTOSCALER, FOREIGN_BUDGET},
    scaling_policy::WorkloadKind,
};

use super::validate::Valid;
use crate::{api, context::Context, error::Error, meta::PLATFORM, platform};

/// Workloads that one policy can mean.
pub const WORKLOADS_MAX: usize = 32;

/// What is there now.
pub struct Observed {
    /// The workloads that are meant; one more than allowed if there are too many.
    pub workloads: Vec<Workload>,
    /// Every autoscaler of the namespace.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// Every disruption budget of the namespace.
    pub budgets: Vec<PodDisruptionBudget>,
}

/// A workload that is meant.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Deployment or StatefulSet.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// How it finds its pods.
    pub selector: LabelSelector,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// The Platform that keeps it.
    pub platform: Option<String>,
}

/// Something of somebody else for the same pods.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The workload.
    pub workload: String,
    /// As a condition's reason.
    pub reason: &'static str,
    /// Name of the other object.
    pub other: String,
}

/// Reads.
///
/// # Errors
/// When the API server gives no answer.
pub async fn observe(policy: &ScalingPolicy, context: &Context) -> Result<Observed, Error> {
    let namespace = policy.namespace().unwrap_or_default();
    let all = ListParams::default();
    let autoscalers = Api::<HorizontalPodAutoscaler>::namespaced(context.client.clone(), &namespace);
    let budgets = Api::<PodDisruptionBudget>::namespaced(context.client.clone(), &namespace);
    Ok(Observed {
        workloads: workloads(policy, context, &namespace).await?,
        autoscalers: api::call("list autoscalers", autoscalers.list(&all)).await?.items,
        budgets: api::call("list disruption budgets", budgets.list(&all)).await?.items,
    })
}

async fn workloads(
    policy: &ScalingPolicy,
    context: &Context,
    namespace: &str,
) -> Result<Vec<Workload>, Error> {
    let (kind, list) = wanted(policy);
    let client = context.client.clone();
    Ok(match kind {
        WorkloadKind::Deployment => {
            let api = Api::<Deployment>::namespaced(client, namespace);
            let found = api::call("list Deployments", api.list(&list)).await?.items.into_iter();
            let meant = found.filter_map(|one| Some((one.metadata, one.spec?)));
            meant.map(|(metadata, spec)| workload(kind, metadata, spec.selector, spec.template)).collect()
        }
        WorkloadKind::StatefulSet => {
            let api = Api::<StatefulSet>::namespaced(client, namespace);
            let found = api::call("list StatefulSets", api.list(&list)).await?.items.into_iter();
            let meant = found.filter_map(|one| Some((one.metadata, one.spec?)));
            meant.map(|(metadata, spec)| workload(kind, metadata, spec.selector, spec.template)).collect()
        }
    })
}

/// What to list: one by name, or all with the labels.
fn wanted(policy: &ScalingPolicy) -> (WorkloadKind, ListParams) {
    let target = &policy.spec.target;
    let named = |name: &str| ListParams::default().fields(&format!("metadata.name={name}"));
    if let Some(platform) = &target.platform {
        return (WorkloadKind::Deployment, named(&platform::engine_name(&platform.name)));
    }
    if let Some(workload) = &target.workload {
        return (workload.kind, named(&workload.name));
    }
    let selector = target.selector.iter();
    let labels = selector.clone().flat_map(|selector| &selector.match_labels);
    let labels: Vec<_> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    let kind = selector.map(|selector| selector.kind).next().unwrap_or_default();
    let limit = u32::try_from(WORKLOADS_MAX + 1).unwrap_or(u32::MAX);
    (kind, ListParams::default().labels(&labels.join(",")).limit(limit))
}

fn workload(
    kind: WorkloadKind,
    metadata: ObjectMeta,
    selector: LabelSelector,
    template: PodTemplateSpec,
) -> Workload {
    Workload {
        kind,
        platform: metadata.labels.and_then(|mut labels| labels.remove(PLATFORM)),
        name: metadata.name.unwrap_or_default(),
        selector,
        labels: template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default(),
    }
}

/// Why there is nothing to scale, in words.
pub fn missing(policy: &ScalingPolicy, observed: &Observed) -> Option<String> {
    let target = &policy.spec.target;
    match observed.workloads.len() {
        0 => Some(match (&target.workload, &target.platform) {
            (Some(workload), _) => {
                format!("There is no {:?} {:?} in this namespace.", workload.kind, workload.name)
            }
            (_, Some(platform)) => {
                format!("There is no Platform {:?} with an engine in this namespace.", platform.name)
            }
            _ => "No workload in this namespace has the labels of target.selector.".into(),
        }),
        many if WORKLOADS_MAX < many => Some(format!(
            "More than {WORKLOADS_MAX} workloads have the labels of target.selector; make them narrower."
        )),
        _ => None,
    }
}

/// Why a part of a Platform cannot be scaled as a workload of its own: the Platform would set its number again.
pub fn engine(policy: &ScalingPolicy, observed: &Observed) -> Option<String> {
    if policy.spec.target.platform.is_some() {
        return None;
    }
    let kept =
        observed.workloads.iter().find_map(|workload| Some((&workload.name, workload.platform.as_ref()?)));
    kept.map(|(name, platform)| {
        format!("target: {name} belongs to Platform {platform}; name that as target.platform.")
    })
}

/// What somebody else has for the pods of this workload. Another policy's objects are somebody else's, too.
pub fn conflict(
    policy: &ScalingPolicy,
    valid: &Valid,
    observed: &Observed,
    workload: &Workload,
) -> Option<Conflict> {
    let found = |reason, other: String| Conflict { workload: workload.name.clone(), reason, other };
    let scales = |autoscaler: &&HorizontalPodAutoscaler| {
        let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
        !is_ours(policy, *autoscaler)
            && target.is_some_and(|target| {
                target.name == workload.name && target.kind == format!("{:?}", workload.kind)
            })
    };
    let keeps = |budget: &&PodDisruptionBudget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        !is_ours(policy, *budget) && selector.is_some_and(|selector| selects(selector, &workload.labels))
    };
    if let Some(other) = observed.autoscalers.iter().find(scales) {
        return Some(found(FOREIGN_AUTOSCALER, other.name_any()));
    }
    valid.disruption.as_ref()?;
    observed.budgets.iter().find(keeps).map(|other| found(FOREIGN_BUDGET, other.name_any()))
}

/// Whether the object is this very policy's.
pub fn is_ours<K: Resource>(policy: &ScalingPolicy, object: &K) -> bool {
    let owners = object.meta().owner_references.iter().flatten();
    policy
        .uid()
        .is_some_and(|uid| owners.into_iter().any(|owner| owner.uid == uid && owner.controller == Some(true)))
}

/// Whether a selector finds pods with these labels. An empty one finds all.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let all_labels =
        selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let all_expressions = selector.match_expressions.iter().flatten().all(|expression| {
        let value = labels.get(&expression.key);
        let is_listed =
            value.is_some_and(|value| expression.values.iter().flatten().any(|listed| listed == value));
        match expression.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    });
    all_labels && all_expressions
}

/// What an autoscaler complains about: it gets no metrics, or cannot scale.
pub fn trouble(live: &HorizontalPodAutoscaler) -> Option<String> {
    let conditions = live.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut bad = conditions.filter(|condition| {
        ["AbleToScale", "ScalingActive"].contains(&condition.type_.as_str())
            && condition.status == "False"
            // A workload that somebody scaled to nothing.
            && condition.reason.as_deref() != Some("ScalingDisabled")
    });
    bad.next().map(|condition| {
        let way_out = condition.reason.as_deref().and_then(way_out).unwrap_or_default();
        format!("{}: {}{way_out}", live.name_any(), condition.message.as_deref().unwrap_or_default())
    })
}

/// What to do where an autoscaler gets no metric. Its own words say which.
fn way_out(reason: &str) -> Option<&'static str> {
    match reason {
        "FailedGetExternalMetric" => Some(
            ". The number of pods stays as it is meanwhile. See kubectl get apiservice v1beta1.external.metrics.k8s.io; the chart \
             serves figures of engines with metricsApi.enabled",
        ),
        "FailedGetPodsMetric" => Some(
            ". The number of pods stays as it is meanwhile. See kubectl get apiservice v1beta2.custom.metrics.k8s.io; the chart \
             serves figures of engines with metricsApi.enabled, anything else needs an adapter of your own",
        ),
        "FailedGetResourceMetric" => Some(
            ". The number of pods stays as it is meanwhile. CPU and memory need metrics-server, and requests of the pods",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
