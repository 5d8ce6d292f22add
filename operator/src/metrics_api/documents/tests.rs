//! Documents as clients of Kubernetes read them.

use super::*;

#[test]
fn discovery_names_every_figure() {
    assert_eq!(
        resources(API_EXTERNAL),
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1",
            "resources": [
                {"name": "payplane_engine_queue_depth", "singularName": "", "namespaced": true,
                 "kind": "ExternalMetricValueList", "verbs": ["get"]},
                {"name": "payplane_engine_requests_per_second", "singularName": "", "namespaced": true,
                 "kind": "ExternalMetricValueList", "verbs": ["get"]},
            ],
        })
    );
    assert_eq!(group(API_EXTERNAL)["preferredVersion"]["groupVersion"], "external.metrics.k8s.io/v1beta1");
    let custom = resources(API_CUSTOM);
    assert_eq!(custom["groupVersion"], "custom.metrics.k8s.io/v1beta2");
    let all = custom["resources"].as_array().unwrap();
    let names: Vec<_> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "pods/payplane_engine_queue_depth",
            "pods/payplane_engine_requests_per_second",
            "platforms.payplane.io/payplane_engine_queue_depth",
            "platforms.payplane.io/payplane_engine_requests_per_second",
        ]
    );
    let is_read = |one: &Value| one["verbs"] == json!(["get"]) && one["kind"] == "MetricValueList";
    assert!(all.iter().all(is_read), "namespaces that go do not wait for what cannot be deleted: {custom}");
}

#[test]
fn a_figure_is_told_as_a_quantity_with_its_time() {
    for (thousandths, window, value) in
        [(0, None, "0"), (17_000, None, "17"), (1_500, Some(30), "1500m"), (1, Some(5), "1m")]
    {
        let measured = Measured {
            metric: "payplane_engine_queue_depth",
            platform: "main".into(),
            thousandths,
            at: "2026-11-22T01:02:03.456Z".parse().unwrap(),
            window,
        };
        let mut item = json!({
            "metricName": "payplane_engine_queue_depth", "metricLabels": {"platform": "main"},
            "timestamp": "2026-11-22T01:02:03Z", "value": value,
        });
        if let Some(seconds) = window {
            item["window"] = json!(seconds);
        }
        assert_eq!(
            external(&measured),
            json!({
                "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1",
                "metadata": {}, "items": [item],
            })
        );
    }
}

#[test]
fn a_custom_figure_names_its_object() {
    let measured = |thousandths, window| Measured {
        metric: "payplane_engine_queue_depth",
        platform: "main".into(),
        thousandths,
        at: "2026-11-22T01:02:03.456Z".parse().unwrap(),
        window,
    };
    let metric =
        json!({"name": "payplane_engine_queue_depth", "selector": {"matchLabels": {"platform": "main"}}});
    let pod = |pod: &str, window| OfPod { pod: pod.into(), measured: measured(1_500, window) };
    assert_eq!(
        of_pods("pay", &[pod("a", None), pod("b", Some(30))]),
        json!({
            "kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {}, "items": [
                {"describedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": "pay", "name": "a"},
                 "metric": metric, "timestamp": "2026-11-22T01:02:03Z", "value": "1500m"},
                {"describedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": "pay", "name": "b"},
                 "metric": metric, "timestamp": "2026-11-22T01:02:03Z", "value": "1500m", "windowSeconds": 30},
            ],
        })
    );
    let found = of_platform("pay", &measured(17_000, None));
    assert_eq!(
        found["items"],
        json!([{
            "describedObject":
                {"kind": "Platform", "apiVersion": "payplane.io/v1alpha1", "namespace": "pay", "name": "main"},
            "metric": metric, "timestamp": "2026-11-22T01:02:03Z", "value": "17",
        }])
    );
}

#[test]
fn a_refusal_is_a_status_as_clients_of_kubernetes_read_it() {
    let told = Refusal::unavailable("no engine is ready".into()).document();
    assert_eq!(
        told,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no engine is ready", "reason": "ServiceUnavailable", "code": 503,
        })
    );
}
