//! Encryption of copies and of the stored log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::SecretReference;

/// Seals what is stored before it leaves the pod, so that whoever keeps it can neither read it nor change it unseen.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Secret with secret keys as `age-keygen` writes them. Entry `key` seals and opens; `recipients`, if it is there, has
    /// public keys that open as well, such as that of a key in a safe; every other entry opens what was sealed before. Without
    /// the key that a copy names nobody ever opens it.
    pub secret_ref: SecretReference,
}
