//! A ledger that was copied to another server: its head and its numbers of rows are those of before.

use std::{io, path::Path};

use serde_json::Value;

use super::report::{Check, Report};
use crate::store::{Violation, Violations};

/// What grows with the time alone.
const OVERDUE: &str = "overdue_holds";

/// The report with one check more: that the ledger is the one that this summary is of.
pub(super) fn compare(report: Report, summary: &Path) -> Result<Report, io::Error> {
    let before: Value = serde_json::from_slice(&std::fs::read(summary)?).map_err(io::Error::other)?;
    let after = serde_json::to_value(report.summary()).map_err(io::Error::other)?;
    let mut violations = Violations::default();
    for problem in differences(&before, &after) {
        violations.add(Violation { problem, ..Violation::default() });
    }
    let proves = "head and numbers of rows are those of the ledger that this one is a copy of";
    Ok(report.with(Check::new("same_as_before", proves, 1, violations)))
}

/// Names of what differs. What only one of them tells differs, too.
fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["head", "totals"] {
        let values = |summary: &Value| summary[part].as_object().cloned().unwrap_or_default();
        let (before, after) = (values(before), values(after));
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let differing = names.filter(|name| *name != OVERDUE && before.get(*name) != after.get(*name));
        found.extend(differing.map(|name| {
            let told =
                |values: &serde_json::Map<String, Value>| values.get(name).cloned().unwrap_or_default();
            format!("{part}.{name} was {} and is {}", told(&before), told(&after))
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_named_but_what_time_alone_changes() {
        let of = |head: Value, totals: Value| json!({"sound": true, "head": head, "totals": totals});
        let before = of(json!({"seal": 7, "link": "ab"}), json!({"journal": 40, "overdue_holds": 0}));
        for (after, expected) in [
            (before.clone(), vec![]),
            (of(json!({"seal": 7, "link": "ab"}), json!({"journal": 40, "overdue_holds": 3})), vec![]),
            (
                of(json!({"seal": 6, "link": "aa"}), json!({"journal": 39})),
                vec![
                    r#"head.link was "ab" and is "aa""#,
                    "head.seal was 7 and is 6",
                    "totals.journal was 40 and is 39",
                ],
            ),
            (
                of(json!({"seal": 7}), json!({"journal": 40, "refunds": 1})),
                vec![r#"head.link was "ab" and is null"#, "totals.refunds was null and is 1"],
            ),
        ] {
            assert_eq!(differences(&before, &after), expected, "{after}");
        }
        assert!(!differences(&json!({}), &before).is_empty(), "a summary of nothing proves nothing");
    }
}
