//! Payments and refunds. A handler reads, asks the ledger and writes down what came of it.

mod bulk;
mod list;
mod stream;
mod treasury;
mod watch;

pub(super) use watch::Follower;

use payplane_ledger::{OperationId, Outcome, Request as Asked};
use payplane_proto::v1::{self as proto, payment_service_server::PaymentService};
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Api, Call,
    ask::{self, Asker, Tag},
    decode::{self, Path, Violations},
    encode::{self, View},
    status,
};
use crate::engine::detached;

/// Reads one kind of request.
type Read<T> = fn(&Asker, Path<'_>, T, &mut Violations) -> Option<Asked>;

#[tonic::async_trait]
impl PaymentService for Api {
    async fn create_payment(
        &self,
        request: Request<proto::CreatePaymentRequest>,
    ) -> Result<Response<proto::CreatePaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::create).await?);
        Ok(Response::new(proto::CreatePaymentResponse { outcome }))
    }

    async fn authorize_payment(
        &self,
        request: Request<proto::AuthorizePaymentRequest>,
    ) -> Result<Response<proto::AuthorizePaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::authorize).await?);
        Ok(Response::new(proto::AuthorizePaymentResponse { outcome }))
    }

    async fn capture_payment(
        &self,
        request: Request<proto::CapturePaymentRequest>,
    ) -> Result<Response<proto::CapturePaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::capture).await?);
        Ok(Response::new(proto::CapturePaymentResponse { outcome }))
    }

    async fn void_payment(
        &self,
        request: Request<proto::VoidPaymentRequest>,
    ) -> Result<Response<proto::VoidPaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::void).await?);
        Ok(Response::new(proto::VoidPaymentResponse { outcome }))
    }

    async fn hand_over_payment(
        &self,
        request: Request<proto::HandOverPaymentRequest>,
    ) -> Result<Response<proto::HandOverPaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::hand_over).await?);
        Ok(Response::new(proto::HandOverPaymentResponse { outcome }))
    }

    async fn settle_payment(
        &self,
        request: Request<proto::SettlePaymentRequest>,
    ) -> Result<Response<proto::SettlePaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::settle).await?);
        Ok(Response::new(proto::SettlePaymentResponse { outcome }))
    }

    async fn fail_payment(
        &self,
        request: Request<proto::FailPaymentRequest>,
    ) -> Result<Response<proto::FailPaymentResponse>, Status> {
        let outcome = Some(self.payment(request, ask::fail).await?);
        Ok(Response::new(proto::FailPaymentResponse { outcome }))
    }

    async fn refund_payment(
        &self,
        request: Request<proto::RefundPaymentRequest>,
    ) -> Result<Response<proto::RefundPaymentResponse>, Status> {
        let outcome = Some(self.refund(request, ask::refund).await?);
        Ok(Response::new(proto::RefundPaymentResponse { outcome }))
    }

    async fn approve_refund(
        &self,
        request: Request<proto::ApproveRefundRequest>,
    ) -> Result<Response<proto::ApproveRefundResponse>, Status> {
        let outcome = Some(self.refund(request, ask::approve_refund).await?);
        Ok(Response::new(proto::ApproveRefundResponse { outcome }))
    }

    async fn reject_refund(
        &self,
        request: Request<proto::RejectRefundRequest>,
    ) -> Result<Response<proto::RejectRefundResponse>, Status> {
        let outcome = Some(self.refund(request, ask::reject_refund).await?);
        Ok(Response::new(proto::RejectRefundResponse { outcome }))
    }

    async fn reverse_payment(
        &self,
        request: Request<proto::ReversePaymentRequest>,
    ) -> Result<Response<proto::ReversePaymentResponse>, Status> {
        let (tag, outcome) = self.one(request, ask::reverse).await?;
        let outcome = Some(encode::reversal_outcome(tag, &outcome, View::Full));
        Ok(Response::new(proto::ReversePaymentResponse { outcome }))
    }

    async fn create_payments(
        &self,
        request: Request<proto::CreatePaymentsRequest>,
    ) -> Result<Response<proto::CreatePaymentsResponse>, Status> {
        let asker = self.asker(&request).await?;
        let outcomes = self.bulk(&asker, request.into_inner()).await?;
        Ok(Response::new(proto::CreatePaymentsResponse { outcomes }))
    }

    async fn create_linked(
        &self,
        request: Request<proto::CreateLinkedRequest>,
    ) -> Result<Response<proto::CreateLinkedResponse>, Status> {
        let asker = self.asker(&request).await?;
        let outcomes = self.linked(&asker, request.into_inner()).await?;
        Ok(Response::new(proto::CreateLinkedResponse { outcomes }))
    }

    async fn split_payment(
        &self,
        request: Request<proto::SplitPaymentRequest>,
    ) -> Result<Response<proto::SplitPaymentResponse>, Status> {
        let asker = self.asker(&request).await?;
        let outcomes = self.split(&asker, request.into_inner()).await?;
        Ok(Response::new(proto::SplitPaymentResponse { outcomes }))
    }

    type StreamPaymentsStream = ReceiverStream<Result<proto::StreamPaymentsResponse, Status>>;

    async fn stream_payments(
        &self,
        request: Request<Streaming<proto::StreamPaymentsRequest>>,
    ) -> Result<Response<Self::StreamPaymentsStream>, Status> {
        let asker = self.asker(&request).await?;
        Ok(Response::new(stream::start(self.clone(), asker, request.into_inner())))
    }

    async fn get_payment(
        &self,
        request: Request<proto::GetPaymentRequest>,
    ) -> Result<Response<proto::GetPaymentResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let id = operation_id("id", &request.into_inner().id)?;
        let known = self.engine.cache.payment(tenant, id).await;
        if let Some(outcome) = known.and_then(|body| proto::PaymentOutcome::decode(&*body).ok()) {
            return Ok(Response::new(proto::GetPaymentResponse { outcome: Some(outcome) }));
        }
        let store = self.engine.store.clone();
        let found = detached(async move { store.payment(tenant, id).await }).await;
        let row = found.map_err(|error| status::of_store(&error))?;
        let row = row.ok_or_else(|| status::not_found("payment"))?;
        let outcome = encode::stored_payment(row.id, &row.decision, row.state.as_ref());
        if row.is_final() {
            self.engine.cache.remember(tenant, id, &outcome.encode_to_vec()).await;
        }
        Ok(Response::new(proto::GetPaymentResponse { outcome: Some(outcome) }))
    }

    async fn list_payments(
        &self,
        request: Request<proto::ListPaymentsRequest>,
    ) -> Result<Response<proto::ListPaymentsResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        self.payment_list(tenant, request.into_inner()).await.map(Response::new)
    }

    async fn get_refund(
        &self,
        request: Request<proto::GetRefundRequest>,
    ) -> Result<Response<proto::GetRefundResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        let id = operation_id("id", &request.into_inner().id)?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.refund(tenant, id).await }).await;
        let row = found.map_err(|error| status::of_store(&error))?;
        let row = row.ok_or_else(|| status::not_found("refund"))?;
        let state = row.state.as_ref().map(|(refund, payment)| (refund, payment));
        let outcome = Some(encode::stored_refund(row.id, &row.decision, state));
        Ok(Response::new(proto::GetRefundResponse { outcome }))
    }

    async fn list_refunds(
        &self,
        request: Request<proto::ListRefundsRequest>,
    ) -> Result<Response<proto::ListRefundsResponse>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        self.refund_list(tenant, request.into_inner()).await.map(Response::new)
    }

    type WatchPaymentsStream = ReceiverStream<Result<proto::WatchPaymentsResponse, Status>>;

    async fn watch_payments(
        &self,
        request: Request<proto::WatchPaymentsRequest>,
    ) -> Result<Response<Self::WatchPaymentsStream>, Status> {
        let tenant = Call::of(&request)?.tenant()?;
        self.watch(tenant, &request.into_inner()).await.map(Response::new)
    }
}

