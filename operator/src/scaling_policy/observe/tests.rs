//! Whose autoscaler and whose budget is in the way.

use serde_json::{Value, json};

use super::{
    super::{fixture::policy, validate::validate},
    *,
};

fn autoscaler(owner: Option<&str>, kind: &str, target: &str) -> HorizontalPodAutoscaler {
    let owners = owner
        .map(|uid| json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}]));
    serde_json::from_value(json!({
        "metadata": {"name": "other", "ownerReferences": owners},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": kind, "name": target}},
    }))
    .unwrap()
}

fn budget(selector: Value) -> PodDisruptionBudget {
    serde_json::from_value(json!({"metadata": {"name": "other"}, "spec": {"selector": selector}})).unwrap()
}

fn workload() -> Workload {
    Workload {
        kind: WorkloadKind::Deployment,
        name: "api".into(),
        selector: LabelSelector::default(),
        labels: BTreeMap::from([
            ("app".to_owned(), "api".to_owned()),
            ("tier".to_owned(), "front".to_owned()),
        ]),
        platform: None,
    }
}

#[test]
fn what_somebody_else_has_for_the_same_pods_is_a_conflict() {
    let core = json!({"class": "Core"});
    let no_budget = json!({"minReplicas": 1, "maxReplicas": 2, "metrics": [{"resource": {"name": "cpu", "averageUtilization": 60}}]});
    let expression = |operator: &str, values: Value| {
        budget(json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]}))
    };
    let cases = [
        (
            "another's",
            core.clone(),
            vec![autoscaler(None, "Deployment", "api")],
            vec![],
            Some(FOREIGN_AUTOSCALER),
        ),
        (
            "of another policy",
            core.clone(),
            vec![autoscaler(Some("u-2"), "Deployment", "api")],
            vec![],
            Some(FOREIGN_AUTOSCALER),
        ),
        ("ours", core.clone(), vec![autoscaler(Some("u-1"), "Deployment", "api")], vec![], None),
        ("of another kind", core.clone(), vec![autoscaler(None, "StatefulSet", "api")], vec![], None),
        ("of another workload", core.clone(), vec![autoscaler(None, "Deployment", "web")], vec![], None),
        (
            "a budget",
            core.clone(),
            vec![],
            vec![budget(json!({"matchLabels": {"app": "api"}}))],
            Some(FOREIGN_BUDGET),
        ),
        (
            "a budget of others",
            core.clone(),
            vec![],
            vec![budget(json!({"matchLabels": {"app": "web"}}))],
            None,
        ),
        ("a budget of all", core.clone(), vec![], vec![budget(json!({}))], Some(FOREIGN_BUDGET)),
        (
            "a budget in",
            core.clone(),
            vec![],
            vec![expression("In", json!(["front", "back"]))],
            Some(FOREIGN_BUDGET),
        ),
        ("a budget not in", core.clone(), vec![], vec![expression("NotIn", json!(["front"]))], None),
        ("a budget exists", core, vec![], vec![expression("Exists", json!([]))], Some(FOREIGN_BUDGET)),
        ("we want no budget", no_budget, vec![], vec![budget(json!({}))], None),
    ];
    for (name, spec, autoscalers, budgets, reason) in cases {
        let policy = policy(spec);
        let valid = validate(&policy, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let observed = Observed { workloads: vec![workload()], autoscalers, budgets };
        let found = conflict(&policy, &valid, &observed, &workload());
        assert_eq!(found.map(|conflict| conflict.reason), reason, "{name}");
    }
}

#[test]
fn an_autoscaler_without_metrics_is_in_trouble_and_one_without_pods_is_not() {
    let told = |type_: &str, status: &str, reason: &str| -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({
            "metadata": {"name": "front-api"}, "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "api"}},
            "status": {"desiredReplicas": 1, "conditions": [
                {"type": type_, "status": status, "reason": reason, "message": "no metrics", "lastTransitionTime": null},
            ]},
        }))
        .unwrap()
    };
    let trouble = |live: &HorizontalPodAutoscaler| super::trouble(live);
    for (reason, way_out) in [
        ("FailedGetResourceMetric", "metrics-server"),
        ("FailedGetPodsMetric", "custom.metrics.k8s.io"),
        ("FailedGetExternalMetric", "metricsApi.enabled"),
    ] {
        let words = trouble(&told("ScalingActive", "False", reason)).unwrap();
        assert!(words.starts_with("front-api: no metrics. The number of pods stays"), "{words}");
        assert!(words.contains(way_out), "{words}");
    }
    assert_eq!(trouble(&told("AbleToScale", "False", "FailedGetScale")).unwrap(), "front-api: no metrics");
    assert!(trouble(&told("ScalingActive", "False", "ScalingDisabled")).is_none());
    assert!(trouble(&told("ScalingActive", "True", "ValidMetricFound")).is_none());
    assert!(trouble(&told("ScalingLimited", "False", "DesiredWithinRange")).is_none());
}

#[test]
fn a_part_of_a_platform_is_scaled_through_the_platform() {
    let observed = |platform: Option<&str>| Observed {
        workloads: vec![Workload { platform: platform.map(String::from), ..workload() }],
        autoscalers: Vec::new(),
        budgets: Vec::new(),
    };
    let mut policy = policy(json!({"class": "Core"}));
    assert_eq!(engine(&policy, &observed(None)), None);
    assert!(engine(&policy, &observed(Some("main"))).unwrap().contains("target.platform"));
    policy.spec.target = serde_json::from_value(json!({"platform": {"name": "main"}})).unwrap();
    assert_eq!(engine(&policy, &observed(Some("main"))), None);
}
