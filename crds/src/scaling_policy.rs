//! ScalingPolicy: how many pods of a workload run, and how many may be away at once.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many pods of a workload run, by what load, and how many may be away at once. It becomes a HorizontalPodAutoscaler
/// and a PodDisruptionBudget for each workload; both go with the object.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "ScalingPolicy",
    plural = "scalingpolicies",
    shortname = "sp",
    category = "payplane",
    namespaced,
    status = "ScalingPolicyStatus",
    derive = "PartialEq",
    doc = "How many pods of a workload run, by what load, and how many may be away at once.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets", description = "Workloads that it is in force for"),
    printcolumn(name = "Min", type_ = "integer", json_path = ".status.minReplicas", description = "In force now"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".status.maxReplicas", description = "In force now"),
    printcolumn(name = "Window", type_ = "string", json_path = ".status.activeWindow", description = "That raises the minimum now"),
    printcolumn(name = "Drains blocked", type_ = "string", json_path = ".status.conditions[?(@.type==\"DrainsBlocked\")].status"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Next change", type_ = "string", json_path = ".status.nextChange", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.class) || (has(self.minReplicas) && has(self.maxReplicas))")
        .message("give class, or minReplicas and maxReplicas"),
    validation = Rule::new("has(self.class) || (has(self.metrics) && size(self.metrics) > 0)").message("give class, or at least one metric"),
    validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas")
        .message("minReplicas cannot be more than maxReplicas"),
    validation = Rule::new("!has(self.disruption) || !has(self.disruption.minAvailable) || !has(self.maxReplicas) || self.disruption.minAvailable < self.maxReplicas")
        .message("disruption.minAvailable has to be less than maxReplicas, or no pod could ever be evicted; lower it, or give maxUnavailable"),
    validation = Rule::new("!has(self.maxReplicas) || !has(self.windows) || self.windows.all(window, window.minReplicas <= self.maxReplicas)")
        .message("a window's minReplicas cannot be more than maxReplicas"),
    validation = Rule::new("has(self.target.platform) || !has(self.metrics) || !self.metrics.exists(metric, has(metric.engine))")
        .message("a metric of engine needs target.platform"),
    validation = Rule::new("!has(self.disruption) || !has(self.target.platform)")
        .message("a Platform keeps the disruption budget of its engines itself; leave disruption out")
)]
pub struct ScalingPolicySpec {
    /// What is scaled.
    pub target: ScalingTarget,
    /// Ready-made values for everything below that is not given: Gateway is 2 to 10 pods at 70 % CPU with 2 available,
    /// Core 2 to 8 at 60 % with 2, Business 2 to 6 at 60 % with 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<ScalingClass>,
    /// The fewest pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: Option<i32>,
    /// The most pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: Option<i32>,
    /// By what load. The metric that asks for most pods decides. Replaces the metrics of the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub metrics: Vec<ScalingMetric>,
    /// How fast pods are added. Default: at once, at most twice as many, or four more, in 15 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_out: Option<ScalingPace>,
    /// How fast pods are taken away. Default: after five minutes of less load; with a metric's `scaleInBelow` one pod in
    /// five minutes after ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<ScalingPace>,
    /// How many pods may be away at once when nodes are drained. Default: what the class says; without a class there is
    /// no budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
    /// Times with a higher minimum, such as the day before salaries are paid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub windows: Vec<ScalingWindow>,
}

/// What is scaled: exactly one of `workload`, `selector` and `platform`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.workload), has(self.selector), has(self.platform)].filter(x, x).size() == 1")
        .message("give exactly one of workload, selector and platform")
)]
pub struct ScalingTarget {
    /// One workload by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadReference>,
    /// Every workload with these labels, at most 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<WorkloadSelector>,
    /// The engines of a Platform in the same namespace. Its `engine.replicas` counts no longer then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<crate::timeout_policy::PlatformName>,
}

/// Names a workload in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReference {
    /// Its kind.
    #[serde(default)]
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Finds workloads in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Their kind.
    #[serde(default)]
    pub kind: WorkloadKind,
    /// Labels that the workloads have, themselves and not only their pods.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub match_labels: BTreeMap<String, String>,
}

/// What can be scaled.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub enum WorkloadKind {
    /// A Deployment.
    #[default]
    Deployment,
    /// A StatefulSet.
    StatefulSet,
}

