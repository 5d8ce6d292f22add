//! How amounts and currencies are written in YAML. No arithmetic here: the ledger alone calculates.
//!
//! The patterns refuse what could never be money. Whether an amount has too many digits for its currency is the
//! ledger's answer, because only the ledger knows the assets of a platform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// More than zero, at most 20 characters: "125.00".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct PositiveAmount(
    /// The decimal string.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^(0\.[0-9]*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)$")
    )]
    pub String,
);

/// Zero or more, at most 20 characters: "0", "1000000.00".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct Amount(
    /// The decimal string.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub String,
);

/// Zero, or a negative overdraft limit, at most 20 characters: "0", "-500.00".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transparent)]
pub struct Floor(
    /// The decimal string.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^(0(\.0+)?|-(0|[1-9][0-9]*)(\.[0-9]+)?)$"))]
    pub String,
);

/// ISO 4217 code in capitals: "USD".
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[schemars(transparent)]
pub struct Currency(
    /// The code.
    #[schemars(length(min = 3, max = 3), regex(pattern = r"^[A-Z]{3}$"))]
    pub String,
);
