//! What the ledger says about a tenant's bills, as the object tells it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CollectionStatus, ThresholdName};

/// What the ledger says about a tenant's bills.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantBillingStatus {
    /// The open period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<OpenPeriod>,
    /// What was used in the open period, as of the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<BilledUsage>,
    /// What the open period would cost if it ended now, taxes included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub accrued: Option<String>,
    /// Names of the thresholds that are reached in the open period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub thresholds_reached: Vec<ThresholdName>,
    /// What the open period will cost if usage goes on as it did so far, taxes included: early in a period a rough guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub forecast: Option<String>,
    /// The invoice that was issued last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_invoice: Option<IssuedInvoice>,
    /// How it stands with what is invoiced. Absent where nobody collects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionStatus>,
    /// Version of the plan that holds in the open period, as its invoice will name it: of a plan without a name it follows
    /// from what the plan says; of a period that was cut all versions in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 264))]
    pub plan_version: Option<String>,
    /// ISO 4217 code of what is billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub currency: Option<String>,
    /// What was agreed last. Absent without `planRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed_plan: Option<AgreedPlan>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Overdue, Restricted, Suspended; PlanApplied with `planRef`; Collectable with `collection`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A version that was agreed.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreedPlan {
    /// As invoices name it.
    #[schemars(length(max = 64))]
    pub version: String,
    /// From when on it holds; 1970 for from the beginning.
    pub since: Time,
}

/// The open period.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPeriod {
    /// From when on.
    pub start: Time,
    /// Until before when.
    pub end: Time,
    /// When it is closed: its end and the grace.
    pub closes_at: Time,
}

/// Quantities of the metrics, priced or not but for two of them. Text, because Volume is money.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BilledUsage {
    /// Payments that were made at once.
    #[schemars(length(max = 32))]
    pub payments: String,
    /// Money that payments and captures moved.
    #[schemars(length(max = 32))]
    pub volume: String,
    /// Holds that were made.
    #[schemars(length(max = 32))]
    pub holds: String,
    /// Refunds that gave money back.
    #[schemars(length(max = 32))]
    pub refunds: String,
    /// Different wallets that were used.
    #[schemars(length(max = 32))]
    pub active_wallets: String,
    /// Calls of the API that were recorded. Absent unless the plan prices them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub api_calls: Option<String>,
    /// Operations that the ledger keeps. Absent unless the plan prices them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub storage: Option<String>,
}

/// An invoice as it was issued.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedInvoice {
    /// Of the tenant's series: 1, 2, 3, without gaps.
    pub number: i64,
    /// What is due, taxes included.
    #[schemars(length(max = 32))]
    pub total: String,
    /// ISO 4217 code of the total.
    #[schemars(length(max = 8))]
    pub currency: String,
    /// The period's first moment.
    pub start: Time,
    /// The first moment after it.
    pub end: Time,
    /// When it was issued, by the database's clock.
    pub issued_at: Time,
    /// Version of the plan that it was made by; of a period that was cut all of them.
    #[schemars(length(max = 264))]
    pub plan_version: String,
    /// Issued, PartlyPaid, Paid or Uncollected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub state: Option<String>,
    /// The ConfigMap beside this object that has the invoice as `invoice.json`, `invoice.html` and `invoice.pdf`. Absent
    /// without `spec.documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub config_map: Option<String>,
}
