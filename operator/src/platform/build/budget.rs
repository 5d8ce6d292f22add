//! How many pods may be away at once when nodes are drained.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt;
use payplane_crds::Platform;

use super::ENGINE;
use crate::{
    meta::{owned, selector},
    platform::names::Names,
};

/// One at a time. A single engine has none: its budget would only stop the drain of its node.
pub fn engine(platform: &Platform, names: &Names) -> Option<PodDisruptionBudget> {
    (platform.spec.engine.replicas > 1).then(|| one_at_a_time(platform, names.engine(), ENGINE))
}

/// Of a component's pods one may be away.
pub fn one_at_a_time(platform: &Platform, name: String, component: &str) -> PodDisruptionBudget {
    PodDisruptionBudget {
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(selector(&platform.name_any(), component)),
                ..LabelSelector::default()
            }),
            // A pod that does not work protects nothing.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        metadata: owned(platform, name, component),
        ..PodDisruptionBudget::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::fixture, *};

    #[test]
    fn drains_take_one_engine_at_a_time_and_never_wait_for_a_single_one() {
        let platform = |replicas| {
            fixture::platform(json!({"postgres": {"managed": {}}, "engine": {"replicas": replicas}}))
        };
        for few in [0, 1] {
            assert!(engine(&platform(few), &fixture::names()).is_none());
        }
        assert_eq!(
            serde_json::to_value(engine(&platform(2), &fixture::names())).unwrap(),
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": fixture::owned("main-engine", "engine"),
                "spec": {
                    "maxUnavailable": 1,
                    "selector": {"matchLabels": fixture::selector("engine")},
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                },
            })
        );
    }
}
