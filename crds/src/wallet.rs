//! Wallet: an account of a tenant that holds money in one currency.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Amount, Currency, Floor};

/// An account of the tenant that its namespace belongs to. For treasury and system accounts: wallets of end users are
/// made over gRPC. Deleting the object keeps the account and its money; applying it again finds them.
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
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class", priority = 1),
    printcolumn(name = "Wallet", type_ = "string", json_path = ".status.walletId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("a Wallet cannot change; create another one and move the money instead")
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
    /// Number of postings that the balances above include.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
