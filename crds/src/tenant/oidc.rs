//! A tenant's own issuer of tokens.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;

/// An issuer whose tokens are believed for this tenant, by OpenID Connect discovery. They are never believed for another
/// tenant or for the platform. The engine fetches the issuer's keys from the address that is given here: over https only,
/// without following redirects. Its pods have to be able to reach it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantOidc {
    /// Exactly as in the tokens' `iss`. Not the cluster's own issuer.
    #[schemars(length(min = 9, max = 255), regex(pattern = r"^https://[^@?#\\\s]+$"))]
    pub issuer: String,
    /// What tokens have to be for (`aud`). An issuer and an audience belong to one tenant.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!-~]+$"))]
    pub audience: String,
    /// PEM certificates that the issuer's server is verified with. Default: those of the engine's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub ca_bundle: Option<String>,
    /// The claim that decides what a caller may do: a text or a list of texts. Default: groups.
    #[serde(default = "groups")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub role_claim: String,
    /// What its values stand for. The first line whose value the claim has decides; without one the caller is refused.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["value".into()]))]
    pub roles: Vec<OidcRole>,
}

/// What a value of the claim stands for.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OidcRole {
    /// The value.
    #[schemars(length(min = 1, max = 255))]
    pub value: String,
    /// The role.
    pub role: Role,
}

fn groups() -> String {
    "groups".into()
}
