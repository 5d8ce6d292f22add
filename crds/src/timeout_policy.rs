//! TimeoutPolicy: how long money is held if a hold does not say, how long at most, what becomes of it then, and how holds
//! do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long money is held if a hold does not say, and how long at most. The ledger keeps the deadline of each hold and
/// gives back what is due whether or not an operator runs. Deleting the object takes the parameters away again; holds
/// that exist keep their deadlines.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "TimeoutPolicy",
    plural = "timeoutpolicies",
    shortname = "tmo",
    category = "payplane",
    namespaced,
    status = "TimeoutPolicyStatus",
    derive = "PartialEq",
    doc = "How long money is held if a hold does not say, and how long at most.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".spec.scope.platform.name", description = "Set for every tenant of it"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.scope.tenant", description = "Set for the tenant"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.scope.walletClass", description = "Set for wallets of this class"),
    printcolumn(name = "Seconds", type_ = "integer", json_path = ".status.timeoutSeconds", description = "In force"),
    printcolumn(name = "Action", type_ = "string", json_path = ".status.action", description = "What becomes of a hold that is past its deadline"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.holds.pending", description = "Holds that are pending"),
    printcolumn(name = "Overdue", type_ = "integer", json_path = ".status.holds.overdue", description = "Past their deadline and not given back yet"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Maximum", type_ = "integer", json_path = ".status.maximumSeconds", priority = 1, description = "In force"),
    printcolumn(name = "Oldest", type_ = "date", json_path = ".status.holds.oldestPendingTime", priority = 1, description = "Age of the oldest pending hold"),
    printcolumn(name = "Awaiting", type_ = "integer", json_path = ".status.holds.awaitingDecision", priority = 1, description = "Past their deadline, and not given back until somebody decides"),
    printcolumn(name = "Reversed", type_ = "integer", json_path = ".status.holds.reversed", priority = 1, description = "Given back by their deadline, in all"),
    printcolumn(name = "Swept", type_ = "date", json_path = ".status.holds.lastSweepTime", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.maximumSeconds) || self.timeoutSeconds <= self.maximumSeconds")
        .message("timeoutSeconds can be at most maximumSeconds"),
    validation = Rule::new("self.scope == oldSelf.scope").message("scope cannot change; create another TimeoutPolicy instead")
)]
pub struct TimeoutPolicySpec {
    /// Whose holds. Of several that fit a hold the most specific counts: class, then tenant, then platform.
    pub scope: TimeoutScope,
    /// How long, counted from the ledger's decision. At most 366 days.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub timeout_seconds: i64,
    /// How long at most, counted from the ledger's decision. A hold that asks for more, or for a date that leads beyond
    /// it, is refused; a longer timeout of a less specific policy is shortened. Default: 366 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_622_400))]
    pub maximum_seconds: Option<i64>,
    /// What becomes of a hold that is past its deadline: `Reverse`, which is the default, or `Alert`. It can be captured in
    /// neither case. The ledger looks when it sweeps, so this holds for holds that exist, and a change back to `Reverse`
    /// gives back what waits.
    #[serde(default)]
    pub action: OverdueAction,
}

/// What becomes of a hold that is past its deadline.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OverdueAction {
    /// The ledger gives it back.
    #[default]
    Reverse,
    /// It stays held until somebody voids it; the condition DecisionsCurrent says how many wait.
    Alert,
}

/// Whose holds: exactly one of `platform`, `tenant` and `walletClass`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.platform), has(self.tenant), has(self.walletClass)].filter(x, x).size() == 1")
        .message("give exactly one of platform, tenant and walletClass"),
    validation = Rule::new("!has(self.tenant) || self.tenant").message("tenant can only be true; leave it out otherwise")
)]
pub struct TimeoutScope {
    /// A Platform in the same namespace: holds of all its tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformName>,
    /// `true`: holds of the tenant that the namespace belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<bool>,
    /// Holds of the tenant's wallets of this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9._/-]+$"))]
    pub wallet_class: Option<String>,
}

/// Names a Platform in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformName {
    /// Name of the Platform.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// What the ledger says about a TimeoutPolicy.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutPolicyStatus {
    /// The timeout that is in force in the ledger for this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// The maximum that is in force in the ledger for this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_seconds: Option<i64>,
    /// The action that is in force in the ledger for this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<OverdueAction>,
    /// How the holds of this scope do, as the ledger said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<HoldCounts>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, ReversalsCurrent, DecisionsCurrent.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// How holds do. Every time is that of the ledger's database.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldCounts {
    /// How many are pending. At most 10,000 are looked at.
    pub pending: i64,
    /// How many of them are past their deadline and not given back, yet or at all. They cannot be captured any more.
    pub overdue: i64,
    /// How many were ever given back because of their deadline.
    pub reversed: i64,
    /// How many of them the last sweep gave back.
    pub reversed_in_last_sweep: i64,
    /// When the oldest pending hold was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_pending_time: Option<Time>,
    /// For how long the earliest overdue hold that the ledger gives back is past its deadline.
    pub lag_seconds: i64,
    /// How many of the overdue ones the ledger does not give back: they wait until somebody voids them.
    #[serde(default)]
    pub awaiting_decision: i64,
    /// When the ledger last swept, to within five minutes while nothing else changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sweep_time: Option<Time>,
}
