//! What is wrong with a plan.

use std::fmt;

/// One field of a plan and what is wrong with it, as a sentence without its subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Fault {
    /// Where in the plan: `prices[1].tiers[0].up_to`.
    pub field: String,
    /// What is wrong, and what is expected.
    pub problem: String,
}

impl Fault {
    pub(crate) fn new(field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { field: field.to_string(), problem: problem.to_string() }
    }
}
