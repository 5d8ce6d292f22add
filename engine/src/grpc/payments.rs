//! Payments.

use std::sync::Arc;

use payplane_ledger::{AccountId, PaymentId, Provenance, Request as Asked, Sequence, Sign};
use payplane_proto::v1::{self as proto, payment_service_server::PaymentService};
use tonic::{Request, Response, Status};

use super::{
    Api, Call,
    decode::{self, Scope, Violations},
    encode, page, status,
};
use crate::{auth::Role, engine::detached};

#[tonic::async_trait]
impl PaymentService for Api {
    async fn create_payment(
        &self,
        request: Request<proto::CreatePaymentRequest>,
    ) -> Result<Response<proto::CreatePaymentResponse>, Status> {
        let call = Call::of(&request)?;
        let asked = self.asked(request.into_inner(), call).await?;
        let id = asked.payment;
        let outcome = self.engine.pay(asked).await.map_err(status::of_commit)?;
        Ok(Response::new(proto::CreatePaymentResponse { outcome: Some(encode::outcome(id, &outcome)) }))
    }

    async fn get_payment(
        &self,
        request: Request<proto::GetPaymentRequest>,
    ) -> Result<Response<proto::GetPaymentResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let mut violations = Violations::default();
        let id = decode::uuid("id", &request.into_inner().id, &mut violations);
        let id = PaymentId::from_uuid(violations.finish(id)?);
        let store = self.engine.store.clone();
        let found = detached(async move { store.decision(tenant, id).await }).await;
        let decision = found.map_err(|error| status::of_store(&error))?;
        let decision = decision.ok_or_else(|| status::not_found("payment"))?;
        Ok(Response::new(proto::GetPaymentResponse { outcome: Some(encode::decided(id, &decision, false)) }))
    }

    async fn list_payments(
        &self,
        request: Request<proto::ListPaymentsRequest>,
    ) -> Result<Response<proto::ListPaymentsResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let limit = page::size(request.page_size, &mut violations);
        let read = |text: &str| text.parse().ok().map(Sequence);
        let start = page::token(&request.page_token, read, &mut violations);
        let wallet = Some(&request.wallet_id).filter(|id| !id.is_empty());
        let wallet =
            wallet.and_then(|id| decode::uuid("wallet_id", id, &mut violations)).map(AccountId::from_uuid);
        violations.check()?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.payments(tenant, wallet, start, limit).await }).await;
        let page = found.map_err(|error| status::of_store(&error))?;
        let payments =
            page.payments.iter().filter_map(|(id, decision)| encode::completed(*id, decision)).collect();
        let next_page_token = page.next.map(|next| next.0.to_string()).unwrap_or_default();
        Ok(Response::new(proto::ListPaymentsResponse { payments, next_page_token }))
    }
}

impl Api {
    /// Reads the request. The role for debiting the settlement account depends on the request, so it is checked here
    /// and not by the guard.
    async fn asked(&self, request: proto::CreatePaymentRequest, call: Call) -> Result<Asked, Status> {
        let scope = Scope { tenant: call.tenant()?, origin: call.caller.origin };
        let mut violations = Violations::default();
        decode::idempotency_key(&request.idempotency_key, &mut violations);
        decode::text("reference", &request.reference, &mut violations);
        decode::origin_ref(&request.origin_ref, &mut violations);
        let money = decode::money("amount", request.amount.as_ref(), Sign::Positive, &mut violations);
        let currency = money.map(|(_, currency)| currency);
        let from = decode::wallet_ref("from", request.from.as_ref(), currency, scope, &mut violations);
        let to = decode::wallet_ref("to", request.to.as_ref(), currency, scope, &mut violations);
        let ((minor, currency), from, to) = violations.finish(all(money, from, to))?;
        // By whatever reference: the id of a settlement account is no secret.
        let settlement = AccountId::settlement(scope.tenant, currency.code());
        if from.first == settlement && !call.caller.role.includes(Role::Treasury) {
            return Err(status::treasury_required());
        }
        let platform = self.engine.platform().await.map_err(|error| status::of_store(&error))?;
        Ok(Asked {
            tenant: scope.tenant,
            payment: PaymentId::for_key(platform, scope.tenant, scope.origin, &request.idempotency_key),
            from,
            to,
            minor,
            currency,
            reference: Arc::from(request.reference),
            provenance: Provenance {
                origin: scope.origin,
                key: Arc::from(request.idempotency_key),
                origin_ref: Arc::from(request.origin_ref),
                actor: call.caller.subject,
                correlation_id: call.correlation_id,
            },
        })
    }
}

fn all<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}
