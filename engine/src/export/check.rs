//! Reads an export and proves it, with nothing but the file and, better, a head of the chain that was kept elsewhere.
//!
//! Line by line, in this order: each is well-formed and in its place ([`Section`]); seals follow from each other and hold what
//! they say ([`chain`]); each of the tenant's operations is in its seal, and each seal that names the tenant has them; accounts,
//! holds and refunds go on from what was before ([`money`]); at the end the totals are those of the accounts, the head is the
//! one that the header names, and the trailer counts what was read. What is wrong is told with its line, the first
//! [`report::PROBLEMS_MAX`] of it.

mod chain;
mod money;
mod report;

use std::io::{self, BufRead, Read as _};

use aws_lc_rs::digest::{Context, SHA256};
pub(super) use chain::root_of;
use payplane_ledger::{OperationRow, Root, SEQUENCES_PER_BATCH, TenantId};
pub use report::{ExportReport, Problem};

use self::{chain::Chain, money::Money, report::Problems};
use super::line::{Counts, FORMAT, Header, LINE_BYTES_MAX, Line, Operation, Trailer, operation, parse};
use crate::verify::ExpectedHead;

/// It could not be found out whether the file is sound.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It could not be read.
    #[error("read the file")]
    Io(#[from] io::Error),
    /// It is of another release.
    #[error("the file has format {0:?}, this release reads payplane.export.v1")]
    Format(String),
}

/// Which lines may come next. Only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Header,
    Accounts,
    Seals,
    Waiting,
    Trailer,
}

/// A batch whose rows come now.
struct Part {
    line: u64,
    batch: i64,
    /// The root that the rows must have; none if it waits to be sealed.
    root: Option<Root>,
    is_sealed: bool,
    rows: Vec<OperationRow>,
    /// A row that could not be read was told already.
    is_whole: bool,
}

/// See the module.
struct Checking {
    section: Section,
    line: u64,
    counts: Counts,
    digest: Context,
    problems: Problems,
    header: Option<Header>,
    tenant: TenantId,
    chain: Chain,
    money: Money,
    part: Option<Part>,
}

/// Reads the file to its end. `expect` is a head that was kept outside the file; batches up to seal `opaque_through` may hide
/// whose rows they have, because an earlier release made them.
pub fn check(
    mut file: impl BufRead,
    expect: Option<ExpectedHead>,
    opaque_through: i64,
) -> Result<ExportReport, CheckError> {
    let mut checking = Checking::new(expect, opaque_through);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let bound = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        if file.by_ref().take(bound).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        checking.line += 1;
        if !checking.take(&bytes)? {
            break;
        }
    }
    Ok(checking.end())
}

impl Checking {
    fn new(expect: Option<ExpectedHead>, opaque_through: i64) -> Self {
        Self {
            section: Section::Header,
            line: 0,
            counts: Counts::default(),
            digest: Context::new(&SHA256),
            problems: Problems::default(),
            header: None,
            tenant: TenantId::from_uuid(uuid::Uuid::nil()),
            chain: Chain::new(expect, opaque_through),
            money: Money::default(),
            part: None,
        }
    }

