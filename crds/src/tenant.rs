//! Tenant: one customer of the platform, with its namespaces, its access and its place in the ledger.

mod api_key;
mod isolation;
mod oidc;
mod quota;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Amount, Currency};

pub use api_key::{ApiKeyRole, ApiKeyStatus, TenantApiKey};
pub use isolation::{Isolation, IsolationMode, LabelValue, Opening, OpeningPort, Peer, Protocol};
pub use oidc::{OidcRole, TenantOidc};
pub use quota::{Limits, Quantity, Quota, Resources};

/// A customer of a Platform. Everything in its namespaces acts for it in the ledger. Deleting the object waits until
/// nothing is left in its wallets, and then takes its access away; namespaces and ledger are kept, and applying it again
/// finds them. See `spec.deletionPolicy`.
#[derive(Clone, CustomResource, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "payplane.io",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    shortname = "ten",
    category = "payplane",
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "A customer of a Platform: its namespaces, its access and its place in the ledger.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name can have at most 63 characters"),
    printcolumn(name = "Platform", type_ = "string", json_path = ".spec.platformRef.name"),
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".spec.namespaces[*].name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Suspended", type_ = "string", json_path = ".status.conditions[?(@.type==\"Suspended\")].status", description = "Whether nothing can be paid from its wallets"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".status.tenantId", priority = 1, description = "Id in the ledger"),
    printcolumn(name = "Offboarding", type_ = "string", json_path = ".status.conditions[?(@.type==\"Offboarding\")].message", priority = 1, description = "What the deletion waits for"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.platformRef == oldSelf.platformRef")
        .message("platformRef cannot change: a tenant's money lives on one platform"),
    validation = Rule::new("!has(self.groups) || [self.groups.?viewers.orValue([]), self.groups.?operators.orValue([]), \
         self.groups.?approvers.orValue([]), self.groups.?admins.orValue([])] \
         .all(groups, groups.all(group, !group.startsWith('system:')))")
        .message("groups cannot begin with \"system:\": name a group of people, not one that every caller is in"),
    validation = Rule::new("!has(self.apiKeys) || self.apiKeys.all(key, \
         self.namespaces.exists(listed, listed.name == key.namespace))")
        .message("apiKeys can only be in namespaces that spec.namespaces lists")
)]
pub struct TenantSpec {
    /// The Platform that keeps this tenant's money.
    pub platform_ref: PlatformReference,
    /// Namespaces that belong to this tenant. One that does not exist is created. One that exists must consent with
    /// the annotation `payplane.io/adopt-by: <name of this Tenant>`.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub namespaces: Vec<TenantNamespace>,
    /// How far money may be brought into the tenant, by currency. A currency that is not listed cannot be brought in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["currency".into()]))]
    pub settlement: Vec<SettlementCap>,
    /// Who may call the engine over gRPC with a ServiceAccount token.
    #[serde(default)]
    pub access: TenantAccess,
    /// Keys for callers outside the cluster. The operator makes them, keeps them in the Secret `payplane-api-keys` of a
    /// namespace under their names, and replaces them. The ledger knows their hashes only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub api_keys: Vec<TenantApiKey>,
    /// An issuer of tokens for callers outside the cluster who have an identity of their own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<TenantOidc>,
    /// How payments are approved that the ledger's parameter PAYMENT_APPROVAL_FROM asks approval for. Default: by an Approval
    /// of somebody else.
    #[serde(default, skip_serializing_if = "PaymentApproval::is_default")]
    pub approval: PaymentApproval,
    /// How often ServiceAccounts of the namespaces may call the engine, all together. What exceeds it is refused with the
    /// time after which to try again. Custom resources do not count. Default: as often as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Nothing new can be paid from the tenant's wallets: payments, holds and refunds from them are refused with
    /// TenantSuspended, by CR and over gRPC. Money still comes in, holds that exist can be captured or given back, and
    /// reads go on. What was refused meanwhile stays refused; use new objects after resuming. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// Who may work with the tenant's objects with kubectl. Default: nobody is bound.
    #[serde(default, skip_serializing_if = "TenantGroups::is_empty")]
    pub groups: TenantGroups,
    /// Limits on what each of the namespaces may use together, as its ResourceQuota `payplane`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Defaults and limits of each container in the namespaces, as their LimitRange `payplane`. Default: none; with a
    /// quota, containers that say nothing get a request of 100m and 128Mi and a limit of 500m and 256Mi, because the quota
    /// would refuse them otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What pods of the namespaces may talk to. Default: each other, DNS and the Platform's engine, and nothing else.
    #[serde(default, skip_serializing_if = "Isolation::is_default")]
    pub isolation: Isolation,
    /// What deleting this object does. Default: WhenEmpty.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// How large payments are approved.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentApproval {
    /// Who is the second pair of eyes.
    #[serde(default)]
    pub mode: ApprovalMode,
}

