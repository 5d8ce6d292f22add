//! Lists of payments and refunds.

use payplane_ledger::{AccountId, OperationId, Phase, TenantId};
use payplane_proto::v1::{self as proto, list_payments_request::ReferenceFilter as Wanted};
use tonic::Status;

use super::Api;
use crate::{
    engine::detached,
    grpc::{
        decode::{self, LABEL_FILTERS_MAX, LABEL_VALUE_CHARS_MAX, Path, Violations},
        encode, page, status,
    },
    store::{PaymentFilter, ReferenceFilter},
};

impl Api {
    pub(super) async fn payment_list(
        &self,
        tenant: TenantId,
        request: proto::ListPaymentsRequest,
    ) -> Result<proto::ListPaymentsResponse, Status> {
        let mut violations = Violations::default();
        let limit = page::size(request.page_size, &mut violations);
        let start = page::token(&request.page_token, page::place, &mut violations);
        let filter = filter(request, &mut violations);
        violations.check()?;
        let store = self.engine.store.clone();
        let found = detached(async move { store.payments(tenant, &filter, start, limit).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let rows = found.payments.iter();
        let payments =
            rows.filter_map(|row| encode::listed_payment(row.id, &row.decision, row.state.as_ref()));
        let payments = payments.collect();
        Ok(proto::ListPaymentsResponse { payments, next_page_token: page::next(found.next) })
    }

    pub(super) async fn refund_list(
        &self,
        tenant: TenantId,
        request: proto::ListRefundsRequest,
    ) -> Result<proto::ListRefundsResponse, Status> {
        let mut violations = Violations::default();
        let limit = page::size(request.page_size, &mut violations);
        let start = page::token(&request.page_token, page::place, &mut violations);
        let payment = decode::uuid(Path::Root.at("payment_id"), &request.payment_id, &mut violations);
        let payment = OperationId::from_uuid(violations.finish(payment)?);
        let store = self.engine.store.clone();
        let found = detached(async move { store.refunds(tenant, payment, start, limit).await }).await;
        let found = found.map_err(|error| status::of_store(&error))?;
        let refund = |row: &crate::store::RefundRow| {
            let (refund, payment) = row.state.as_ref()?;
            Some(encode::listed_refund(row.id, &row.decision, (refund, payment)))
        };
        let refunds = found.refunds.iter().filter_map(refund).collect();
        Ok(proto::ListRefundsResponse { refunds, next_page_token: page::next(found.next) })
    }
}

fn filter(request: proto::ListPaymentsRequest, violations: &mut Violations) -> PaymentFilter {
    let account = Some(&*request.wallet_id).filter(|id| !id.is_empty());
    let account = account.and_then(|id| decode::uuid(Path::Root.at("wallet_id"), id, violations));
    let reference = request.reference_filter.map(|wanted| match wanted {
        Wanted::Reference(text) => {
            decode::text(Path::Root.at("reference"), &text, violations);
            ReferenceFilter::Exact(text)
        }
        Wanted::ReferencePrefix(text) => {
            decode::text(Path::Root.at("reference_prefix"), &text, violations);
            ReferenceFilter::Prefix(text)
        }
    });
    PaymentFilter {
        account: account.map(AccountId::from_uuid),
        phase: phase(request.state, violations),
        times: page::times(request.start_time.as_ref(), request.end_time.as_ref(), violations),
        reference,
        metadata: decode::labels(
            Path::Root.at("metadata"),
            request.metadata,
            (LABEL_FILTERS_MAX, LABEL_VALUE_CHARS_MAX),
            violations,
        ),
    }
}

fn phase(number: i32, violations: &mut Violations) -> Option<Phase> {
    use proto::PaymentState as State;
    let Ok(state) = State::try_from(number) else {
        violations.add(Path::Root.at("state"), "is unknown: expected a value of PaymentState");
        return None;
    };
    match state {
        State::Unspecified => None,
        State::Pending => Some(Phase::Pending),
        State::Processing => Some(Phase::Processing),
        State::Completed => Some(Phase::Completed),
        State::Failed => Some(Phase::Failed),
        State::Voided => Some(Phase::Voided),
        State::Expired => Some(Phase::Expired),
    }
}
