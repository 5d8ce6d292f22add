//! A caller with a token.

use std::{sync::Arc, time::Duration};

use payplane_proto::v1::{
    self as proto, ledger_service_client::LedgerServiceClient, payment_outcome,
    payment_service_client::PaymentServiceClient, tenant_service_client::TenantServiceClient,
    wallet_service_client::WalletServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataKey, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Adds what a caller always says.
#[derive(Clone, Debug)]
pub(crate) struct Headers(Arc<Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>>);

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in self.0.iter() {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        Ok(request)
    }
}

type Wire = InterceptedService<Channel, Headers>;

/// One connection, one identity.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) payments: PaymentServiceClient<Wire>,
    pub(crate) wallets: WalletServiceClient<Wire>,
    pub(crate) tenants: TenantServiceClient<Wire>,
    pub(crate) ledger: LedgerServiceClient<Wire>,
}

impl Client {
    /// Connects with the first call.
    pub(crate) fn new(address: std::net::SocketAddr, headers: &[(&str, &str)]) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true).connect_lazy();
        let header = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        let headers = Headers(Arc::new(headers.iter().map(header).collect()));
        let wire = || InterceptedService::new(channel.clone(), headers.clone());
        Self {
            payments: PaymentServiceClient::new(wire()),
            wallets: WalletServiceClient::new(wire()),
            tenants: TenantServiceClient::new(wire()),
            ledger: LedgerServiceClient::new(wire()),
        }
    }

    pub(crate) async fn pay(
        &self,
        request: proto::CreatePaymentRequest,
    ) -> Result<proto::PaymentOutcome, Status> {
        let answer = self.payments.clone().create_payment(request).await?;
        Ok(answer.into_inner().outcome.unwrap())
    }

    /// Creates a wallet and gives its id.
    pub(crate) async fn wallet(&self, name: &str, currency: &str) -> String {
        let request = proto::CreateWalletRequest {
            name: name.to_owned(),
            currency: currency.to_owned(),
            ..Default::default()
        };
        let answer = self.wallets.clone().create_wallet(request).await.unwrap().into_inner();
        match answer.result {
            Some(proto::create_wallet_response::Result::Wallet(wallet)) => wallet.id,
            other => panic!("wallet {name} not created: {other:?}"),
        }
    }

    pub(crate) async fn available(&self, wallet: proto::WalletRef) -> String {
        let request = proto::GetWalletRequest { wallet: Some(wallet), currency: "USD".to_owned() };
        let answer = self.wallets.clone().get_wallet(request).await.unwrap().into_inner();
        answer.wallet.unwrap().balance.unwrap().available
    }

    pub(crate) async fn trial_balance(&self) -> Vec<proto::TrialBalanceLine> {
        let request = proto::GetTrialBalanceRequest {};
        self.ledger.clone().get_trial_balance(request).await.unwrap().into_inner().lines
    }
}

/// A payment in dollars between wallets that are named.
pub(crate) fn payment(key: &str, from: &str, to: &str, amount: &str) -> proto::CreatePaymentRequest {
    proto::CreatePaymentRequest {
        idempotency_key: key.to_owned(),
        from: Some(name(from)),
        to: Some(name(to)),
        amount: Some(usd(amount)),
        ..Default::default()
    }
}

/// Dollars that enter the tenant.
pub(crate) fn funding(key: &str, to: &str, amount: &str) -> proto::CreatePaymentRequest {
    proto::CreatePaymentRequest { from: Some(settlement()), ..payment(key, "", to, amount) }
}

pub(crate) fn usd(amount: &str) -> proto::Money {
    proto::Money { amount: amount.to_owned(), currency: "USD".to_owned() }
}

pub(crate) fn name(name: &str) -> proto::WalletRef {
    proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Name(name.to_owned())) }
}

pub(crate) fn id(id: &str) -> proto::WalletRef {
    proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Id(id.to_owned())) }
}

pub(crate) fn settlement() -> proto::WalletRef {
    proto::WalletRef { r#ref: Some(proto::wallet_ref::Ref::Settlement(proto::Settlement {})) }
}

/// The payment, where one was expected.
pub(crate) fn paid(outcome: &proto::PaymentOutcome) -> &proto::Payment {
    match &outcome.result {
        Some(payment_outcome::Result::Payment(payment)) => payment,
        other => panic!("not paid: {other:?}"),
    }
}

/// Reason and field of the refusal, where one was expected.
pub(crate) fn refused(outcome: &proto::PaymentOutcome) -> (proto::RefusalReason, &str) {
    match &outcome.result {
        Some(payment_outcome::Result::Refusal(refusal)) => (refusal.reason(), &refusal.field),
        other => panic!("not refused: {other:?}"),
    }
}
