//! Wallet: an account of a tenant that holds money in one currency.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Amount, Currency, Floor};

/// An account of the tenant that its namespace belongs to. For treasury and system accounts: wallets of end users are
/// made over gRPC. Deleting the object waits until the account is empty; the ledger keeps the account and its history, and
/// applying it again finds them. See `spec.deletionPolicy`.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Wallet",
    plural = "wallets",
    shortname = "wal",
    category = "payplane",
    namespaced,
    status = "WalletStatus",
    derive = "PartialEq",
    doc = "An account of a tenant that holds money in one currency.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.currency"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.available", description = "What can be spent"),
    printcolumn(name = "Pending", type_ = "string", json_path = ".status.pending", description = "Held by pending payments", priority = 1),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Whether it takes part in payments"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class", priority = 1),
    printcolumn(name = "Wallet", type_ = "string", json_path = ".status.walletId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.currency == oldSelf.currency")
        .message("currency cannot change: create another Wallet and move the money"),
    validation = Rule::new("has(self.owner) == has(oldSelf.owner) && (!has(self.owner) || self.owner == oldSelf.owner)")
        .message("owner cannot change: create another Wallet and move the money"),
    validation = Rule::new("has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)")
        .message("class cannot change: create another Wallet and move the money")
)]
pub struct WalletSpec {
    /// ISO 4217 code of the money that the wallet holds.
    pub currency: Currency,
    /// Who owns it, in words of your own system. Never personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub owner: Option<String>,
    /// The lowest balance that a debit may leave: "0", or a negative overdraft limit such as "-500.00".
    #[serde(default = "no_overdraft")]
    pub minimum: Floor,
    /// The highest balance that a credit may lead to, money that is held for the wallet included. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Amount>,
    /// Groups wallets that share parameters, such as a TimeoutPolicy for the class. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[a-z0-9._/-]+$"))]
    pub class: Option<String>,
    /// Which payments are refused: None, Debit, Credit or Both. Holds that exist can still be captured from a wallet that
    /// is frozen. Default: the operator leaves it as it is, so that freezing over gRPC in an emergency is not undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
    /// Labels in words of your own system, to find wallets by over gRPC. Never personal data. Default: the operator leaves
    /// them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(key, key.matches('^[a-z0-9._/-]{1,64}$'))")
        .message("keys of metadata have 1 to 64 characters of a-z, 0-9, '.', '_', '/' and '-'"))]
    pub metadata: Option<BTreeMap<String, MetadataValue>>,
    /// What deleting this object does. Default: WhenEmpty.
    #[serde(default)]
    pub deletion_policy: WalletDeletionPolicy,
}

/// Which payments are refused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Freeze {
    /// None.
    None,
    /// Those that take money out.
    Debit,
    /// Those that bring money in.
    Credit,
    /// All.
    Both,
}

/// What a label says.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct MetadataValue(
    /// The text.
    #[schemars(length(max = 256), regex(pattern = r"^[^\x00-\x1F\x7F]*$"))]
    pub String,
);

/// What deleting a Wallet does. The ledger keeps the account and its history in every case.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum WalletDeletionPolicy {
    /// Waits until it has no money and nothing is held. The account stays open: applying the Wallet again finds it.
    #[default]
    WhenEmpty,
    /// Waits likewise, then closes the account for ever: nobody can be paid from or to it again.
    Close,
    /// Leaves the account as it is, with its money.
    Retain,
}

/// Whether a wallet takes part in payments.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum WalletState {
    /// It does.
    Active,
    /// Nothing is paid from it.
    FrozenDebit,
    /// Nothing is paid to it.
    FrozenCredit,
    /// Neither.
    Frozen,
    /// Neither, for ever.
    Closed,
}

fn no_overdraft() -> Floor {
    Floor("0".into())
}

/// What the ledger says about a Wallet. A projection: the ledger itself answers over gRPC.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletStatus {
    /// Id of the wallet in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub wallet_id: Option<String>,
    /// Posted credits minus posted debits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub posted: Option<String>,
    /// Debits that are held for pending payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub pending: Option<String>,
    /// Posted minus pending: what can be spent, before any overdraft.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub available: Option<String>,
    /// Whether it takes part in payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<WalletState>,
    /// Number of postings that the balances above include.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled; Offboarding while the object is being deleted.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