/// Ready-made values.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ScalingClass {
    /// What everything goes through: 2 to 10 pods, 70 % CPU, 2 available.
    Gateway,
    /// What everything depends on: 2 to 8 pods, 60 % CPU, 2 available.
    Core,
    /// Everything else: 2 to 6 pods, 60 % CPU, 1 available.
    Business,
}

/// One measure of load: exactly one of `resource`, `engine`, `pods` and `external`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.resource), has(self.engine), has(self.pods), has(self.external)].filter(x, x).size() == 1")
        .message("give exactly one of resource, engine, pods and external"),
    validation = Rule::new("!has(self.pods) || has(self.pods.averageValue)").message("a metric of pods has an averageValue")
)]
pub struct ScalingMetric {
    /// CPU or memory, against what the pods request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceMetric>,
    /// How much the engines of a Platform have to do, as they say themselves. Needs `target.platform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineMetric>,
    /// A metric of each pod, such as requests per second, served by a metrics adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<NamedMetric>,
    /// A metric of something else, such as the length of a queue, served by a metrics adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<NamedMetric>,
    /// Below which value pods should go, in the unit of the target. An autoscaler has one target per metric, so this can
    /// only make it slow to scale in; condition `FullyMapped` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$"))]
    pub scale_in_below: Option<String>,
}

/// CPU or memory.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetric {
    /// Which.
    pub name: ResourceName,
    /// In percent of the request, as average of all pods.
    #[schemars(range(min = 1, max = 1000))]
    pub average_utilization: i32,
}

/// What pods use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceName {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
}

/// How much engines have to do.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineMetric {
    /// Which figure.
    pub name: EngineFigure,
    /// So much per engine, as a quantity: "200", "0.5".
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$"))]
    pub average_value: String,
}

/// What engines say of their work.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum EngineFigure {
    /// Requests that wait to be committed.
    QueueDepth,
    /// Calls answered in a second, however they ended, over half a minute.
    RequestsPerSecond,
}

/// A metric by name: exactly one of `averageValue` and `value`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.averageValue) != has(self.value)").message("give exactly one of averageValue and value"))]
pub struct NamedMetric {
    /// Its name in the metrics API.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Labels of the series that counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, String>,
    /// Per pod, as a quantity: "1000", "500m".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$"))]
    pub average_value: Option<String>,
    /// In all, as a quantity. For `external` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$"))]
    pub value: Option<String>,
}

/// How fast.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.maxPods) || has(self.maxPercent) || has(self.stabilizationSeconds)")
    .message("give at least one of stabilizationSeconds, maxPods and maxPercent"))]
pub struct ScalingPace {
    /// How long the load has to have asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_seconds: Option<i32>,
    /// At most so many pods in a period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_pods: Option<i32>,
    /// At most so many percent of the pods in a period. With both, the larger counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_percent: Option<i32>,
    /// The period.
    #[serde(default = "minute")]
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

fn minute() -> i32 {
    60
}

/// How many pods may be away at once: exactly one of `minAvailable` and `maxUnavailable`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.minAvailable) != has(self.maxUnavailable)").message("give exactly one of minAvailable and maxUnavailable"),
    validation = Rule::new("!has(self.maxUnavailable) || self.maxUnavailable > 0")
        .message("with maxUnavailable 0 no pod could ever be evicted; give at least 1")
)]
pub struct Disruption {
    /// So many stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_available: Option<i32>,
    /// So many may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_unavailable: Option<i32>,
}

/// A time with a higher minimum.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingWindow {
    /// What it is called in the status.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// When it begins, as a cron expression of five fields.
    #[schemars(
        length(min = 9, max = 128),
        regex(pattern = r"^[0-9A-Za-z*,/#+?-]+( +[0-9A-Za-z*,/#+?-]+){4}$")
    )]
    pub schedule: String,
    /// On whose clock, as a name of the IANA time zone database.
    #[serde(default = "utc")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$")
    )]
    pub time_zone: String,
    /// How long it lasts. At most a week.
    #[schemars(range(min = 60, max = 604_800))]
    pub duration_seconds: i64,
    /// The fewest pods meanwhile.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
}

fn utc() -> String {
    "Etc/UTC".into()
}

/// What is known about a ScalingPolicy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicyStatus {
    /// Workloads that it is in force for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<i32>,
    /// The fewest pods, now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// The most pods, now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
    /// The window that raises the minimum now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub active_window: Option<String>,
    /// When a window begins or ends next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change: Option<Time>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Conflict, FullyMapped, DrainsBlocked.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
