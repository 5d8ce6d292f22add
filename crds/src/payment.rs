//! Payment: money that shall move, and what became of it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Currency, PositiveAmount};
use crate::reference::WalletReference;
use crate::wallet::MetadataValue;

/// Money that moves between two wallets of one tenant: at once, or held first and taken later. After creation only
/// `capture` can grow and `void` be set: to correct a payment make another one. Deleting the object moves no money,
/// and applying it again pays nothing twice.
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
    doc = "Money that moves between two wallets of one tenant: at once, or held first and taken later.",
    selectable = ".status.state",
    selectable = ".spec.ttlSecondsAfterSettled",
    validation = Rule::new("has(self.spec.idempotencyKey) || !has(self.metadata.generateName) || self.metadata.generateName == ''")
        .message("spec.idempotencyKey is required with metadata.generateName, or every retry would pay again"),
    validation = Rule::new("self.spec == oldSelf.spec || !has(oldSelf.status) || !has(oldSelf.status.state) || oldSelf.status.state in ['New', 'Lost', 'AwaitingApproval', 'Pending']")
        .message("a Payment that is settled cannot change; create another one, or a Refund, instead"),
    printcolumn(name = "Amount", type_ = "string", json_path = ".spec.amount", description = "What shall move"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.currency"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Settled", type_ = "string", json_path = ".status.conditions[?(@.type==\"Settled\")].status", description = "Nothing more will happen"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Captured", type_ = "string", json_path = ".status.captured", priority = 1, description = "What moved so far"),
    printcolumn(name = "Deadline", type_ = "string", json_path = ".status.deadline", priority = 1, description = "When a hold is given back"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".status.approver", priority = 1),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.bodyHash", priority = 1, description = "What an Approval gives as spec.bodyHash"),
    printcolumn(name = "Payment", type_ = "string", json_path = ".status.paymentId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.from == oldSelf.from && self.to == oldSelf.to && self.amount == oldSelf.amount && self.currency == oldSelf.currency && has(self.reference) == has(oldSelf.reference) && (!has(self.reference) || self.reference == oldSelf.reference) && has(self.idempotencyKey) == has(oldSelf.idempotencyKey) && (!has(self.idempotencyKey) || self.idempotencyKey == oldSelf.idempotencyKey) && has(self.hold) == has(oldSelf.hold) && (!has(self.hold) || self.hold == oldSelf.hold) && has(self.retryUntil) == has(oldSelf.retryUntil) && (!has(self.retryUntil) || self.retryUntil == oldSelf.retryUntil) && has(self.ttlSecondsAfterSettled) == has(oldSelf.ttlSecondsAfterSettled) && (!has(self.ttlSecondsAfterSettled) || self.ttlSecondsAfterSettled == oldSelf.ttlSecondsAfterSettled) && has(self.metadata) == has(oldSelf.metadata) && (!has(self.metadata) || self.metadata == oldSelf.metadata) && has(self.fees) == has(oldSelf.fees) && (!has(self.fees) || self.fees == oldSelf.fees) && has(self.requestedBy) == has(oldSelf.requestedBy) && (!has(self.requestedBy) || self.requestedBy == oldSelf.requestedBy)")
        .message("a Payment cannot change, except that capture grows and void is set; create another one instead"),
    validation = Rule::new("!(has(self.retryUntil) || has(self.fees)) || !has(self.idempotencyKey) || size(self.idempotencyKey) <= 240")
        .message("idempotencyKey can have at most 240 characters with retryUntil or fees, which number it"),
    validation = Rule::new("!(has(self.hold) && has(self.fees))")
        .message("fees are paid together with the amount, at once, which a hold is not: make each fee a Payment of its own"),
    validation = Rule::new("(has(self.capture) || !has(oldSelf.capture)) && (has(self.void) || !has(oldSelf.void))")
        .message("capture and void cannot change back: what was taken or given back stays so"),
    validation = Rule::new("has(self.hold) || !(has(self.capture) || has(self.void))")
        .message("capture and void are for payments with a hold"),
    validation = Rule::new("!(has(self.capture) && has(self.void))")
        .message("give one of capture and void; to give back what was not captured, set capture.final"),
    validation = Rule::new("!has(self.void) || self.void").message("void can only be true; leave it out otherwise"),
    validation = Rule::new("!has(self.capture) || quantity(self.capture.total).compareTo(quantity(self.amount)) <= 0")
        .message("capture.total cannot be more than amount")
)]
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
    /// Labels that the ledger keeps, to find the payment by. Never personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(key, key.matches('^[a-z0-9._/-]{1,64}$'))")
        .message("keys of metadata have 1 to 64 characters of a-z, 0-9, '.', '_', '/' and '-'"))]
    pub metadata: Option<BTreeMap<String, MetadataValue>>,
    /// What the payer pays beside the amount, in the same currency. Amount and fees are paid together or not at all. Each
    /// fee is a payment of its own in the ledger: limits count it, and only a Refund of it gives it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub fees: Option<Vec<Fee>>,
    /// Who asks: the name of the Kubernetes user who creates this object. Admission refuses any other. Needed where the
    /// tenant asks for approval of so large a payment, because nobody approves what they asked for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))]
    pub requested_by: Option<String>,
    /// What makes this payment the same payment wherever and whenever it is applied. Default: "<namespace>/<name>".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    pub idempotency_key: Option<String>,
    /// Holds the money instead of moving it: it counts against what the payer has available, until it is captured,
    /// voided, or given back at the deadline. `{}` holds it as long as the tenant's TimeoutPolicy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// How much of the hold to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture>,
    /// `true` gives the whole hold back. What was captured can only be refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<bool>,
    /// Tries again until then while the payer has too little: ever more slowly, at most 64 times. Default: what is refused
    /// stays refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub retry_until: Option<Time>,
    /// Deletes this object so long after it is settled, give or take a minute, and only when the ledger has the outcome.
    /// Default: never. Not for objects that Git keeps: they would be applied again, find their payment, and go again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_622_400))]
    pub ttl_seconds_after_settled: Option<i64>,
}

