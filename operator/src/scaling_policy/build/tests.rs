//! Both objects, field by field.

use payplane_crds::scaling_policy::WorkloadKind;
use serde_json::{Value, json};

use super::{
    super::{fixture::policy, validate::validate},
    *,
};

fn parts(spec: Value) -> Parts {
    let policy = policy(spec);
    let labels = BTreeMap::from([("app".to_owned(), "api".to_owned())]);
    let selector = serde_json::from_value(json!({"matchLabels": {"app": "api"}})).unwrap();
    let workload =
        Workload { kind: WorkloadKind::Deployment, name: "api".into(), selector, labels, platform: None };
    super::parts(&policy, &validate(&policy, jiff::Timestamp::UNIX_EPOCH).unwrap(), &workload)
}

#[test]
fn a_class_becomes_an_autoscaler_and_a_budget() {
    let parts = parts(json!({"class": "Gateway"}));
    let metadata = json!({
        "name": "front-api", "namespace": "shop",
        "labels": {"app.kubernetes.io/managed-by": "payplane-operator", "payplane.io/scaling-policy": "front"},
        "ownerReferences": [{
            "apiVersion": "payplane.io/v1alpha1", "controller": true, "kind": "ScalingPolicy", "name": "front",
            "uid": "u-1",
        }],
    });
    assert_eq!(
        serde_json::to_value(parts.autoscaler).unwrap(),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
            "spec": {
                "minReplicas": 2, "maxReplicas": 10,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70},
                }}],
            },
        })
    );
    assert_eq!(
        serde_json::to_value(parts.budget).unwrap(),
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata,
            "spec": {
                "minAvailable": 2, "selector": {"matchLabels": {"app": "api"}},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        })
    );
}

#[test]
fn metrics_of_other_things_and_paces_are_said_as_the_autoscaler_says_them() {
    let parts = parts(json!({
        "minReplicas": 2, "maxReplicas": 8,
        "metrics": [
            {"external": {"name": "queue_depth", "matchLabels": {"queue": "refunds"}, "value": "1000"}, "scaleInBelow": "100"},
            {"pods": {"name": "requests_per_minute", "averageValue": "50"}},
        ],
        "scaleOut": {"stabilizationSeconds": 0, "maxPods": 2, "maxPercent": 100, "periodSeconds": 30},
    }));
    let spec = serde_json::to_value(parts.autoscaler.spec).unwrap();
    assert_eq!(
        spec["metrics"],
        json!([
            {"type": "External", "external": {
                "metric": {"name": "queue_depth", "selector": {"matchLabels": {"queue": "refunds"}}},
                "target": {"type": "Value", "value": "1k"},
            }},
            {"type": "Pods", "pods": {
                "metric": {"name": "requests_per_minute"}, "target": {"type": "AverageValue", "averageValue": "50"},
            }},
        ])
    );
    assert_eq!(
        spec["behavior"],
        json!({
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [
                    {"type": "Pods", "value": 2, "periodSeconds": 30}, {"type": "Percent", "value": 100, "periodSeconds": 30},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
            },
        })
    );
    assert!(parts.budget.is_none(), "nobody asked for one");
}

#[test]
fn names_stay_within_the_limit_and_apart() {
    let policy = policy(json!({"class": "Core"}));
    let long = |last: &str| name(&policy, &format!("{}{last}", "x".repeat(252)));
    assert!(long("a").len() <= 253);
    assert_ne!(long("a"), long("b"));
}

#[test]
fn figures_of_engines_are_external_metrics_of_their_platform() {
    let mut policy = policy(json!({
        "minReplicas": 2, "maxReplicas": 4,
        "metrics": [
            {"engine": {"name": "QueueDepth", "averageValue": "200"}},
            {"engine": {"name": "RequestsPerSecond", "averageValue": "1500"}, "scaleInBelow": "100"},
        ],
    }));
    policy.spec.target = serde_json::from_value(json!({"platform": {"name": "main"}})).unwrap();
    let workload = Workload {
        kind: WorkloadKind::Deployment,
        name: "main-engine".into(),
        selector: Default::default(),
        labels: BTreeMap::new(),
        platform: Some("main".into()),
    };
    let valid = validate(&policy, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let metric = |name: &str, value: &str| {
        json!({"type": "External", "external": {
            "metric": {"name": name, "selector": {"matchLabels": {"platform": "main"}}},
            "target": {"type": "AverageValue", "averageValue": value},
        }})
    };
    let spec = super::parts(&policy, &valid, &workload).autoscaler.spec.unwrap();
    assert_eq!(
        serde_json::to_value(&spec.metrics).unwrap(),
        json!([
            metric("payplane_engine_queue_depth", "200"),
            metric("payplane_engine_requests_per_second", "1500"),
        ])
    );
    let down = spec.behavior.unwrap().scale_down.unwrap();
    assert_eq!(down.stabilization_window_seconds, Some(600), "a threshold of its own is patience here, too");
}
