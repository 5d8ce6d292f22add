//! What the ledger says, asked directly: the oracle of every test here.

use std::{collections::BTreeMap, time::Duration};

use payplane_proto::v1::{
    self as proto, billing_service_client::BillingServiceClient, ledger_service_client::LedgerServiceClient,
    payment_service_client::PaymentServiceClient, settings_service_client::SettingsServiceClient,
    tenant_service_client::TenantServiceClient, wallet_service_client::WalletServiceClient,
};
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::eventually;

/// The operator's token, speaking for a namespace.
#[derive(Clone)]
pub struct Caller {
    token: String,
    namespace: String,
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        if !self.namespace.is_empty() {
            metadata.insert("payplane-namespace", self.namespace.parse().unwrap());
        }
        Ok(request)
    }
}

/// One tenant's side of the ledger.
pub struct Books {
    channel: InterceptedService<Channel, Caller>,
    namespace: String,
}

impl Books {
    pub fn new(port: u16, token: &str, namespace: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = endpoint.connect_timeout(Duration::from_secs(2)).timeout(Duration::from_secs(10));
        let caller = Caller { token: token.into(), namespace: namespace.into() };
        let channel = InterceptedService::new(channel.connect_lazy(), caller);
        Self { channel, namespace: namespace.into() }
    }

    /// Any call.
    pub fn channel(&self) -> InterceptedService<Channel, Caller> {
        self.channel.clone()
    }

    /// Any call about payments.
    pub fn payment_client(&self) -> PaymentServiceClient<InterceptedService<Channel, Caller>> {
        PaymentServiceClient::new(self.channel.clone())
    }

    /// Any call about wallets.
    pub fn wallet_client(&self) -> WalletServiceClient<InterceptedService<Channel, Caller>> {
        WalletServiceClient::new(self.channel.clone())
    }

    /// Any call about parameters.
    pub fn settings_client(&self) -> SettingsServiceClient<InterceptedService<Channel, Caller>> {
        SettingsServiceClient::new(self.channel.clone())
    }

    /// Any call about tenants.
    pub fn tenant_client(&self) -> TenantServiceClient<InterceptedService<Channel, Caller>> {
        TenantServiceClient::new(self.channel.clone())
    }

    /// Any call about bills.
    pub fn billing_client(&self) -> BillingServiceClient<InterceptedService<Channel, Caller>> {
        BillingServiceClient::new(self.channel.clone())
    }

    /// Every payment that the ledger has of the tenant, by idempotency key. Two under one key end the test.
    pub async fn payments(&self) -> BTreeMap<String, proto::Payment> {
        let mut found = BTreeMap::new();
        let mut client = PaymentServiceClient::new(self.channel.clone()).max_decoding_message_size(32 << 20);
        let mut request = proto::ListPaymentsRequest { page_size: 1_000, ..Default::default() };
        loop {
            let page = client.list_payments(request.clone()).await.unwrap().into_inner();
            for payment in page.payments {
                let key = payment.idempotency_key.clone();
                assert!(found.insert(key.clone(), payment).is_none(), "two payments under the key {key}");
            }
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// A wallet of the namespace, by its object's name.
    pub fn named(&self, wallet: &str) -> proto::WalletRef {
        let name = proto::wallet_ref::Ref::Name(format!("{}/{wallet}", self.namespace));
        proto::WalletRef { r#ref: Some(name) }
    }

    /// What a wallet of the namespace can spend, and what leaves it soon.
    pub async fn balance(&self, wallet: &str) -> (String, String) {
        let request = proto::GetWalletRequest { wallet: Some(self.named(wallet)), ..Default::default() };
        let answer = WalletServiceClient::new(self.channel.clone()).get_wallet(request).await.unwrap();
        let balance = answer.into_inner().wallet.unwrap().balance.unwrap();
        (balance.available, balance.pending_debits)
    }

    /// What a consent to this restore names, and when it was, in seconds since 1970.
    pub async fn epoch(&self) -> (String, i64) {
        let mut client = LedgerServiceClient::new(self.channel.clone());
        let head = client.get_head(proto::GetHeadRequest {}).await.unwrap().into_inner();
        (head.epoch_name, head.epoch_begin_time.unwrap().seconds)
    }

    /// How many transfers there are in all. None while the engine does not answer.
    pub async fn try_transfers(&self) -> Option<i64> {
        let mut client = LedgerServiceClient::new(self.channel.clone());
        let lines = client.get_trial_balance(proto::GetTrialBalanceRequest {}).await.ok()?.into_inner().lines;
        for line in &lines {
            let is_zero = line.difference.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            assert!(is_zero, "out of balance: {line:?}");
        }
        Some(lines.iter().map(|line| line.transfers).sum())
    }

    /// The same, when the engine answers.
    pub async fn transfers(&self) -> i64 {
        eventually("a trial balance", async || self.try_transfers().await).await
    }
}
