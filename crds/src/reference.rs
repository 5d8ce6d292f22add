//! References between objects. None names a namespace: a resource speaks only for the namespace it stands in.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names a Secret in the same namespace.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One side of a payment: exactly one of `name`, `id` and `settlement`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.name), has(self.id), has(self.settlement)].filter(x, x).size() == 1")
        .message("give exactly one of name, id and settlement"),
    validation = Rule::new("!has(self.settlement) || self.settlement")
        .message("settlement can only be true; leave it out otherwise")
)]
pub struct WalletReference {
    /// Name of a Wallet in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Id of a wallet of the same tenant, for wallets that were made over gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36), regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub id: Option<String>,
    /// `true` names the tenant's settlement account, where money enters and leaves the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<bool>,
}

/// A payment: exactly one of `name` and `id`.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.id)").message("give exactly one of name and id"))]
pub struct PaymentReference {
    /// Name of a Payment in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Id of a payment of the same tenant, for payments that were made over gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 36, max = 36), regex(pattern = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub id: Option<String>,
}
