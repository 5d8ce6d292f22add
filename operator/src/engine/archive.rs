//! How the database's log is stored, as the engine sees it.

use jiff::Timestamp;
use payplane_proto::v1 as proto;
use proto::ledger_service_client::LedgerServiceClient;

use super::{Engine, EngineError, channel, convert, fault};

/// How the log is stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Archive {
    /// Whether the server stores it at all.
    pub is_on: bool,
    /// When a segment was last stored.
    pub stored_at: Option<Timestamp>,
    /// Segments that are full and not stored yet.
    pub segments_behind: i64,
    /// How often storing one failed.
    pub failures: i64,
    /// Whether the last try failed.
    pub is_failing: bool,
}

impl Engine {
    /// How the database's log is stored.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn archive(&self) -> Result<Archive, EngineError> {
        let message = channel::request(proto::GetArchiveRequest {}, None)?;
        let answer = LedgerServiceClient::new(self.channel.clone()).get_archive(message).await;
        convert::archive(&answer.map_err(fault::from_status)?.into_inner())
    }
}
