//! Every row of the journal is read into the types that the engine decides with, and hashed again.
//!
//! Rows and roots come in the same order, by tenant and batch, so one pass over both finds what differs, what is
//! missing and what is too much. A batch has at most [`SEQUENCES_PER_BATCH`] rows: the numbers are unique.

use std::cmp::Ordering;

use payplane_ledger::{BatchSeal, OperationRow, SEQUENCES_PER_BATCH};

use super::{
    VerifyOptions,
    pages::{Pages, Part},
};
use crate::store::{Counts, LedgerView, StoreError, StoredRoot, StoredRow, Violation, Violations};

pub(super) const NAME: &str = "hashes";

pub(super) const PROVES: &str =
    "every row of the journal, every root over them and the time of every batch are as they were committed";

/// How often progress is told.
const TELL_EVERY: i64 = 1_000_000;

/// One pass over the journal and the roots.
struct Pass<'a> {
    view: &'a mut LedgerView,
    rows: Pages<StoredRow>,
    roots: Pages<StoredRoot>,
    violations: Violations,
}

pub(super) async fn check(
    view: &mut LedgerView,
    counts: &Counts,
    options: &VerifyOptions,
) -> Result<Violations, StoreError> {
    let mut pass = Pass { view, rows: Pages::new(), roots: Pages::new(), violations: Violations::default() };
    let mut told = 0;
    while pass.step().await? {
        if told + TELL_EVERY <= pass.rows.taken {
            told = pass.rows.taken;
            options.tell(&format!("{NAME}: {told} of {} rows", counts.journal));
        }
    }
    pass.compare_counts(counts);
    Ok(pass.violations)
}

impl Pass<'_> {
    /// One tenant's part of one batch. False at the end.
    async fn step(&mut self) -> Result<bool, StoreError> {
        let (of_rows, of_roots) = (self.rows.peek(self.view).await?, self.roots.peek(self.view).await?);
        let order = match (of_rows, of_roots) {
            (None, None) => return Ok(false),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(rows), Some(root)) => rows.cmp(&root),
        };
        if order == Ordering::Greater {
            return Ok(self.root_without_rows());
        }
        let Some(part) = of_rows else { return Ok(false) };
        let root = if order == Ordering::Equal { self.roots.take() } else { None };
        let (rows, count) = self.rows_of(part).await?;
        match root {
            Some(root) => self.compare(part, &root, rows, count),
            None => self.add(part, "rows without a root"),
        }
        Ok(true)
    }

    /// The rows of the part that make sense, if all do, and how many there are.
    async fn rows_of(&mut self, part: Part) -> Result<(Option<Vec<OperationRow>>, i64), StoreError> {
        let (mut rows, mut count) = (Some(Vec::new()), 0);
        while self.rows.peek(self.view).await? == Some(part) {
            let Some(row) = self.rows.take() else { break };
            count += 1;
            match row.content {
                // More than a batch can have are counted and not kept.
                Ok(row) if count <= SEQUENCES_PER_BATCH => {
                    if let Some(rows) = &mut rows {
                        rows.push(row);
                    }
                }
                Ok(_) => rows = None,
                Err(problem) => {
                    rows = None;
                    let operation_id = Some(row.operation);
                    self.violations.add(Violation { operation_id, ..violation(part, &problem) });
                }
            }
        }
        Ok((rows, count))
    }

    fn compare(&mut self, part: Part, root: &StoredRoot, rows: Option<Vec<OperationRow>>, count: i64) {
        if i64::from(root.rows) != count {
            self.add(part, "row_count");
        }
        // Rows that make no sense were reported one by one.
        let Some(rows) = rows else { return };
        let sealed = BatchSeal::of(&rows);
        let is_same = matches!(&sealed.tenants[..], [computed] if computed.root[..] == root.root[..]);
        if !is_same {
            self.add(part, "the root is not the one over these rows");
        }
    }

    fn root_without_rows(&mut self) -> bool {
        let Some(root) = self.roots.take() else { return false };
        self.add((root.tenant, root.batch), "a root without rows");
        true
    }

    /// Pages come from an index, the counts from the tables: both must show the same.
    fn compare_counts(&mut self, counts: &Counts) {
        for (seen, counted, what) in [
            (self.rows.taken, counts.journal, "the journal and its index differ"),
            (self.roots.taken, counts.batch_tenants, "the roots and their index differ"),
        ] {
            if seen != counted {
                self.violations.add(Violation { problem: what.to_owned(), ..Violation::default() });
            }
        }
    }

    fn add(&mut self, part: Part, problem: &str) {
        self.violations.add(violation(part, problem));
    }
}

fn violation((tenant, batch): Part, problem: &str) -> Violation {
    Violation {
        tenant_id: Some(tenant.uuid()),
        batch_id: Some(batch.0),
        problem: problem.to_owned(),
        ..Violation::default()
    }
}
