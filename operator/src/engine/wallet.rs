//! Wallets of custom resources: their terms, and changes of these.

use std::collections::BTreeMap;

use payplane_crds::wallet::WalletState;
use payplane_proto::v1 as proto;
use proto::wallet_service_client::WalletServiceClient;

use super::{Engine, EngineError, Refusal, Wallet, WalletRef, channel, convert, fault};

/// What describes a wallet and decides about payments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Code of its currency.
    pub currency: String,
    /// Whose it is; empty for nobody.
    pub owner: String,
    /// Its class; empty for none.
    pub class: String,
    /// The lowest balance that a debit may leave.
    pub minimum: String,
    /// The highest balance that a credit may lead to.
    pub maximum: Option<String>,
    /// Whether it takes part in payments.
    pub state: WalletState,
    /// Its labels.
    pub metadata: BTreeMap<String, String>,
    /// Whether it has no money and nothing is held, in either direction.
    pub is_empty: bool,
}

/// What to change of a wallet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TermsChange {
    /// Whether it takes part in payments.
    pub state: Option<WalletState>,
    /// The lowest balance that a debit may leave.
    pub minimum: Option<String>,
    /// The highest balance that a credit may lead to; none takes it away.
    pub maximum: Option<Option<String>>,
}

impl Engine {
    /// The wallet of a custom resource. None if there is none.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn find_wallet(&self, namespace: &str, name: &str) -> Result<Option<Wallet>, EngineError> {
        let found = self.get_wallet(namespace, convert::wallet_named(namespace, name)).await?;
        found.map(convert::wallet).transpose()
    }

    /// What decides about payments of the wallet with this id. None if there is none.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn terms_of(&self, namespace: &str, id: &str) -> Result<Option<Terms>, EngineError> {
        let found = self.get_wallet(namespace, convert::wallet_ref(&WalletRef::Id(id.into()))).await?;
        Ok(found.map(convert::wallet).transpose()?.map(|wallet| wallet.terms))
    }

    /// The currency of a wallet, by what the ledger calls it. None if there is no such wallet.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn currency_of(&self, namespace: &str, wallet: &str) -> Result<Option<String>, EngineError> {
        let found = self.get_wallet(namespace, convert::wallet_ref(&WalletRef::Name(wallet.into()))).await?;
        Ok(found.map(|wallet| wallet.currency))
    }

    /// Whether this is the id of one of the tenant's own accounts, such as settlement. None if there is no such wallet.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn is_own_account(&self, namespace: &str, id: &str) -> Result<Option<bool>, EngineError> {
        let found = self.get_wallet(namespace, convert::wallet_ref(&WalletRef::Id(id.into()))).await?;
        Ok(found.map(|wallet| wallet.kind() != proto::WalletKind::Wallet))
    }

    async fn get_wallet(
        &self,
        namespace: &str,
        wallet: proto::WalletRef,
    ) -> Result<Option<proto::Wallet>, EngineError> {
        let body = proto::GetWalletRequest { wallet: Some(wallet), ..Default::default() };
        let message = channel::request(body, Some(namespace))?;
        match WalletServiceClient::new(self.channel.clone()).get_wallet(message).await {
            Ok(answer) => answer.into_inner().wallet.map(Some).ok_or(EngineError::Answer("no wallet")),
            Err(status) => fault::absent(status),
        }
    }

    /// Changes the terms of a wallet, once for each key.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn change_wallet(
        &self,
        namespace: &str,
        wallet: &Wallet,
        key: &str,
        change: &TermsChange,
    ) -> Result<Result<Wallet, Refusal>, EngineError> {
        let message = channel::request(convert::change_request(wallet, key, change), Some(namespace))?;
        let answer = WalletServiceClient::new(self.channel.clone()).update_wallet(message).await;
        convert::changed_wallet(answer.map_err(fault::from_status)?.into_inner())
    }

    /// Makes these the only labels of a wallet.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn label_wallet(
        &self,
        namespace: &str,
        wallet: &Wallet,
        metadata: BTreeMap<String, String>,
    ) -> Result<Wallet, EngineError> {
        let message = channel::request(convert::label_request(wallet, metadata), Some(namespace))?;
        let answer = WalletServiceClient::new(self.channel.clone()).put_wallet_metadata(message).await;
        let labelled = answer.map_err(fault::from_status)?.into_inner();
        convert::wallet(labelled.wallet.ok_or(EngineError::Answer("no wallet"))?)
    }
}
