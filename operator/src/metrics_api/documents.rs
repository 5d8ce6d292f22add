//! What the API says, as JSON. Pure.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{API_CUSTOM, API_EXTERNAL, ApiVersion, FIGURES, PLATFORM_LABEL, PLATFORMS, PODS, metric_name};

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

/// One figure of one engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OfPod {
    /// The pod's name.
    pub pod: String,
    /// The figure, and the Platform that the engine belongs to.
    pub measured: Measured,
}

fn group_version(api: ApiVersion) -> String {
    format!("{}/{}", api.group, api.version)
}

/// The group.
pub fn group(api: ApiVersion) -> Value {
    let version = json!({"groupVersion": group_version(api), "version": api.version});
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": api.group, "versions": [version], "preferredVersion": version,
    })
}

/// What is in the group.
pub fn resources(api: ApiVersion) -> Value {
    let names = FIGURES.into_iter().map(metric_name);
    let (kind, names): (_, Vec<_>) = if api == API_EXTERNAL {
        ("ExternalMetricValueList", names.map(String::from).collect())
    } else {
        let of = |object| names.clone().map(move |name| format!("{object}/{name}"));
        ("MetricValueList", of(PODS).chain(of(PLATFORMS)).collect())
    };
    let resource =
        |name| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"]});
    let all: Vec<_> = names.into_iter().map(resource).collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(api), "resources": all})
}

/// The answer to a question for an external metric.
pub fn external(measured: &Measured) -> Value {
    let Measured { metric, platform, thousandths, at, window } = measured;
    let mut item = json!({
        "metricName": metric, "metricLabels": {PLATFORM_LABEL: platform}, "timestamp": second(*at),
        "value": quantity(*thousandths),
    });
    if let Some(seconds) = window {
        item["window"] = json!(seconds);
    }
    list("ExternalMetricValueList", API_EXTERNAL, &[item])
}

/// The answer to a question for a custom metric of a Platform.
pub fn of_platform(namespace: &str, measured: &Measured) -> Value {
    let object = json!({
        "kind": "Platform", "apiVersion": "payplane.io/v1alpha1", "namespace": namespace, "name": measured.platform,
    });
    list("MetricValueList", API_CUSTOM, &[custom(&object, measured)])
}

/// The answer to a question for a custom metric of pods.
pub fn of_pods(namespace: &str, pods: &[OfPod]) -> Value {
    let object = |pod: &str| json!({"kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": pod});
    let items: Vec<_> = pods.iter().map(|one| custom(&object(&one.pod), &one.measured)).collect();
    list("MetricValueList", API_CUSTOM, &items)
}

fn custom(object: &Value, measured: &Measured) -> Value {
    let Measured { metric, platform, thousandths, at, window } = measured;
    let mut item = json!({
        "describedObject": object, "metric": {"name": metric, "selector": {"matchLabels": {PLATFORM_LABEL: platform}}},
        "timestamp": second(*at), "value": quantity(*thousandths),
    });
    if let Some(seconds) = window {
        item["windowSeconds"] = json!(seconds);
    }
    item
}

fn list(kind: &str, api: ApiVersion, items: &[Value]) -> Value {
    json!({"kind": kind, "apiVersion": group_version(api), "metadata": {}, "items": items})
}

fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn quantity(thousandths: u64) -> String {
    match thousandths % 1000 {
        0 => (thousandths / 1000).to_string(),
        _ => format!("{thousandths}m"),
    }
}

#[cfg(test)]
mod tests;