impl PaymentApproval {
    /// Whether it says what holds anyway.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who is the second pair of eyes on a large payment.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ApprovalMode {
    /// Whoever creates an Approval, which is never who asked.
    #[default]
    Approval,
    /// Whoever reviewed the pull request: a Payment object that would wait counts as approved, and the ledger notes
    /// "pull-request" as the approver. Only where nobody but the GitOps tool may create Payments.
    PullRequest,
}

/// What deleting a Tenant does. Namespaces, money and history are kept in every case.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// Waits until no wallet has money and nothing is held, then does what Archive does. Until then all goes on working.
    #[default]
    WhenEmpty,
    /// Suspends the tenant in the ledger and takes all access away, whatever is in its wallets. Tokens of the namespaces
    /// are refused some seconds later, and the groups lose their RoleBindings.
    Archive,
    /// Leaves everything as it is, access of the ServiceAccounts included, as if the object had only moved elsewhere.
    Retain,
}

/// Groups of people, as the cluster's authentication names them, by what they may do in the tenant's namespaces.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantGroups {
    /// May look (ClusterRole payplane-view).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub viewers: Vec<Group>,
    /// May also create, change and delete wallets, payments and refunds (payplane-edit).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub operators: Vec<Group>,
    /// May look, and approve what others ask for (payplane-approve).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub approvers: Vec<Group>,
    /// May do all of these and set rules such as TimeoutPolicies (payplane-admin).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub admins: Vec<Group>,
}

impl TenantGroups {
    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Name of a group. Those that every authenticated or every unauthenticated caller is in cannot be named.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[schemars(transparent)]
pub struct Group(
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub String,
);

/// Names a Platform.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformReference {
    /// Namespace of the Platform.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the Platform.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// A namespace of a tenant.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantNamespace {
    /// Name of the namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// How far a settlement account may be debited.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementCap {
    /// ISO 4217 code.
    pub currency: Currency,
    /// The most that may be in the tenant at one time: money brought in less money taken out.
    pub cap: Amount,
}

/// Who may call the engine.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantAccess {
    /// Role of ServiceAccounts in the tenant's namespaces that are not listed below.
    #[serde(default)]
    pub default_role: DefaultRole,
    /// ServiceAccounts with a role of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub service_accounts: Vec<ServiceAccountAccess>,
}

/// How often a tenant's callers may call. With Redis it holds for all engines together, otherwise for each.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// Calls per second in the long run. A call with many payments counts once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_second: i32,
    /// Calls at once, after a pause.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: i32,
}

/// Role of callers that are not listed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DefaultRole {
    /// Refused.
    None,
    /// May read.
    #[default]
    Viewer,
    /// May read, create wallets and pay from them.
    Operator,
}

/// A ServiceAccount with a role of its own.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountAccess {
    /// Namespace of the ServiceAccount; one of the tenant's.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Role {
    /// May read.
    Viewer,
    /// May also create wallets and pay from them.
    Operator,
    /// May also approve what others ask for.
    Approver,
    /// May also bring money in from the settlement account.
    Treasury,
    /// All of these.
    Admin,
}

/// What is known about a Tenant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// Id of the tenant in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub tenant_id: Option<String>,
    /// Generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The keys of `spec.apiKeys` that are in their Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub api_keys: Vec<ApiKeyStatus>,
    /// Ready, Reconciling, Stalled, Suspended; ApiKeysCurrent with API keys; Offboarding while the object is being deleted.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}
