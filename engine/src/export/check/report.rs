//! What was found, in the form that is printed.

use serde::Serialize;

use super::chain::Chain;
use crate::export::line::{Counts, Head, Header, Hex};

/// How much of what is wrong is told.
pub(super) const PROBLEMS_MAX: usize = 20;

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// How much is wrong.
    pub violations: u64,
    /// The first of it.
    pub problems: Vec<Problem>,
    /// The tenant's name, as the file says; the chain proves the id.
    pub tenant: Option<String>,
    /// The tenant's id.
    pub tenant_id: Option<String>,
    /// What was read.
    pub counts: Counts,
    /// Seals that do not say whether they have operations of the tenant.
    pub opaque_seals: u64,
    /// The last seal that was read, and its link. To be compared with a head that was kept.
    pub head: String,
}

/// One thing that is wrong. Never an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which line of the file.
    pub line: u64,
    /// Which check found it: form, file, chain, expected_head, completeness, order, balances, holds, refunds, terms.
    pub check: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    count: u64,
    first: Vec<Problem>,
}

impl Problems {
    pub(super) fn add(&mut self, line: u64, check: &'static str, problem: &str) {
        self.count += 1;
        if self.first.len() < PROBLEMS_MAX {
            self.first.push(Problem { line, check, problem: problem.to_owned() });
        }
    }
}

impl ExportReport {
    pub(super) fn new(header: Option<Header>, counts: Counts, chain: &Chain, problems: Problems) -> Self {
        let head = Head { seal: chain.seal, link: Hex(chain.link) };
        Self {
            sound: problems.count == 0,
            violations: problems.count,
            problems: problems.first,
            tenant: header.as_ref().map(|header| header.tenant.clone()),
            tenant_id: header.map(|header| header.tenant_id.to_string()),
            counts,
            opaque_seals: chain.opaque,
            head: format!("{}:{}", head.seal, head.link),
        }
    }
}