/// Something that the payer pays beside the amount.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fee {
    /// Who is paid.
    pub to: WalletReference,
    /// How much, as a decimal string, in the payment's currency.
    pub amount: PositiveAmount,
    /// Free text that the ledger keeps, such as what the fee is for. Never personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub reference: Option<String>,
}

/// Terms of a hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// How long the money is held, counted from the ledger's decision by the database's clock. At most 366 days.
    /// Default: what the parameters of class, tenant or platform say, which TimeoutPolicies set; else one minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_622_400))]
    pub timeout_seconds: Option<i64>,
    /// When the ledger takes the whole hold by itself. A hold that would end before then lives one timeout longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub capture_at: Option<Time>,
}

/// How much of a hold to take.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("quantity(self.total).compareTo(quantity(oldSelf.total)) >= 0")
        .message("capture.total can only grow; give money back with a Refund"),
    validation = Rule::new("!oldSelf.final || self == oldSelf")
        .message("a final capture cannot change: the rest was given back")
)]
pub struct Capture {
    /// What shall be taken in all, so far. To take more, raise it; it can only grow, and never beyond the amount.
    pub total: PositiveAmount,
    /// Gives back what `total` leaves of the hold. Cannot be undone.
    #[serde(default, rename = "final")]
    pub is_final: bool,
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
    /// What moved so far, in the payment's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub captured: Option<String>,
    /// What is still held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub held: Option<String>,
    /// What was given back by refunds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub refunded: Option<String>,
    /// Until when the hold can be captured, by the database's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What both wallets had available right after the money was moved or held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_after: Option<AvailableAfter>,
    /// The fees that were paid, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub fees: Vec<PaidFee>,
    /// What an Approval gives as `spec.bodyHash`: "sha256:" and the SHA-256 of this object's kind, name, namespace and spec.
    /// Only while it waits for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub body_hash: Option<String>,
    /// Who approved it, as the ledger knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub approver: Option<String>,
    /// Why the ledger refused the payment, or the last step that the spec asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// When the ledger decided the payment, by the database's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Settled, Succeeded, Replayed, Approved.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Where in its life a payment is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PaymentState {
    /// Not yet decided by the ledger.
    #[default]
    New,
    /// The ledger was restored and does not know it: it is paid again only with consent.
    Lost,
    /// The ledger asks for somebody else's approval first. Nothing is held yet.
    AwaitingApproval,
    /// Held, or handed to an external gateway.
    Pending,
    /// Money moved, and nothing is held any more.
    Completed,
    /// Refused for good, or failed by the gateway.
    Failed,
    /// Given back before any of it was taken.
    Voided,
    /// Given back by its deadline before any of it was taken.
    Expired,
}

impl PaymentState {
    /// States after which nothing more happens by itself. Their objects leave the operator's cache.
    pub const SETTLED: [&'static str; 4] = ["Completed", "Failed", "Voided", "Expired"];
}

/// A fee that was paid.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaidFee {
    /// Id of its payment in the ledger.
    #[schemars(length(max = 36))]
    pub payment_id: String,
    /// What moved, in the payment's currency.
    #[schemars(length(max = 32))]
    pub amount: String,
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
