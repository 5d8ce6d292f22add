//! What pods of a tenant may talk to.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// NetworkPolicies of each namespace: everything is denied but what is opened.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    /// Whether anything is denied. Default: DefaultDeny.
    #[serde(default)]
    pub mode: IsolationMode,
    /// Who else may reach the tenant's pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ingress: Vec<Opening>,
    /// What else the tenant's pods may reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub egress: Vec<Opening>,
}

impl Isolation {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether anything is denied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IsolationMode {
    /// Pods reach each other in all of the tenant's namespaces, DNS, the Platform's engine, and what is opened.
    #[default]
    DefaultDeny,
    /// The operator makes no NetworkPolicies, and removes those that it made.
    None,
}

/// One more way in or out.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opening {
    /// The other side.
    pub peer: Peer,
    /// Through which ports. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ports: Vec<OpeningPort>,
}

/// The other side of a connection.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.cidr) != has(self.namespace)")
        .message("a peer is either a cidr or a namespace, and exactly one of them"),
    validation = Rule::new("!has(self.pods) || has(self.namespace)")
        .message("pods are those of a namespace: name it, or take pods away")
)]
pub struct Peer {
    /// Addresses, such as "203.0.113.0/24".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 43))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("expected an address range such as 203.0.113.0/24"))]
    pub cidr: Option<String>,
    /// A namespace, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Labels of the pods in that namespace. Default: all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub pods: BTreeMap<String, LabelValue>,
}

/// Value of a label.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct LabelValue(
    /// The text.
    #[schemars(length(max = 63))]
    pub String,
);

/// A port of the side that is connected to.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpeningPort {
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Default: TCP.
    #[serde(default)]
    pub protocol: Protocol,
}

/// How packets travel.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
    /// Messages.
    Sctp,
}
