//! Group commit. Requests of all callers queue per tenant, in one of two lanes; the lane's committer takes what is there,
//! decides it in memory and commits it as one database transaction. While one batch commits, the next one gathers, and
//! nothing ever waits for company: a lone request is a batch of one.
//!
//! Every change names the version of the row that it was decided on, and the database applies it to that version only.
//! So a batch may be decided on what the committer remembers and be written in one round trip, and the next one on top of
//! it before it is committed; when somebody else was quicker, it is decided again under locks: lock the accounts, sorted;
//! read balances and known outcomes; decide; write; commit. Nobody is answered before the commit.
//!
//! Keys are not claimed before. Two engines that decide the same key and the same body meet at the accounts. If the
//! bodies name different accounts, they meet at the primary key of the journal: the insert waits for the other commit,
//! finds the key taken, and the whole batch is decided again with that outcome known. So a key costs one index entry,
//! written once, instead of a claim and its later update.

mod committer;
mod database;
mod flight;
mod memory;
mod pulse;
mod queue;

pub use committer::Committer;
pub use database::{
    Batch, Database, Locked, Locks, NUMBERS_PER_DRAW, Session, TenantParameters, Ticket, Written,
};
pub use memory::Accounts;
pub use pulse::Pulse;
pub use queue::{Job, Lane, Queue};

use payplane_ledger::Outcome;

/// What a caller gets for one group of requests, in their order.
pub type Answer = Result<Vec<Outcome>, CommitError>;

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Too many requests wait; nothing was done.
    #[error("too many requests of this tenant are waiting")]
    QueueFull,
    /// The engine shuts down; nothing was done.
    #[error("the engine is shutting down")]
    Draining,
    /// The database is away; nothing was done.
    #[error("the database is not available")]
    Unavailable,
    /// An account is locked by something else; nothing was done.
    #[error("an account is busy")]
    Busy,
    /// The commit was sent and its fate could not be found out. The same key gives the answer later.
    #[error("the outcome is unknown")]
    Unknown,
    /// A defect; nothing was done.
    #[error("the batch could not be committed")]
    Internal,
}
