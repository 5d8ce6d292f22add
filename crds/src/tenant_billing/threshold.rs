//! What somebody wants to be told of while a period is open.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BillingMetric;
use crate::money::PositiveAmount;

/// A bound that is told of once in each period in which it is reached: of what the period comes to, or of what was used. Nothing
/// else follows.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.accrued), has(self.metric), has(self.event)].filter(x, x).size() == 1")
        .message("give exactly one of accrued, metric and event"),
    validation = Rule::new("has(self.accrued) != has(self.quantity)")
        .message("give quantity with metric and event, and only with these"),
    validation = Rule::new("!has(self.quantity) || has(self.metric) && self.metric == 'Volume' || self.quantity.matches('^[0-9]+$')")
        .message("quantity is a whole number, but for the metric Volume")
)]
pub struct BillingThreshold {
    /// What Events and the status call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// What the open period comes to, taxes included, in the currency of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accrued: Option<PositiveAmount>,
    /// What is counted. ApiCalls and Storage are counted only if the plan prices them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<BillingMetric>,
    /// Usage of this name that others record and the plan prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9._-]+$"))]
    pub event: Option<String>,
    /// How much of it: a whole number or, of Volume, an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<PositiveAmount>,
}

/// The name of a threshold that is reached.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct ThresholdName(
    /// As in the spec.
    #[schemars(length(max = 63))]
    pub String,
);
