//! Proves the ledger from its rows, and from a head of its chain that was kept elsewhere. Reads only, everything in one
//! snapshot, so payments may go on meanwhile; works on a standby and on a restored copy.
//!
//! In this order: counts; the comparisons that the database makes in sets; then every row of the journal is hashed
//! again ([`hashes`]), and the chain over the batches is computed again ([`chain`]). Each check stands for itself, and
//! none believes a result of another. Memory does not grow with the ledger: rows come in pages, one batch of one tenant
//! is hashed at a time, and of what is wrong a few examples are kept.
//!
//! What it cannot see: rows that were never sealed and are gone with everything that speaks of them, and a history that
//! was rewritten as a whole. Both show only against a head that is kept outside the database. It asks through functions
//! of the database: whoever fears that somebody replaced those restores the data alone into a database that is migrated
//! afresh, and verifies that.
//!
//! The report is one JSON document:
//! ```json
//! {
//!   "sound": true,
//!   "checks": [{
//!     "name": "balances", "proves": "…", "examined": 2, "violations": 1,
//!     "examples": [{"tenant": "…", "account": "…", "operation": "…", "batch": 7, "problem": "posted_debits"}]
//!   }],
//!   "head": {"seal": 12, "link": "64 hexadecimal digits", "batches": 12, "unsealed": 0},
//!   "totals": {"journal": 40, "refused": 3, "…": 0, "overdue_holds": 0, "settlements_beyond_cap": 0},
//!   "duration_ms": 57
//! }
//! ```
//! An example names what it can: tenant, account, operation (also a payment or refund), batch; never an amount.
//! `overdue_holds` and `settlements_beyond_cap` are no violations: a sweep is late, a cap was lowered.

mod chain;
pub mod command;
mod hashes;
mod head;
mod pages;
mod report;
mod same;

use std::time::Instant;

pub use head::{ExpectedHead, ExpectedHeadError};
pub(crate) use head::{hex, unhex};
pub use report::{Check, Head, Report};

use crate::store::{
    Counts, LedgerView, SetCheck,
    SetCheck::{
        AccountChains, Balances, Batches, Clearing, Collections, Currencies, CurrencySums, Holds, Payments,
        RefundCaps, Refunds, Sealing, WalletTerms,
    },
    Store, StoreError, Violations,
};

/// What to prove, and whom to tell how far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// A head that was kept outside the database.
    pub expect_head: Option<ExpectedHead>,
    /// Called with a line of text when a check begins and every so many rows.
    pub progress: Option<fn(&str)>,
}

impl VerifyOptions {
    fn tell(&self, line: &str) {
        if let Some(progress) = self.progress {
            progress(line);
        }
    }
}

/// What the database compares in sets: the name, what it proves, the comparisons, and how many rows that looks at.
struct SetsOf {
    name: &'static str,
    proves: &'static str,
    sets: &'static [SetCheck],
    examined: fn(&Counts) -> i64,
}

const IN_SETS: [SetsOf; 6] = [
    SetsOf {
        name: "balances",
        proves: "each account's totals, version and last operation are what the journal adds up to",
        sets: &[Balances],
        examined: |counts| counts.accounts,
    },
    SetsOf {
        name: "account_chains",
        proves: "on each account versions have no gap, and each operation starts where the one before it ended",
        sets: &[AccountChains],
        examined: |counts| counts.postings,
    },
    SetsOf {
        name: "holds",
        proves: "payments stand as the operations on them left them, and held totals are the sum of open holds",
        sets: &[Payments, Holds],
        examined: |counts| counts.payments,
    },
    SetsOf {
        name: "refund_caps",
        proves: "refunds stand as the operations on them left them, and never exceed what was captured",
        sets: &[Refunds, RefundCaps],
        examined: |counts| counts.refunds,
    },
    SetsOf {
        name: "currency_sums",
        proves: "per tenant and currency debits equal credits, on accounts and in the journal; clearing accounts of all \
                 tenants sum to zero, and what was collected is in the journal and was due",
        sets: &[CurrencySums, Currencies, Clearing, Collections],
        examined: |counts| counts.currencies,
    },
    SetsOf {
        name: "wallet_terms",
        proves: "status, floor and ceiling of each wallet are what the last change of them says",
        sets: &[WalletTerms],
        examined: |counts| counts.accounts,
    },
];

/// Proves what can be proved. An error means that nothing was.
pub async fn verify(store: &Store, options: &VerifyOptions) -> Result<Report, StoreError> {
    let started = Instant::now();
    let mut view = store.ledger_view().await?;
    options.tell("counting");
    let counts = view.counts().await?;
    let mut checks = Vec::new();
    for check in &IN_SETS {
        options.tell(check.name);
        let violations = search(&mut view, check.sets).await?;
        checks.push(Check::new(check.name, check.proves, (check.examined)(&counts), violations));
    }
    options.tell(hashes::NAME);
    let mut hashes = hashes::check(&mut view, &counts, options).await?;
    hashes.extend(view.search(Batches).await?);
    checks.push(Check::new(hashes::NAME, hashes::PROVES, counts.journal, hashes));
    options.tell(chain::NAME);
    let mut chain = chain::check(&mut view, &counts, options.expect_head).await?;
    chain.violations.extend(view.search(Sealing).await?);
    checks.push(Check::new(chain::NAME, chain::PROVES, counts.seals, chain.violations));
    checks.extend(options.expect_head.map(|expected| head::check(expected, chain.expected)));
    let head =
        Head { seal: chain.seal, link: chain.link, batches: counts.batches, unsealed: counts.unsealed };
    Ok(Report::new(checks, head, counts, started.elapsed()))
}

async fn search(view: &mut LedgerView, sets: &[SetCheck]) -> Result<Violations, StoreError> {
    let mut violations = Violations::default();
    for set in sets {
        violations.extend(view.search(*set).await?);
    }
    Ok(violations)
}
