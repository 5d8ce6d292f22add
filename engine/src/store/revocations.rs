//! Tokens that are no longer believed, and the key that proves what a cache says.

use payplane_ledger::Timestamp;

use super::{Store, StoreError};

/// How many tokens and subjects are refused at the same time: every engine has all of them in memory.
pub const REVOCATIONS_MAX: i64 = 10_000;

/// What is refused. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Token = 1,
    /// Every token of a subject.
    Subject = 2,
}

/// One thing that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRow {
    /// What is refused.
    pub kind: RevocationKind,
    /// Its name: a `jti` or a subject.
    pub name: String,
    /// Until when.
    pub until: Timestamp,
    /// Counts the changes of the whole list.
    pub change: i64,
}

impl Store {
    /// Refuses a token or a subject until a time. False if [`REVOCATIONS_MAX`] others are refused.
    pub async fn revoke(
        &self,
        (kind, name): (RevocationKind, &str),
        until: Timestamp,
        (reason, actor): (&str, &str),
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        Ok(sqlx::query_scalar("select payplane.revoke($1, $2, $3, $4, $5, $6)")
            .bind(kind as i16)
            .bind(name)
            .bind(until.0)
            .bind(reason)
            .bind(actor)
            .bind(REVOCATIONS_MAX)
            .fetch_one(&mut *connection)
            .await?)
    }

    /// What changed in the list after a change, in order.
    pub async fn revocations(&self, after: i64) -> Result<Vec<RevocationRow>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(i16, String, i64, i64)> =
            sqlx::query_as("select * from payplane.read_revocations($1)")
                .bind(after)
                .fetch_all(&mut *connection)
                .await?;
        let row = |(kind, name, until, change)| RevocationRow {
            kind: if kind == 1 { RevocationKind::Token } else { RevocationKind::Subject },
            name,
            until: Timestamp(until),
            change,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    /// The secret that only this ledger's engines have.
    pub async fn cache_key(&self) -> Result<Vec<u8>, StoreError> {
        let mut connection = self.connection().await?;
        Ok(sqlx::query_scalar("select payplane.read_cache_key()").fetch_one(&mut *connection).await?)
    }
}
