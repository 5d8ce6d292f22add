//! Consent to bring a managed database to another major version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Consent to bring this ledger to this major version of PostgreSQL. It counts for one upgrade: afterwards the ledger has another
/// name.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MajorUpgrade {
    /// The ledger's name, as `status.ledger` has it.
    #[schemars(length(min = 1, max = 64))]
    pub ledger: String,
    /// The major version, as the tag of `image` begins with it.
    #[schemars(range(min = 10, max = 99))]
    pub to: u32,
    /// How long it may take at most, payments waiting; then everything is as before.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 60, max = 86400))]
    pub deadline_seconds: i64,
}

fn an_hour() -> i64 {
    3_600
}
