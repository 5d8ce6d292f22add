//! The ledger's epoch, by which an engine notices that the ledger was restored.
//!
//! An engine remembers the first epoch that it sees. Every connection that it makes afterwards, to commit, to read or to
//! look whether the database is there, is compared with it before anything else; a connection does not outlive the server
//! that it leads to, so no statement ever meets a ledger of another epoch. Such an engine commits nothing any more. It has to
//! start again, without its memory.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use payplane_ledger::Timestamp;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, migrate::MigrateError};

use super::{DatabaseConfig, Store, StoreError, migrate};

const READ_EPOCH: &str = "select epoch, nullif(began_us, 0) from payplane.epoch";

/// One life of the ledger, from one restore to the next. Two that were made of the same copy have the same number and
/// began at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEpoch {
    /// One more than that of the copy.
    pub number: i64,
    /// When the copy became a ledger of its own, by its database's clock. None if the ledger was never restored.
    pub began: Option<Timestamp>,
}

impl LedgerEpoch {
    /// What a consent names that is for this epoch only: `2-20261121t173005z`.
    pub fn name(&self) -> String {
        let began = self.began.and_then(|began| jiff::Timestamp::from_microsecond(began.0).ok());
        let began = began.map(|began| began.strftime("-%Y%m%dt%H%M%Sz").to_string());
        format!("{}{}", self.number, began.unwrap_or_default())
    }

    async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let (number, began): (i64, Option<i64>) = sqlx::query_as(READ_EPOCH).fetch_one(connection).await?;
        Ok(Self { number, began: began.map(Timestamp) })
    }
}

/// What the engine began with. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Epoch {
    known: Arc<OnceLock<LedgerEpoch>>,
    differs: Arc<AtomicBool>,
}

impl Epoch {
    /// Compares the database's epoch with the known one, which it becomes if there is none yet.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let found = LedgerEpoch::read(connection).await?;
        let known = *self.known.get_or_init(|| found);
        if known == found {
            return Ok(());
        }
        self.differs.store(true, Ordering::Relaxed);
        Err(StoreError::OtherEpoch { known: known.name(), found: found.name() })
    }

    /// The same for connections of the pool. A database without an epoch has not been migrated; that is for others to say.
    pub(super) async fn admit(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self.check(connection).await {
            Err(error @ StoreError::OtherEpoch { .. }) => Err(sqlx::Error::Protocol(error.to_string())),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Store {
    /// The epoch that this engine began with, once the database was seen.
    pub fn epoch(&self) -> Option<LedgerEpoch> {
        self.epoch.known.get().copied()
    }

    /// Whether the database had another epoch since.
    pub fn is_of_another_epoch(&self) -> bool {
        self.epoch.differs.load(Ordering::Relaxed)
    }
}

/// The restored copy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is of a newer release.
    #[error("the copy has schema {found}, this release knows {known}: restore it with a newer release")]
    Newer {
        /// The newest migration of the copy.
        found: i64,
        /// The newest migration of this binary.
        known: i64,
    },
    /// Its schema could not be brought up to date.
    #[error("run the migrations")]
    Migration(#[source] MigrateError),
    /// It refused a statement.
    #[error("write to the copy")]
    Database(#[from] sqlx::Error),
}

/// Makes the copy a ledger of its own, and of this Platform if it becomes another one's: gives the epoch that it has now. Repeated for
/// the same restore, it changes nothing.
pub async fn adopt(
    copy: &DatabaseConfig,
    password: &str,
    restore_id: &str,
    platform: Option<&str>,
) -> Result<i64, AdoptError> {
    let mut connection = copy.options().connect().await?;
    let newest = "select coalesce(max(version), 0) from payplane.schema_migrations where success";
    let found: i64 = sqlx::query_scalar(newest).fetch_one(&mut connection).await?;
    if migrate::NEWEST_VERSION < found {
        return Err(AdoptError::Newer { found, known: migrate::NEWEST_VERSION });
    }
    migrate::migrator(NO_ENGINE_RUNS)
        .run_direct(None, &mut connection, false)
        .await
        .map_err(AdoptError::Migration)?;
    let mut transaction = connection.begin().await?;
    sqlx::query(MOVE_ON).bind(restore_id).execute(&mut *transaction).await?;
    if let Some(platform) = platform {
        sqlx::query(HAND_OVER).bind(platform).execute(&mut *transaction).await?;
    }
    super::password::set_own(&mut transaction, password).await?;
    transaction.commit().await?;
    let epoch = LedgerEpoch::read(&mut connection).await?;
    connection.close().await?;
    tracing::info!(epoch = epoch.name(), "the restored copy is a ledger of its own");
    Ok(epoch.number)
}

/// Nothing has to wait on a copy: its schema may be of any engine.
const NO_ENGINE_RUNS: i64 = i64::MAX;

/// The copy remembers whose ledger it was, and would let nobody else in.
const HAND_OVER: &str = "update payplane.claim set platform = $1";

const MOVE_ON: &str = "update payplane.epoch set epoch = epoch + 1, restored_by = $1, \
                       began_us = (extract(epoch from clock_timestamp()) * 1000000)::bigint where restored_by <> $1";
