//! BillingPlan: prices that several TenantBillings share, by version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tenant_billing::PlanTerms;

/// Prices that the TenantBillings beside it share. A version of it never changes: whoever changes a price gives it a
/// version of its own, which then holds for each user from its next period on, or at once. Deleting the object ends
/// nothing: its users are billed by the version that they have.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "BillingPlan",
    plural = "billingplans",
    shortname = "bplan",
    category = "payplane",
    namespaced,
    status = "BillingPlanStatus",
    derive = "PartialEq",
    doc = "Prices that several TenantBillings share, by version.",
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("metadata.name can have at most 40 characters: invoices name it with the version"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.plan.currency"),
    printcolumn(name = "Base fee", type_ = "string", json_path = ".spec.plan.baseFee"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users", description = "TenantBillings that name it"),
    printcolumn(name = "On it", type_ = "integer", json_path = ".status.current", description = "Users that have agreed on the version"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.version != oldSelf.version || self.plan == oldSelf.plan")
        .message("the prices of a version never change; give the change a version of its own"),
    validation = Rule::new("self.plan.currency == oldSelf.plan.currency")
        .message("plan.currency cannot change; create another BillingPlan and name it in planRef")
)]
pub struct BillingPlanSpec {
    /// Tells one state of the prices from another. Invoices name it as NAME@VERSION.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub version: String,
    /// From when on a version holds for those who are billed by another one. May change without a new version.
    #[serde(default)]
    pub apply: PlanApply,
    /// What usage costs.
    pub plan: PlanTerms,
}

/// From when on another version, or another plan, holds. The first one holds from the beginning.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PlanApply {
    /// From the tenant's next period.
    #[default]
    NextPeriod,
    /// At once: the open period is cut, and both parts are prorated. Three times in a period at most.
    Now,
}

/// Names a BillingPlan.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReference {
    /// Name of the BillingPlan, in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
    /// From when on a version holds that is new to this tenant. Default: as the BillingPlan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<PlanApply>,
}

/// Who uses the plan.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingPlanStatus {
    /// The version as invoices name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// How many TenantBillings name it.
    #[serde(default)]
    pub users: i64,
    /// How many of them have agreed on this version, whether it holds already or from their next period on.
    #[serde(default)]
    pub current: i64,
    /// Names of the first twenty users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 63)))]
    pub used_by: Vec<String>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
