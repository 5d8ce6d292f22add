//! Redis that a Platform's engines share: remembered reads, rates of calls, revoked tokens. Never money.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OperatedRedis, Resources};
use crate::reference::SecretReference;

/// Redis: exactly one of `managed`, `operator` and `external`. Engines work without it, and while it is away.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.managed), has(self.operator), has(self.external)].filter(given, given).size() == 1")
        .message("give exactly one of managed, operator and external")
)]
pub struct RedisSpec {
    /// One Redis server run by this operator. It keeps nothing: losing it costs some reads of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedRedis>,
    /// Several Redis servers run by the Redis operator of Opstree, which has to be installed. They keep nothing either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatedRedis>,
    /// A Redis that somebody else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRedis>,
}

/// One Redis server run by this operator.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRedis {
    /// Image with redis-server and redis-cli on the PATH, such as the official one. Default: the operator's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Requests and limits of the server. It uses three quarters of the memory and forgets what was used longest ago.
    #[serde(default)]
    pub resources: Resources,
}

/// A Redis that somebody else runs.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRedis {
    /// Secret with the keys `host` and `port`, and where they are needed `username`, `password` and `ca.crt`. With `ca.crt`
    /// connections are encrypted and the server's name is checked.
    pub secret_ref: SecretReference,
}
