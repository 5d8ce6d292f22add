//! How a tenant's invoices become money, and what follows while they do not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TenantReference;
use crate::money::PositiveAmount;

/// How invoices become money: one commit moves it from the tenant's wallet to the receiver's.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingCollection {
    /// Name of the tenant's wallet in the ledger that pays, such as "acme/main": namespace and name of a Wallet.
    pub wallet: LedgerWallet,
    /// Who is paid.
    pub receiver: BillingReceiver,
    /// How long to wait after each refused attempt; the last one repeats. Default: a day.
    #[serde(default = "daily")]
    #[schemars(length(min = 1, max = 16), inner(range(min = 60, max = 2_678_400)))]
    pub retry_after_seconds: Vec<i64>,
}

/// Who takes what the tenant owes. Its Wallets say so themselves: `metadata: {"payplane.io/collects": "billing"}`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingReceiver {
    /// The Tenant, of the same Platform.
    pub tenant_ref: TenantReference,
    /// Name of its wallet in the ledger for what is invoiced.
    pub wallet: LedgerWallet,
    /// Name of its wallet in the ledger for taxes. Default: the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_wallet: Option<LedgerWallet>,
}

/// What the ledger calls a wallet: of a Wallet its namespace and name, "acme/main".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct LedgerWallet(
    /// The name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9._/-]+$"))]
    pub String,
);

/// What follows while an invoice is not paid. All of it ends by itself when nothing is due any more.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillingDunning {
    /// In ascending order of time, counted from when the oldest unpaid invoice was issued.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = Rule::new("self.map(s, s.afterSeconds).isSorted()")
        .message("steps are in ascending order of afterSeconds"))]
    pub steps: Vec<DunningStep>,
}

/// One step.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.action == 'Restrict') == has(self.perPaymentMax)")
    .message("give perPaymentMax with the action Restrict, and only with it"))]
pub struct DunningStep {
    /// How long after the oldest unpaid invoice was issued. At most a year.
    #[schemars(range(min = 0, max = 31_622_400))]
    pub after_seconds: i64,
    /// What is done.
    pub action: DunningAction,
    /// Of Restrict: the most that one payment or hold may be, in the currency that is billed. The last such step that is
    /// reached counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_payment_max: Option<PositiveAmount>,
}

/// What is done about a tenant that does not pay.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DunningAction {
    /// An Event, and the condition `Overdue`.
    Remind,
    /// New payments and holds from the tenant's wallets of the billed currency are refused above `perPaymentMax`, beside all
    /// limits that there are. What is held already, captures and refunds go on, and so does what it owes.
    Restrict,
    /// Nothing new leaves the tenant's wallets, until it has paid. A reason of its own: a Tenant with `spec.suspend` stays
    /// suspended, and the other way round.
    Suspend,
}

fn daily() -> Vec<i64> {
    vec![86_400]
}

/// How it stands with what is invoiced, of the last thousand invoices.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionStatus {
    /// How many invoices are not paid.
    pub unpaid: i64,
    /// What the oldest of them lacks, in its currency. Absent if nothing is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub due: Option<String>,
    /// The oldest unpaid invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice: Option<i64>,
    /// How often it was tried to collect it.
    #[serde(default)]
    pub attempts: i32,
    /// When that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<Time>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    /// Why the last attempt failed, in the words of a Payment's reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub refusal: Option<String>,
    /// How many dunning steps have been reached.
    #[serde(default)]
    pub dunning_step: i64,
}
