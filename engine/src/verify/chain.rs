//! The chain over sealed batches, computed again link by link.

use payplane_ledger::{CHAIN_START, Root, chain_link};

use super::head::ExpectedHead;
use crate::store::{Counts, LedgerView, StoreError, StoredSeal, Violation, Violations};

pub(super) const NAME: &str = "chain";

pub(super) const PROVES: &str =
    "seals have no gap, each link follows from the last, and every batch is sealed once or waits to be";

/// What the chain looks like.
pub(super) struct Chain {
    pub(super) violations: Violations,
    /// The last number and link.
    pub(super) seal: i64,
    pub(super) link: Root,
    /// The link at the expected head's number, if the chain gets there.
    pub(super) expected: Option<Root>,
}

pub(super) async fn check(
    view: &mut LedgerView,
    counts: &Counts,
    expect: Option<ExpectedHead>,
) -> Result<Chain, StoreError> {
    let expected = expect.filter(|expect| expect.seal == 0).map(|_| CHAIN_START);
    let mut chain = Chain { violations: Violations::default(), seal: 0, link: CHAIN_START, expected };
    let (mut seen, mut after) = (0, i64::MIN);
    loop {
        let page = view.seals(after).await?;
        let Some(last) = page.last() else { break };
        after = last.seal;
        for sealed in &page {
            seen += 1;
            chain.follow(sealed);
            if expect.is_some_and(|expect| expect.seal == sealed.seal) {
                chain.expected = Some(chain.link);
            }
        }
    }
    if seen != counts.seals {
        chain.add(None, "the seals and their index differ");
    }
    let head = view.head().await?;
    if !head.is_some_and(|(seal, link)| seal == chain.seal && link == chain.link) {
        chain.add(None, "the head is not the last seal");
    }
    Ok(chain)
}

impl Chain {
    fn follow(&mut self, sealed: &StoredSeal) {
        let batch = Some(sealed.batch.0);
        if sealed.seal != self.seal + 1 {
            self.add(batch, "a gap before this seal");
        }
        // Goes on from the link that is stored, so that one wrong link is one violation, not as many as follow.
        let stored = Root::try_from(&sealed.link[..]).unwrap_or(CHAIN_START);
        match sealed.root.as_deref().map(Root::try_from) {
            Some(Ok(root)) if chain_link(&self.link, sealed.seal, sealed.batch, &root) == stored => {}
            Some(Ok(_)) => self.add(batch, "the link does not follow from the one before it"),
            Some(Err(_)) | None => self.add(batch, "sealed, but the batch is not there"),
        }
        (self.seal, self.link) = (sealed.seal, stored);
    }

    fn add(&mut self, batch_id: Option<i64>, problem: &str) {
        self.violations.add(Violation { batch_id, problem: problem.to_owned(), ..Violation::default() });
    }
}
