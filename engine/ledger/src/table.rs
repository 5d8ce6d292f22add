//! Rows with a base version that can be found by key, changed in place and taken back.
//!
//! A key is hashed once: whoever found a row keeps its slot, which stays valid until a rollback that began before the row
//! came. Between [`Table::begin`] and [`Table::commit`] or [`Table::rollback`] the table remembers each row as it was
//! before its changes; outside it remembers nothing, so a lone request pays nothing for it.

use std::{collections::HashMap, hash::Hash, marker::PhantomData};

/// A value as it was read, and as it stands now.
#[derive(Clone, Debug)]
pub(crate) struct Entry<T> {
    /// The version when it was read; zero if it was not stored.
    pub(crate) base: i64,
    pub(crate) now: T,
    pub(crate) changed: bool,
}

/// Where a row is in its table.
#[derive(Debug)]
pub(crate) struct Slot<T>(usize, PhantomData<fn() -> T>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Table<Key, T> {
    index: HashMap<Key, usize>,
    rows: Vec<(Key, Entry<T>)>,
    undo: Option<Undo<T>>,
}

#[derive(Clone, Debug)]
struct Undo<T> {
    /// How many rows there were.
    rows: usize,
    /// Rows as they were, in the order of their changes.
    log: Vec<(usize, Entry<T>)>,
}

impl<Key: Copy + Eq + Hash, T: Clone> Table<Key, T> {
    pub(crate) fn new() -> Self {
        Self { index: HashMap::new(), rows: Vec::new(), undo: None }
    }

    pub(crate) fn slot(&self, key: &Key) -> Option<Slot<T>> {
        self.index.get(key).map(|row| Slot(*row, PhantomData))
    }

    pub(crate) fn key(&self, slot: Slot<T>) -> Key {
        self.rows[slot.0].0
    }

    pub(crate) fn get(&self, slot: Slot<T>) -> &T {
        &self.rows[slot.0].1.now
    }

    pub(crate) fn find(&self, key: &Key) -> Option<&T> {
        self.slot(key).map(|slot| self.get(slot))
    }

    /// Every row, in the order in which they came.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &(Key, Entry<T>)> {
        self.rows.iter()
    }

    /// Adds a row, or replaces the one with this key, as it is stored with this version.
    pub(crate) fn insert(&mut self, key: Key, base: i64, now: T) -> Slot<T> {
        let entry = Entry { base, now, changed: false };
        match self.slot(&key) {
            Some(slot) => {
                self.remember(slot);
                self.rows[slot.0].1 = entry;
                slot
            }
            None => self.push(key, entry),
        }
    }

    /// The value, to be changed.
    pub(crate) fn change(&mut self, slot: Slot<T>) -> &mut T {
        self.remember(slot);
        let entry = &mut self.rows[slot.0].1;
        entry.changed = true;
        &mut entry.now
    }

    /// Changes the row with this key to `now`, or adds it as one that is not stored yet.
    pub(crate) fn set(&mut self, key: Key, now: T) {
        match self.slot(&key) {
            Some(slot) => *self.change(slot) = now,
            None => {
                self.push(key, Entry { base: 0, now, changed: true });
            }
        }
    }

    /// From here on changes can be taken back.
    pub(crate) fn begin(&mut self) {
        self.undo = Some(Undo { rows: self.rows.len(), log: Vec::new() });
    }

    /// Keeps what changed since [`Self::begin`].
    pub(crate) fn commit(&mut self) {
        self.undo = None;
    }

    /// Takes back what changed since [`Self::begin`].
    pub(crate) fn rollback(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (row, entry) in undo.log.into_iter().rev() {
            self.rows[row].1 = entry;
        }
        for (key, _) in self.rows.drain(undo.rows..) {
            self.index.remove(&key);
        }
    }

    fn push(&mut self, key: Key, entry: Entry<T>) -> Slot<T> {
        let row = self.rows.len();
        self.index.insert(key, row);
        self.rows.push((key, entry));
        Slot(row, PhantomData)
    }

    fn remember(&mut self, slot: Slot<T>) {
        if let Some(undo) = &mut self.undo
            && slot.0 < undo.rows
        {
            undo.log.push((slot.0, self.rows[slot.0].1.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_leaves_no_trace() {
        let mut table: Table<u8, i64> = Table::new();
        let slot = table.insert(1, 7, 10);
        table.begin();
        *table.change(slot) = 11;
        *table.change(slot) = 12;
        table.set(2, 20);
        table.rollback();
        assert_eq!((table.find(&1), table.find(&2)), (Some(&10), None));
        assert!(table.rows().all(|(_, entry)| !entry.changed && entry.base == 7));
        table.begin();
        table.set(1, 13);
        table.set(2, 20);
        table.commit();
        table.rollback();
        assert_eq!((table.find(&1), table.find(&2)), (Some(&13), Some(&20)));
        let changed: Vec<_> = table.rows().map(|(key, entry)| (*key, entry.base, entry.changed)).collect();
        assert_eq!(changed, [(1, 7, true), (2, 0, true)]);
    }
}
