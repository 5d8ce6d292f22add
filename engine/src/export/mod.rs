//! One tenant's history as a file that proves itself: its accounts, its operations in the order of the chain, and what the
//! chain is made of, without a row or an id of anybody else. docs/export.md describes the file and what it proves.
//!
//! [`export`] writes it from one snapshot, page by page, into a channel of [`CHUNKS`] chunks: memory does not grow with the
//! ledger, and a reader who is slow slows the export down. [`check`] reads it, with no database, line by line; what it
//! remembers is an entry per account and one per payment that may still change or be refunded. [`command::load`] puts it into
//! an empty database, for reading only.

mod accounts;
mod check;
pub mod command;
mod line;
mod load;
mod write;

use payplane_ledger::TenantId;

pub use check::{CheckError, ExportReport, Problem, check};
pub use line::Counts;
pub use load::LoadError;

use crate::store::{LedgerView, Store, StoreError};

/// How many chunks may wait for their reader.
pub const CHUNKS: usize = 4;

/// Whose history.
#[derive(Clone, Debug)]
pub enum Whose {
    /// By name.
    Name(String),
    /// By id.
    Id(TenantId),
}

/// There is no export, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database did not give what was asked for.
    #[error("read the ledger")]
    Store(#[from] StoreError),
    /// Nobody is called so.
    #[error("there is no such tenant")]
    NoTenant,
    /// A row of the journal makes no sense, so it cannot be written down.
    #[error("operation {operation} makes no sense: {problem}; verify the ledger")]
    Unreadable {
        /// Which row.
        operation: String,
        /// What is wrong.
        problem: String,
    },
    /// It has no written form.
    #[error("write a line")]
    Form(#[from] serde_json::Error),
    /// Who reads went away.
    #[error("nobody reads the export any more")]
    Gone,
}

/// Writes the file into the channel.
pub async fn export(
    store: &Store,
    whose: &Whose,
    chunks: tokio::sync::mpsc::Sender<Vec<u8>>,
) -> Result<Counts, ExportError> {
    let mut view = store.ledger_view().await?;
    let tenant = find(&mut view, whose).await?;
    view.enter(tenant.id).await?;
    write::Writing::new(view, tenant, chunks).run().await
}

async fn find(view: &mut LedgerView, whose: &Whose) -> Result<crate::store::ExportedTenant, ExportError> {
    let found = match whose {
        Whose::Name(name) => view.tenant(Some(name), None).await?,
        Whose::Id(id) => view.tenant(None, Some(*id)).await?,
    };
    found.ok_or(ExportError::NoTenant)
}
