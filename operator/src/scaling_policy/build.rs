//! The autoscaler and the disruption budget of one workload. Pure.

mod metric;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        autoscaling::v2::{
            CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
            HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::ResourceExt;
use payplane_crds::{ScalingPolicy, scaling_policy::ScalingPace};

use super::{observe::Workload, validate::Valid};
use crate::meta::{MANAGER, SCALING_POLICY, owner, short_hash};

/// Limit of Kubernetes for an object's name.
const NAME_MAX: usize = 253;

/// The objects of one workload.
#[derive(Debug)]
pub struct Parts {
    /// How many pods run.
    pub autoscaler: HorizontalPodAutoscaler,
    /// How many may be away.
    pub budget: Option<PodDisruptionBudget>,
}

/// Builds both.
pub fn parts(policy: &ScalingPolicy, valid: &Valid, workload: &Workload) -> Parts {
    Parts { autoscaler: autoscaler(policy, valid, workload), budget: budget(policy, valid, workload) }
}

/// What both are called.
pub fn name(policy: &ScalingPolicy, workload: &str) -> String {
    let policy = policy.name_any();
    match format!("{policy}-{workload}") {
        long if NAME_MAX < long.len() => format!("{policy}-{}", short_hash([workload.as_bytes()])),
        name => name,
    }
}

fn autoscaler(policy: &ScalingPolicy, valid: &Valid, workload: &Workload) -> HorizontalPodAutoscaler {
    let platform = policy.spec.target.platform.as_ref().map(|platform| platform.name.as_str());
    HorizontalPodAutoscaler {
        metadata: owned(policy, workload),
        spec: Some(HorizontalPodAutoscalerSpec {
            behavior: behaviour(valid),
            max_replicas: valid.maximum,
            metrics: Some(valid.metrics.iter().map(|metric| metric::metric(metric, platform)).collect()),
            min_replicas: Some(valid.minimum),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".into()),
                kind: format!("{:?}", workload.kind),
                name: workload.name.clone(),
            },
        }),
        status: None,
    }
}

fn behaviour(valid: &Valid) -> Option<HorizontalPodAutoscalerBehavior> {
    if valid.scale_in.is_none() && valid.scale_out.is_none() {
        return None;
    }
    Some(HorizontalPodAutoscalerBehavior {
        scale_down: valid.scale_in.as_ref().map(rules),
        scale_up: valid.scale_out.as_ref().map(rules),
    })
}

fn rules(pace: &ScalingPace) -> HPAScalingRules {
    let policy = |type_: &str, value| HPAScalingPolicy {
        period_seconds: pace.period_seconds,
        type_: type_.into(),
        value,
    };
    let pods = pace.max_pods.map(|value| policy("Pods", value));
    let percent = pace.max_percent.map(|value| policy("Percent", value));
    let policies: Vec<_> = pods.into_iter().chain(percent).collect();
    HPAScalingRules {
        policies: (!policies.is_empty()).then_some(policies),
        stabilization_window_seconds: pace.stabilization_seconds,
        ..HPAScalingRules::default()
    }
}

fn budget(policy: &ScalingPolicy, valid: &Valid, workload: &Workload) -> Option<PodDisruptionBudget> {
    let disruption = valid.disruption.as_ref()?;
    Some(PodDisruptionBudget {
        metadata: owned(policy, workload),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: disruption.max_unavailable.map(IntOrString::Int),
            min_available: disruption.min_available.map(IntOrString::Int),
            selector: Some(workload.selector.clone()),
            // A pod that does not work protects nothing.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
        }),
        status: None,
    })
}

fn owned(policy: &ScalingPolicy, workload: &Workload) -> ObjectMeta {
    ObjectMeta {
        name: Some(name(policy, &workload.name)),
        namespace: policy.namespace(),
        labels: Some(BTreeMap::from([
            ("app.kubernetes.io/managed-by".into(), MANAGER.into()),
            (SCALING_POLICY.into(), policy.name_any()),
        ])),
        owner_references: Some(vec![owner(policy)]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
