//! Approval: the second pair of eyes on somebody else's Refund or Payment, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one person decides about what another one asked for. It counts only for an object whose `status.bodyHash` is the
/// one given here, only once, and never for who asked. The spec cannot change after creation; deleting the object takes
/// nothing back.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Approval",
    plural = "approvals",
    shortname = "appr",
    category = "payplane",
    namespaced,
    status = "ApprovalStatus",
    derive = "PartialEq",
    doc = "What one person decides about what another one asked for.",
    selectable = ".status.state",
    validation = Rule::new("self.spec == oldSelf.spec").message("an Approval cannot change; create another one instead"),
    printcolumn(name = "Approves", type_ = "string", json_path = ".spec.approves.name"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.approves.kind", priority = 1),
    printcolumn(
        name = "Requester",
        type_ = "string",
        json_path = ".status.requester",
        priority = 1,
        description = "Who asked for it"
    ),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.approves.kind != 'Payment' || self.decision == 'Approve'")
        .message("a Payment can only be approved; to turn it down delete it: nothing is held or moved before")
)]
pub struct ApprovalSpec {
    /// What is decided about, in the same namespace.
    pub approves: ApprovalSubject,
    /// `status.bodyHash` of the object that waits, so that what was read is what is decided about: "sha256:" and the
    /// SHA-256 of its kind, name, namespace and spec as JSON with sorted keys and without spaces, in hexadecimal.
    #[schemars(length(min = 71, max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub body_hash: String,
    /// Who decides: the name of the Kubernetes user who creates this object. Admission refuses any other.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))]
    pub approver: String,
    /// What is decided.
    #[serde(default)]
    pub decision: Decision,
    /// From when on it counts for nothing, by the operator's clock. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub expires_at: Option<Time>,
}

/// Names what is decided about.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSubject {
    /// Its kind.
    pub kind: SubjectKind,
    /// Its name, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What can wait for approval.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SubjectKind {
    /// A Refund.
    Refund,
    /// A Payment. It can only be approved: to turn it down delete it, for nothing is held or moved before.
    Payment,
}

/// What is decided.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Decision {
    /// The money may move.
    #[default]
    Approve,
    /// It may not.
    Reject,
}

/// What became of an Approval.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// Whether it was used.
    #[serde(default)]
    pub state: ApprovalState,
    /// Id in the ledger of what it decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub subject_id: Option<String>,
    /// Who asked for it, as the ledger knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub requester: Option<String>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Settled, Succeeded.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Whether an Approval was used.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ApprovalState {
    /// Not yet.
    #[default]
    New,
    /// The ledger has the decision.
    Applied,
    /// It counts for nothing, and never will.
    Refused,
}

impl ApprovalState {
    /// States after which nothing more happens. Their objects leave the operator's cache.
    pub const SETTLED: [&'static str; 2] = ["Applied", "Refused"];
}
