//! The engine in the operator's words. Only this module and what is below it know tonic and the wire.
//!
//! Every call carries the operator's token and, where a tenant is meant, one of the tenant's namespaces. Every call has
//! a deadline; whoever gets no answer asks again with the same key, which the ledger answers the same way.

mod api_key;
mod archive;
mod billing;
mod channel;
mod convert;
mod fault;
mod payment;
mod refund;
mod registry;
mod settings;
mod tenant;
mod token;
mod wallet;

use payplane_proto::v1 as proto;
use proto::{ledger_service_client::LedgerServiceClient, wallet_service_client::WalletServiceClient};
use tonic::{service::interceptor::InterceptedService, transport::Channel};

pub use api_key::ApiKey;
pub use archive::Archive;
pub use billing::{
    Agreed, BillingRequest, CollectRequest, DebtMeasures, Documents, Invoice, Preview, Standing, WantedPlan,
};
pub use fault::EngineError;
pub use payment::{
    Amount, Asked, Changes, Fee, FeeRequest, HoldTerms, Outcome, Payment, PaymentRequest, Phase, Step,
    StepRequest,
};
pub use refund::{DecisionRequest, Refund, RefundOutcome, RefundPhase, RefundRequest};
pub use registry::{Engines, PlatformKey};
pub use settings::{HoldLimits, HoldSummary, Scope};
pub use tenant::Holdings;
pub use token::Token;
pub use wallet::{Terms, TermsChange};

#[cfg(test)]
pub mod fixture {
    //! An engine that nobody can reach, for steps that only look whether there is one.

    use std::sync::Arc;

    use super::*;

    /// Connects when it is called for the first time, which nobody does. Needs a runtime.
    pub fn engine() -> Arc<Engine> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let engines = Engines::new(Token::new("/nowhere".into()), None);
        let key = PlatformKey { namespace: "ns".into(), name: "main".into() };
        let address = Address { endpoint: "localhost:1".into(), ca_pem: String::new() };
        engines.set(key.clone(), address).unwrap();
        engines.get(&key).unwrap()
    }
}

const PAGE: i32 = 500;

/// A connection to the engines of one Platform.
#[derive(Clone, Debug)]
pub struct Engine {
    channel: InterceptedService<Channel, Token>,
    address: Address,
}

/// How callers inside the cluster reach the engines of one Platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// Host and port of the Service.
    pub endpoint: String,
    /// PEM of the authority that signs the engines' certificates.
    pub ca_pem: String,
}

/// One life of the ledger, from one restore to the next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Epoch {
    /// What a consent names that is for this one only.
    pub name: String,
    /// When it began, by the database's clock. None if the ledger was never restored.
    pub began: Option<jiff::Timestamp>,
}

/// A wallet as the ledger knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WalletRef {
    /// By its name, "<namespace>/<name>".
    Name(String),
    /// By its id.
    Id(String),
    /// The tenant's settlement account.
    Settlement,
}

/// The ledger's "no".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why, as a condition's reason.
    pub reason: &'static str,
    /// Field of the spec that is to blame.
    pub field: String,
    /// One sentence for people.
    pub message: String,
    /// Whether the ledger stored the answer.
    pub definitive: bool,
}

/// A wallet and what it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wallet {
    /// Id in the ledger.
    pub id: String,
    /// Its name, "<namespace>/<name>".
    pub name: String,
    /// Posted credits minus posted debits.
    pub posted: String,
    /// Held by pending payments.
    pub pending: String,
    /// What can be spent.
    pub available: String,
    /// Number of postings.
    pub version: i64,
    /// What describes it and decides about payments.
    pub terms: Terms,
}

impl Engine {
    /// How callers inside the cluster reach these engines.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the ledger's hash chain ends, as SEAL:LINK; None while nothing is sealed.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn head(&self) -> Result<Option<String>, EngineError> {
        let message = channel::request(proto::GetHeadRequest {}, None)?;
        let answer = LedgerServiceClient::new(self.channel.clone()).get_head(message).await;
        convert::head(answer.map_err(fault::from_status)?.into_inner())
    }

    /// The ledger's epoch.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn epoch(&self) -> Result<Epoch, EngineError> {
        let message = channel::request(proto::GetHeadRequest {}, None)?;
        let answer = LedgerServiceClient::new(self.channel.clone()).get_head(message).await;
        Ok(convert::epoch(answer.map_err(fault::from_status)?.into_inner()))
    }

    /// Makes the wallet of a custom resource, or finds it.
    ///
    /// # Errors
    /// When no answer came, or the request can never be valid.
    pub async fn create_wallet(
        &self,
        namespace: &str,
        name: &str,
        spec: &payplane_crds::WalletSpec,
    ) -> Result<Result<Wallet, Refusal>, EngineError> {
        let message = channel::request(convert::wallet_request(namespace, name, spec), Some(namespace))?;
        let answer = WalletServiceClient::new(self.channel.clone()).create_wallet(message).await;
        convert::created_wallet(answer.map_err(fault::from_status)?.into_inner())
    }

    /// One page of the tenant's wallets that custom resources made, and the token of the next page.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn list_wallets(
        &self,
        namespace: &str,
        page_token: String,
    ) -> Result<(Vec<Wallet>, Option<String>), EngineError> {
        let origin = proto::Origin::Resource.into();
        let body = proto::ListWalletsRequest { page_size: PAGE, page_token, origin, ..Default::default() };
        let message = channel::request(body, Some(namespace))?;
        let answer = WalletServiceClient::new(self.channel.clone()).list_wallets(message).await;
        let page = answer.map_err(fault::from_status)?.into_inner();
        let wallets = page.wallets.into_iter().map(convert::wallet).collect::<Result<_, _>>()?;
        Ok((wallets, Some(page.next_page_token).filter(|token| !token.is_empty())))
    }
}
