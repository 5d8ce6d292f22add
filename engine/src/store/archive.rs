//! How the server stores its log. What it says of itself, readable by everybody.

use super::{Store, StoreError};

/// The archiver's own account. Times in microseconds since 1970, by the database's clock.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveRow {
    /// Whether it stores anything.
    pub enabled: bool,
    /// When it last did.
    pub stored_us: Option<i64>,
    /// Segments that are full and not stored yet.
    pub segments_behind: i64,
    /// How often storing one failed.
    pub failures: i64,
    /// Whether the last try failed.
    pub failing: bool,
    /// When this was so.
    pub now_us: i64,
}

/// A segment's name is its timeline and its place, eight hexadecimal digits each for timeline, upper and lower half; 256
/// segments of 16 MB make an upper half.
const READ_ARCHIVE: &str = "
    with place as (
        select *, case when last_archived_wal ~ '^[0-9A-F]{24}' then last_archived_wal end as stored,
               pg_walfile_name(pg_current_wal_lsn()) as written
        from pg_stat_archiver
    )
    select current_setting('archive_mode') <> 'off' as enabled,
           (extract(epoch from last_archived_time) * 1000000)::bigint as stored_us,
           coalesce(greatest(0,
               ('x' || substr(written, 9, 8))::bit(32)::bigint * 256
               + ('x' || substr(written, 17, 8))::bit(32)::bigint
               - ('x' || substr(stored, 9, 8))::bit(32)::bigint * 256
               - ('x' || substr(stored, 17, 8))::bit(32)::bigint - 1), 0) as segments_behind,
           failed_count as failures,
           coalesce(last_failed_time > last_archived_time, last_failed_time is not null) as failing,
           (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
    from place";

impl Store {
    /// How the log is stored.
    pub async fn archive(&self) -> Result<ArchiveRow, StoreError> {
        let mut connection = self.connection().await?;
        let (enabled, stored_us, segments_behind, failures, failing, now_us) =
            sqlx::query_as(READ_ARCHIVE).fetch_one(&mut *connection).await?;
        Ok(ArchiveRow { enabled, stored_us, segments_behind, failures, failing, now_us })
    }
}
