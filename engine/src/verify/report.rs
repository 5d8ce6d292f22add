//! What was found, in the form that is printed.

use std::time::Duration;

use payplane_ledger::Root;
use serde::{Serialize, Serializer};

use super::head::hex;
use crate::store::{Counts, Violation, Violations};

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether no check found a violation.
    pub sound: bool,
    /// Every check, each for itself.
    pub checks: Vec<Check>,
    /// The end of the chain, to be kept outside.
    pub head: Head,
    /// How many rows there are.
    pub totals: Counts,
    /// How long it took.
    pub duration_ms: u64,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name, for programs.
    pub name: &'static str,
    /// What holds if it finds nothing.
    pub proves: &'static str,
    /// How many rows it is about.
    pub examined: i64,
    /// How much is wrong.
    pub violations: i64,
    /// The first few.
    pub examples: Vec<Violation>,
}

impl Check {
    pub(super) fn new(name: &'static str, proves: &'static str, examined: i64, found: Violations) -> Self {
        Self { name, proves, examined, violations: found.count, examples: found.examples }
    }
}

/// The end of the chain.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Head {
    /// How many links there are; the number of the last.
    pub seal: i64,
    /// The last link.
    #[serde(serialize_with = "as_hex")]
    pub link: Root,
    /// How many batches were committed.
    pub batches: i64,
    /// How many of them are not part of the chain yet.
    pub unsealed: i64,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>, head: Head, totals: Counts, duration: Duration) -> Self {
        let sound = checks.iter().all(|check| check.violations == 0);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { sound, checks, head, totals, duration_ms }
    }
}

/// The report in one short line, for a place with little room.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Whether no check found a violation.
    pub sound: bool,
    /// Names of the checks that did.
    pub violated: Vec<&'static str>,
    /// Operations in the journal.
    pub operations: i64,
    /// The end of the chain.
    pub head: Head,
    /// How many rows there are.
    pub totals: Counts,
}

impl Report {
    /// What matters most.
    pub fn summary(&self) -> Summary {
        let violated = self.checks.iter().filter(|check| check.violations != 0).map(|check| check.name);
        let (operations, head, totals) = (self.totals.journal, self.head, self.totals);
        Summary { sound: self.sound, violated: violated.collect(), operations, head, totals }
    }

    /// The same with one more check.
    pub(super) fn with(mut self, check: Check) -> Self {
        self.sound &= check.violations == 0;
        self.checks.push(check);
        self
    }
}

fn as_hex<S: Serializer>(link: &Root, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(link))
}
