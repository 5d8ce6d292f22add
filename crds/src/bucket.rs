//! A bucket that copies and the stored log are kept in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::SecretReference;

/// A bucket at a server that speaks S3. It has to exist; nothing in it is touched but what is below the prefix.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// The server, as https://HOST[:PORT]. By http:// only what is sealed is sent.
    #[schemars(length(min = 8, max = 300), regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$"))]
    pub endpoint: String,
    /// Name of the bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub name: String,
    /// What the names of all objects begin with, as folder/folder. Platforms of one bucket need different ones. Default:
    /// all of the bucket is theirs.
    #[serde(default)]
    #[schemars(
        length(max = 128),
        regex(pattern = r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$")
    )]
    pub prefix: String,
    /// The region that requests are signed for.
    #[serde(default = "first_region")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub region: String,
    /// Names the bucket in paths (https://HOST/BUCKET). `false` names it in the host's name (https://BUCKET.HOST).
    #[serde(default = "yes")]
    pub path_style: bool,
    /// Secret with entries `access-key-id` and `secret-access-key`, perhaps `session-token`, and perhaps `ca.crt`: the
    /// authority of the server's certificate, and no other then.
    pub credentials_ref: SecretReference,
}

impl Bucket {
    /// Whether both are one place. By whose credentials it is reached makes no other of it.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |one: &Self| {
            (one.endpoint.trim_end_matches('/').to_owned(), one.name.clone(), one.prefix.clone())
        };
        place(self) == place(other)
    }
}

fn first_region() -> String {
    "us-east-1".into()
}

const fn yes() -> bool {
    true
}
