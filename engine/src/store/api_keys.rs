//! API keys of tenants: their hashes, and when they end.

use payplane_ledger::{TenantId, Timestamp};
use uuid::Uuid;

use super::{CallerRow, Store, StoreError, tenants};

/// How many keys of a tenant are valid at the same time.
pub const TENANT_API_KEYS_MAX: i64 = 64;

/// How many keys are valid at the same time: every engine has all of them in memory.
pub const API_KEYS_MAX: i64 = 50_000;

/// SHA-256 of a whole key.
pub type Hash = [u8; 32];

/// A row of `payplane.list_api_keys`.
type ListedKey = (String, String, i16, Vec<u8>, i64, i64, bool);

/// A key to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// The part that is no secret.
    pub id: String,
    /// For people.
    pub name: String,
    /// A number of the wire's role.
    pub role: i16,
    /// Of the whole key.
    pub hash: Hash,
    /// When it ends.
    pub expires: Timestamp,
}

/// A key that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// As it was registered.
    pub key: NewApiKey,
    /// When it was registered.
    pub created: Timestamp,
    /// Whether its end was decided.
    pub is_ending: bool,
}

/// One key that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyChange {
    /// The part that is no secret.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// Of the whole key.
    pub hash: Hash,
    /// When it ends.
    pub expires: Timestamp,
    /// Counts the changes of the whole list.
    pub change: i64,
}

/// What became of a key that was to be registered. The numbers are those of `put_api_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutApiKey {
    /// It is registered.
    Done,
    /// [`TENANT_API_KEYS_MAX`] others of the tenant are valid.
    TenantFull,
    /// [`API_KEYS_MAX`] others are valid.
    Full,
    /// The id is another key's, or the key has ended.
    Taken,
}

impl Store {
    /// Registers a key, or gives a registered one its role.
    pub async fn put_api_key(
        &self,
        tenant: TenantId,
        key: &NewApiKey,
        actor: &str,
    ) -> Result<PutApiKey, StoreError> {
        let mut connection = self.connection().await?;
        let outcome: i16 =
            sqlx::query_scalar("select payplane.put_api_key($1, $2, $3, $4, $5, $6, $7, $8, $9)")
                .bind(tenant.uuid())
                .bind(&key.id)
                .bind(&key.name)
                .bind(key.role)
                .bind(&key.hash[..])
                .bind(key.expires.0)
                .bind(actor)
                .bind(TENANT_API_KEYS_MAX)
                .bind(API_KEYS_MAX)
                .fetch_one(&mut *connection)
                .await?;
        Ok(match outcome {
            0 => PutApiKey::Done,
            1 => PutApiKey::TenantFull,
            2 => PutApiKey::Full,
            _ => PutApiKey::Taken,
        })
    }

    /// Ends a key at a time. False if the tenant has no such key.
    pub async fn end_api_key(&self, tenant: TenantId, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        Ok(sqlx::query_scalar("select payplane.end_api_key($1, $2, $3)")
            .bind(tenant.uuid())
            .bind(id)
            .bind(at.0)
            .fetch_one(&mut *connection)
            .await?)
    }

    /// A tenant's keys that have not ended, the eldest first.
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKeyRow>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<ListedKey> = sqlx::query_as("select * from payplane.list_api_keys($1)")
            .bind(tenant.uuid())
            .fetch_all(&mut *connection)
            .await?;
        let row = |(id, name, role, bytes, created, expires, is_ending)| {
            let key = NewApiKey { id, name, role, hash: hash(bytes)?, expires: Timestamp(expires) };
            Ok(ApiKeyRow { key, created: Timestamp(created), is_ending })
        };
        rows.into_iter().map(row).collect()
    }

    /// What changed in the list of keys after a change, in order.
    pub async fn api_key_changes(&self, after: i64) -> Result<Vec<ApiKeyChange>, StoreError> {
        let mut connection = self.connection().await?;
        let rows: Vec<(String, Uuid, String, Vec<u8>, i64, i64)> =
            sqlx::query_as("select * from payplane.read_api_keys($1)")
                .bind(after)
                .fetch_all(&mut *connection)
                .await?;
        let row = |(id, tenant, name, bytes, expires, change)| {
            let (tenant, expires) = (TenantId::from_uuid(tenant), Timestamp(expires));
            Ok(ApiKeyChange { id, tenant, name, hash: hash(bytes)?, expires, change })
        };
        rows.into_iter().map(row).collect()
    }

    /// What a key may do; nothing if the tenant was archived.
    pub async fn resolve_key(&self, tenant: TenantId, id: &str) -> Result<Option<CallerRow>, StoreError> {
        let mut connection = self.connection().await?;
        let found: Option<tenants::FoundCaller> =
            sqlx::query_as("select * from payplane.find_key_caller($1, $2)")
                .bind(tenant.uuid())
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
        Ok(found.map(tenants::caller))
    }
}

fn hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("hash of an API key"))
}
