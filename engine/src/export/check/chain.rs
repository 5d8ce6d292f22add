//! The chain over all batches of the ledger, of which the tenant sees labels and roots.

use payplane_ledger::{
    BatchId, CHAIN_START, Root, TenantId, batch_root, chain_link, named_batch_root, tenant_label,
};

use super::report::Problems;
use crate::{
    export::line::{Head, Hex, Seal},
    verify::ExpectedHead,
};

/// See the module.
pub(super) struct Chain {
    pub(super) seal: i64,
    pub(super) link: Root,
    expect: Option<ExpectedHead>,
    expected: Option<Root>,
    opaque_through: i64,
    /// Seals that do not say whose rows their batch has.
    pub(super) opaque: u64,
}

impl Chain {
    pub(super) fn new(expect: Option<ExpectedHead>, opaque_through: i64) -> Self {
        let expected = expect.filter(|expect| expect.seal == 0).map(|_| CHAIN_START);
        Self { seal: 0, link: CHAIN_START, expect, expected, opaque_through, opaque: 0 }
    }

    /// The next seal. Gives the root that the tenant's rows in it must have, if it has any.
    pub(super) fn follow(
        &mut self,
        tenant: TenantId,
        line: u64,
        sealed: &Seal,
        problems: &mut Problems,
    ) -> Option<Root> {
        if sealed.seal != self.seal + 1 {
            problems.add(line, "chain", "a gap before this seal");
        }
        let (root, own) = match root_of(tenant, sealed) {
            Ok(found) => found,
            Err(problem) => {
                problems.add(line, "chain", problem);
                (CHAIN_START, None)
            }
        };
        if chain_link(&self.link, sealed.seal, BatchId(sealed.batch), &root) != sealed.link.0 {
            problems.add(line, "chain", "the link does not follow from the one before it");
        }
        if sealed.root.is_some() {
            self.opaque += 1;
            if self.opaque_through < sealed.seal {
                problems.add(line, "completeness", "does not say whether it has operations of the tenant");
            }
        }
        // Goes on from the link that is stated, so that one wrong link is one problem.
        (self.seal, self.link) = (sealed.seal, sealed.link.0);
        if self.expect.is_some_and(|expect| expect.seal == sealed.seal) {
            self.expected = Some(self.link);
        }
        own
    }

    /// The whole chain was read.
    pub(super) fn end(&self, head: Head, problems: &mut Problems) {
        if head.seal != self.seal || head.link != Hex(self.link) {
            problems.add(1, "chain", "the last seal is not the head that the header names");
        }
        let Some(expect) = self.expect else { return };
        match self.expected {
            Some(link) if link == expect.link => {}
            Some(_) => {
                problems.add(1, "expected_head", "the seal of the head that was kept has another link")
            }
            None => problems.add(1, "expected_head", "the chain ends before the head that was kept"),
        }
    }
}

/// The batch's root, and the tenant's in it.
pub(in crate::export) fn root_of(
    tenant: TenantId,
    sealed: &Seal,
) -> Result<(Root, Option<Root>), &'static str> {
    match (&sealed.parts, &sealed.named, sealed.root) {
        (Some(parts), None, None) => {
            let parts: Vec<(Root, Root)> = parts.iter().map(|(label, root)| (label.0, root.0)).collect();
            ordered(&parts)?;
            let label = tenant_label(tenant, BatchId(sealed.batch));
            let own = parts.iter().find(|(other, _)| *other == label).map(|(_, root)| *root);
            Ok((batch_root(&parts), own))
        }
        (None, Some(named), None) => {
            let named: Vec<(TenantId, Root)> =
                named.iter().map(|(id, root)| (TenantId::from_uuid(*id), root.0)).collect();
            ordered(&named)?;
            let own = named.iter().find(|(other, _)| *other == tenant).map(|(_, root)| *root);
            Ok((named_batch_root(&named), own))
        }
        (None, None, Some(root)) => Ok((root.0, None)),
        _ => Err("a seal says in one way whose operations it has"),
    }
}

/// Each once: a second part of one tenant would hide what is in it.
fn ordered<K: Ord>(parts: &[(K, Root)]) -> Result<(), &'static str> {
    if parts.is_sorted_by(|(one, _), (next, _)| one < next) {
        Ok(())
    } else {
        Err("the parts of the batch are not in their order")
    }
}
