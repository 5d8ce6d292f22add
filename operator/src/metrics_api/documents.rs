//! What the API says, as JSON. Pure.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{FIGURES, GROUP, PLATFORM_LABEL, VERSION, metric_name};

/// One figure of one Platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Measured {
    /// Its name in the API.
    pub metric: &'static str,
    /// Whose it is.
    pub platform: String,
    /// The figure, in thousandths.
    pub thousandths: u64,
    /// When it was read.
    pub at: Timestamp,
    /// Over how many seconds it was measured, if over any.
    pub window: Option<u64>,
}

/// Why there is no such answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// As HTTP says it.
    pub code: StatusCode,
    /// As Kubernetes says it.
    pub reason: &'static str,
    /// What is wrong and the way out, for people.
    pub message: String,
}

impl Refusal {
    /// There is no figure now.
    pub fn unavailable(message: String) -> Self {
        Self { code: StatusCode::SERVICE_UNAVAILABLE, reason: "ServiceUnavailable", message }
    }

    /// There is nothing of that name.
    pub fn not_found(message: String) -> Self {
        Self { code: StatusCode::NOT_FOUND, reason: "NotFound", message }
    }

    /// The question cannot be understood.
    pub fn bad_request(message: String) -> Self {
        Self { code: StatusCode::BAD_REQUEST, reason: "BadRequest", message }
    }

    /// As the API's machinery reads it, an autoscaler's included, which repeats the message in its status.
    pub fn document(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        })
    }
}

fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// The group.
pub fn group() -> Value {
    let version = json!({"groupVersion": group_version(), "version": VERSION});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version})
}

/// What is in the group.
pub fn resources() -> Value {
    let resource = |name: &str| {
        json!({
            "name": name, "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"],
        })
    };
    let all: Vec<_> = FIGURES.into_iter().map(|figure| resource(metric_name(figure))).collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(), "resources": all})
}

/// The answer to a question for a figure.
pub fn values(measured: &Measured) -> Value {
    let Measured { metric, platform, thousandths, at, window } = measured;
    let second = Timestamp::from_second(at.as_second()).unwrap_or(*at).to_string();
    let mut item = json!({
        "metricName": metric, "metricLabels": {PLATFORM_LABEL: platform}, "timestamp": second,
        "value": quantity(*thousandths),
    });
    if let Some(seconds) = window {
        item["window"] = json!(seconds);
    }
    json!({"kind": "ExternalMetricValueList", "apiVersion": group_version(), "metadata": {}, "items": [item]})
}

fn quantity(thousandths: u64) -> String {
    match thousandths % 1000 {
        0 => (thousandths / 1000).to_string(),
        _ => format!("{thousandths}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_names_every_figure() {
        assert_eq!(
            resources(),
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
        assert_eq!(group()["preferredVersion"]["groupVersion"], "external.metrics.k8s.io/v1beta1");
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
                values(&measured),
                json!({
                    "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1",
                    "metadata": {}, "items": [item],
                })
            );
        }
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
}
