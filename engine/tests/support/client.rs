//! A caller with a token.

use std::{sync::Arc, time::Duration};

use payplane_proto::v1::{
    self as proto, api_key_service_client::ApiKeyServiceClient, billing_service_client::BillingServiceClient,
    event_service_client::EventServiceClient, ledger_service_client::LedgerServiceClient, payment_outcome,
    payment_service_client::PaymentServiceClient, people_service_client::PeopleServiceClient,
    settings_service_client::SettingsServiceClient, tenant_service_client::TenantServiceClient,
    token_service_client::TokenServiceClient, wallet_service_client::WalletServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataKey, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use super::insist;

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
    pub(crate) settings: SettingsServiceClient<Wire>,
    pub(crate) people: PeopleServiceClient<Wire>,
    pub(crate) billing: BillingServiceClient<Wire>,
    pub(crate) events: EventServiceClient<Wire>,
    pub(crate) tokens: TokenServiceClient<Wire>,
    pub(crate) api_keys: ApiKeyServiceClient<Wire>,
}

/// Answers of bulk calls are larger than what clients take by default.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

impl Client {
    /// Connects with the first call.
    pub(crate) fn new(address: std::net::SocketAddr, headers: &[(&str, &str)]) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        Self::over(endpoint.connect_lazy(), headers)
    }

    pub(crate) fn over(channel: Channel, headers: &[(&str, &str)]) -> Self {
        let header = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        let headers = Headers(Arc::new(headers.iter().map(header).collect()));
        let wire = || InterceptedService::new(channel.clone(), headers.clone());
        Self {
            payments: PaymentServiceClient::new(wire()).max_decoding_message_size(ANSWER_BYTES_MAX),
            wallets: WalletServiceClient::new(wire()),
            tenants: TenantServiceClient::new(wire()),
            ledger: LedgerServiceClient::new(wire()),
            settings: SettingsServiceClient::new(wire()),
            people: PeopleServiceClient::new(wire()),
            billing: BillingServiceClient::new(wire()),
            events: EventServiceClient::new(wire()),
            tokens: TokenServiceClient::new(wire()),
            api_keys: ApiKeyServiceClient::new(wire()),
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

    /// The wallet as it stands.
    pub(crate) async fn read_wallet(&self, wallet: proto::WalletRef) -> proto::Wallet {
        let request = proto::GetWalletRequest { wallet: Some(wallet), currency: "USD".to_owned() };
        let found = insist(async || self.wallets.clone().get_wallet(request.clone()).await).await;
        found.into_inner().wallet.unwrap()
    }

    /// The payment as it stands.
    pub(crate) async fn read_payment(&self, id: &str) -> proto::Payment {
        let request = proto::GetPaymentRequest { id: id.to_owned() };
        let found = insist(async || self.payments.clone().get_payment(request.clone()).await).await;
        paid(&found.into_inner().outcome.unwrap()).clone()
    }

    /// Holds dollars and gives the outcome.
    pub(crate) async fn hold(&self, request: proto::AuthorizePaymentRequest) -> proto::PaymentOutcome {
        self.payments.clone().authorize_payment(request).await.unwrap().into_inner().outcome.unwrap()
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

/// A hold in dollars, for ten minutes, between wallets that are named.
pub(crate) fn hold(key: &str, from: &str, to: &str, amount: &str) -> proto::AuthorizePaymentRequest {
    proto::AuthorizePaymentRequest {
        idempotency_key: key.to_owned(),
        from: Some(name(from)),
        to: Some(name(to)),
        amount: Some(usd(amount)),
        timeout: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    }
}

/// A capture of so many dollars.
pub(crate) fn capture(key: &str, payment: &str, amount: &str) -> proto::CapturePaymentRequest {
    proto::CapturePaymentRequest {
        idempotency_key: key.to_owned(),
        payment_id: payment.to_owned(),
        amount: Some(usd(amount)),
        ..Default::default()
    }
}

/// A refund of so many dollars.
pub(crate) fn refund(key: &str, payment: &str, amount: &str) -> proto::RefundPaymentRequest {
    proto::RefundPaymentRequest {
        idempotency_key: key.to_owned(),
        payment_id: payment.to_owned(),
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

/// The refund, where one was expected.
pub(crate) fn refunded(outcome: &proto::RefundOutcome) -> &proto::Refund {
    match &outcome.result {
        Some(proto::refund_outcome::Result::Refund(refund)) => refund,
        other => panic!("not refunded: {other:?}"),
    }
}

/// The paths of the fields that a malformed request was refused for.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}

/// What a call was answered with, as a code.
pub(crate) fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}