    /// One line. False: what follows could not be understood.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, CheckError> {
        let before = self.digest.clone();
        self.digest.update(bytes);
        let Some(text) = bytes.strip_suffix(b"\n").and_then(|text| str::from_utf8(text).ok()) else {
            self.problems.add(self.line, "form", "is cut off, too long, or no text");
            return Ok(false);
        };
        let line = match parse(text) {
            Ok(line) => line,
            Err(problem) => {
                self.problems.add(self.line, "form", &problem);
                self.counts.lines += 1;
                self.spoil();
                // Without a header nothing else can be compared.
                return Ok(self.header.is_some());
            }
        };
        if self.header.is_none() && !matches!(line, Line::Header(_)) {
            self.problems.add(self.line, "form", "an export begins with a header");
            return Ok(false);
        }
        if !matches!(line, Line::Trailer(_)) {
            self.counts.lines += 1;
        }
        match line {
            Line::Header(header) => self.header(header)?,
            Line::Account(account) => {
                self.enter(Section::Accounts);
                self.counts.accounts += 1;
                self.money.account(self.tenant, self.line, account, &mut self.problems);
            }
            Line::Seal(seal) => {
                self.enter(Section::Seals);
                self.close();
                self.counts.seals += 1;
                let root = self.chain.follow(self.tenant, self.line, &seal, &mut self.problems);
                self.open(seal.batch, root, true);
            }
            Line::Waiting(waiting) => {
                self.enter(Section::Waiting);
                self.close();
                self.open(waiting.batch, None, false);
            }
            Line::Operation(operation) => self.operation(&operation),
            Line::Trailer(trailer) => {
                self.close();
                self.enter(Section::Trailer);
                self.trailer(&trailer, before);
            }
        }
        Ok(true)
    }

    fn header(&mut self, header: Header) -> Result<(), CheckError> {
        if header.format != FORMAT {
            return Err(CheckError::Format(header.format));
        }
        if self.header.is_some() {
            self.problems.add(self.line, "form", "a second header");
            return Ok(());
        }
        self.tenant = TenantId::from_uuid(header.tenant_id);
        self.header = Some(header);
        Ok(())
    }

    fn enter(&mut self, section: Section) {
        if section < self.section || self.section == Section::Trailer {
            self.problems.add(self.line, "form", "is in the wrong place");
        }
        self.section = self.section.max(section);
    }

    fn open(&mut self, batch: i64, root: Option<Root>, is_sealed: bool) {
        let (rows, is_whole) = (Vec::new(), true);
        self.part = Some(Part { line: self.line, batch, root, is_sealed, rows, is_whole });
    }

    /// The rows of the part that comes now are not all known.
    fn spoil(&mut self) {
        if let Some(part) = &mut self.part {
            part.is_whole = false;
        }
    }

    fn operation(&mut self, line: &Operation) {
        self.counts.operations += 1;
        let Some(part) = &mut self.part else {
            self.problems.add(self.line, "form", "an operation before any seal");
            return;
        };
        self.counts.waiting += u64::from(!part.is_sealed);
        let row = match operation::to_row(self.tenant, line) {
            Ok(row) => row,
            Err(problem) => {
                part.is_whole = false;
                self.problems.add(self.line, "form", &problem);
                return;
            }
        };
        let last = part.rows.last().map(|row| row.decision.sequence);
        if row.decision.sequence.batch().0 != part.batch || Some(row.decision.sequence) <= last {
            self.problems.add(self.line, "order", "is in the wrong place of the chain");
        }
        self.money.operation(self.line, &row, &mut self.problems);
        if (part.rows.len() as i64) < SEQUENCES_PER_BATCH {
            part.rows.push(row);
        } else {
            part.is_whole = false;
            self.problems.add(self.line, "order", "the batch has too many operations");
        }
    }

    /// The rows of a batch are all there.
    fn close(&mut self) {
        let Some(part) = self.part.take() else { return };
        if let Some(problem) = part.problem() {
            self.problems.add(part.line, "completeness", problem);
        }
    }

    fn trailer(&mut self, trailer: &Trailer, before: Context) {
        if trailer.counts != self.counts {
            self.problems.add(self.line, "file", "the trailer counts other lines than there are");
        }
        if before.finish().as_ref() != trailer.sha256.0 {
            self.problems.add(self.line, "file", "the lines are not those that were written");
        }
    }

    fn end(mut self) -> ExportReport {
        self.close();
        if self.section != Section::Trailer {
            self.problems.add(self.line, "file", "the file ends before its trailer");
        }
        if let Some(header) = &self.header {
            self.chain.end(header.head, &mut self.problems);
            self.money.end(&mut self.problems);
        }
        ExportReport::new(self.header, self.counts, &self.chain, self.problems)
    }
}

impl Part {
    fn problem(&self) -> Option<&'static str> {
        match self.root {
            _ if !self.is_whole => None,
            None if self.is_sealed && !self.rows.is_empty() => {
                Some("its seal has no operation of this tenant")
            }
            None => None,
            Some(_) if self.rows.is_empty() => {
                Some("the operations that this seal has of the tenant are missing")
            }
            Some(root) => {
                let sealed = payplane_ledger::BatchSeal::of(&self.rows);
                let is_same = matches!(&sealed.tenants[..], [tenant] if tenant.root == root);
                (!is_same).then_some("the operations are not those that were sealed")
            }
        }
    }
}
