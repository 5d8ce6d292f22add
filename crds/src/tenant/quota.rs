//! What the namespaces of a tenant may use.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Quantities by resource, such as `requests.cpu: "4"`, `limits.memory: 8Gi`, `pods: "50"`.
pub type Resources = BTreeMap<String, Quantity>;

/// A number with an optional unit, as Kubernetes writes quantities: "4", "500m", "8Gi".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct Quantity(
    /// The text.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
    )]
    pub String,
);

/// Limits on what one namespace may use.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// The most of each resource, as in `spec.hard` of a ResourceQuota.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(name, size(name) <= 253)")
        .message("names of resources can have at most 253 characters"))]
    pub hard: Resources,
}

/// Defaults and bounds of one container, as in a LimitRange of type Container.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests of containers that name none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub default_request: Resources,
    /// Limits of containers that name none.
    #[serde(default, rename = "default", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub default_limit: Resources,
    /// The least that a container may ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub min: Resources,
    /// The most that a container may be limited to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub max: Resources,
}
