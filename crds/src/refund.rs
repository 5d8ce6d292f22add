//! Refund: money of a payment that shall go back, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, PositiveAmount};
use crate::payment::{AvailableAfter, Refusal};
use crate::reference::PaymentReference;

/// Gives some or all of a payment back. All refunds of a payment together never exceed what was captured. The spec cannot
/// change after creation. Deleting the object moves no money, and applying it again gives nothing back twice.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Refund",
    plural = "refunds",
    shortname = "ref",
    category = "payplane",
    namespaced,
    status = "RefundStatus",
    derive = "PartialEq",
    doc = "Gives some or all of a payment back.",
    selectable = ".status.state",
    validation = Rule::new("has(self.spec.idempotencyKey) || !has(self.metadata.generateName) || self.metadata.generateName == ''")
        .message("spec.idempotencyKey is required with metadata.generateName, or every retry would give back again"),
    printcolumn(name = "Payment", type_ = "string", json_path = ".spec.payment.name", description = "What is given back"),
    printcolumn(name = "Amount", type_ = "string", json_path = ".status.amount", description = "What the ledger gives back"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".status.currency"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Settled", type_ = "string", json_path = ".status.conditions[?(@.type==\"Settled\")].status", description = "Nothing more will happen"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".status.approver", priority = 1),
    printcolumn(name = "Requester", type_ = "string", json_path = ".spec.requestedBy", priority = 1),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.bodyHash", priority = 1, description = "What an Approval gives as spec.bodyHash"),
    printcolumn(name = "Refund", type_ = "string", json_path = ".status.refundId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a Refund cannot change; create another one instead"),
    validation = Rule::new("has(self.amount) == has(self.currency)")
        .message("give amount and currency together, or neither for all that can be given back"),
    validation = Rule::new("!has(self.settlement) || self.settlement")
        .message("settlement can only be true; leave it out otherwise")
)]
pub struct RefundSpec {
    /// The payment that is given back.
    pub payment: PaymentReference,
    /// How much, as a decimal string. Default: all that can still be given back when the ledger decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<PositiveAmount>,
    /// ISO 4217 code of the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// `true` says that the payment went to the tenant's settlement account, so that giving it back brings money into
    /// the tenant again: it needs the `payplane-treasury` role. Without it such a refund is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<bool>,
    /// Why, for people. The ledger keeps it. Never personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub reason: Option<String>,
    /// Who asks: the name of the Kubernetes user who creates this object. Admission refuses any other. Only a Refund that
    /// says so can be approved by an Approval, and never by this user. Default: nobody is known to have asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))]
    pub requested_by: Option<String>,
    /// What makes this refund the same refund wherever and whenever it is applied. Default: "<namespace>/<name>".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    pub idempotency_key: Option<String>,
}

/// What became of a Refund. Everything here is what the ledger answered.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundStatus {
    /// Where in its life the refund is.
    #[serde(default)]
    pub state: RefundState,
    /// While it waits for approval: what an Approval has to give as its `spec.bodyHash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub body_hash: Option<String>,
    /// Id of the refund in the ledger. Whoever approves it over gRPC names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub refund_id: Option<String>,
    /// Id of the payment in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub payment_id: Option<String>,
    /// What is given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub amount: Option<String>,
    /// ISO 4217 code of the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub currency: Option<String>,
    /// Who approved or rejected it. Absent where no approval was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub approver: Option<String>,
    /// What both wallets had available right after the money went back at once: `from` gives, `to` gets. Absent for a
    /// refund that had to be approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_after: Option<AvailableAfter>,
    /// Why the ledger refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When the ledger decided the request, by the database's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Approved, Settled, Succeeded, Replayed.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Where in its life a refund is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RefundState {
    /// Not yet decided by the ledger.
    #[default]
    New,
    /// The ledger was restored and does not know it: it is asked for again only with consent.
    Lost,
    /// Waits for the approval of somebody else.
    Requested,
    /// Approved, and the money is on its way.
    Approved,
    /// The money went back.
    Completed,
    /// Somebody said no.
    Rejected,
    /// Refused for good, or the payee had too little when it was approved.
    Failed,
}

impl RefundState {
    /// States after which nothing more happens. Their objects leave the operator's cache.
    pub const SETTLED: [&'static str; 3] = ["Completed", "Rejected", "Failed"];
}