impl Api {
    async fn payment<T>(&self, request: Request<T>, read: Read<T>) -> Result<proto::PaymentOutcome, Status> {
        let (tag, outcome) = self.one(request, read).await?;
        Ok(encode::payment_outcome(tag, &outcome, View::Full))
    }

    async fn refund<T>(&self, request: Request<T>, read: Read<T>) -> Result<proto::RefundOutcome, Status> {
        let (tag, outcome) = self.one(request, read).await?;
        Ok(encode::refund_outcome(tag, &outcome, View::Full))
    }

    /// Asks the ledger for one thing.
    async fn one<T>(&self, request: Request<T>, read: Read<T>) -> Result<(Tag, Outcome), Status> {
        let asker = self.asker(&request).await?;
        let mut violations = Violations::default();
        let asked = read(&asker, Path::Root, request.into_inner(), &mut violations);
        let asked = violations.finish(asked)?;
        let tag = Tag::of(&asked);
        let outcomes = match self.check_treasury(&asker, &[tag]).await?.decline(&[tag]) {
            Some(declined) => declined,
            None => self.engine.decide(vec![asked]).await.map_err(status::of_commit)?,
        };
        let outcome = outcomes.into_iter().next().ok_or_else(status::no_outcome)?;
        Ok((tag, outcome))
    }
}

fn operation_id(field: &'static str, text: &str) -> Result<OperationId, Status> {
    let mut violations = Violations::default();
    let id = decode::uuid(Path::Root.at(field), text, &mut violations);
    violations.finish(id).map(OperationId::from_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<T, F: Future>(_: impl FnOnce(&'static Api, Request<T>) -> F) -> usize {
        size_of::<F>()
    }

    /// A future is moved into a box of its own with every call: 6 kB instead of 2 took a call of many a fifteenth longer.
    #[test]
    fn a_payment_carries_no_room_for_what_it_seldom_does() {
        let payment =
            size(|api, request: Request<proto::CreatePaymentRequest>| api.payment(request, ask::create));
        assert!(payment <= 2_500, "{payment} bytes");
    }
}
