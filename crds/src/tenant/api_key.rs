//! API keys of a tenant, for callers outside the cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key that the operator makes, writes into the Secret `payplane-api-keys` of a namespace, and replaces from time to time.
/// Whoever has it may call the engine over gRPC from anywhere, as `Authorization: Bearer <key>`.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.overlapSeconds < self.rotateAfterSeconds")
    .message("overlapSeconds has to be less than rotateAfterSeconds: a key would be valid for ever otherwise"))]
pub struct TenantApiKey {
    /// What the key is called: its entry in the Secret, and part of its name in the journal. Taking a key out of the list
    /// ends it at once.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// One of the tenant's namespaces: where the Secret is.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// What its bearer may do. A change holds for the key as it is, within seconds.
    pub role: ApiKeyRole,
    /// After how long a new key takes the place of this one. At most a year. Default: 30 days. Deleting the Secret makes new
    /// keys at once.
    #[serde(default = "thirty_days")]
    #[schemars(range(min = 60, max = 31_622_400))]
    pub rotate_after_seconds: i64,
    /// How long the old key is valid beside the new one. Default: a day.
    #[serde(default = "a_day")]
    #[schemars(range(min = 0, max = 31_622_399))]
    pub overlap_seconds: i64,
}

/// What a key's bearer may do. No key approves: a new one would be somebody else than the old one, and could approve what
/// that asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ApiKeyRole {
    /// May read.
    Viewer,
    /// May also create wallets and pay from them.
    Operator,
    /// May also bring money in from the settlement account.
    Treasury,
}

/// How it stands with a key. Nothing in it is secret.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyStatus {
    /// Its name in the spec.
    #[schemars(length(max = 32))]
    pub name: String,
    /// Namespace of the Secret that it is in.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Id of the key that is in the Secret: the part between its underscores.
    #[schemars(length(max = 32))]
    pub key_id: String,
    /// Since when.
    pub created_at: Time,
    /// When the next key takes its place.
    pub next_rotation_at: Time,
    /// Until when the one before is valid too. Absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_valid_until: Option<Time>,
}

fn thirty_days() -> i64 {
    30 * 86_400
}

fn a_day() -> i64 {
    86_400
}
