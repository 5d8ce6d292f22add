//! Sizes such as "1.5Gi", only to derive settings from them: the API server remains the judge of what is valid.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use payplane_crds::platform::Resources;
use rust_decimal::{Decimal, prelude::ToPrimitive};

const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// The size in bytes, if it is written in a common way.
pub fn bytes(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.as_str();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    Decimal::from_str_exact(number).ok()?.checked_mul(factor.into())?.to_u64()
}

/// How much memory a container may use, in bytes; `otherwise` when nobody says so in a common way.
pub fn memory(resources: &Resources, otherwise: u64) -> u64 {
    let quantity = resources.limits.get("memory").or_else(|| resources.requests.get("memory"));
    quantity.and_then(bytes).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_sizes_are_understood_and_others_left_alone() {
        let cases = [
            ("256Mi", Some(268_435_456)),
            ("1.5Gi", Some(1_610_612_736)),
            ("1G", Some(1_000_000_000)),
            ("1024", Some(1024)),
            ("1e3", None),
            ("", None),
            ("-1Mi", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(&Quantity(text.into())), expected, "{text}");
        }
    }
}
