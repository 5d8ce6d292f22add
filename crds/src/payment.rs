//! Payment: money that shall move, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, PositiveAmount};
use crate::reference::WalletReference;

/// An immediate payment between two wallets of one tenant. The spec cannot change after creation: to correct a payment
/// make another one. Deleting the object moves no money, and applying it again pays nothing twice.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Payment",
    plural = "payments",
    shortname = "pay",
    category = "payplane",
    namespaced,
    status = "PaymentStatus",
    derive = "PartialEq",
    doc = "An immediate payment between two wallets of one tenant.",
    selectable = ".status.state",
    validation = Rule::new("has(self.spec.idempotencyKey) || !has(self.metadata.generateName) || self.metadata.generateName == ''")
        .message("spec.idempotencyKey is required with metadata.generateName, or every retry would pay again"),
    printcolumn(name = "Amount", type_ = "string", json_path = ".spec.amount", description = "What shall move"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.currency"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Settled", type_ = "string", json_path = ".status.conditions[?(@.type==\"Settled\")].status", description = "Nothing more will happen"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Payment", type_ = "string", json_path = ".status.paymentId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a Payment cannot change; create another one instead"))]
pub struct PaymentSpec {
    /// Who pays. `{settlement: true}` brings money into the tenant: it needs the `payplane-treasury` role, and the
    /// Tenant caps it.
    pub from: WalletReference,
    /// Who is paid. `{settlement: true}` takes money out of the tenant.
    pub to: WalletReference,
    /// How much, as a decimal string: "125.00". Never rounded: more digits than the currency has are refused.
    pub amount: PositiveAmount,
    /// ISO 4217 code of the amount and of both wallets.
    pub currency: Currency,
    /// Free text that the ledger keeps, such as an invoice number. Never personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub reference: Option<String>,
    /// What makes this payment the same payment wherever and whenever it is applied. Default: "<namespace>/<name>".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    pub idempotency_key: Option<String>,
}

/// What became of a Payment. Everything here is what the ledger answered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentStatus {
    /// Where in its life the payment is.
    #[serde(default)]
    pub state: PaymentState,
    /// Id of the payment in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub payment_id: Option<String>,
    /// What both wallets had available right after the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_after: Option<AvailableAfter>,
    /// Why the ledger refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When the ledger decided, by the database's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Settled, Succeeded, Replayed.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Where in its life a payment is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PaymentState {
    /// Not yet decided by the ledger.
    #[default]
    New,
    /// The money moved.
    Completed,
    /// Refused for good.
    Failed,
}

/// What both sides had available right after a payment.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailableAfter {
    /// Of the payer.
    #[schemars(length(max = 32))]
    pub from: String,
    /// Of the payee.
    #[schemars(length(max = 32))]
    pub to: String,
}

/// Why the ledger refused.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Stable reason, such as "InsufficientFunds".
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Field of the spec that is to blame, such as "from".
    #[schemars(length(max = 128))]
    pub field: String,
    /// One sentence for people.
    #[schemars(length(max = 1024))]
    pub message: String,
}
