//! Wallets: creating them, and their labels.

use std::collections::BTreeMap;

use payplane_ledger::{AccountId, Currency, Origin, TenantId};

use super::{Store, StoreError};

/// The caller's own labels of a wallet, sorted.
pub type Labels = BTreeMap<String, String>;

/// A wallet to create.
#[derive(Clone, Debug)]
pub struct NewWallet {
    /// Whose.
    pub tenant: TenantId,
    /// Who names it.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// Its currency.
    pub currency: Currency,
    /// The owner in the caller's system.
    pub owner: String,
    /// The lowest balance a debit may leave.
    pub floor: i64,
    /// The highest balance a credit may lead to.
    pub ceiling: Option<i64>,
    /// Groups wallets that share parameters; empty for none.
    pub class: String,
    /// Labels.
    pub metadata: Labels,
}

impl NewWallet {
    /// The id that follows from the name.
    pub fn id(&self) -> AccountId {
        AccountId::wallet(self.tenant, self.origin, &self.name)
    }
}

const CREATE_WALLET: &str = "select payplane.create_wallet($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

impl Store {
    /// Creates the wallet unless its name is taken; says whether it did.
    pub async fn create_wallet(&self, wallet: &NewWallet) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let created = sqlx::query_scalar(CREATE_WALLET)
            .bind(wallet.tenant.uuid())
            .bind(wallet.id().uuid())
            .bind(wallet.origin as i16)
            .bind(&wallet.name)
            .bind(wallet.currency.code())
            .bind(&wallet.owner)
            .bind(wallet.floor)
            .bind(wallet.ceiling)
            .bind(&wallet.class)
            .bind(labels_text(&wallet.metadata)?)
            .fetch_one(&mut *connection)
            .await?;
        Ok(created)
    }

    /// Makes these the only labels of a wallet; says whether there is such a wallet.
    pub async fn put_wallet_metadata(
        &self,
        tenant: TenantId,
        wallet: AccountId,
        metadata: &Labels,
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let found = sqlx::query_scalar("select payplane.put_wallet_metadata($1, $2, $3)")
            .bind(tenant.uuid())
            .bind(wallet.uuid())
            .bind(labels_text(metadata)?)
            .fetch_one(&mut *connection)
            .await?;
        Ok(found)
    }
}

/// Labels as JSON.
pub(super) fn labels_text(labels: &Labels) -> Result<String, StoreError> {
    serde_json::to_string(labels).map_err(|_| StoreError::Corrupt("labels"))
}

/// Labels from JSON.
pub(super) fn labels(text: &str) -> Result<Labels, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("labels"))
}
