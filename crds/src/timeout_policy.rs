//! TimeoutPolicy: how long money is held if a hold does not say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long money is held if a hold does not say. The ledger keeps the deadline of each hold and gives back what is due
/// whether or not an operator runs. Deleting the object takes the parameter away again; holds that exist keep their
/// deadlines.
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
    doc = "How long money is held if a hold does not say.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".spec.scope.platform.name", description = "Set for every tenant of it"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.scope.tenant", description = "Set for the tenant"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.scope.walletClass", description = "Set for wallets of this class"),
    printcolumn(name = "Seconds", type_ = "integer", json_path = ".status.timeoutSeconds", description = "In force"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.scope == oldSelf.scope").message("scope cannot change; create another TimeoutPolicy instead")
)]
pub struct TimeoutPolicySpec {
    /// Whose holds. Of several that fit a hold the most specific counts: class, then tenant, then platform.
    pub scope: TimeoutScope,
    /// How long, counted from the ledger's decision. At most 366 days.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub timeout_seconds: i64,
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
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
