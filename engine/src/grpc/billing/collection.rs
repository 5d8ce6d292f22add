//! Collecting, and who may collect.

use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use tonic::Status;

use super::{invoice, of_its_own};
use crate::{
    billing::{self, Collect, Receiver},
    engine::detached,
    grpc::{
        Api,
        decode::{self, Path, Violations},
        status,
    },
};

const TENANT_CHARS_MAX: usize = 63;

impl Api {
    pub(super) async fn collect(
        &self,
        tenant: TenantId,
        request: proto::CollectInvoiceRequest,
    ) -> Result<proto::CollectInvoiceResponse, Status> {
        let proto::CollectInvoiceRequest { number, wallet, receiver, known_attempts } = request;
        let proto::CollectionReceiver { tenant: of_receiver, revenue_wallet, tax_wallet } =
            receiver.unwrap_or_default();
        let tax_wallet = if tax_wallet.is_empty() { revenue_wallet.clone() } else { tax_wallet };
        let mut violations = Violations::default();
        let (root, at) = (Path::Root, Path::Root);
        let at = at.at("receiver");
        decode::wallet_name(root.at("wallet"), &wallet, &mut violations);
        decode::key(at.at("tenant"), &of_receiver, TENANT_CHARS_MAX, &mut violations);
        decode::wallet_name(at.at("revenue_wallet"), &revenue_wallet, &mut violations);
        decode::wallet_name(at.at("tax_wallet"), &tax_wallet, &mut violations);
        let platform = self.engine.platform().await.map_err(|error| status::of_store(&error))?;
        let of_receiver = TenantId::named(platform, &of_receiver);
        if of_receiver == tenant {
            violations.add(at.at("tenant"), "is the payer: expected another tenant");
        }
        violations.check()?;
        let receiver = Receiver { tenant: of_receiver, revenue: revenue_wallet, tax: tax_wallet };
        let asked = Collect { tenant, number, wallet, receiver, known_attempts };
        let engine = self.engine.clone();
        let found = of_its_own(async move { billing::collect(&engine, &asked).await }).await?;
        Ok(proto::CollectInvoiceResponse { invoice: Some(invoice::invoice(&found)) })
    }

    pub(super) async fn grant_collection(
        &self,
        tenant: TenantId,
        request: proto::PutCollectorRequest,
    ) -> Result<proto::PutCollectorResponse, Status> {
        let mut violations = Violations::default();
        decode::wallet_name(Path::Root.at("wallet"), &request.wallet, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let done =
            detached(async move { store.put_collector(tenant, &request.wallet, request.collects).await });
        let is_there = done.await.map_err(|error| status::of_store(&error))?;
        if is_there { Ok(proto::PutCollectorResponse {}) } else { Err(status::not_found("wallet")) }
    }
}
