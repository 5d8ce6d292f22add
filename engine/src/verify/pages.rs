//! A stream over the pages of a table that can be looked at before it is taken from. Holds one page.

use std::vec::IntoIter;

use payplane_ledger::{BatchId, Sequence, TenantId};
use uuid::Uuid;

use crate::store::{LedgerView, StoreError, StoredRoot, StoredRow};

/// Before every tenant.
const FIRST_TENANT: TenantId = TenantId::from_uuid(Uuid::nil());

/// A tenant's part of a batch: what a hash is over.
pub(super) type Part = (TenantId, BatchId);

/// What comes in pages, and in the order of the parts it belongs to.
pub(super) trait Paged: Sized {
    /// Where a page ends and the next one begins.
    type Place: Copy;
    const START: Self::Place;

    async fn page(view: &mut LedgerView, after: Self::Place) -> Result<Vec<Self>, StoreError>;
    fn place(&self) -> Self::Place;
    fn part(&self) -> Part;
}

impl Paged for StoredRow {
    type Place = (TenantId, Sequence);
    const START: Self::Place = (FIRST_TENANT, Sequence(i64::MIN));

    async fn page(view: &mut LedgerView, after: Self::Place) -> Result<Vec<Self>, StoreError> {
        view.journal(after).await
    }

    fn place(&self) -> Self::Place {
        (self.tenant, self.sequence)
    }

    fn part(&self) -> Part {
        (self.tenant, self.sequence.batch())
    }
}

impl Paged for StoredRoot {
    type Place = Part;
    const START: Self::Place = (FIRST_TENANT, BatchId(i64::MIN));

    async fn page(view: &mut LedgerView, after: Self::Place) -> Result<Vec<Self>, StoreError> {
        view.roots(after).await
    }

    fn place(&self) -> Self::Place {
        self.part()
    }

    fn part(&self) -> Part {
        (self.tenant, self.batch)
    }
}

/// See the module.
pub(super) struct Pages<T: Paged> {
    page: IntoIter<T>,
    next: Option<T>,
    place: T::Place,
    is_over: bool,
    /// How many were taken.
    pub(super) taken: i64,
}

impl<T: Paged> Pages<T> {
    pub(super) fn new() -> Self {
        Self { page: Vec::new().into_iter(), next: None, place: T::START, is_over: false, taken: 0 }
    }

    /// The part that the next one belongs to; none at the end.
    pub(super) async fn peek(&mut self, view: &mut LedgerView) -> Result<Option<Part>, StoreError> {
        if self.next.is_none() && !self.is_over {
            if self.page.len() == 0 {
                self.page = T::page(view, self.place).await?.into_iter();
            }
            self.next = self.page.next();
            self.is_over = self.next.is_none();
        }
        Ok(self.next.as_ref().map(T::part))
    }

    /// What was looked at.
    pub(super) fn take(&mut self) -> Option<T> {
        let taken = self.next.take()?;
        self.place = taken.place();
        self.taken += 1;
        Some(taken)
    }
}
