//! What a committer needs of a database. PostgreSQL is one; the simulation is the other, and is itself checked against
//! PostgreSQL.

use std::{collections::HashSet, future::Future, sync::Arc};

use payplane_ledger::{AccountId, BatchId, Effects, Parameters, Request, Snapshot, TenantId, Timestamp};

use crate::store::StoreError;

/// Where sessions come from.
pub trait Database: Send + Sync + 'static {
    /// A connection.
    type Session: Session;

    /// Opens a connection.
    fn session(&self) -> impl Future<Output = Result<Self::Session, StoreError>> + Send;
}

/// One connection. After any error it is thrown away: its state is unknown.
pub trait Session: Send {
    /// Opens a transaction, locks every account that the requests may mean and reads what deciding needs.
    fn lock_and_read(
        &mut self,
        requests: &[&Request],
        locks: Locks,
        with_usages: bool,
    ) -> impl Future<Output = Result<Locked, StoreError>> + Send;

    /// Reads the settings of these tenants inside the open transaction, and their version.
    fn read_settings(
        &mut self,
        tenants: &[TenantId],
    ) -> impl Future<Output = Result<(i64, TenantParameters), StoreError>> + Send;

    /// By what others can wait for the next batch of this session, if there is such a thing.
    fn ticket(&self) -> Option<Ticket>;

    /// Writes what was decided. Outside a transaction this commits it too, in one round trip.
    fn write(&mut self, batch: &Batch<'_>) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Makes the open transaction durable. An error here says nothing about whether it is.
    fn commit(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the locks back when there is nothing to write.
    fn rollback(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What is set for tenants.
pub type TenantParameters = Vec<(TenantId, Arc<Parameters>)>;

/// What to do about an account that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// Wait for it, up to the lock timeout.
    Wait,
    /// Leave it out and say so.
    Skip,
}

/// The accounts are locked and read.
#[derive(Debug)]
pub struct Locked {
    /// What to decide against; parameters are missing.
    pub snapshot: Snapshot,
    /// The database's time, after the locks were had.
    pub now: Timestamp,
    /// The version of the settings that are in force.
    pub settings_version: i64,
    /// Accounts that somebody else holds, with [`Locks::Skip`].
    pub busy: HashSet<(TenantId, AccountId)>,
}

/// A decided batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// What it writes.
    pub effects: &'a Effects,
    /// The time of every decision in it.
    pub now: Timestamp,
    /// The settings that it was decided with.
    pub settings_version: i64,
    /// The batch that it was decided on top of, if that may not have been committed yet: this one is written after it.
    pub after: Option<Ticket>,
}

/// Names the next batch of a session before that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub BatchId);

/// How many numbers a drawn one stands for: itself and those after it.
pub const NUMBERS_PER_DRAW: i64 = 4;

/// A batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// A number for a next batch, the first of [`NUMBERS_PER_DRAW`].
    pub next_batch: BatchId,
    /// The database's time.
    pub now: Timestamp,
}
